#!/bin/bash
# Grid Engine (Son of, Univa's, Altair's): one run, or as an array the entries of a sweep. From the clone's folder:
#
#   export SUITE_SITE=mine
#   qsub -pe mpi 17 -l h_rt=02:00:00 batch/gridengine.sh model=digits_cnn algorithm=swift_svr
#   qsub -t 1-6 -pe mpi 5 -l h_rt=02:00:00 batch/gridengine.sh algorithm=hyperband,swift_svr seed=0,1,2
#
# `python -m suite plan ... --batch=gridengine` prints the line for your site and plan. One rank for each slot of the
# parallel environment; the first decides and takes no GPU. Tasks count from 1, entries from 0: task 1 is entry 0.
# `bash batch/gridengine.sh --list key=a,b ...` prints the entries of a sweep. Settings: those of slurm/run.sbatch.
#
# The run pauses before h_rt (or at s_rt, whose SIGUSR1 means the same) and is put into the queue again by exit code 99.
# WHAT IS TESTED: version 8.1.9, on one host and over four test hosts, which Open MPI 5.0.11 reaches by qrsh -inherit
# (the parallel environment: control_slaves TRUE).
#$ -N swiftbench
#$ -S /bin/bash
#$ -l h_rt=01:00:00
#$ -cwd
#$ -j y
#$ -r y
#$ -V
# shellcheck disable=SC2034,SC2154,SC1091,SC2015
set -euo pipefail
root=${SUITE_ROOT:-${root:-${SGE_O_WORKDIR:-$PWD}}}
[ -r "$root/batch/common.sh" ] || {
    echo "gridengine: SUITE_ROOT=$root: must be the clone's folder; submit from there, or export SUITE_ROOT." >&2; exit 2; }
# shellcheck source=batch/common.sh
. "$root/batch/common.sh"

system=gridengine sites=batch/sites time_option='-l h_rt' array_variable=SGE_TASK_ID
submit="by qsub; python -m suite plan ... --batch=gridengine prints the line"
mpi_kinds=mpirun mpi_rule="mpirun (Open MPI 5's)" other_mpi=''
site_names+=(SITE_PE SITE_QUEUE SITE_SUBMIT_ARGS)
# The profile of a job's login shell may have replaced the PATH that -V hands on, and have none of Grid Engine's.
PATH=${SGE_O_PATH:-$PATH}
[ -z "${SGE_ROOT:-}" ] || PATH=$PATH:$SGE_ROOT/bin/${SGE_ARCH:-lx-amd64}

job_id() { echo "${JOB_ID:-}"; }
array_id() { job_id; }
array_index() { case ${SGE_TASK_ID:-undefined} in undefined) ;; *[!0-9]*) echo "$SGE_TASK_ID" ;; *) echo $((10#$SGE_TASK_ID - 1)) ;; esac; }
array_option() { echo "-t 1-$(($1 + 1))"; }
job_cores() { echo "${NSLOTS:-}"; }

job_end() {  # h_rt as the job asked for it, or as its queue has it: the shorter; counted from this script's start
    local one least=''
    for one in "$(qstat -j "$JOB_ID" 2>/dev/null | sed -n 's/^hard resource_list:.*\bh_rt=\([0-9:]*\).*/\1/p' | head -n 1)" \
        "$(qconf -sq "${QUEUE:-}" 2>/dev/null | sed -n 's/^h_rt  *\([0-9:]*\).*/\1/p' | head -n 1)"; do
        one=$(seconds_of "$one")
        [ -z "$one" ] || { [ -n "$least" ] && [ "$least" -le "$one" ]; } || least=$one
    done
    [ -z "$least" ] || echo $(($(date +%s) - SECONDS + least))
}

rank_hosts() { awk '{ print $1, $2 }' "${PE_HOSTFILE:-/dev/null}" | slots "$(a_node)"; }

requeue_job() { requeue_code=99; }  # FORBID_RESCHEDULE, where a site sets it, makes this an ordinary failure

main() {
    if [ "${1:-}" = --list ]; then shift; list_entries "$@"; return; fi
    if [ -n "$(array_index)" ]; then run_entry "$@"; else run_job "$@"; fi
}

(return 0 2>/dev/null) || main "$@"
