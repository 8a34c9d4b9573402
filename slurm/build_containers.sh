#!/usr/bin/env bash
# Build the images for a site, with its GPUs' software and its MPI, and check what was written. Arguments go to
# containers/build, which says what it can do (containers/build --help):
#
#   SUITE_SITE=juwels_booster slurm/build_containers.sh torch --base docker://NAME@sha256:...
#
# Needs a network and --fakeroot: a login node, or another machine (copy NAME.sif and NAME.sif.sha256 together).
# shellcheck disable=SC2034,SC2154,SC1091,SC2015
set -euo pipefail
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=slurm/common.sh
. "$root/slurm/common.sh"

SUITE_ACCOUNT=${SUITE_ACCOUNT:-none}  # building is charged to nobody
load_site
load_modules
case $SITE_GPU_FLAG in --nv) device=cuda ;; --rocm) device=rocm ;; *) device=cpu ;; esac
case $SITE_MPI in pmi2) mpi=mpich ;; *) mpi=openmpi ;; esac
command -v apptainer >/dev/null || die "apptainer=absent: 1.3 or newer must be on the PATH; name it in SITE_MODULES."
to=$root/containers/images
for ((i = 1; i < $#; i++)); do
    if [ "${!i}" = --to ]; then next=$((i + 1)); to=${!next}; fi
done
"$root/containers/build" --device "$device" --mpi "$mpi" "$@"
case " $* " in *" --check "*|*" --key "*|*" --help "*|*" -h "*) exit ;; esac
for sum in "$to"/*.sif.sha256; do
    (cd "$to" && sha256sum --check --quiet "$(basename "$sum")") ||
        die "SUITE_IMAGE=${sum%.sha256}: differs from its .sha256; build it again (--rebuild)."
    say "export SUITE_IMAGE=${sum%.sha256}"
done
