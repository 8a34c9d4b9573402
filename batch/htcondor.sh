#!/bin/bash
# HTCondor's part of the job scripts; batch/htcondor.sub starts it, and says how jobs are submitted. NOT RUN HERE under
# HTCondor. `bash batch/htcondor.sh --list key=a,b ...` prints the entries of a sweep.
# shellcheck disable=SC2034,SC2154,SC1091,SC2015
set -euo pipefail
root=${SUITE_ROOT:-${root:-$PWD}}
[ -r "$root/batch/common.sh" ] || {
    echo "htcondor: SUITE_ROOT=$root: must be the clone's folder, seen from here too; submit from there." >&2; exit 2; }
# shellcheck source=batch/common.sh
. "$root/batch/common.sh"

system=htcondor sites=batch/sites time_option=walltime array_variable=ProcId
submit="by condor_submit; python -m suite plan ... --batch=htcondor prints the line"
mpi_kinds=mpirun mpi_rule="mpirun (Open MPI 5's)" other_mpi=''
site_names+=(SITE_PE SITE_QUEUE SITE_SUBMIT_ARGS)
started_s=$(date +%s)
# By it condor_rm ends a job. (Where the machine is taken away, SIGUSR1 comes.)
ends_by_term=1

ad() { sed -n "s/^$1 = \([0-9]\{1,9\}\)$/\1/p" "${_CONDOR_JOB_AD:-/dev/null}" 2>/dev/null | head -n 1; }  # ad ATTRIBUTE
job_id() { ad ClusterId; }
array_id() { job_id; }
array_index() { [ "$(ad TotalSubmitProcs)" = 1 ] || ad ProcId; }
array_option() { echo "tasks=$(($1 + 1))"; }
job_cores() { ad RequestCpus; }
rank_hosts() { echo "$(hostname) $(ad RequestCpus)" | slots "$(a_node)"; }

job_end() {
    local most
    most=$(ad MaxRuntime)
    [ -z "$most" ] || echo $((started_s + 10#$most))
}

requeue_job() { requeue_code=75; }  # on_exit_remove in batch/htcondor.sub keeps such a job

main() {
    if [ "${1:-}" = --list ]; then shift; list_entries "$@"; return; fi
    cd "$root"
    if [ -n "$(array_index)" ]; then run_entry "$@"; else run_job "$@"; fi
}

(return 0 2>/dev/null) || main "$@"
