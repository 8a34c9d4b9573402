#!/usr/bin/env bash
# Stage data sets where there is a network (a login or transfer node), before any job needs them:
#
#   SUITE_SITE=local SUITE_DATA=/shared/folder slurm/stage_data.sh babi cifar10      (resumes what was cut)
#   slurm/stage_data.sh --verify babi      only check; no network       slurm/stage_data.sh --help      the names
#
# With SUITE_IMAGE by the image's Python, else by ./bench's environment. Jobs take SUITE_DATA from the environment.
# shellcheck disable=SC2034,SC2154,SC1091,SC2015
set -euo pipefail
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=slurm/common.sh
. "$root/slurm/common.sh"

# The names are told before a site is chosen.
[ "${1:-}" != --help ] || [ -n "${SUITE_SITE:-}" ] || exec "$root/bench" exec swiftbench fetch --help
SUITE_ACCOUNT=${SUITE_ACCOUNT:-none}  # staging is charged to nobody
load_site
load_modules
: "${SUITE_RUNS:=$root/runs}"
mkdir -p "$SUITE_RUNS"
export SITE_GPU_FLAG=''
check_image
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --help) exec "${python[@]}" -m models.data.fetch --help ;;
        -*) options+=("$1"); shift ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || die "names=: at least one data set must be named; slurm/stage_data.sh --help lists them."
[ -d "${SUITE_DATA:-}" ] && [ -w "$SUITE_DATA" ] || [[ " ${options[*]} " == *" --verify "* ]] ||
    die "SUITE_DATA=${SUITE_DATA:-}: must be a folder that can be written, on a file system that all nodes see; make it."
failed=()
for name in "$@"; do
    "${python[@]}" -m models.data.fetch "$name" "${options[@]}" || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || { say "not staged: ${failed[*]}; the same line continues."; exit 1; }
