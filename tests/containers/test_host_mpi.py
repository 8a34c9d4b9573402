"""The MPI of the host and the image's: containers/bind-mpi, and what a job script says where they differ."""

import os
import subprocess

import pytest

from kit.driving import ROOT

# An image that lacks libfoo until it is bound, and of which python says which MPI it has loaded.
APPTAINER = """#!/bin/sh
case " $* " in
    *" ldd "*)
        foo=/.singularity.d/libs/libfoo.so.2
        case "$*" in *:$foo:ro*) ;; *) foo="not found" ;; esac
        echo "	libfoo.so.2 => $foo"
        echo "	libm.so.6 => /lib/libm.so.6 (0x1)"
        echo "	libgone.so.1 => not found" ;;
    *) printf '%s\\n' "$LIBRARY"; exit "${FAILS:-0}" ;;
esac
"""
# This machine: it has libfoo beside the MPI's folder, and libgone nowhere.
LDD = """#!/bin/sh
printf '\\tlibfoo.so.2 => %s/foo/libfoo.so.2 (0x1)\\n\\tlibm.so.6 => /lib/libm.so.6 (0x1)\\n' "$PLACE"
"""


@pytest.fixture
def bind(tmp_path):
    """bind(prefix) -> code, the words, what was said; a machine with an Open MPI and an MPICH."""
    for name, library in (("open", "lib/libmpi.so.40"), ("mpich", "lib64/libmpi.so.12")):
        (tmp_path / name / library).parent.mkdir(parents=True)
        (tmp_path / name / library).touch()
    (tmp_path / "bin").mkdir()
    for name, text in (("apptainer", APPTAINER), ("ldd", LDD)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "a.sif").touch()

    def run(prefix, *options, **variables):
        env = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PLACE": str(tmp_path)}
        env |= {"LIBRARY": "Open MPI v5.0.10, package: x"} | variables
        words = [ROOT / "containers" / "bind-mpi", tmp_path / "a.sif", prefix, *options]
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60)
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def test_open_mpi_takes_the_images_place_and_brings_what_the_image_lacks(bind, tmp_path):
    code, words, said = bind(tmp_path / "open")
    assert code == 0, said
    place = str(tmp_path / "open")
    options = list(zip(words[::2], words[1::2], strict=True))
    assert options[0] == ("--bind", f"{place}:{place}:ro")
    variables = dict(
        one.split("=", 1) for flag, some in options if flag == "--env" for one in some.split(",")
    )
    assert variables == {
        "MPI4PY_LIBMPI": f"{place}/lib/libmpi.so.40", "MPI4PY_MPIABI": "openmpi",
        "LD_LIBRARY_PATH": f"{place}/lib", "OPAL_PREFIX": place, "OMPI_LIBDIR_LOC": f"{place}/lib",
        "PMIX_PREFIX": place,
    }  # fmt: skip
    # What the image has stays its own, and what is nowhere is not needed.
    foo = f"{tmp_path}/foo/libfoo.so.2:/.singularity.d/libs/libfoo.so.2:ro"
    assert options[3:] == [("--bind", foo)]
    assert f"Open MPI v5.0.10 of {place} in the place of the image's own" in said


def test_mpichs_abi_is_told_to_mpi4py(bind, tmp_path):
    code, words, said = bind(tmp_path / "mpich", LIBRARY="MPICH Version:      5.0.2")
    assert code == 0 and "MPICH Version: 5.0.2" in said
    assert "MPI4PY_MPIABI=mpich" in words[3] and "OPAL_PREFIX" not in "".join(words)


def test_auto_is_the_folder_of_the_mpirun_on_the_path(bind, tmp_path):
    (tmp_path / "open" / "bin").mkdir()
    (tmp_path / "open" / "bin" / "mpirun").write_text("#!/bin/sh\n")
    (tmp_path / "open" / "bin" / "mpirun").chmod(0o755)
    path = f"{tmp_path}/bin:{tmp_path}/open/bin:/usr/bin:/bin"
    assert f"{tmp_path}/open:{tmp_path}/open:ro" in bind("auto", PATH=path)[1]


