"""A daemon of mpirun's that sends in vain: how long it may, who looks after it. On hosts: tests/cluster."""

import os

import pytest

from suite.backends.mpi import lifeline

STATED = ["prted", "--prtemca", "oob_tcp_keepalive_time", "5", "--prtemca",
          "oob_tcp_keepalive_intvl", "2", "--prtemca", "oob_tcp_keepalive_probes", "3"]  # fmt: skip
# Two connections: one has been sent again four times (01), one waits for its peer's window (04).
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 020012C6:AD69 010012C6:8DA3 01 000004A8:00000000 01:0000023C 00000004     0        0 71 2 ff
   1: 020012C6:AD6A 010012C6:8DA4 01 000004A8:00000000 04:0000023C 00000002     0        0 72 2 ff
   2: 020012C6:AD6B 010012C6:8DA5 01 00000000:00000000 02:0000023C 00000000     0        0 73 2 ff
   3: 020012C6:AD6C 010012C6:8DA6 01 000004A8:00000000 01:0000023C 00000009     0        0 74 2 ff
"""


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """A process 7 in a /proc of its own."""
    monkeypatch.setattr(lifeline, "PROC", tmp_path)
    folder = tmp_path / "7"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("words", "variables", "seconds"),
    [
        (["prted"], [], 300 + 9 * 20),
        (STATED, [], 5 + 3 * 2),
        (["prted"], ["PRTE_MCA_oob_tcp_keepalive_time=60"], 60 + 9 * 20),
        (STATED, ["PRTE_MCA_oob_tcp_keepalive_time=60"], 5 + 3 * 2),
        (["prted"], ["PRTE_MCA_oob_tcp_keepalive_time=0"], 0),
        (["prted", "oob_tcp_keepalive_time"], ["PRTE_MCA_oob_tcp_keepalive_intvl=much"], 480),
    ],
)
def test_it_has_the_patience_of_the_keepalive(daemon, words, variables, seconds):
    (daemon / "cmdline").write_bytes("\0".join(words).encode())
    (daemon / "environ").write_bytes("\0".join(variables).encode())
    assert lifeline.patience_s(7) == seconds


def test_only_its_own_connections_that_send_again_count(daemon):
    (daemon / "fd").mkdir()
    for number, inode in enumerate((71, 72, 73)):
        (daemon / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    (daemon / "net").mkdir()
    (daemon / "net" / "tcp").write_text(TABLE)
    assert lifeline.in_vain(7) == {"71": 4}
    assert lifeline.in_vain(8) == {}


@pytest.mark.parametrize("rank", ["0", "1", None])
def test_nothing_is_started_where_no_daemon_is_above(rank, monkeypatch):
    started = []
    monkeypatch.setattr(lifeline.subprocess, "Popen", lambda *a, **k: started.append(a))
    monkeypatch.delenv("OMPI_COMM_WORLD_LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", rank)
    lifeline.watch()
    assert not started
    # Once a host: the first rank's own.
    monkeypatch.setattr(lifeline.last_resort, "name", lambda pid: "prted")
    lifeline.watch()
    assert len(started) == (rank == "0")
    if started:
        assert started[0][0][-3] == str(os.getppid())
