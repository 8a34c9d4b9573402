"""One run in a folder, also where locks do not reach the other node."""

import os
import subprocess
import sys
import time

import pytest

from suite.core.errors import ConfigError
from suite.run import lock
from suite.run.lock import DEAD_AFTER_S, NAME, FolderLock


def foreign(folder, age_s):
    """A lock file that another host wrote, last touched age_s ago."""
    path = folder / NAME
    path.write_text("0123456789abcdef")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_second_one_is_refused_until_the_first_lets_go(tmp_path):
    one = FolderLock(tmp_path)
    with pytest.raises(ConfigError, match="another run is in it"):
        FolderLock(tmp_path)
    one.release(clean=True)
    assert (tmp_path / NAME).read_bytes() == b""
    FolderLock(tmp_path).release(clean=True)


def test_a_killed_process_leaves_it_free_at_once(tmp_path):
    script = f"import os, pathlib; from suite.run.lock import FolderLock; " \
        f"FolderLock(pathlib.Path({str(tmp_path)!r})); os.kill(os.getpid(), 9)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    waited = []
    FolderLock(tmp_path, waited.append).release(clean=True)
    assert not waited


def test_one_that_a_dead_host_held_is_taken_when_its_pulse_has_been_still(tmp_path):
    path = foreign(tmp_path, DEAD_AFTER_S - 0.2)
    FolderLock(tmp_path).release(clean=False)
    assert path.read_text() == lock._here()


def test_one_whose_pulse_beats_on_another_host_is_refused(tmp_path):
    path = foreign(tmp_path, 1.0)
    with pytest.raises(ConfigError, match="another run is in it"):
        FolderLock(tmp_path, wait=lambda _: os.utime(path))
    assert path.read_text() == "0123456789abcdef"


def test_the_pulse_touches_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PULSE_EVERY_S", 0.0)
    one = FolderLock(tmp_path)
    os.utime(tmp_path / NAME, (1.0, 1.0))
    one.pulse()
    assert (tmp_path / NAME).stat().st_mtime > 1e9
    one.release(clean=True)


def test_no_name_of_a_host_stands_in_it(tmp_path):
    one = FolderLock(tmp_path)
    assert os.uname().nodename not in (tmp_path / NAME).read_text()
    one.release(clean=True)
