"""One run in a folder, also where locks do not reach the other node and clocks disagree."""

import os
import subprocess
import sys
import time

import pytest

from suite.core.errors import ConfigError, StoppedError
from suite.files import UnsafeFileError
from suite.run import lock
from suite.run.identity import node_digest
from suite.run.lock import DEAD_AFTER_S, NAME, FolderLock

DAY_S = 86_400.0


class Hour:
    """A monotonic clock that stands still but for what is waited. meanwhile: called at each wait."""

    def __init__(self, meanwhile=lambda: None):
        self.now_s, self.meanwhile, self.words = 0.0, meanwhile, []

    def wait(self, seconds):
        self.now_s += seconds
        self.meanwhile()

    def lock(self, folder):
        return FolderLock(folder, self.wait, lambda: self.now_s, self.words.append)


def foreign(folder, offset_s=0.0):
    """A lock file that another node wrote; the file server's clock is off by `offset_s`."""
    path = folder / NAME
    path.write_text("0123456789abcdef")
    os.utime(path, (time.time() + offset_s,) * 2)
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
    hour = Hour()
    hour.lock(tmp_path).release(clean=True)
    assert hour.now_s == 0 and not hour.words


@pytest.mark.parametrize("offset_s", [-40.0, 0.0, 3600.0, -60 * DAY_S, 27_000 * DAY_S])
def test_a_silent_one_of_another_node_is_taken_after_30_s_whatever_its_time_stamp(
    tmp_path, offset_s
):
    foreign(tmp_path, offset_s)
    hour = Hour()
    hour.lock(tmp_path).release(clean=False)
    assert hour.now_s == pytest.approx(DEAD_AFTER_S)
    assert hour.words == [
        f"run folder {tmp_path.name}: a run on another node was in it; waiting 30 s to see whether it "
        "still is."
    ]
    assert (tmp_path / NAME).read_text().startswith(node_digest())


@pytest.mark.parametrize("offset_s", [-40.0, 0.0, 3600.0])
def test_a_living_one_of_another_node_is_refused_whatever_its_time_stamps(tmp_path, offset_s):
    path = foreign(tmp_path, offset_s)
    beats = iter(range(1, 100))

    def pulse():
        # The file server's clock is off, and the pulse comes all the same.
        os.utime(path, (time.time() + offset_s + next(beats),) * 2)

    with pytest.raises(ConfigError, match="another run is in it"):
        Hour(pulse).lock(tmp_path)
    assert path.read_text() == "0123456789abcdef"


def test_a_holder_that_was_silent_too_long_ends_and_leaves_the_folder_to_the_next(tmp_path):
    hour = Hour()
    one = hour.lock(tmp_path)
    (tmp_path / NAME).write_text("0123456789abcdef another")
    hour.now_s += lock.PULSE_EVERY_S
    with pytest.raises(StoppedError, match=r"run\.lock=0123456789abcdef: another run has taken"):
        one.pulse()
    one.release(clean=True)
    assert (tmp_path / NAME).read_text() == "0123456789abcdef another"


def test_the_pulse_touches_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PULSE_EVERY_S", 0.0)
    one = FolderLock(tmp_path)
    os.utime(tmp_path / NAME, (1.0, 1.0))
    one.pulse()
    assert (tmp_path / NAME).stat().st_mtime > 1e9
    one.release(clean=True)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_lock_file_is_refused_and_not_touched(tmp_path, kind):
    precious, path = tmp_path / "authorized_keys", tmp_path / NAME
    precious.write_text("key")
    if kind == "link":
        path.symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(UnsafeFileError, match=r"run\.lock: is a"):
        FolderLock(tmp_path)
    assert precious.read_text() == "key"


def test_no_name_of_a_host_stands_in_it(tmp_path):
    one = FolderLock(tmp_path)
    assert os.uname().nodename not in (tmp_path / NAME).read_text()
    one.release(clean=True)
