# shellcheck shell=bash disable=SC2154,SC2153,SC2015,SC2034
# What the job scripts of every batch system share. Sourced, never run; nothing here names a machine.
# Messages: name=value, the rule, the remedy. Exit codes: 2 bad input; the rest is the suite's (0, 1, 75, 130).
#
# A system's file (slurm/common.sh, batch/pbs.sh, batch/gridengine.sh, batch/htcondor.sh) sources this one with $root
# set, and then states:
#   system         its name, in front of messages                 sites         folder of its site files, below $root
#   mpi_kinds      what SITE_MPI may be; mpi_rule: in words       time_option   how a job is given its time
#   site_names     += what only its site files may set            submit        how it is submitted, in messages
# and these functions, which print
#   job_id         this job's number; nothing outside of one      job_end       seconds since 1970; nothing: unknown
#   array_index    of an array's task; else nothing               array_id      the number that its tasks share
#   rank_hosts     the host of every rank, a line each            job_cores     cores of this node that the job has
#   array_option   LAST: how a job is made an array of 0 to LAST (array_variable: where its index is)
#   job_restarts   how often it was started before (here: as this folder has counted)
# and requeue_job: the job is to start again. It does so, or fails where it cannot; sets requeue_code where an exit
# code does it.

say() { echo "$system: $*" >&2; }
die() { echo "$system: $*" >&2; exit 2; }

# The only names that a site file may set (or: export what the programs read); sites/template.sh explains them.
site_names=(SITE_ACCOUNT SITE_ARGS SITE_BIND_MPI SITE_BINDS SITE_CPUS_PER_NODE SITE_GPU_FLAG SITE_GPUS_PER_NODE SITE_MAX_TIME
    SITE_MODULES SITE_MPI SITE_MPI_ARGS)
requeue_code=''
ends_by_term=''  # set: SIGTERM comes at the job's end, and where a user ends it
term_came=''

# Only what passes here reaches $((...)): bash runs commands that stand in an index there.
whole() { [[ $1 =~ ^[0-9]{1,9}$ ]]; }

complete_site() { :; }  # defaults of a system's own names

known() { local one; for one in "${site_names[@]}"; do [ "$one" = "$1" ] && return 0; done; return 1; }

load_site() {  # read the site file $SUITE_SITE, strictly
    local name file=$root/$sites/${SUITE_SITE:-}.sh before='' after=''
    # A name, never a path: the file is sourced.
    [[ ${SUITE_SITE:-} =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] && [ -f "$file" ] && [ -r "$file" ] || die "SUITE_SITE=${SUITE_SITE:-}: must be one of" \
        "$(cd "$root/$sites" && echo -- *.sh | sed 's/^-- //; s/\.sh//g; s/ template\b//'); export SUITE_SITE=NAME," \
        "or copy $sites/template.sh to NAME.sh."
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
    complete_site
    [[ $SITE_MPI =~ ^[a-z0-9]+$ && " $mpi_kinds " == *" $SITE_MPI "* ]] || die "SITE_MPI=$SITE_MPI: must be" \
        "$mpi_rule; correct $file or SUITE_MPI."
    case $SITE_GPU_FLAG in ''|--nv|--rocm) ;;
        *) die "SITE_GPU_FLAG=$SITE_GPU_FLAG: must be --nv, --rocm or empty; correct $file." ;; esac
    for name in SITE_GPUS_PER_NODE SITE_CPUS_PER_NODE; do
        whole "${!name}" || die "$name=${!name}: must be an integer >= 0; correct $file."
    done
    # A job that runs is charged already.
    [ -n "$SITE_ACCOUNT" ] || [ -n "$(job_id)" ] || die "SITE_ACCOUNT=: no account is named; export" \
        "SUITE_ACCOUNT=NAME (or set it in $file; 'none' where the site has no accounts)."
}

# --- one MPI world: rank 0, which decides and takes no GPU, shares the first node with workers ---
slots() {  # slots [MOST]: "HOST SLOTS" lines -> the host of every rank; MOST workers a node, else all slots
    awk -v most="${1:-0}" '
        NF { if (!($1 in n)) order[++hosts] = $1; n[$1] += $2 }
        END {
            if (hosts) print order[1]
            for (i = 1; i <= hosts; i++) {
                left = n[order[i]] - (i == 1)
                if (most > 0 && left > most) left = most
                for (j = 0; j < left; j++) print order[i]
            }
        }'
}

