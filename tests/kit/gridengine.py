"""A real Grid Engine on this host for tests: Debian's packages, unpacked; nothing is installed. Linux, root.

A cell is a folder: programs, configuration, spool, on loopback and ports of its own, so it meets no other
Grid Engine. Debian's sge_qmaster looks for a library in /usr/lib/gridengine alone: the daemons, and so
their jobs, see the packages' /usr/lib over the host's, in a mount namespace that ends with them.

    python tests/kit/gridengine.py FOLDER        one that lives until Ctrl-C; prints what a shell needs for it
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGES = (
    "gridengine-master",
    "gridengine-exec",
    "gridengine-client",
    "gridengine-common",
    "libjemalloc2",
)
HOST = "localhost"
SLOTS = 16
READY_S = 60.0

_BOOTSTRAP = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {cell}/common;{top}/spool
binary_path {top}/bin
qmaster_spool_dir {top}/spool
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""
_PARALLEL = """\
pe_name mpi
slots 999
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule {rule}
control_slaves TRUE
job_is_first_task FALSE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""
_SEEN = """
set -e
mount -t overlay overlay -o "lowerdir=$TOP/root/usr/lib:/usr/lib" /usr/lib
"""
# As the packages' spooldefaults does it; then the daemon, which becomes its own.
_MASTER = r"""
export LD_LIBRARY_PATH=/usr/lib/gridengine
"$BIN/spoolinit" classic libspoolc "$CELL/common;$TOP/spool" init
"$BIN/spooldefaults.bin" configuration "$TOP/configuration"
"$BIN/spooldefaults.bin" complexes "$TOP/util/resources/centry"
"$BIN/spooldefaults.bin" usersets "$TOP/util/resources/usersets"
"$BIN/spooldefaults.bin" managers "$(id -un)"
unset LD_LIBRARY_PATH
"$BIN/sge_qmaster"
for i in $(seq 300); do "$BIN/qconf" -sh >/dev/null 2>&1 && break; sleep 0.2; done
"$BIN/qconf" -as "$HOSTS" >/dev/null
"$BIN/qconf" -ah "$HOSTS" >/dev/null || [ "$HOSTS" = localhost ]
"""
_EXECD = """
"$BIN/sge_execd"
"""


def why_not() -> str:
    """Why no cell can be made here; empty: it can, if Debian's packages can be had."""
    if not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
        return "the packages are those of Linux on x86_64"
    if os.geteuid() != 0:
        return "its daemons get a mount namespace: they need root"
    absent = [name for name in ("apt-get", "dpkg", "unshare") if shutil.which(name) is None]
    return f"{absent[0]} is absent" if absent else ""


