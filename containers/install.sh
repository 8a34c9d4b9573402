#!/bin/sh
# What both definition files do in %post: framework, locked packages and suite into /opt/suite. Runs inside the image.
#
#   install.sh FRAMEWORK DEVICE MPI [REVISION]     torch|tensorflow  cpu|cuda|cuda12|rocm  openmpi|mpich
#
# Reads, bound by containers/build: /mnt (wheels), /media (uv, the hashed list of this image). Nothing is fetched from a
# network but, on a base without it, python3. May be run again, also on an image that it made: then packages stay as
# they are if the list is the same, and only the suite is replaced.
set -eu
framework=$1 device=$2 mpi=$3 revision=${4:-unknown}
top=/opt/suite
venv=$top/venv
list=/media/requirements.txt
export LC_ALL=C.UTF-8 PYTHONNOUSERSITE=1

die() { echo "install.sh: $*" >&2; exit 1; }

case $framework in torch|tensorflow) ;; *) die "framework=$framework: must be torch or tensorflow." ;; esac
case $device in cpu|cuda|cuda12|rocm) ;; *) die "device=$device: must be cpu, cuda, cuda12 or rocm (--build-arg)." ;; esac
case $mpi in openmpi|mpich) ;; *) die "mpi=$mpi: must be openmpi or mpich (--build-arg)." ;; esac

ready_python() { python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
if ! ready_python && command -v apt-get >/dev/null; then
    apt-get -q update && apt-get -q install -y --no-install-recommends python3 ca-certificates
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*
fi
ready_python || die "python3=$(python3 --version 2>&1 || true): must be 3.11 or newer; take another base (from=)."

# A vendor's base may bring its own framework for ROCm (the list then holds none): seen through, and checked below.
site=
[ "$device" != rocm ] || { [ -e $list ] && grep -Eq "^$framework(-rocm)?==" $list; } || site=--system-site-packages

if [ ! -e $list ] && [ -e $venv/stamp ]; then
    echo "install.sh: no list bound; the packages stay as they are" >&2
else
    [ -e $list ] && [ -x /media/uv ] || die "$list: absent; let containers/build make and bind it."
    stamp=$({ cat $list; echo "$framework $device $mpi"; python3 --version; } | sha256sum)
    if [ "$(cat $venv/stamp 2>/dev/null)" != "$stamp" ]; then
        # shellcheck disable=SC2086  # empty, or one word
        python3 -m venv --clear --without-pip $site $venv
        /media/uv pip install --quiet --python $venv/bin/python --no-cache --offline --no-index \
            --find-links /mnt --find-links /media --require-hashes --no-deps --compile-bytecode -r $list
        # Headers and static libraries are for compiling, and nothing is compiled in an image.
        for folder in "$venv"/lib/python3*/site-packages/torch/include \
                      "$venv"/lib/python3*/site-packages/tensorflow/include; do
            rm -rf "$folder"
        done
        find $venv -name '*.a' -size +1M -delete
        echo "$stamp" >$venv/stamp
        # What a base's own framework asks for is the base's business.
        [ -n "$site" ] || /media/uv pip check --quiet --python $venv/bin/python
    fi
fi

# The suite as files: it finds conf/ and results_schema/ beside itself.
if [ -d $top/new ]; then
    rm -rf $top/src
    mv $top/new $top/src
fi
find $top/src -name __pycache__ -prune -exec rm -rf {} +
chmod -R a+rX $top/src
for packages in "$venv"/lib/python3*/site-packages; do echo $top/src >"$packages/suite.pth"; done
python=$venv/bin/python
cat >$venv/bin/swiftbench <<EOF
#!$python
import sys

from swiftbench.__main__ import main

sys.exit(main())
EOF
chmod a+rx $venv/bin/swiftbench
$python -m compileall -q --invalidation-mode unchecked-hash $top/src/suite $top/src/models $top/src/swiftbench

case $device in
    cpu) note="" tested="by its %test, when it was built" ;;
    # It may have been run by whoever builds it: this is about those who wrote the definition.
    cuda*) note="never run on a GPU by its authors" tested="by its %test without a GPU, when it was built; $note" ;;
    rocm) note="never built by its authors" tested="by its %test, when it was built; $note" ;;
esac
# What records say of the image (SUITE_IMAGE_LABEL) and of the code in it, for which an image has no git.
version=$($python -c 'import suite; print(suite.__version__)')
schema=$($python -c 'import suite.results.schema; print(suite.results.schema.VERSION)')
mpi_version=$($python -c "from importlib.metadata import version; print(version('$mpi'))")
echo "swiftbench $version $framework $device $mpi-$mpi_version${note:+, $note}" >$top/image.label
echo "$revision" >$top/revision
echo "$device" >$top/device

label() { echo "$1 $2" >>"${APPTAINER_LABELS:-/dev/null}"; }
label org.opencontainers.image.title "swiftbench-$framework"
label org.opencontainers.image.version "$version"
label org.opencontainers.image.revision "$revision"
label org.opencontainers.image.licenses Apache-2.0
label suite.framework "$framework"
label suite.device "$device"
label suite.schema "$schema"
label suite.mpi "$mpi"
label suite.mpi.version "$mpi_version"
label suite.mpi.abi "$([ "$mpi" = openmpi ] && echo "Open MPI 5, PMIx" || echo "MPICH, PMI-2")"
label suite.lock "$([ ! -e $list ] || sha256sum $list | cut -d' ' -f1)"
label suite.base.packages "$(cat /etc/suite-base-packages.sha256 2>/dev/null || echo "not known: not our base")"
label suite.tested "$tested"