@pytest.mark.parametrize(
    "printed, said",
    [
        ("libm.so.6: version `GLIBC_2.38' not found (required by x)", "newer than the image's"),
        ("libfoo.so.2: cannot open shared object file: No such file", "load the modules"),
        ("RuntimeError: anything else", "RuntimeError: anything else; load the modules"),
    ],
)
def test_what_cannot_be_loaded_is_named_with_its_remedy(bind, tmp_path, printed, said):
    code, words, error = bind(tmp_path / "open", LIBRARY=printed, FAILS="1")
    assert code == 2 and words == []
    assert "the image cannot load this MPI" in error and printed.split(":")[1][:20] in error
    assert said in error


@pytest.mark.parametrize(
    "prefix, said",
    [
        ("/usr", "would cover the image's own system"),
        ("open", "must be a path from /"),
        ("/a,b", "must be a path from /"),
        ("/nowhere", "has no lib/libmpi.so.40 (Open MPI) and no lib/libmpi.so.12"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(bind, prefix, said):
    code, words, error = bind(prefix)
    assert code == 2 and words == [] and f"PREFIX={prefix}: " in error and said in error


# --- the job scripts ---


@pytest.mark.parametrize(
    "library, kind, fits",
    [
        ("Open MPI v5.0.8, package: x", "mpirun", True),
        ("Open MPI v4.1.8, package: x", "mpirun", False),
        ("MPICH Version:\t5.0.2", "mpirun", False),
        ("Open MPI v4.1.8, package: x", "pmix", True),
        ("MPICH Version:\t5.0.2", "pmix", False),
        ("MPICH Version:\t5.0.2", "pmi2", True),
        ("Intel(R) MPI Library 2021.19", "pmi2", True),
        ("Open MPI v5.0.11, package: x", "pmi2", False),
        ("", "mpirun", False),
    ],
)
def test_an_image_whose_mpi_is_not_the_launchers_is_refused_before_it_starts(
    tmp_path, library, kind, fits
):
    (tmp_path / "mpirun").write_text("#!/bin/sh\necho 'mpirun (Open MPI) 5.0.11'\n")
    (tmp_path / "mpirun").chmod(0o755)
    script = (
        'root=$1; . "$root/slurm/common.sh"; SITE_MPI=$2 SUITE_IMAGE=a.sif; '
        'python=(printf "%s\\n\\n" "$3"); check_mpi'
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script, "bash", str(ROOT), kind, library],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == (0 if fits else 2), done.stderr
    if not fits:
        started = "Open MPI 5.0.11" if kind == "mpirun" else kind
        assert f"ranks are started by {started}: no common world" in done.stderr
        assert "SITE_BIND_MPI=auto" in done.stderr


def test_a_site_may_bind_its_mpi_and_a_simulation_needs_none(tmp_path):
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "bind-mpi").write_text('#!/bin/sh\nprintf "%s\\n" --said "$*"\n')
    (tmp_path / "containers" / "bind-mpi").chmod(0o755)
    (tmp_path / "apptainer").write_text("#!/bin/sh\necho apptainer version 1.4.5\n")
    (tmp_path / "apptainer").chmod(0o755)
    (tmp_path / "a.sif").touch()
    subprocess.run("sha256sum a.sif >a.sif.sha256", shell=True, cwd=tmp_path, check=True)
    script = (
        'root=$1; . "$root/slurm/common.sh"; root=$2 SITE_GPU_FLAG="" SITE_BIND_MPI=auto; check_image; '
        'echo "${python[@]}"; run_suite() { echo "${python[@]}"; }; SITE_ARGS=; '
        "start_suite backend=simulate"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script, "bash", str(ROOT), str(tmp_path)],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SUITE_RUNS": str(tmp_path),
                          "SUITE_IMAGE": str(tmp_path / "a.sif"), "SUITE_DATA": ""},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bound, simulated = done.stdout.splitlines()
    assert f"--said {tmp_path}/a.sif auto --bind {tmp_path} {tmp_path}/a.sif python" in bound
    assert "--said" not in simulated
