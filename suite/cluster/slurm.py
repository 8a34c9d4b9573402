"""One Slurm in one folder: configured, started, looked at and ended.

Every node is a slurmd in a UTS and a mount namespace of its own: it has a host name, and an /etc/hosts that
knows all of them. Daemons are found by their command lines, which name the folder: no process of another
Slurm, and none of a user's, has that.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from suite.core.errors import ConfigError

MOST_NODES = 8
PROGRAMS = ("slurmctld", "slurmd", "munged", "sinfo", "squeue", "scancel", "unshare")
_DAEMONS = ("slurmctld", "slurmd", "munged")
_MARK = "# Written by swiftbench cluster: a practice cluster, on loopback only."
_UP_S, _END_S = 120.0, 30.0
# The longest path that a socket's name may have, less what is put behind the folder.
_LONGEST = 80
_NODE = (
    'hostname "$1" && mount --bind "$2/hosts" /etc/hosts && exec slurmd -f "$2/slurm.conf" -N "$1"'
)


def configuration(folder: Path, nodes: int, ports: Sequence[int]) -> str:
    """slurm.conf. ports: of the controller, and of each node."""
    lines = [
        _MARK,
        "ClusterName=practice",
        f"SlurmctldHost={socket.gethostname().partition('.')[0]}(127.0.0.1)",
        f"SlurmctldPort={ports[0]}",
        "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser=root",
        "AuthType=auth/munge",
        "CredType=cred/munge",
        # A requeued job may start again after as many seconds; the default is 120.
        f"AuthInfo=socket={folder}/munge/socket,cred_expire=10",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        f"SlurmctldLogFile={folder}/slurmctld.log",
        f"SlurmdLogFile={folder}/slurmd-%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SwitchType=switch/none",
        "MpiDefault=none",
        "JobAcctGatherType=jobacct_gather/none",
        "AccountingStorageType=accounting_storage/none",
        "JobCompType=jobcomp/none",
        "PropagateResourceLimits=NONE",
        "ReturnToService=2",
        "KillWait=10",
        "InactiveLimit=0",
        "MinJobAge=3600",
        "JobRequeue=1",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core",
        # Nodes claim more cores than there are: geometry is tried here, not speed.
        "SlurmdParameters=config_overrides",
        "SchedulerParameters=bf_interval=5,batch_sched_delay=0",
    ]
    names = [f"n{i}" for i in range(1, nodes + 1)]
    lines += [
        f"NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} CPUs=8 CoresPerSocket=8 "
        "RealMemory=1000 State=UNKNOWN"
        for name, port in zip(names, ports[1:], strict=True)
    ]
    lines.append(
        f"PartitionName=main Nodes={','.join(names)} Default=YES MaxTime=INFINITE DefaultTime=60 State=UP"
    )
    return "\n".join(lines) + "\n"


class Practice:
    """The practice cluster of a folder, up or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.conf = self.folder / "slurm.conf"

    def up(self, nodes: int) -> None:
        """Start it. Raises ConfigError where that cannot be, or the folder is taken; no trace is left."""
        if why := why_not():
            raise ConfigError(why)
        if len(str(self.folder)) > _LONGEST or any(mark in str(self.folder) for mark in " ,#=%\n"):
            raise ConfigError(
                f"--folder {self.folder}: must be at most {_LONGEST} characters, without blanks, "
                "commas, #, = and %."
            )
        if self.folder.exists():
            raise ConfigError(
                f"--folder {self.folder}: is there already; swiftbench cluster down ends a cluster, or name "
                "another."
            )
        try:
            self._begin(nodes)
        except BaseException:
            self._remove()
            raise

    def _begin(self, nodes: int) -> None:
        # Not writable for others: daemons of root read what is here.
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        for name in ("state", "spool", "munge", *(f"spool/n{i + 1}" for i in range(nodes))):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        self.conf.write_text(configuration(self.folder, nodes, _free_ports(nodes + 1)))
        off = ("CgroupAutomount", "ConstrainCores", "ConstrainDevices", "ConstrainRAMSpace")
        text = "CgroupPlugin=cgroup/v1\n" + "".join(f"{name}=no\n" for name in off)
        (self.folder / "cgroup.conf").write_text(text)
        table = "".join(f"127.0.0.1 n{i + 1}\n" for i in range(nodes))
        (self.folder / "hosts").write_text(
            Path("/etc/hosts").read_text().rstrip("\n") + "\n" + table
        )
        munge = self.folder / "munge"
        self._run(
            "munged", f"--socket={munge}/socket", f"--key-file={key}", f"--pid-file={munge}/pid",
            f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--num-threads=2",
        )  # fmt: skip
        self._run("slurmctld", "-f", str(self.conf))
        for i in range(nodes):
            words = ["sh", "-c", _NODE, "sh", f"n{i + 1}", str(self.folder)]
            self._run("unshare", "--uts", "--mount", *words)
        deadline = time.monotonic() + _UP_S
        while not self.is_whole():
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"--nodes {nodes}: not all were up after {_UP_S:g} s ({self._last_line()}); take "
                    "fewer, or try again when this machine has less to do."
                )
            time.sleep(0.3)

    def _run(self, *words: str) -> None:
        """Start a daemon, which becomes its own. Raises ConfigError with what it said."""
        done = subprocess.run(
            words, env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_UP_S, cwd="/",
        )  # fmt: skip
        if done.returncode:
            said = " ".join(done.stdout.split())[-300:]
            raise ConfigError(f"{words[0]} does not start: {said or self._last_line()}")

    def _environment(self) -> dict[str, str]:
        """Of its daemons and clients: nothing of another Slurm, or of a job of one."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "SRUN"))
        }
        return kept | {
            "SLURM_CONF": str(self.conf), "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        }  # fmt: skip

    def _last_line(self) -> str:
        found = []
        for path in sorted(self.folder.glob("*.log")):
            with contextlib.suppress(OSError):
                lines = path.read_text(errors="replace").splitlines()
                found += [line for line in lines if "error" in line or "fatal" in line][-1:]
        return (found or ["its logs name no error"])[-1][-300:]

    def _ask(self, *words: str) -> str:
        """What a client of it prints; nothing where its controller does not answer."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                words, env=self._environment(), capture_output=True, text=True, timeout=15
            )
            return done.stdout if done.returncode == 0 else ""
        return ""

    def _require(self) -> None:
        if not self.is_ours():
            raise ConfigError(
                f"--folder {self.folder}: no practice cluster is there; swiftbench cluster up makes one."
            )

    def is_ours(self) -> bool:
        """Whether the folder is one that `up` made."""
        try:
            return self.conf.read_text().startswith(_MARK)
        except (OSError, UnicodeDecodeError):
            return False

    def is_whole(self) -> bool:
        """Whether every node is up."""
        wanted = self.conf.read_text().count("\nNodeName=") if self.is_ours() else 0
        states = self._ask("sinfo", "-h", "-N", "-o", "%T").split() if wanted else []
        good = ("idle", "mixed", "allocated", "completing")
        return wanted > 0 and sum(state in good for state in states) == wanted

    def status(self) -> str:
        """Its nodes and jobs, as Slurm prints them. Raises ConfigError where there is none."""
        self._require()
        nodes = self._ask("sinfo", "-N")
        return nodes + self._ask("squeue") if nodes else "its controller does not answer\n"

    def down(self) -> None:
        """End its jobs and daemons, and remove its folder. Raises ConfigError where there is none."""
        self._require()
        for state in ("PENDING", "RUNNING", "SUSPENDED"):
            self._ask("scancel", f"--state={state}")
        deadline = time.monotonic() + _END_S
        while self._ask("squeue", "-h").strip() and time.monotonic() < deadline:
            time.sleep(0.2)
        self._remove()

    def _remove(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.daemons():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + _END_S
            while self.daemons() and time.monotonic() < deadline:
                time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def daemons(self) -> list[int]:
        """Process ids of its daemons."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                name = (entry / "comm").read_text().strip()
                mine = any(
                    word.partition(b"=")[2].startswith(bytes(self.folder / "munge"))
                    for word in words
                )
                if name in _DAEMONS and (mine or bytes(self.conf) in words):
                    found.append(int(entry.name))
        return found


def why_not() -> str:
    """Why no practice cluster can be made here; empty: it can."""
    if sys.platform != "linux":
        return f"platform={sys.platform}: nodes are namespaces of Linux; use a Linux machine."
    if os.geteuid() != 0:
        return "user: must be root, for nodes are namespaces; call it by sudo, or in a container."
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        return (
            f"{absent[0]}=absent: must be on the PATH; apt-get install slurm-wlm munge (their "
            "services are not needed)."
        )
    return ""


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in made:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in made]
