"""A run that is read while it is written: each look folds the journal's new lines alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from suite.core.errors import JournalError
from suite.core.plugins import make
from suite.core.printable import printable
from suite.core.scheduler import Scheduler
from suite.results.folding import Fold
from suite.results.header import parse_header
from suite.results.privacy import cleaner
from suite.run import journal as journals
from suite.run.journal_reading import read_new


class FollowedRun:
    """The journal of one run folder. fold: None until its first line is there. error: why it is not read any
    further, empty while it is. n_planned: epochs of the plan, at most; None where nobody can say.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._clock = folder, clock
        self.fold: Fold | None = None
        self.error = ""
        self.n_planned: int | None = None
        self._n_bytes = self._n_lines = 0
        self._grown = clock()

    def look(self) -> None:
        """Fold what has been written since the last look. Raises nothing."""
        if self.error:
            return
        try:
            self._look()
        except (JournalError, ValueError) as error:
            self.error = printable(error, most=200)

    def _look(self) -> None:
        path = self.folder / journals.NAME
        lines, self._n_bytes = read_new(path, self._n_bytes, self._n_lines)
        if lines:
            self._grown = self._clock()
        for line in lines:
            self._n_lines += 1
            if self.fold is not None:
                self.fold.line(self._n_lines, line)
                continue
            clean = cleaner()
            header = parse_header(clean(line), self.folder.name)
            self.fold = Fold(header, clean)
            self.n_planned = planned_epochs(self.fold)

    @property
    def silent_s(self) -> float:
        """Seconds in which nothing was written, as far as this process has looked."""
        return self._clock() - self._grown

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected: it has its closing line, or cannot be read."""
        return bool(self.error) or (self.fold is not None and self.fold.status != "unfinished")

    @property
    def status(self) -> str:
        if self.error:
            return "unreadable"
        if self.fold is None:
            return "begins"
        return "running" if self.fold.status == "unfinished" else self.fold.status

    @property
    def left_s(self) -> float | None:
        """Seconds to the plan's last epoch at the rate so far; None where that is not known."""
        fold = self.fold
        if fold is None or self.is_over or not fold.counts.n_epochs or self.n_planned is None:
            return None
        n_left = max(self.n_planned - fold.counts.n_epochs, 0)
        return n_left * fold.time_s / fold.counts.n_epochs


def planned_epochs(fold: Fold) -> int | None:
    """The plan of the scheduler that a journal's configuration names; None where it cannot be made."""
    try:
        leaf = (fold.header.config or {})["scheduler"]
        # Which a virtual cluster runs with overlap, on the logical clock.
        logical = {"overlap": True} if leaf.get("overlap") == "logical" else {}
        scheduler = make({**leaf, **logical}, "scheduler", Scheduler)
        return int(scheduler.plan().n_epochs)
    except Exception:
        # Of another version or an absent plug-in: the run is shown without its end.
        return None
