"""A process and a machine are named so that no other of a job has the same name."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys

import pytest

from suite.run import identity
from suite.run.identity import ProcessIdentity, node_digest, node_identity, process_identity

MINE = process_identity()


def sleeping():
    """A child that sleeps, and who it is."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from suite.run.identity import process_identity as p; import time\n"
        "w = p(); print(w.pid, w.start_ticks, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, *sys.path], stdout=subprocess.PIPE, text=True
    )
    pid, start_ticks = map(int, child.stdout.readline().split())
    return child, dataclasses.replace(MINE, pid=pid, start_ticks=start_ticks)


def test_a_process_is_itself_and_runs():
    assert process_identity() == MINE and MINE.runs() and MINE.shares_pids(MINE)
    assert MINE.pid == os.getpid() and MINE.start_ticks > 0


@pytest.mark.parametrize(
    "other", [{"host": "other"}, {"boot_id": "other"}, {"namespaces": "pid:[1] time:[1]"}]
)
def test_who_is_of_another_host_boot_or_namespace_shares_no_pids(other):
    elsewhere = dataclasses.replace(MINE, **other)
    assert not MINE.shares_pids(elsewhere) and not elsewhere.shares_pids(MINE)


def test_where_nothing_is_known_nothing_is_shared():
    unknown = ProcessIdentity(socket.gethostname(), "", "", 1, 0)
    assert not unknown.shares_pids(unknown)
    assert not dataclasses.replace(MINE, namespaces="").shares_pids(MINE)


def test_hosts_of_one_name_are_two_nodes_and_one_machine_of_two_names_is_one():
    assert dataclasses.replace(MINE, boot_id="other").node != MINE.node
    assert dataclasses.replace(MINE, host="other").node == MINE.node == node_identity()
    assert dataclasses.replace(MINE, boot_id="").node != MINE.node


def test_a_child_runs_until_it_is_killed_and_a_zombie_does_not():
    child, who = sleeping()
    try:
        assert who.runs() and who.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet collected
        assert not who.runs() and not who.kill()
    finally:
        child.kill()
        child.communicate()
    assert not who.runs()


def test_a_pid_that_is_used_again_is_another_process():
    child, who = sleeping()
    try:
        later = dataclasses.replace(who, start_ticks=who.start_ticks - 1)
        assert not later.runs() and not later.kill() and child.poll() is None
    finally:
        child.kill()
        child.communicate()


def test_nobody_kills_itself(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    assert not MINE.kill()


def test_a_process_that_may_not_be_ended_is_left(monkeypatch):
    def refuse(pid, number):
        assert number == signal.SIGKILL
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    parent = dataclasses.replace(
        MINE, pid=os.getppid(), start_ticks=identity._status(identity.PROC / str(os.getppid()))[1]
    )
    assert parent.runs() and not parent.kill()


def test_the_proc_of_another_namespace_is_not_believed(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    assert process_identity().namespaces == ""


def test_without_proc_a_node_is_its_host(monkeypatch, tmp_path):
    monkeypatch.setattr(identity, "PROC", tmp_path)
    assert process_identity() == ProcessIdentity(socket.gethostname(), "", "", os.getpid(), 0)
    assert node_identity() == f"host {socket.gethostname()}"


def test_a_digest_tells_nothing_of_the_host():
    assert len(MINE.digest()) == len(node_digest()) == 16
    assert MINE.host not in MINE.digest() and MINE.boot_id[:8] not in node_digest()
    assert dataclasses.replace(MINE, pid=1).digest() != MINE.digest()
