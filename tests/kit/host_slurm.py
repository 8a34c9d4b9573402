"""Slurm over test hosts (kit.hosts): a slurmd on each, slurmctld on the last. Debian's slurm-wlm and munge.

Files of a cluster stay in its own folders: slurm.conf is found by SLURM_CONF, munge by a socket that all
hosts see. The daemons end with their hosts. Jobs run as root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.host_runs import HostLaunch, wait
from kit.hosts import Cluster, Host
from kit.mpi_runs import ROOT, environment, journals_in

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "mungekey")
# A node that says nothing for so long is down, and its jobs are requeued.
NODE_TIMEOUT_S = 10
GRACE_S = 10
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_CONF = """\
ClusterName=hosts
SlurmctldHost={control}({address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PropagateResourceLimits=NONE
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout={timeout_s}
KillWait=5
KeepAliveTime=10
MinJobAge=600
JobRequeue=1
SchedulerParameters=sched_min_interval=100000,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
{nodes}
PartitionName=main Nodes=ALL Default=YES DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace_s}
PartitionName=urgent Nodes=ALL DefaultTime=60 PriorityTier=10 PreemptMode=OFF
"""
_SITE = """\
SITE_PARTITION=main
SITE_ACCOUNT=none
SITE_MAX_TIME=
SITE_GPUS_PER_NODE=0
SITE_GRES=gpu
SITE_CPUS_PER_NODE=0
SITE_MODULES=''
SITE_MPI=mpirun
SITE_MPI_ARGS=''
SITE_BINDS=''
SITE_GPU_FLAG=''
SITE_ARGS='backend.device=cpu tracking=later'
export PRTE_MCA_if_include=eth0 OMPI_MCA_btl_tcp_if_include=eth0
"""
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "PREEMPTED")


def absent() -> str:
    """What of Slurm is missing here; empty: nothing."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    return f"{missing[0]} is absent (Debian's slurm-wlm, munge)" if missing else ""


class Slurm:
    """The daemons of a cluster, for as long as its hosts live."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.control = cluster, cluster.hosts[-1]
        self.folder = cluster.control / "slurm"
        (self.folder / "state").mkdir(parents=True)
        self.root = cluster.folder / "clone"
        for name in ("batch", "slurm"):
            shutil.copytree(ROOT / name, self.root / name)
        (self.root / "slurm" / "sites" / "hosts.sh").write_text(_SITE)
        nodes = [
            f"NodeName={h.name} NodeAddr={h.address} CPUs=8 RealMemory=1000" for h in cluster.hosts
        ]
        (self.folder / "slurm.conf").write_text(
            _CONF.format(
                control=self.control.name, address=self.control.address, folder=self.folder,
                timeout_s=NODE_TIMEOUT_S, grace_s=GRACE_S, nodes="\n".join(nodes),
            )
        )  # fmt: skip
        # No cgroups: hosts share the machine's.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        self.env = {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _PATH}
        key, sock = self.folder / "munge.key", self.folder / "munge.socket"
        self._run("mungekey", "--create", f"--keyfile={key}")
        files = [f"--{n}-file={self.folder}/munge.{n}" for n in ("log", "pid", "seed")]
        self._start(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={sock}", *files
        )
        wait(sock.exists, 60)
        self._start("slurmctld", "-D")
        for host in cluster.hosts:
            (self.folder / host.name).mkdir()
            self._start("slurmd", "-D", "-N", host.name, host=host)
        wait(lambda: self.states().count("idle") == len(cluster.hosts), 120)

    def _start(self, *words: str, host: Host | None = None) -> None:
        """A daemon; it ends with its host."""
        subprocess.Popen(
            (host or self.control).words(*words), env=os.environ | self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _run(self, *words: str, **variables: str) -> str:
        env = os.environ | self.env | variables
        done = subprocess.run(self.control.words(*words, folder=self.cluster.folder), env=env,
                              capture_output=True, text=True, timeout=120)  # fmt: skip
        assert not done.returncode, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def states(self) -> list[str]:
        try:
            return self._run("sinfo", "-h", "-N", "-p", "main", "-o", "%T").split()
        except AssertionError:
            # Not up yet.
            return []

    def idle(self) -> bool:
        """Whether no job waits or runs."""
        return not self._run("squeue", "-h").strip()

    def scontrol(self, *words: str) -> str:
        return self._run("scontrol", *words)

    def submit(self, *words: str, **variables: str) -> str:
        """sbatch; the job's number."""
        return self._run("sbatch", "--parsable", *words, **variables).strip().split(";")[0]

    def job(self, number: str) -> dict[str, str]:
        """What scontrol shows of a job. The last of several parts."""
        return dict(
            w.split("=", 1) for w in self.scontrol("show", "job", number).split() if "=" in w
        )


class HostJob(HostLaunch):
    """A job of slurm/run.sbatch (or of another script), as a launch: it is over when it has left the queue.

    options: of sbatch. script: below the clone's slurm folder, or the path of one.
    """

    def __init__(
        self, slurm: Slurm, *overrides: str, options: tuple[str, ...] = (), script: str = "run.sbatch",
        runs: Path | None = None, **variables: str,
    ) -> None:  # fmt: skip
        self.slurm, self.cluster, self.was_ended = slurm, slurm.cluster, False
        self.runs = runs or slurm.cluster.folder / "runs"
        n = len(list(self.runs.parent.glob("job-*")))
        self._out = self.runs.parent / f"job-{n}"
        self._verdict = self.runs.parent / "no-verdict"
        self._mark = f"SUITE_LAUNCH=job-{n}-{slurm.folder.parent.name}"
        own = {k: v for k, v in environment(self.runs).items() if k != "SUITE_VERDICT"}
        own |= {"SUITE_SITE": "hosts", "SUITE_ROOT": str(slurm.root), "SUITE_RUNS": str(self.runs)}
        own |= {"SUITE_LAUNCH": self._mark.partition("=")[2], **variables}
        self.number = slurm.submit(
            f"--output={self._out}", "--open-mode=append", *options,
            str(slurm.root / "slurm" / script), *overrides, **own,
        )  # fmt: skip
        # What a case asks of a launch's process.
        self.process: Any = self

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    @property
    def state(self) -> dict[str, str]:
        return self.slurm.job(self.number)

    @property
    def code(self) -> int:
        return int(self.state["ExitCode"].split(":")[0])

    def poll(self) -> int | None:
        """The exit code, once the job has left the queue for good."""
        return self.code if self.state["JobState"] in ENDED else None

    def until(self, reached: Callable[[], Any] = lambda: False) -> str:
        grown, since = -1, time.monotonic()
        while not (reached() or self.poll() is not None):
            size = len(self.out) + sum(path.stat().st_size for path in journals_in(self.runs))
            if size != grown:
                grown, since = size, time.monotonic()
            if time.monotonic() - since > self.still_s:
                raise AssertionError(f"hangs: {self.state}\n{self.out[-3000:]}")
            time.sleep(0.3)
        return self.out

    def outlived_s(self) -> float:
        return 0.0