a_node() {  # workers a node at the most: SUITE_WORKERS_PER_NODE, else one a GPU; 0: as many as slots
    local n=${SUITE_WORKERS_PER_NODE:-$SITE_GPUS_PER_NODE}
    whole "$n" || die "SUITE_WORKERS_PER_NODE=$n: must be an integer >= 1; correct it, or unset it."
    echo $((10#$n))
}

place_ranks() {  # fills $state/hosts, exports SUITE_WORLD_SIZE
    rank_hosts >"$state/hosts"
    SUITE_WORLD_SIZE=$(wc -l <"$state/hosts")
    [ "$SUITE_WORLD_SIZE" -ge 2 ] || die "ranks=$SUITE_WORLD_SIZE: must be 2 or more, one that decides and one that" \
        "trains; ask for more slots."
    export SUITE_WORLD_SIZE
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
    if [ -n "${SITE_BIND_MPI:-}" ]; then
        said=$("$root/containers/bind-mpi" "$SUITE_IMAGE" "$SITE_BIND_MPI" "${python[@]:3}") || die "SITE_BIND_MPI=$SITE_BIND_MPI:" \
            "cannot take the place of the image's MPI, see above; correct it, or leave it empty."
        mapfile -t binds <<<"$said"
        python+=("${binds[@]}")
    fi
    python+=("$SUITE_IMAGE" python)
}

check_mpi() {  # the MPI in the image against what starts its ranks: where they differ, each rank is a world of its own
    local code library started=$SITE_MPI wanted='Open MPI v'
    [ -n "${SUITE_IMAGE:-}" ] || return 0
    code='import mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI; print(MPI.Get_library_version())'
    library=$("${python[@]}" -c "$code" 2>&1 | tr -d '\0' | grep -m 1 . | cut -d, -f1 | tr -s ' \t' ' ') || true
    case $SITE_MPI in
        mpirun) started=$(mpirun --version 2>/dev/null | sed -n 's/^mpirun (Open MPI) \([0-9.]*\).*/\1/p')
                wanted="Open MPI v${started%%.*}\\." started="Open MPI $started" ;;
        pmi2) wanted='MPICH\|Intel\|MVAPICH' ;;
    esac
    grep -iq "$wanted" <<<"$library" || die "SUITE_IMAGE=$SUITE_IMAGE: its MPI is ${library:-unknown}, ranks are started by" \
        "$started: no common world; take an image for it (containers/build --mpi openmpi or mpich), or set SITE_BIND_MPI=auto" \
        "(this machine's MPI in the place of the image's), or another SITE_MPI."
}

