"""A fault's cluster, its run, and the row that tells what came of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.host_runs import KEEPALIVE, HostLaunch, decided, orphans, wait
from kit.hosts import Cluster, Host
from kit.mpi_runs import Launch, journals_in

SEARCH = ("model=table_target", "max_epochs=27", "overlap=false", "resume=auto", "max_attempts=9")
SLEEP_S = 0.03
# What mpirun's daemons may need to end what is left, by KEEPALIVE.
GONE_S = 30.0


@dataclass
class Row:
    """noticed_s: from the fault to the line, message or end that tells of it. again: epochs trained again.

    launches: how often the line was submitted. after_s: until no process was left on any host.
    """

    fault: str
    happened: str
    noticed_s: float | None
    equal: bool
    again: int
    orphans: int
    after_s: float
    launches: int
    lost: list[int]
    seconds: float
    code: int


class Case:
    """A fault's cluster, its run, and what is seen of it."""

    def __init__(
        self, fault: str, folder: Path, seed: int = 0, algorithm: str = "hyperband"
    ) -> None:
        self.fault, self.folder, self.seed, self.algorithm = fault, folder, seed, algorithm
        self.cluster: Cluster
        self.launch: HostLaunch
        self.n_launches = 0
        self.outlived_s = 0.0
        self.said: list[str] = []
        self.struck = 0.0
        self.noticed: float | None = None
        self.left = (0, 0.0)
        self.undo = contextlib.ExitStack()

    def __enter__(self) -> Case:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo.close()

    def hosts(self, n: int = 4, **options: Any) -> list[Host]:
        cluster = Cluster(n, self.folder / "shared", **options)
        self.cluster = self.undo.enter_context(cluster)
        return self.cluster.hosts

    def start(
        self, *more: str, first: int = 0, sleep_s: float = SLEEP_S, **options: Any
    ) -> HostLaunch:
        """Submit the line: rank 0 on host number `first`, a worker on each of the others.

        options: launch (class of the launch), slots, runs, ... and variables of all ranks.
        """
        names = [host.name for host in self.cluster.hosts]
        slots = options.pop("slots", dict.fromkeys(names[first:] + names[:first], 1))
        settings = {"SUITE_STAMP": "one", **KEEPALIVE} | options
        kind: type[HostLaunch] = settings.pop("launch", HostLaunch)
        undisturbed(self.seed, self.algorithm, self.folder.parent)
        self.n_launches += 1
        self.launch = kind(
            self.cluster, f"algorithm={self.algorithm}", *SEARCH, f"model.sleep_s={sleep_s}",
            f"seed={self.seed}", *more,
            slots=slots, first=first, **settings,
        )  # fmt: skip
        return self.launch

    def second(self, one: HostLaunch, **options: Any) -> HostLaunch:
        """The same line, submitted from n3 with a worker on n4 into the runs of the first."""
        runs = self.folder / "shared" / "second" / "runs"
        found = {"runs": runs, "SUITE_RUNS": str(one.runs)}
        return self.start(first=2, slots={"n3": 1, "n4": 1}, **found, **options)

    def strike(self, act: Callable[[], object], share: float = 0.2) -> None:
        """Do it when that share of the epochs is in the journal."""
        curves = undisturbed(self.seed, self.algorithm, self.folder.parent)["curves"]
        n = int(share * sum(map(len, curves.values())))
        self.launch.until(lambda: self.launch.n_epochs() >= n)
        if self.launch.process.poll() is not None:
            raise AssertionError(f"over before it could be struck:\n{self.launch.out[-2000:]}")
        act()
        self.struck = time.monotonic()

    def notice(self, seen: Callable[[], object], within_s: float = 120.0) -> float:
        """Seconds from the fault until it is seen."""
        over = self.launch.process.poll
        wait(lambda: seen() or over() is not None, within_s)
        if not seen():
            raise AssertionError(f"the launch ended, which it must not:\n{self.launch.out[-2000:]}")
        self.noticed = time.monotonic() - self.struck
        return self.noticed

    def lost(self) -> list[dict[str, Any]]:
        return self.launch.events("lost")

    def end(self, *hosts: Host, within_s: float = GONE_S) -> str:
        """Wait for the launch's end, then for that of all processes on the hosts (all); its output."""
        out = self.launch.until()
        self.ended()
        left, seconds = orphans(hosts or self.cluster.hosts, within_s)
        self.left = (self.left[0] + left, max(self.left[1], seconds))
        return out

    def ended(self) -> None:
        """The launch has ended: by itself, where rank 0 came to its own end. Raises AssertionError."""
        self.outlived_s = max(self.outlived_s, self.launch.outlived_s())
        if self.launch.was_ended:
            # After the loss of rank 0 mpirun itself may hang; slurm/run.sbatch ends it, too.
            assert not self.launch.outlived_s(), f"mpirun did not end:\n{self.launch.out[-2000:]}"
            self.said.append("mpirun hung after rank 0's loss")

    def row(self, happened: str) -> Row:
        folder = self.launch.folder
        last = self.launch.events()[-1]
        if (last["event"], last.get("status")) != ("closed", "completed"):
            raise AssertionError(f"not completed: {str(last)[:300]}\n{self.launch.out[-3000:]}")
        if self.outlived_s > 30:
            happened += (
                f"; mpirun could not end, and was ended {self.outlived_s:.0f} s after rank 0"
            )
        epochs = json.loads((folder / "record.json").read_text())["epochs"]
        whole = undisturbed(self.seed, self.algorithm, self.folder.parent)
        return Row(
            self.fault, happened, None if self.noticed is None else round(self.noticed, 1),
            decided(folder) == whole, int(epochs.get("retrained", {}).get("value", 0)), self.left[0],
            round(self.left[1], 1), self.n_launches, [e["worker"] for e in self.lost()],
            round(last["time_s"], 1), self.launch.code,
        )  # fmt: skip


_WHOLE: dict[tuple[int, str], Any] = {}


def undisturbed(seed: int, algorithm: str, folder: Path) -> Any:
    if (seed, algorithm) not in _WHOLE:
        runs = folder / f"whole-{algorithm}-{seed}" / "runs"
        words = (f"algorithm={algorithm}", *SEARCH, f"seed={seed}", "backend=inline")
        one = Launch(0, *words, runs=runs)
        out = one.until()
        assert one.code == 0, out
        _WHOLE[seed, algorithm] = decided(journals_in(one.runs)[0].parent)
    return _WHOLE[seed, algorithm]
