"""suite.backends.mpi.lifeline over test hosts: a daemon whose peer is out of reach, or busy."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.hosts import Cluster
from kit.mpi_runs import ROOT

pytestmark = pytest.mark.slow

PEER = "import socket,time; s=socket.create_server(('', 7)); print('on', flush=True); " \
    "one,_=s.accept(); time.sleep(600)"  # fmt: skip
# Starts its rank as mpirun's daemon does, and sends when it is told to.
DAEMON = """
import os, socket, subprocess, sys, time
peer = socket.create_connection((sys.argv[1], 7))
rank = "from suite.backends.mpi import lifeline; lifeline.watch()"
env = os.environ | {"OMPI_COMM_WORLD_LOCAL_RANK": "0", "PYTHONPATH": sys.argv[3]}
env.pop("PYTHONHOME")
subprocess.run([sys.argv[2], "-c", rank], env=env, check=True)
print("on", flush=True)
sys.stdin.readline()
peer.setblocking(False)
while True:
    try:
        peer.send(b"x" * 65536)
    except BlockingIOError:
        pass
    time.sleep(0.05)
"""
# 1 + 1 * 1 s.
KEEPALIVE = [w for key in ("time", "intvl", "probes") for w in (f"oob_tcp_keepalive_{key}", "1")]


@pytest.mark.parametrize("is_cut", [True, False])
def test_it_is_ended_where_nobody_confirms_and_left_alone_where_the_peer_is_busy(tmp_path, is_cut):
    # The kernel takes a process's name from the file that it runs.
    program = tmp_path / "shared" / "prted"
    program.parent.mkdir()
    shutil.copy(Path(sys.executable).resolve(), program)
    with Cluster(2, program.parent) as cluster:
        one, two = cluster.hosts
        peer = subprocess.Popen(one.words(sys.executable, "-c", PEER), stdout=subprocess.PIPE)
        assert peer.stdout.readline() == b"on\n"
        words = [str(program), "-c", DAEMON, one.address, sys.executable, str(ROOT), *KEEPALIVE]
        daemon = subprocess.Popen(
            two.words("env", f"PYTHONHOME={sys.base_prefix}", *words),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert daemon.stdout.readline() == "on\n"
        if is_cut:
            one.down()
        start = time.monotonic()
        daemon.stdin.write("send\n")
        daemon.stdin.flush()
        if is_cut:
            # Through nsenter, which ends as its child does.
            assert daemon.wait(60) == -signal.SIGTERM
            assert time.monotonic() - start > 2
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                daemon.wait(8)
            assert len(two.processes()) == 2, "the daemon, and who looks after it"
        # What runs on a host ends with it.
        for process in (peer, daemon):
            process.kill()
            process.wait()
        for stream in (peer.stdout, daemon.stdin, daemon.stdout):
            stream.close()