check_job() {  # what can be known before anything starts; fills $SUITE_RUNS and $state, exports what the job is
    local end left before=120 one most=${SUITE_MAX_RESTARTS:-3} k
    [ -n "$(job_id)" ] || die "job=: this runs inside a job of the batch system; submit it ($submit)."
    k=$(array_index)
    export SUITE_RUNS=${SUITE_RUNS:-$root/runs} PYTHONSAFEPATH=1 SUITE_PROGRESS=plain
    SUITE_CHAIN=${SUITE_CHAIN:-job-$(job_id)${k:+-$k}}
    [[ $SUITE_CHAIN =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || die "SUITE_CHAIN=$SUITE_CHAIN: must be the name of a folder" \
        "without a path; unset it."
    state=$SUITE_RUNS/.$system/$SUITE_CHAIN
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
    SUITE_JOB_ID=$(job_id) SUITE_JOB_CORES=$(job_cores) SUITE_JOB_RESTARTS=$(job_restarts)
    export SUITE_JOB_ID SUITE_JOB_CORES SUITE_JOB_RESTARTS
    end=$(job_end)
    [ -z "$end" ] || [[ $end =~ ^[0-9]{1,12}$ ]] || die "end of the job=$end: must be seconds since 1970."
    [ -n "$end" ] || { say "end of the job: unknown; only SIGUSR1 will pause the run."; return 0; }
    export SUITE_END_TIME=$end
    left=$((10#$end - $(date +%s) - 10#${before%.*}))
    [ "$left" -ge 60 ] || die "$time_option: $left s are left to train (the run pauses $before s before the job's end:" \
        "backend.pause_before_s), 60 are the least; submit with a longer $time_option."
}

job_restarts() { echo $(($(wc -l <"$state/begun") - 1)); }

seconds_of() {  # seconds_of [[H:]M:]S -> seconds; nothing for anything else
    [[ $1 =~ ^([0-9]{1,9}:){0,2}[0-9]{1,9}$ ]] || return 0
    awk -F: '{ for (i = 1; i <= NF; i++) s = s * 60 + $i; printf "%d", s }' <<<"$1"
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

mpi_launch() {  # mpi_launch RANKS HOSTFILE: fills $launch, the words before python; a system may have others, too
    local n=$1 file=$2 version
    # Such a rank does not wait for the others in MPI_Finalize, nor do they wait for it.
    [ -z "$may_shrink" ] || export OMPI_MCA_async_mpi_finalize=1
    if [ "$SITE_MPI" = mpirun ]; then
        command -v mpirun >/dev/null || die "mpirun=absent: site $SUITE_SITE starts ranks by it; name Open MPI's" \
            "module in SITE_MODULES${other_mpi:+, or $other_mpi}."
        version=$(mpirun --version 2>/dev/null | sed -n 's/^mpirun (Open MPI) \([0-9.]*\).*/\1/p')
        at_least "${version:-0}" 5 || die "mpirun=${version:-not Open MPI}: must be Open MPI 5 or newer (a lost" \
            "worker must not end the run); load another${other_mpi:+, or $other_mpi, where it does}."
        if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
        # No mpi_ft_detector: a worker in an epoch makes no MPI calls and would pass for dead; with the detector in
        # a thread, MPI_Finalize hangs (Open MPI 5.0.11). mpirun's daemons notice a dead rank without it.
        # Not seq:FILE=...: Open MPI 5.0.11 takes any "pe" in that path for its qualifier PE, and starts nothing.
        launch=(mpirun --with-ft ulfm --hostfile "$file" --map-by seq --bind-to none -n "$n")
    else
        launch_otherwise "$n" "$file"
    fi
    read -ra extra <<<"$SITE_MPI_ARGS"
    launch+=("${extra[@]}")
}

patience_s=60  # how long a launcher may outlive rank 0

rank_0_lives() {  # by the process id that it wrote: it shares this node. A dead one that nobody has awaited does not live.
    local id
    id=$(head -c 10 "$SUITE_VERDICT.pid" 2>/dev/null) && [[ $id =~ ^[1-9][0-9]{0,8}$ ]] && kill -0 "$id" 2>/dev/null &&
        ! grep -qs '^State:.Z' "/proc/$id/status"
}

run_suite() {  # run_suite OVERRIDE...: start it, hand signals on, and end as rank 0 did; needs $launch and $python
    local pid code=0 after=0 seen='' extra flags=() rest=() start
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
    start=$(job_restarts)
    whole "$start" || start=0
    say "job $(job_id), start $((10#$start + 1)): ${SUITE_WORLD_SIZE:-1} rank(s)," \
        "SUITE_STAMP=$SUITE_STAMP"
    "${launch[@]}" "${python[@]}" -m suite "${flags[@]}" resume=auto "${extra[@]}" "${rest[@]}" &
    pid=$!
    # Where the system signals this shell alone; the launcher passes the signal to every rank.
    trap 'say "SIGUSR1 came, handed on"; kill -USR1 "$pid" 2>/dev/null || true' USR1
    [ -z "$ends_by_term" ] || trap 'term_came=1; say "SIGTERM came"; kill -USR1 "$pid" 2>/dev/null || true' TERM
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
    [ -z "$ends_by_term" ] || trap '' TERM
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
    if [ -n "$term_came" ]; then
        ! time_is_over || requeue "the job's time is over" 75
        say "SIGTERM came before the job's end, so somebody ended it: not started again; submit the same line with" \
            "SUITE_STAMP=$SUITE_STAMP to continue."
        exit 143
    fi
    if [ -s "$SUITE_VERDICT" ]; then
        code=$(head -c 8 "$SUITE_VERDICT")
        [[ $code =~ ^[0-9]{1,3}$ ]] || { say "verdict=$code: must be an exit code; taken as 1"; code=1; }
        if [ "$code" = 75 ]; then
            idle=$(idle_pauses)
            [ "$idle" -ge 2 ] || requeue "paused" 75
            say "paused, and $idle starts in a row have brought no new epoch: one epoch takes longer than the job has" \
                "time to train. Not requeued; submit with a longer $time_option and SUITE_STAMP=$SUITE_STAMP."
            exit 1
        fi
        say "job $(job_id) ends with $code"
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

time_is_over() { [ -n "${SUITE_END_TIME:-}" ] && [ "$(date +%s)" -ge $((10#$SUITE_END_TIME - 5)) ]; }

requeue() {  # requeue WHY CODE
    if requeue_job; then
        say "$1: requeued, continues with what is in its folder"
        exit "${requeue_code:-$2}"
    fi
    say "$1: cannot be requeued here; submit the same line with SUITE_STAMP=$SUITE_STAMP"
    exit "$2"
}

# --- what a script does ---
entries() {  # entries OVERRIDE...: every combination, one a line, words separated by tabs
    local lines=('') more word value key
    for word in "$@"; do
        more=()
        key=${word%%=*}
        case $word in
            *[\[\{\"\'\(]*|--*) more=("${lines[@]/%/$word$'\t'}") ;;  # a list, a mapping or a function: one value
            *=*,*)
                IFS=, read -ra values <<<"${word#*=}"
                for line in "${lines[@]}"; do
                    for value in "${values[@]}"; do more+=("$line$key=$value"$'\t'); done
                done ;;
            *) more=("${lines[@]/%/$word$'\t'}") ;;
        esac
        lines=("${more[@]}")
    done
    printf '%s\n' "${lines[@]%$'\t'}"
}

list_entries() { entries "$@" | tr '\t' ' ' | awk '{ print NR - 1 "  " $0 }'; }

run_job() {  # run_job OVERRIDE...: one run or sweep on all that the job has; backend=simulate: in one process
    load_site
    check_job "$@"
    load_modules
    export SUITE_STAMP=${SUITE_STAMP:-job-$(job_id)}
    start_suite "$@"
}

run_entry() {  # run_entry OVERRIDE...: the entry of a sweep that this task of an array is for
    local k all entry folder
    load_site
    check_job "$@"
    k=$(array_index)
    mapfile -t all < <(entries "$@")
    [[ $k =~ ^[0-9]{1,9}$ ]] && [ "$((10#$k))" -lt ${#all[@]} ] || die "$array_variable=$k: must be 0 to $((${#all[@]} - 1))," \
        "the sweep has ${#all[@]} entries; submit with $(array_option $((${#all[@]} - 1)))."
    IFS=$'\t' read -ra entry <<<"${all[10#$k]}"
    load_modules
    export SUITE_STAMP=${SUITE_STAMP:-job-$(array_id)}
    # shellcheck disable=SC2016
    folder='hydra.run.dir=${oc.env:SUITE_RUNS}/${name}/${oc.env:SUITE_STAMP}/'"$k-"'${algorithm_name}-seed${seed}'
    start_suite "${entry[@]}" hydra.mode=RUN report=false "$folder"
}

start_suite() {
    local word simulated=''
    for word in "$@"; do case $word in backend=simulate) simulated=1 ;; backend=*) simulated='' ;; esac; done
    if [ -n "$simulated" ]; then
        SITE_GPU_FLAG='' SITE_BIND_MPI=''
        # A simulation has no device: without the site's backend settings.
        SITE_ARGS=$(tr ' ' '\n' <<<"$SITE_ARGS" | sed '/^backend/d' | paste -sd' ')
        launch=()
        check_image
    else
        check_image
        place_ranks
        mpi_launch "$SUITE_WORLD_SIZE" "$state/hosts"
        check_mpi
    fi
    run_suite "$@"
}
