# shellcheck shell=bash disable=SC2154,SC2153,SC2015,SC2034
# Slurm's part of the job scripts; what all batch systems share is in batch/common.sh. Sourced, never run.
# shellcheck source=batch/common.sh
. "$root/batch/common.sh"

system=slurm sites=slurm/sites time_option=--time array_variable=SLURM_ARRAY_TASK_ID
submit="by sbatch; python -m suite plan ... --sbatch prints the line"
mpi_kinds='mpirun pmix pmi2'
mpi_rule="mpirun (Open MPI's own), pmix (srun, Open MPI) or pmi2 (srun, MPICH)"
other_mpi='set SITE_MPI=pmix or pmi2'
site_names+=(SITE_GRES SITE_PARTITION)

complete_site() { SITE_GRES=${SITE_GRES:-gpu}; }

job_id() { echo "${SLURM_JOB_ID:-}"; }
job_cores() { echo "${SLURM_CPUS_ON_NODE:-}"; }
job_restarts() { echo "${SLURM_RESTART_COUNT:-0}"; }
array_index() { echo "${SLURM_ARRAY_TASK_ID:-}"; }
array_id() { echo "${SLURM_ARRAY_JOB_ID:-}"; }
array_option() { echo "--array=0-$1"; }
requeue_job() { scontrol requeue "$SLURM_JOB_ID"; }

job_end() {  # as Slurm says, else as squeue does
    local date
    if [ -n "${SLURM_JOB_END_TIME:-}" ]; then
        [[ $SLURM_JOB_END_TIME =~ ^[0-9]{1,12}$ ]] || die "SLURM_JOB_END_TIME=$SLURM_JOB_END_TIME: must be seconds" \
            "since 1970; unset it (squeue is asked then)."
        echo "$SLURM_JOB_END_TIME"
        return
    fi
    date=$(squeue -h -j "$SLURM_JOB_ID" -o %e 2>/dev/null) || return 0
    # An empty date would be this morning.
    [ -z "$date" ] || date -d "$date" +%s 2>/dev/null || true
}

# --- geometry: nodes x workers a node + 1 ranks; rank 0, which decides and takes no GPU, shares the first node ---
ranks() { echo $(($1 * $2 + 1)); }  # ranks NODES WORKERS_PER_NODE

hosts() {  # hosts WORKERS_PER_NODE HOST...: the host of every rank, a line each
    local workers=$1 host i
    shift
    echo "$1"
    for host in "$@"; do for ((i = 0; i < workers; i++)); do echo "$host"; done; done
}

rank_hosts() {
    local workers nodes
    workers=$(workers_per_node)
    mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
    hosts "$workers" "${nodes[@]}"
}

workers_per_node() {  # one a GPU; without GPUs one for each task but one (rank 0's)
    local gpus=${SLURM_GPUS_ON_NODE:-0} tasks=${SLURM_NTASKS_PER_NODE:-} n
    whole "$gpus" || die "SLURM_GPUS_ON_NODE=$gpus: must be an integer >= 0; unset it, or submit by sbatch."
    [ -z "$tasks" ] || whole "$tasks" || die "SLURM_NTASKS_PER_NODE=$tasks: must be an integer >= 1; submit with" \
        "--ntasks-per-node=N."
    if [ "$SITE_GPUS_PER_NODE" -gt 0 ] && [ "$gpus" -eq 0 ] && [ -z "${SUITE_WORKERS_PER_NODE:-}" ]; then
        die "SLURM_GPUS_ON_NODE=0: site $SUITE_SITE has $SITE_GPUS_PER_NODE GPUs a node and none was asked for; submit" \
            "with --gres=$SITE_GRES:$SITE_GPUS_PER_NODE, or export SUITE_WORKERS_PER_NODE=N and add backend.device=cpu."
    fi
    n=${SUITE_WORKERS_PER_NODE:-$gpus}
    [ "$n" != 0 ] || n=$((10#${tasks:-2} - 1))
    [[ $n =~ ^[1-9][0-9]{0,5}$ ]] || die "SUITE_WORKERS_PER_NODE=$n: must be an integer >= 1; submit with" \
        "--ntasks-per-node=2 or more (the first node's first task decides)."
    [ "${tasks:-1}" -gt "$n" ] || die "SLURM_NTASKS_PER_NODE=${SLURM_NTASKS_PER_NODE:-}: must be" \
        "$((n + 1)), $n workers and one more on the first node; submit with --ntasks-per-node=$((n + 1))."
    echo "$n"
}

launch_otherwise() {  # launch_otherwise RANKS HOSTFILE: srun, by which PMI the site has
    grep -qw "$SITE_MPI" <<<"$(srun --mpi=list 2>&1)" || die "SITE_MPI=$SITE_MPI: this Slurm has no such plugin" \
        "($(srun --mpi=list 2>&1 | grep -Eow 'pmi2|pmix(_v[0-9])?|none|cray_shasta' | sort -u | paste -sd' '));" \
        "set another, or mpirun."
    # psec, gds: what Slurm's PMIx offers and the wheel's does not have is noise, not an error.
    export PMIX_MCA_psec=native PMIX_MCA_gds=hash SLURM_HOSTFILE=$2
    # --wait=0: ranks that are not needed any more may end long before the others (backend.shrink_job).
    launch=(srun "--mpi=$SITE_MPI" --distribution=arbitrary --kill-on-bad-exit=0 --wait=0 -n "$1")
    unset SLURM_NTASKS_PER_NODE
}
