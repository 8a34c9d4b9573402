"""Test hosts: 2 to 8 machines of a cluster, as namespaces of this one. Linux, root.

A host has a network, host name, PIDs, boot id, /etc/hosts, /tmp and /dev/shm of its own; all see the same
shared folder and the checkout. Their links meet in a bridge within a namespace of its own, the wire: no
address of theirs exists outside. What they do not have of their own: the kernel, the clock (libfaketime makes
one), processors and memory.

Each is held by its process 1, which ends when a pipe of the process that made the cluster does, and the
kernel ends all processes of a PID namespace with its first. So nothing is left, however the maker ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MOST = 8
# RFC 2544: kept for tests of interconnected devices, never routed.
NETWORK = "198.18.0"
READY_S = 60.0
RUN, PREFIX = Path("/run"), "suite-hosts-"
# Processes of a host that belong to it, not to a launch.
_SERVICES = (
    "bindfs\n",
    "munged\n",
    "slurmctld\n",
    "slurmscriptd\n",
    "slurmd\n",
    "sge_qmaster\n",
    "sge_execd\n",
)

_INSIDE = r"""
set -e
mount --make-rprivate /
hostname "$NAME"
n=0
for kept in $KEEP; do
    exec 3<"$kept"
    mkdir -p "$CONTROL/kept-$NAME-$n" && mount --rbind /proc/self/fd/3 "$CONTROL/kept-$NAME-$n"
    n=$((n + 1))
done
exec 3<&-
mount -t proc proc /proc
mount --bind "$CONTROL/boot-$NAME" /proc/sys/kernel/random/boot_id
mount --bind "$CONTROL/hosts" /etc/hosts
mount -t tmpfs -o size=256m,mode=1777 none /dev/shm
exec 4<"$CONTROL"
mount -t tmpfs -o size=256m,mode=1777 none /tmp
n=0
for kept in $KEEP; do
    mkdir -p "$kept" && mount --rbind "/proc/self/fd/4/kept-$NAME-$n" "$kept"
    n=$((n + 1))