class Cell:
    """`with Cell(folder) as cell:` one host, one queue of SLOTS slots, parallel environment mpi."""

    # The last has the qmaster and the clients.
    hosts: Sequence[str] = (HOST,)
    # How a job's slots are taken from hosts.
    rule = "$fill_up"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._cell = self.folder / "default"
        self.bin = self.folder / "root" / "usr" / "lib" / "gridengine"
        ports = _free_ports(2)
        self.variables = {
            "SGE_ROOT": str(self.folder), "SGE_CELL": "default", "SGE_ARCH": "lx-amd64",
            "SGE_QMASTER_PORT": str(ports[0]), "SGE_EXECD_PORT": str(ports[1]),
        }  # fmt: skip

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What a client needs: its programs before all others, which may be PBS's."""
        kept = {k: v for k, v in base.items() if not k.startswith(("SGE_", "PBS_"))}
        library = self.folder / "root" / "usr" / "lib" / "x86_64-linux-gnu"
        return kept | self.variables | {
            "PATH": f"{self.bin}:{base.get('PATH', os.defpath)}", "LD_LIBRARY_PATH": str(library)
        }  # fmt: skip

    def at(self, host: str, *words: str) -> list[str]:
        """A command line that runs `words` on that host."""
        return list(words)

    def run(self, *words: str, **variables: str) -> str:
        done = subprocess.run(
            self.at(self.hosts[-1], *words), env=self.environment() | variables,
            capture_output=True, text=True, timeout=READY_S,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def __enter__(self) -> Cell:
        try:
            self._unpack()
            self._configure()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _unpack(self) -> None:
        debs = self.folder / "debs"
        debs.mkdir(parents=True)
        # apt's own user cannot write here.
        words = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
        done = subprocess.run(words, cwd=debs, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise PackagesAbsent(done.stderr.strip() or "apt-get download failed")
        for deb in debs.glob("*.deb"):
            subprocess.run(["dpkg", "-x", deb, self.folder / "root"], check=True)

    def _configure(self) -> None:
        packages = self.folder / "root" / "usr" / "share" / "gridengine"
        for folder in ("default/common", "spool/job_scripts", "execd", "bin", "utilbin"):
            (self.folder / folder).mkdir(parents=True)
        for name in ("bin", "utilbin"):
            (self.folder / name / "lx-amd64").symlink_to(self.bin)
        (self.folder / "util").symlink_to(packages / "util")
        common = self._cell / "common"
        (common / "bootstrap").write_text(_BOOTSTRAP.format(cell=self._cell, top=self.folder))
        (common / "act_qmaster").write_text(f"{self.hosts[-1]}\n")
        if self.hosts[-1] == HOST:
            (common / "host_aliases").write_text(f"{HOST} {socket.gethostname()}\n")
        changed = {
            "execd_spool_dir": str(self.folder / "execd"),
            "mailer": "/bin/true",
            "min_uid": "0",
            "min_gid": "0",
        }
        (self.folder / "configuration").write_text(
            _changed((packages / "default-configuration").read_text(), changed)
        )

    def daemon(self, host: str, script: str) -> None:
        """Start one there."""
        given = {
            "PATH": os.environ["PATH"], "TOP": str(self.folder), "CELL": str(self._cell),
            "BIN": str(self.bin), "HOSTS": ",".join(self.hosts), **self.variables,
        }  # fmt: skip
        done = subprocess.run(
            self.at(host, "unshare", "--mount", "sh", "-c", _SEEN + script), env=given,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * READY_S,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"Grid Engine did not start: {done.stdout}{done.stderr}")

    def _start(self) -> None:
        self.daemon(self.hosts[-1], _MASTER)
        for host in self.hosts:
            self.daemon(host, _EXECD)
        file = self.folder / "asked"
        file.write_text(_PARALLEL.format(rule=self.rule))
        self.run("qconf", "-Ap", str(file))
        queue = {
            "qname": "all.q", "hostlist": " ".join(self.hosts), "load_thresholds": "NONE",
            "pe_list": "mpi", "slots": str(SLOTS), "rerun": "TRUE",
        }  # fmt: skip
        file.write_text(_changed(self.run("qconf", "-sq"), queue))
        self.run("qconf", "-Aq", str(file))
        # A job begins within a second, not fifteen.
        fast = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
        file.write_text(_changed(self.run("qconf", "-ssconf"), fast))
        self.run("qconf", "-Msconf", str(file))
        deadline = time.monotonic() + READY_S
        for host in self.hosts:
            while "lx-amd64" not in self.run("qhost", "-h", host).splitlines()[-1]:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{host} did not come up")
                time.sleep(0.2)

    def processes(self) -> list[int]:
        """Daemons, and all that a job has left: whatever sees this cell's packages in its mounts."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"lowerdir={self.folder}/root" in (entry / "mounts").read_text():
                    found.append(int(entry.name))
        return found

    def stop(self) -> None:
        """End every process of the cell; with the last one its mounts end."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + 5
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.05)


class PackagesAbsent(Exception):
    """Debian's packages cannot be had here."""


def _changed(text: str, changed: Mapping[str, str]) -> str:
    """A configuration of Grid Engine's, a name and its value a line, with other values for some names."""
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return "".join(f"{words[0]} {changed.get(words[0], ''.join(words[1:]))}\n" for words in lines)


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in made:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in made]


def main(words: Sequence[str]) -> int:
    if len(words) != 1 or (why := why_not()):
        print(
            f"usage: gridengine.py FOLDER{'; ' + why if len(words) == 1 else ''}", file=sys.stderr
        )
        return 2
    # Whoever started this in the background has its Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with Cell(Path(words[0])) as cell:
        environment = cell.environment()
        for name in (*cell.variables, "LD_LIBRARY_PATH", "PATH"):
            print(f"export {name}={environment[name]}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
