# shellcheck shell=bash disable=SC2154,SC2153,SC2015,SC2034
# What the scripts of this folder share. Sourced, never run; nothing here names a machine.
# Messages: name=value, the rule, the remedy. Exit codes: 2 bad input; the rest is the suite's (0, 1, 75, 130).

say() { echo "slurm: $*" >&2; }
die() { echo "slurm: $*" >&2; exit 2; }

# The only names that a site file may set (or: export what the programs read); sites/template.sh explains them.
site_names=(SITE_ACCOUNT SITE_ARGS SITE_BINDS SITE_CPUS_PER_NODE SITE_GPU_FLAG SITE_GPUS_PER_NODE SITE_GRES SITE_MAX_TIME
    SITE_MODULES SITE_MPI SITE_MPI_ARGS SITE_PARTITION)

# Only what passes here reaches $((...)): bash runs commands that stand in an index there.
whole() { [[ $1 =~ ^[0-9]{1,9}$ ]]; }

known() { local one; for one in "${site_names[@]}"; do [ "$one" = "$1" ] && return 0; done; return 1; }

load_site() {  # read sites/$SUITE_SITE.sh, strictly; needs $root
    local name file=$root/slurm/sites/${SUITE_SITE:-}.sh before='' after=''
    # A name, never a path: the file is sourced.
    [[ ${SUITE_SITE:-} =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] && [ -f "$file" ] && [ -r "$file" ] || die "SUITE_SITE=${SUITE_SITE:-}: must be one of" \
        "$(cd "$root/slurm/sites" && echo -- *.sh | sed 's/^-- //; s/\.sh//g; s/ template\b//'); export SUITE_SITE=NAME," \
        "or copy slurm/sites/template.sh to NAME.sh."
    bash -n "$file" 2>/dev/null || die "SUITE_SITE=$SUITE_SITE: $file is no valid bash; bash -n $file says where."
    for name in "${site_names[@]}"; do unset "$name"; done
    before=$(compgen -v)
    # shellcheck disable=SC1090
    . "$file"
    after=$(compgen -v)
    for name in $(comm -13 <(sort <<<"$before") <(sort <<<"$after")); do
        known "$name" && continue
        case $name in SITE_*) ;; *) if grep -qx "$name" <<<"$(compgen -e)"; then continue; fi ;; esac
        case $name in before|after|name|file|_|BASH_*|PIPESTATUS|FUNCNAME) continue ;; esac
        die "$name=${!name}: unknown in $file; known are ${site_names[*]}; correct it (or export what is for a program)."
    done
    for name in "${site_names[@]}"; do [ -n "${!name+set}" ] || printf -v "$name" ''; done
    SITE_MPI=${SUITE_MPI:-$SITE_MPI}
    SITE_GRES=${SITE_GRES:-gpu}
    case $SITE_MPI in mpirun|pmix|pmi2) ;;
        *) die "SITE_MPI=$SITE_MPI: must be mpirun (Open MPI's own), pmix (srun, Open MPI) or pmi2 (srun, MPICH);" \
            "correct $file or SUITE_MPI." ;; esac
    case $SITE_GPU_FLAG in ''|--nv|--rocm) ;;
        *) die "SITE_GPU_FLAG=$SITE_GPU_FLAG: must be --nv, --rocm or empty; correct $file." ;; esac
    for name in SITE_GPUS_PER_NODE SITE_CPUS_PER_NODE; do
        whole "${!name}" || die "$name=${!name}: must be an integer >= 0; correct $file."
    done
    [ -n "$SITE_ACCOUNT" ] || [ -n "${SLURM_JOB_ACCOUNT:-}" ] || die "SITE_ACCOUNT=: no account is named; export" \
        "SUITE_ACCOUNT=NAME (or set it in $file; 'none' where the site has no accounts)."
}

# --- geometry: nodes x workers a node + 1 ranks; rank 0, which decides and takes no GPU, shares the first node ---
ranks() { echo $(($1 * $2 + 1)); }  # ranks NODES WORKERS_PER_NODE