done
exec 4<&-
# A mount of its own, which can be made read-only or covered on this host alone.
mount --bind "$SHARED" "$SHARED"
ip link set lo up
# Children of others that end here are nobody's: the kernel reaps them.
trap '' CHLD
echo ready
exec cat
"""


def why_not() -> str:
    """Why no hosts can be made here; empty: they can."""
    if sys.platform != "linux":
        return "test hosts are namespaces of Linux"
    if os.geteuid() != 0:
        return "test hosts are namespaces: they need root"
    if absent := [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]:
        return f"{absent[0]} is absent (util-linux, iproute2)"
    tried = subprocess.run(
        ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "ip", "link", "add", "test0",
         "type", "bridge"], capture_output=True, text=True,
    )  # fmt: skip
    return f"unshare: {tried.stderr.strip()}" if tried.returncode else ""


class Host:
    """One host. name: in the cluster's /etc/hosts. pid: of its process 1, as this process sees it."""

    def __init__(self, name: str, number: int, cluster: Cluster, hostname: str) -> None:
        self.name, self.number, self.address = name, number, f"{NETWORK}.{number}"
        self._cluster, self.is_off, self.is_cut = cluster, False, False
        self._holder = cluster.hold(["--uts"], _INSIDE, NAME=name, SHARED=str(cluster.folder))
        self.pid = _child(self._holder.pid)
        if hostname != name:
            self.run("hostname", hostname)

    def words(self, *words: str, folder: Path | str = "/") -> list[str]:
        """A command line that runs `words` on this host."""
        enter = ["nsenter", "-t", str(self.pid), "--net", "--uts", "--mount", "--pid", "--"]
        return [*enter, "env", "-C", str(folder), *words]

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(self.words(*words), capture_output=True, text=True, timeout=READY_S)
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(words)}: {done.stderr}")
        return done.stdout

    # --- the link -------------------------------------------------------------------------------

    def up(self, is_up: bool = True) -> None:
        """The cable is in, or pulled out at the switch."""
        self._cluster.wire("ip", "link", "set", f"w{self.number}", "up" if is_up else "down")

    def down(self) -> None:
        self.up(False)

    def rate(self, bits: str) -> None:
        """No more than so many bits a second, each way (tc's tbf)."""
        bucket = ["root", "tbf", "rate", bits, "burst", "8kb", "latency", "400ms"]
        self._cluster.wire("tc", "qdisc", "replace", "dev", f"w{self.number}", *bucket)
        self.run("tc", "qdisc", "replace", "dev", "eth0", *bucket)

    # --- processes and files ---------------------------------------------------------------------

    def processes(self) -> list[int]:
        """PIDs, as this process sees them, of what runs here beside process 1; without zombies."""
        mine = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != self.pid:
                    is_here = os.readlink(entry / "ns/pid") == mine
                    is_here &= (entry / "comm").read_text() not in _SERVICES
                    if is_here and "\nState:\tZ" not in (entry / "status").read_text():
                        found.append(int(entry.name))
        return found

    def freeze(self, is_frozen: bool) -> None:
        """The shared folder is read-only here, or writable again."""
        words = [
            "mount",
            "-o",
            f"remount,bind,{'ro' if is_frozen else 'rw'}",
            str(self._cluster.folder),
        ]
        # A file that is open for writing at the moment is in the way.
        for _ in range(200):
            if not subprocess.run(self.words(*words), capture_output=True).returncode:
                return
            time.sleep(0.02)
        raise AssertionError(f"{self.name}: {' '.join(words)}: busy")

    def remount(self, *options: str) -> None:
        """The shared folder by FUSE (bindfs) here: a file system client of this host's own.

        Its locks do not reach other hosts (as Lustre's localflock). options: of bindfs.
        """
        shared = str(self._cluster.folder)
        self.run("bindfs", "--no-allow-other", *options, shared, shared)

    def power_off(self) -> None:
        """The host is gone, at once. Who is connected to it hears nothing."""
        self.is_off = True
        self.down()
        os.kill(self.pid, signal.SIGKILL)
        self._holder.wait(READY_S)


