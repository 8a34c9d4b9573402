"""The hosts themselves: each its own, unseen from outside, and nothing left however their maker ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.host_faults.machine import WRONG_CLOCK
from kit.host_runs import wait
from kit.hosts import NETWORK, Cluster

MAKER = """
import subprocess, sys, time
from pathlib import Path
from kit.hosts import Cluster
with Cluster(2, Path(sys.argv[1])) as cluster:
    for host in cluster.hosts:
        subprocess.Popen(host.words("sh", "-c", "setsid sleep 600 & sleep 600"))
    while len(cluster.processes()) < 6:
        time.sleep(0.05)
    print(*(h.pid for h in cluster.hosts), *cluster.processes(), cluster.control, flush=True)
    time.sleep(600)
"""


def test_hosts_differ_and_share_one_folder(tmp_path):
    with Cluster(2, tmp_path / "shared") as cluster:
        one, two = cluster.hosts
        for words in (["hostname"], ["cat", "/proc/sys/kernel/random/boot_id"]):
            assert one.run(*words) != two.run(*words)
        assert one.run("hostname") == "n1\n"
        one.run("sh", "-c", "echo mine >/tmp/private; echo mine >/dev/shm/private")
        assert two.run("sh", "-c", "ls -A /dev/shm; cat /tmp/private || true") == ""
        one.run("sh", "-c", f"echo ours >{tmp_path}/shared/file")
        assert two.run("cat", f"{tmp_path}/shared/file") == "ours\n"
        # Both see the same path: the maker's temporary folder, and nothing else of it.
        assert (tmp_path / "shared" / "file").read_text() == "ours\n"
        assert NETWORK in one.run("ip", "-brief", "address")


def test_no_address_of_theirs_exists_outside(tmp_path):
    with Cluster(2, tmp_path / "shared", slow=[2]) as cluster:
        outside = subprocess.run(["ip", "address"], capture_output=True, text=True, check=True)
        assert NETWORK not in outside.stdout
        links = [line.split()[0] for line in cluster.hosts[0].run("ip", "-br", "link").splitlines()]
        assert [name.partition("@")[0] for name in links] == ["lo", "eth0"]
        assert "default" not in cluster.hosts[0].run("ip", "route")


PING = "import socket,sys,time; s=socket.socket(); s.settimeout(60); t=time.monotonic(); " \
    "s.connect((sys.argv[1], 7)); print(time.monotonic()-t)"  # fmt: skip
ECHO = "import socket; s=socket.socket(); s.bind(('', 7)); s.listen(); print('on', flush=True); s.accept()"


def test_a_slow_cable_is_as_slow_as_it_says_and_a_pulled_one_carries_nothing(tmp_path):
    with Cluster(2, tmp_path / "shared", slow=[2], delay_s=0.2) as cluster:
        one, two = cluster.hosts
        server = subprocess.Popen(two.words(sys.executable, "-c", ECHO), stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"on\n"
        # There and back, and the question who has the address before it.
        assert float(one.run(sys.executable, "-c", PING, two.address)) >= 0.4
        two.down()
        refused = one.words(sys.executable, "-c", PING.replace("60", "1"), two.address)
        assert subprocess.run(refused, capture_output=True).returncode
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_a_maker_that_is_killed(tmp_path, number):
    root = Path(__file__).resolve().parents[2]
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(tmp_path / "shared")], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": f"{root}:{root}/tests"},
    )  # fmt: skip
    *pids, control = maker.stdout.readline().split()
    assert len(pids) >= 8
    maker.send_signal(number)
    maker.wait(60)
    wait(lambda: not any(_lives(pid) for pid in pids), 60)
    maker.stdout.close()
    # Its folder of a few files is removed by the next one.
    assert Path(control).exists()
    with Cluster(2, tmp_path / "shared"):
        assert not Path(control).exists()


def _lives(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_so_many_and_no_more():
    for n in (1, 9):
        with pytest.raises(ValueError, match="2 to 8"):
            Cluster(n, Path("/nowhere"))


def test_a_wrong_clock_is_wrong_on_its_host_alone_and_may_jump(tmp_path):
    offset = tmp_path / "offset"
    asked = [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"]
    for seconds in (3600, -3600):
        offset.write_text(f"{seconds}")
        for host, expected in ((os.uname().nodename, seconds), ("another", 0)):
            env = os.environ | {"SUITE_CLOCK": f"{host}:{offset}", "PYTHONPATH": str(WRONG_CLOCK)}
            done = subprocess.run(asked, env=env, capture_output=True, text=True, check=True)
            wall, monotonic = map(float, done.stdout.split())
            assert abs(wall - time.time() - expected) < 60
            assert abs(monotonic - time.monotonic()) < 60
