#!/bin/bash
# PBS (OpenPBS, PBS Professional): one run, or as an array the entries of a sweep. From the clone's folder:
#
#   export SUITE_SITE=mine SUITE_WORDS='model=digits_cnn algorithm=swift_svr'
#   qsub -l select=1:ncpus=5:mpiprocs=5:ngpus=4+3:ncpus=4:mpiprocs=4:ngpus=4 -l walltime=02:00:00 batch/pbs.sh
#   SUITE_WORDS='algorithm=hyperband,swift_svr seed=0,1,2' qsub -J 0-5 -l select=1:ncpus=5:mpiprocs=5 batch/pbs.sh
#
# `python -m suite plan ... --batch=pbs` prints the line for your site and plan. qsub takes no words behind a script: they
# stand in SUITE_WORDS, quoted as for a shell. One rank for each MPI process (mpiprocs); the first decides and takes no
# GPU. `bash batch/pbs.sh --list key=a,b ...` prints the entries of a sweep. Settings: those of slurm/run.sbatch.
#
# The run pauses before the walltime is over and submits its continuation, which begins after this job (compute nodes
# must be allowed to submit). A job that qdel ends is not started again.
# WHAT IS TESTED: with a stand-in of qsub, qstat, qdel and qsig after PBS's manual, on one host. Not run under PBS.
#PBS -N swiftbench
#PBS -l walltime=01:00:00
#PBS -S /bin/bash
#PBS -j oe
#PBS -r y
#PBS -V
# shellcheck disable=SC2034,SC2154,SC1091,SC2015
set -euo pipefail
root=${SUITE_ROOT:-${root:-${PBS_O_WORKDIR:-$PWD}}}
[ -r "$root/batch/common.sh" ] || {
    echo "pbs: SUITE_ROOT=$root: must be the clone's folder; submit from there, or export SUITE_ROOT." >&2; exit 2; }
# shellcheck source=batch/common.sh
. "$root/batch/common.sh"

system=pbs sites=batch/sites time_option='-l walltime' array_variable=PBS_ARRAY_INDEX
submit="by qsub; python -m suite plan ... --batch=pbs prints the line"
mpi_kinds=mpirun mpi_rule="mpirun (Open MPI 5's)" other_mpi=''
site_names+=(SITE_PE SITE_QUEUE SITE_SUBMIT_ARGS)
# The profile of a job's login shell may have replaced the PATH that -V hands on.
PATH=${PBS_O_PATH:-$PATH}
ends_by_term=1 job_page=''

job_id() {  # 123 of 123.server and of 123[4].server
    [[ ${PBS_JOBID:-} =~ ^([0-9]{1,9})(\[[0-9]*\])?(\.|$) ]] && echo "${BASH_REMATCH[1]}" || true
}
array_id() { job_id; }
array_index() { echo "${SUITE_ENTRY:-${PBS_ARRAY_INDEX:-}}"; }
array_option() { echo "-J 0-$1"; }
job_cores() { echo "${NCPUS:-}"; }
stated() { sed -n "s/^ *$1 = //p" <<<"$job_page" | head -n 1; }  # stated ATTRIBUTE: as qstat -f has it

job_end() {  # when it began, and its walltime
    local begun wall
    wall=$(seconds_of "$(stated Resource_List.walltime)")
    begun=$(stated stime)
    [ -z "$wall" ] || [ -z "$begun" ] || begun=$(date -d "$begun" +%s 2>/dev/null) || begun=''
    [ -z "$wall" ] || [ -z "$begun" ] || echo $((begun + wall))
}

rank_hosts() { awk '{ print $1, 1 }' "${PBS_NODEFILE:-/dev/null}" | slots "$(a_node)"; }

requeue_job() {  # qrerun is for operators. The continuation waits for this job's end, whatever it is.
    local words=(-W "depend=afterany:$PBS_JOBID") option name value k
    k=$(array_index)
    while read -r option name; do
        value=$(stated "$name")
        [ -z "$value" ] || words+=("$option${name#*.}=$value")
    done <<'OPTIONS'
-l Resource_List.select
-l Resource_List.place
-l Resource_List.walltime
OPTIONS
    for name in q:queue P:project A:Account_Name; do
        value=$(stated "${name#*:}")
        case $value in ''|_pbs_project_default) ;; *) words+=("-${name%%:*}" "$value") ;; esac
    done
    export SUITE_CHAIN
    [ -z "$k" ] || export SUITE_ENTRY=$k
    # Of this job, and of its ranks, nothing but its settings.
    (
        for name in $(compgen -e | grep -E '^(PBS_(JOB|ARRAY|NODE|TASK)|OMPI_|PMIX|PRTE_|SUITE_(JOB_|END_TIME|VERDICT|WORLD_SIZE))'); do
            unset "$name"
        done
        cd "${PBS_O_WORKDIR:-$root}" && SUITE_ROOT=$root qsub "${words[@]}" "$root/batch/pbs.sh"
    )
}

main() {
    local words=() text
    # xargs knows a shell's quotes, and runs nothing.
    text=$(xargs -r printf '%s\n' <<<"${SUITE_WORDS:-}" 2>/dev/null) ||
        die "SUITE_WORDS=$SUITE_WORDS: each quote must have its other; correct it."
    [ -z "$text" ] || mapfile -t words <<<"$text"
    if [ "${1:-}" = --list ]; then shift; list_entries "$@" "${words[@]}"; return; fi
    # PBS begins in the home folder; names on the line are seen from where it was submitted.
    cd "${PBS_O_WORKDIR:-$root}"
    job_page=$(qstat -f "${PBS_JOBID:-}" 2>/dev/null) || job_page=''
    if [ -n "$(array_index)" ]; then run_entry "${words[@]}" "$@"; else run_job "${words[@]}" "$@"; fi
}

# Sourced, it only states what PBS is like.
(return 0 2>/dev/null) || main "$@" </dev/null