class Cluster:
    """`with Cluster(4, folder) as cluster:` hosts n1 to n4 that share `folder`.

    hostnames: of the hosts, where they are not their names. delay_s, loss, seed: of every frame of the
    hosts named in `slow`, which then hang on a relay (kit.relay) between two tap devices.
    """

    def __init__(
        self, n: int, folder: Path, *, hostnames: Sequence[str] = (), slow: Sequence[int] = (),
        delay_s: float = 0.0, loss: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        if not 2 <= n <= MOST:
            raise ValueError(f"n={n}: must be 2 to {MOST} hosts.")
        self.folder, self._n, self._hostnames = folder, n, hostnames
        self._slow, self._delay_s, self._loss, self._seed = set(slow), delay_s, loss, seed
        self.hosts: list[Host] = []
        self._held: list[subprocess.Popen[str]] = []
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Cluster:
        try:
            self._begin()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _sweep()
        # Not below /tmp, which each host covers by its own.
        self.control = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=RUN))
        self._undo.callback(shutil.rmtree, self.control, ignore_errors=True)
        self._pipe = os.pipe()
        self._undo.callback(self._end)
        table = ["127.0.0.1 localhost"]
        for i in range(1, self._n + 1):
            table.append(f"{NETWORK}.{i} n{i}")
            (self.control / f"boot-n{i}").write_text(f"{uuid.uuid4()}\n")
        (self.control / "hosts").write_text("\n".join(table) + "\n")
        self._door = Door(self)
        self._undo.callback(self._door.close)
        self._wire = _child(
            self.hold([], "set -e; mount -t proc proc /proc; echo ready; exec cat").pid
        )
        self.wire("ip", "link", "add", "bridge", "type", "bridge")
        self.wire("ip", "link", "set", "bridge", "up")
        for i in range(1, self._n + 1):
            hostname = self._hostnames[i - 1] if self._hostnames else f"n{i}"
            host = Host(f"n{i}", i, self, hostname)
            self.hosts.append(host)
            self._plug(host)

    def _plug(self, host: Host) -> None:
        port = f"w{host.number}"
        if host.number in self._slow:
            relay = [sys.executable, str(HERE / "relay.py"), port, f"h{host.number}"]
            relay += [str(self._delay_s), str(self._loss), str(self._seed + host.number)]
            self._start([*self._enter_wire(), *relay])
            self.wire("ip", "link", "set", f"h{host.number}", "netns", str(host.pid))
            host.run("ip", "link", "set", f"h{host.number}", "name", "eth0")
        else:
            peer = ["peer", "name", "eth0", "netns", str(host.pid)]
            self.wire("ip", "link", "add", port, "type", "veth", *peer)
        self.wire("ip", "link", "set", port, "master", "bridge", "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")

    def hold(self, flags: Sequence[str], script: str, **variables: str) -> subprocess.Popen[str]:
        """A process 1 of namespaces of its own; it ends with this process."""
        keep = [str(self.folder), str(ROOT), sys.prefix, sys.base_prefix]
        keep += [str(path) for path in (Path(sys.prefix).resolve(),)]
        below = [path for path in dict.fromkeys(keep) if path.startswith("/tmp/")]
        env = {"PATH": os.environ["PATH"], "KEEP": " ".join(below), "CONTROL": str(self.control)}
        words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", *flags]
        return self._start([*words, "sh", "-c", script], env | variables)

    def _start(
        self, words: Sequence[str], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words, stdin=self._pipe[0], stdout=subprocess.PIPE, text=True, env=env
        )
        self._held.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise AssertionError(f"{words[-1][:80]}: did not start: {process.stdout.read()}")
        return process

    def _enter_wire(self) -> list[str]:
        return ["nsenter", "-t", str(self._wire), "--net", "--"]

    def wire(self, *words: str) -> None:
        subprocess.run([*self._enter_wire(), *words], check=True, capture_output=True)

    def processes(self) -> list[int]:
        return [pid for host in self.hosts for pid in host.processes()]

    def _end(self) -> None:
        for descriptor in self._pipe:
            os.close(descriptor)
        for process in self._held:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(READY_S)
            if process.stdout is not None:
                process.stdout.close()

    # --- launches ---------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """What mpirun needs to start its daemons by this cluster's door, as it would by ssh."""
        return {
            "SUITE_DOOR": str(self.control / "door"),
            "PRTE_MCA_plm_ssh_agent": str(HERE / "enter"),
            "PRTE_MCA_prte_if_include": "eth0",
            "OMPI_MCA_btl_tcp_if_include": "eth0",
        }


class Door:
    """sshd's stand-in, for all hosts: runs a command on a host, with the caller's streams."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(cluster.control / "door"))
        self._server.listen(64)
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(caller,), daemon=True).start()

    def _answer(self, caller: socket.socket) -> None:
        with caller:
            data, streams, _, _ = socket.recv_fds(caller, 1 << 20, 3)
            asked = json.loads(data)
            host = next(
                (h for h in self._cluster.hosts if asked["host"] in (h.name, h.address)), None
            )
            if host is None:
                caller.sendall(b"255")
                return
            env = {"PATH": os.environ["PATH"], "HOME": "/root"} | {
                k: v for k, v in os.environ.items() if k.startswith(("OMPI_ALLOW", "LD_"))
            }
            process = subprocess.Popen(
                host.words("sh", "-c", asked["command"]), env=env,
                stdin=streams[0], stdout=streams[1], stderr=streams[2],
            )  # fmt: skip
            for stream in streams:
                os.close(stream)
            code = process.wait()
            if host.is_off:
                # ssh would wait for an answer.
                self._closed.wait()
            with contextlib.suppress(OSError):
                caller.sendall(str(code & 255).encode())


def _sweep() -> None:
    """Remove the folders of makers that were killed; their hosts ended with them."""
    for folder in RUN.glob(f"{PREFIX}*-*"):
        maker = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{maker}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _child(pid: int) -> int:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if words:
            return int(words[0])
        time.sleep(0.01)
    raise AssertionError(f"process {pid} has no child")
