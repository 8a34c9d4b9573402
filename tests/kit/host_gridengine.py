"""Grid Engine over test hosts (kit.hosts): an execd on each, the qmaster on the last. Debian's packages.

A job's mpirun reaches the other hosts by Grid Engine itself: PRRTE finds it and starts its daemons by
`qrsh -inherit`. All ends with the hosts. Jobs run as root.
"""

from __future__ import annotations

import re
import shutil

from kit import gridengine
from kit.host_slurm import HostJob
from kit.hosts import Cluster
from kit.mpi_runs import ROOT, environment

_SITE = (
    (ROOT / "batch" / "sites" / "local.sh").read_text().replace("if_include=lo", "if_include=eth0")
)


class HostCell(gridengine.Cell):
    """Its host names are those of the cluster; a job takes its slots from hosts in turn."""

    rule = "$round_robin"

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.hosts = cluster, [host.name for host in cluster.hosts]
        super().__init__(cluster.control / "gridengine")
        self.root = cluster.folder / "clone"
        shutil.copytree(ROOT / "batch", self.root / "batch")
        (self.root / "batch" / "sites" / "hosts.sh").write_text(_SITE)

    def at(self, host: str, *words: str) -> list[str]:
        """From the clone's folder, where users submit."""
        return self.cluster.hosts[self.hosts.index(host)].words(*words, folder=self.root)


class GridJob(HostJob):
    """A job of batch/gridengine.sh, as a launch: it is over when it has left the queue. options: of qsub."""

    def __init__(
        self, cell: HostCell, *overrides: str, options: tuple[str, ...] = (), **variables: str
    ) -> None:
        self.cell, self.cluster, self.was_ended = cell, cell.cluster, False
        self.runs = cell.cluster.folder / "runs"
        self._out = cell.cluster.folder / f"job-{len(list(cell.cluster.folder.glob('job-*')))}"
        self._verdict = cell.cluster.folder / "no-verdict"
        self._mark = f"SUITE_LAUNCH={self._out.name}-{cell.folder.parent.name}"
        own = {
            k: v for k, v in environment(self.runs).items() if k.startswith(("PYTHON", "SUITE_"))
        }
        own |= {"SUITE_SITE": "hosts", "SUITE_ROOT": str(cell.root), **variables}
        own |= {"SUITE_LAUNCH": self._mark.partition("=")[2]}
        words = [
            "qsub",
            "-terse",
            "-o",
            str(self._out),
            *options,
            "batch/gridengine.sh",
            *overrides,
        ]
        self.number = cell.run(*words, **own).strip().partition(".")[0]
        self.process = self

    @property
    def state(self) -> dict[str, str]:
        """What qstat shows of it; empty once it has left the queue."""
        for line in self.cell.run("qstat").splitlines()[2:]:
            words = line.split()
            if words[0] == self.number:
                return {"JobState": words[4]}
        return {}

    @property
    def code(self) -> int:
        """As its last start said it."""
        return int(re.findall(r"ends with (\d+)$", self.out, re.MULTILINE)[-1])

    def poll(self) -> int | None:
        return None if self.state else self.code