hosts() {  # hosts WORKERS_PER_NODE HOST...: the host of every rank, a line each
    local workers=$1 host i
    shift
    echo "$1"
    for host in "$@"; do for ((i = 0; i < workers; i++)); do echo "$host"; done; done
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

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_image() {  # fills $python: how Python is started, in the image or in the environment beside this folder
    local version bind binds=() said
    if [ -z "${SUITE_IMAGE:-}" ]; then
        command -v python >/dev/null && python -c 'import suite' 2>/dev/null ||
            die "SUITE_IMAGE=: no image is named and no python here has the suite; export SUITE_IMAGE=FILE.sif, or run" \
                "./bench setup (with a PYTHON that compute nodes can read)."
        python=(python)
        return
    fi
    [ -r "$SUITE_IMAGE" ] || die "SUITE_IMAGE=$SUITE_IMAGE: no such file; slurm/build_containers.sh makes one."
    SUITE_IMAGE=$(realpath "$SUITE_IMAGE")
    [ -r "$SUITE_IMAGE.sha256" ] || die "SUITE_IMAGE=$SUITE_IMAGE: has no $SUITE_IMAGE.sha256 beside it; copy the" \
        "file that containers/build wrote."
    command -v apptainer >/dev/null || die "apptainer=absent: 1.2 or newer must be on the PATH of compute nodes; name" \
        "its module in SITE_MODULES."
    version=$(apptainer --version | grep -Eo '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n 1)
    at_least "${version:-0}" 1.2 || die "apptainer=$version: must be 1.2 or newer; name a newer module in SITE_MODULES."
    said=$(cut -c -64 "$SUITE_IMAGE.sha256")
    SUITE_IMAGE_DIGEST=$(sha256sum "$SUITE_IMAGE" | cut -c -64)
    [ "$said" = "$SUITE_IMAGE_DIGEST" ] || die "SUITE_IMAGE=$SUITE_IMAGE: sha256 is ${SUITE_IMAGE_DIGEST::12}..., its" \
        ".sha256 says ${said::12}...; copy the image again, whole."
    export SUITE_IMAGE_DIGEST=sha256:$SUITE_IMAGE_DIGEST
    IFS=, read -ra binds <<<"${SITE_BINDS:-}"
    binds+=("$SUITE_RUNS")
    [ -z "${SUITE_DATA:-}" ] || binds+=("$SUITE_DATA")
    python=(apptainer -s exec)
    [ -z "$SITE_GPU_FLAG" ] || python+=("$SITE_GPU_FLAG")
    for bind in "$SUITE_RUNS" "${SUITE_DATA:-}"; do
        case $bind in *[,:]*) die "bind=$bind: a folder that the image sees must have no comma and no colon in its" \
            "name; take another for SUITE_RUNS or SUITE_DATA." ;; esac
    done
    for bind in "${binds[@]}"; do
        [ -e "${bind%%:*}" ] || die "bind=$bind: ${bind%%:*} does not exist here; correct SITE_BINDS, SUITE_DATA or" \
            "SUITE_RUNS, or make it."
        python+=(--bind "$bind")
    done
    python+=("$SUITE_IMAGE" python)
}

check_job() {  # what can be known before anything starts; fills $SUITE_RUNS and $state, exports the end time
    local end left before=120 one most=${SUITE_MAX_RESTARTS:-3}
    [ -n "${SLURM_JOB_ID:-}" ] || die "SLURM_JOB_ID=: this runs inside a Slurm job; submit it by sbatch" \
        "(python -m suite plan ... --sbatch prints the line)."
    export SUITE_RUNS=${SUITE_RUNS:-$root/runs} PYTHONSAFEPATH=1 SUITE_PROGRESS=plain
    state=$SUITE_RUNS/.slurm/job-$SLURM_JOB_ID
    mkdir -p "$state" 2>/dev/null && echo begun >>"$state/begun" || die "SUITE_RUNS=$SUITE_RUNS: cannot be written" \
        "(permission, quota or a full disk); free space there, or name another folder."
    whole "$most" || die "SUITE_MAX_RESTARTS=$most: must be an integer >= 0; correct it, or unset it (3)."
    may_shrink=''
    for one in "$@"; do case $one in
        *backend.pause_before_s=*) before=${one#*=} ;;
        *backend.shrink_job=true) may_shrink=1 ;;
    esac; done
    [[ $before =~ ^[0-9]{1,9}(\.[0-9]*)?$ ]] || die "backend.pause_before_s=$before: must be seconds in plain digits," \
        "e.g. 120; correct it."
    end=${SLURM_JOB_END_TIME:-$(job_end)}
    [ -z "$end" ] || [[ $end =~ ^[0-9]{1,12}$ ]] || die "SLURM_JOB_END_TIME=$end: must be seconds since 1970; unset it" \
        "(squeue is asked then)."
    [ -n "$end" ] || { say "end of the job: unknown; only SIGUSR1 will pause the run."; return 0; }
    export SUITE_END_TIME=$end
    left=$((10#$end - $(date +%s) - 10#${before%.*}))
    [ "$left" -ge 60 ] || die "--time: $left s are left to train (the run pauses $before s before the job's end:" \
        "backend.pause_before_s), 60 are the least; submit with a longer --time."
}

job_end() {  # when the job ends, in seconds since 1970, as squeue says; nothing where it does not
    local date
    date=$(squeue -h -j "$SLURM_JOB_ID" -o %e 2>/dev/null) || return 0
    # An empty date would be this morning.
    [ -z "$date" ] || date -d "$date" +%s 2>/dev/null || true
}

load_modules() {
    local module
    for module in $SITE_MODULES; do
        module load "$module" || die "SITE_MODULES=$SITE_MODULES: $module cannot be loaded;" \
            "module spider finds its name."
    done
    # The environment of ./bench, where there is one and no image is named.
    [ -n "${SUITE_IMAGE:-}" ] && command -v mpirun >/dev/null || PATH=$root/.venv/bin:$PATH
}

mpi_launch() {  # mpi_launch RANKS HOSTFILE: fills $launch, the words before python
    local n=$1 file=$2 version
    # psec, gds: what Slurm's PMIx offers and the wheel's does not have is noise, not an error.
    [ "$SITE_MPI" = mpirun ] || export PMIX_MCA_psec=native PMIX_MCA_gds=hash SLURM_HOSTFILE=$file
    # Such a rank does not wait for the others in MPI_Finalize, nor do they wait for it.
    [ -z "$may_shrink" ] || export OMPI_MCA_async_mpi_finalize=1
    case $SITE_MPI in
        mpirun)
            command -v mpirun >/dev/null || die "mpirun=absent: site $SUITE_SITE starts ranks by it; name Open MPI's" \
                "module in SITE_MODULES, or set SITE_MPI=pmix."
            version=$(mpirun --version 2>/dev/null | sed -n 's/^mpirun (Open MPI) \([0-9.]*\).*/\1/p')
            at_least "${version:-0}" 5 || die "mpirun=${version:-not Open MPI}: must be Open MPI 5 or newer (a lost" \
                "worker must not end the run); load another, or set SITE_MPI=pmix or pmi2, where it does."
            if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
            # No mpi_ft_detector: a worker in an epoch makes no MPI calls and would pass for dead; with the detector in
            # a thread, MPI_Finalize hangs (Open MPI 5.0.11). mpirun's daemons notice a dead rank without it.
            launch=(mpirun --with-ft ulfm --map-by "seq:FILE=$file" --bind-to none -n "$n") ;;
        pmix|pmi2)
            grep -qw "$SITE_MPI" <<<"$(srun --mpi=list 2>&1)" || die "SITE_MPI=$SITE_MPI: this Slurm has no such plugin" \
                "($(srun --mpi=list 2>&1 | grep -Eow 'pmi2|pmix(_v[0-9])?|none|cray_shasta' | sort -u | paste -sd' '));" \
                "set another, or mpirun."
            # --wait=0: ranks that are not needed any more may end long before the others (backend.shrink_job).
            launch=(srun "--mpi=$SITE_MPI" --distribution=arbitrary --kill-on-bad-exit=0 --wait=0 -n "$n")
            unset SLURM_NTASKS_PER_NODE ;;
    esac
    read -ra extra <<<"$SITE_MPI_ARGS"
    launch+=("${extra[@]}")
}

