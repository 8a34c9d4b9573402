"""An mpirun that stands still after rank 0 has ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from suite.run.identity import parent_identity

# Started as a launcher starts a rank: its child arms, and ends.
LAUNCHER = """
import signal, subprocess, sys, time
ssh = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
rank = "from suite.backends.mpi import last_resort; last_resort.arm(1.0, 1.0)"
subprocess.run([sys.argv[2], "-c", rank], check=True)
print("rank 0 has ended", ssh.pid, flush=True)
time.sleep(0.2 if sys.argv[1] == "brief" else 600)
"""


def launch(tmp_path, name, kind):
    """A process of that name whose child, rank 0, arms."""
    # Not sys.executable's link: the kernel takes a process's name from the file that it runs.
    program = tmp_path / name
    shutil.copy(Path(sys.executable).resolve(), program)
    env = os.environ | {"PYTHONHOME": sys.base_prefix}
    return subprocess.Popen(
        [program, "-c", LAUNCHER, kind, sys.executable], stdout=subprocess.PIPE, text=True, env=env
    )


def rank_0_has_ended(process):
    """Wait for that; the PID of what the launcher had started on another host."""
    *words, ssh = process.stdout.readline().split()
    assert words == ["rank", "0", "has", "ended"]
    return int(ssh)


def runs(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def end(process, ssh):
    process.kill()
    process.wait()
    process.stdout.close()
    if ssh:
        with contextlib.suppress(ProcessLookupError):
            os.kill(ssh, signal.SIGKILL)


@pytest.mark.parametrize(("kind", "code"), [("still", -15), ("deaf", -9), ("brief", 0)])
def test_an_mpirun_that_does_not_end_is_ended(tmp_path, kind, code):
    process, ssh = launch(tmp_path, "prterun", kind), 0
    try:
        ssh = rank_0_has_ended(process)
        assert process.wait(60) == code
        deadline = time.monotonic() + 60
        while runs(ssh) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not runs(ssh), "what it had started stays"
    finally:
        end(process, ssh)


def test_a_parent_that_is_no_launcher_is_left_alone(tmp_path):
    process, ssh = launch(tmp_path, "shell", "still"), 0
    try:
        ssh = rank_0_has_ended(process)
        time.sleep(2.5)
        assert process.poll() is None and runs(ssh)
    finally:
        end(process, ssh)


def test_the_parent_is_known_by_its_start(tmp_path):
    who = parent_identity()
    assert who.pid == os.getppid() and who.runs()