patience_s=60  # how long a launcher may outlive rank 0

rank_0_lives() {  # by the process id that it wrote: it shares this node. A dead one that nobody has awaited does not live.
    local id
    id=$(head -c 10 "$SUITE_VERDICT.pid" 2>/dev/null) && [[ $id =~ ^[1-9][0-9]{0,8}$ ]] && kill -0 "$id" 2>/dev/null &&
        ! grep -qs '^State:.Z' "/proc/$id/status"
}

run_suite() {  # run_suite OVERRIDE...: start it, hand SIGUSR1 on, and end as rank 0 did; needs $launch and $python
    local pid code=0 after=0 seen='' extra flags=() rest=() start=${SLURM_RESTART_COUNT:-0}
    export SUITE_VERDICT=$state/verdict
    rm -f "$SUITE_VERDICT" "$SUITE_VERDICT.pid"
    read -ra extra <<<"$SITE_ARGS"
    # Options before settings, as Hydra wants them; the run's settings after the site's, so that they win.
    while [ $# -gt 0 ]; do
        case $1 in
            --config-dir|-cd) flags+=("$1" "${2:-}"); shift ;;
            -*) flags+=("$1") ;;
            *) rest+=("$1") ;;
        esac
        shift
    done
    whole "$start" || start=0
    say "job $SLURM_JOB_ID, start $((10#$start + 1)): ${SUITE_WORLD_SIZE:-1} rank(s)," \
        "SUITE_STAMP=$SUITE_STAMP"
    "${launch[@]}" "${python[@]}" -m suite "${flags[@]}" resume=auto "${extra[@]}" "${rest[@]}" &
    pid=$!
    # Slurm signals this shell alone (B:); the launcher passes the signal to every rank.
    trap 'say "SIGUSR1 came, handed on"; kill -USR1 "$pid" 2>/dev/null || true' USR1
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1 &
        wait $! || true
        # Rank 0 has ended or is lost: the launcher has a minute to follow, whatever hangs. (Open MPI 5.0.11's own
        # process does, by a lock that nobody holds, in 1 of 80 losses of rank 0.)
        if rank_0_lives; then seen=1; fi
        if [ -s "$SUITE_VERDICT" ] || { [ -n "$seen" ] && ! rank_0_lives; }; then after=$((after + 1)); fi
        if [ "$after" = "$patience_s" ]; then kill -TERM "$pid" 2>/dev/null || true; fi
        if [ "$after" = $((patience_s + 10)) ]; then kill -KILL "$pid" 2>/dev/null || true; fi
    done
    wait "$pid" || code=$?
    trap '' USR1
    # A launcher may report another rank's code, so rank 0 says its own; a process of its own needs no such word.
    [ ${#launch[@]} -gt 0 ] || echo "$code" >"$SUITE_VERDICT"
    finish "$code"
}

epochs() {  # how many lines of epochs the journals of this SUITE_STAMP hold, so far
    local folder
    for folder in "${SUITE_RUNS:-}"/*/"${SUITE_STAMP:-}"; do
        [ -z "${SUITE_STAMP:-}" ] || [ ! -d "$folder" ] || find "$folder" -maxdepth 2 -name journal.jsonl -type f \
            -exec grep -ch '"event":"epoch"' {} + || true
    done | awk '{ n += $1 } END { print n + 0 }'
}

idle_pauses() {  # pauses in a row, this one among them, before which the job had brought no new epoch
    [ -e "$state/pauses" ] || echo 0 >"$state/pauses"
    epochs >>"$state/pauses"
    awk '{ n = (NR > 1 && $1 == last) ? n + 1 : 0; last = $1 } END { print n }' "$state/pauses"
}

finish() {  # finish CODE_OF_THE_LAUNCHER: by rank 0's own code, if it lived to write one
    local code=$1 deaths idle most=${SUITE_MAX_RESTARTS:-3}
    whole "$most" || most=3
    if [ -s "$SUITE_VERDICT" ]; then
        code=$(head -c 8 "$SUITE_VERDICT")
        [[ $code =~ ^[0-9]{1,3}$ ]] || { say "verdict=$code: must be an exit code; taken as 1"; code=1; }
        if [ "$code" = 75 ]; then
            idle=$(idle_pauses)
            [ "$idle" -ge 2 ] || requeue "paused" 75
            say "paused, and $idle starts in a row have brought no new epoch: one epoch takes longer than the job has" \
                "time to train. Not requeued; submit with a longer --time and SUITE_STAMP=$SUITE_STAMP."
            exit 1
        fi
        say "job $SLURM_JOB_ID ends with $code"
        exit "$code"
    fi
    [ "$code" != 0 ] || code=1
    echo "$code" >>"$state/deaths"
    deaths=$(wc -l <"$state/deaths")
    if [ "$deaths" -le "$most" ]; then
        requeue "rank 0 is lost (launcher's code $code; $deaths of SUITE_MAX_RESTARTS=$most)" "$code"
    fi
    say "rank 0 was lost $deaths times, SUITE_MAX_RESTARTS=$most: not requeued again; submit the same line with SUITE_STAMP=$SUITE_STAMP to continue."
    exit "$code"
}

requeue() {  # requeue WHY CODE
    if scontrol requeue "$SLURM_JOB_ID"; then
        say "$1: requeued, continues with what is in its folder"
    else
        say "$1: cannot be requeued here; submit the same line with SUITE_STAMP=$SUITE_STAMP"
    fi
    exit "$2"
}
