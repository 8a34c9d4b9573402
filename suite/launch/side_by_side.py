"""The runs of one command: one after the other, or, where time is simulated, side by side on all cores."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.backends import launcher
from suite.core.errors import JournalError
from suite.core.printable import hours
from suite.core.run_settings import RunSettings
from suite.launch.begin import Begin
from suite.launch.ending import BEFORE, Outcome, say, short
from suite.launch.execute import RECORD, STOPPED
from suite.launch.processes import Lost, Processes
from suite.launch.progress import Sweep, is_live
from suite.results.find import find_runs
from suite.run import batch
from suite.run import journal as journals
from suite.run.limit import Limit

FROM_RUNS = 32
"""n_jobs=null: a sweep of fewer simulated runs takes one process; to begin another costs a second."""
_REPEATED_S = 5.0
"""A sample that took less is run again: the first one imported what all need."""


@dataclass(frozen=True)
class Ended:
    """A run that has ended. wall_s: seconds of this machine, of which a simulation takes few."""

    outcome: Outcome
    wall_s: float


@dataclass(frozen=True)
class Kind:
    """Runs of one algorithm in a sweep, n of them still to be run. samples: settings of two of them, of
    different tables where there are several.
    """

    samples: tuple[RunSettings, ...]
    n: int

    @property
    def algorithm(self) -> str:
        return self.samples[0].choices.algorithm


def kinds_of(
    counted: Iterable[tuple[RunSettings, int]], done: Mapping[str, int], *, simulated: bool
) -> list[Kind]:
    """Runs by algorithm; none where one trains for real: nothing is then known of their seconds.

    counted: settings, and how many runs have them but for the seed. done: runs that are `completed`.
    """
    settings: dict[str, list[RunSettings]] = {}
    counts: Counter[str] = Counter()
    for each, n in counted if simulated else ():
        settings.setdefault(each.choices.algorithm, []).append(each)
        counts[each.choices.algorithm] += n
    return [
        Kind((of[0], *of[len(of) // 2 :][: len(of) > 1]), max(counts[name] - done.get(name, 0), 0))
        for name, of in settings.items()
    ]


def completed(folder: Path) -> Counter[str]:
    """How many runs of each algorithm in a sweep's folder have their record: a resume does not run them."""
    counts: Counter[str] = Counter()
    for run in find_runs([folder]) if folder.is_dir() else ():
        if os.path.lexists(run / RECORD):
            with contextlib.suppress(JournalError):
                counts[str(journals.read_header(run / journals.NAME).get("algorithm"))] += 1
    return counts


def n_processes(kinds: Sequence[Kind], n_runs: int) -> int:
    """Processes for a command's runs: 1 where one trains for real, or a launcher started the ranks.

    n_jobs=null: one for each core that this process may use, from FROM_RUNS runs on.
    """
    if not kinds or launcher.launched():
        return 1
    n_jobs = kinds[0].samples[0].n_jobs
    if n_jobs is None:
        n_cores = len(os.sched_getaffinity(0))
        n_jobs = min(n_cores, batch.n_cores() or n_cores) if n_runs >= FROM_RUNS else 1
    return max(min(n_jobs, n_runs), 1)


def ended_runs(
    runs: Iterable[Begin], n_runs: int, kinds: Sequence[Kind], sweep: Sweep
) -> Iterator[Outcome]:
    """Each run's outcome, as they end; each is said. None is begun after one that was interrupted or paused.

    kinds: of simulated runs, by `kinds_of`.
    """
    n = n_processes(kinds, n_runs)
    return in_turn(runs, sweep) if n == 1 else side_by_side(runs, n_runs, n, kinds)


def in_turn(runs: Iterable[Begin], sweep: Sweep) -> Iterator[Outcome]:
    """Each run's outcome, one run after the other in this process; said as it ends."""
    for begin in runs:
        outcome = begin.run(sweep)
        say(outcome)
        yield outcome
        # Ctrl-C ends the sweep, not only one of its runs.
        if is_cut(outcome):
            return


def is_cut(outcome: Outcome) -> bool:
    """Whether no further run is begun after this one."""
    return outcome.status in ("interrupted", "paused") or outcome.by_hand


def side_by_side(
    runs: Iterable[Begin], n_runs: int, n: int, kinds: Sequence[Kind]
) -> Iterator[Outcome]:
    """Each run's outcome in n processes, as they end; before the first, about how many hours all will take.

    What a run decides and writes is the same as in one process: simulated time is none of this machine's.
    A killed process costs the run that it was running, and no other. After Ctrl-C or SIGTERM the runs under
    way are closed as interrupted.
    """
    outcomes: list[Outcome] = []
    is_over, due, processes = False, _Due(runs), Processes(_ended, n)
    with _sigterm_as_ctrl_c():
        try:
            sampled = _sampled(n, kinds) if sum(kind.n for kind in kinds) >= FROM_RUNS else {}
            line = _Line(n_runs, n, kinds, sampled)
            with processes:
                for begin, ended in processes.done(due):
                    outcomes.append(_outcome(begin, ended))
                    line.clear()
                    say(outcomes[-1])
                    yield outcomes[-1]
                    line.ended(outcomes[-1])
                    if is_cut(outcomes[-1]):
                        break
                else:
                    is_over = due.paused is None
        except KeyboardInterrupt:
            is_over = False
    # Of a sweep that was cut: what its last runs came to.
    last = [_outcome(begin, ended, asked=True) for begin, ended in processes.left]
    for outcome in [*last, *([due.paused] if due.paused is not None else ())]:
        outcomes.append(outcome)
        say(outcome)
        yield outcome
    if not is_over and not any(map(is_cut, outcomes)):
        raise KeyboardInterrupt


class _Due:
    """The runs, until the job's time ends or SIGUSR1 comes; then `paused` says so: no further one begins."""

    def __init__(self, runs: Iterable[Begin]) -> None:
        self._runs = iter(runs)
        self.paused: Outcome | None = None

    def __iter__(self) -> Iterator[Begin]:
        for begin in self._runs:
            if begin.how == "auto" and (why := Limit(0.0).due()):
                self.paused = Outcome("paused", why, begin.folder, begin.settings.label)
                return
            yield begin


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """A batch system's signal ends the runs under way, too, and not this process alone."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ended(begin: Begin) -> Ended:
    """In another process."""
    os.environ["SUITE_PROGRESS"] = "plain"
    began = time.perf_counter()
    try:
        outcome = begin.run()
    except KeyboardInterrupt:
        # The signal came after the run's end, and before the parent heard of it.
        outcome = _after_its_end(begin)
    return Ended(outcome, time.perf_counter() - began)


def _after_its_end(begin: Begin) -> Outcome:
    with contextlib.suppress(JournalError):
        if journals.is_completed(journals.read(begin.folder / journals.NAME)[1]):
            return Outcome("completed", "", begin.folder, begin.settings.label)
    return Outcome("interrupted", STOPPED, begin.folder, begin.settings.label)


def _outcome(begin: Begin, ended: Ended | Lost, *, asked: bool = False) -> Outcome:
    """asked: to end; a process may do so before its run has begun."""
    if isinstance(ended, Ended):
        return ended.outcome
    if asked:
        return Outcome("interrupted", STOPPED, begin.folder, begin.settings.label)
    return Outcome(
        "failed",
        f"{ended.reason}; resume={shlex.quote(short(begin.folder.parent))} continues the sweep.",
        begin.folder,
        begin.settings.label,
    )


def _sampled(n: int, kinds: Sequence[Kind]) -> Mapping[str, float]:
    """Seconds of a run of each algorithm that has runs left, measured here in a folder that is thrown away.

    Of two tables the mean. What is measured while other work uses the cores is too long.
    """
    left = [kind for kind in kinds if kind.n]
    print(f"measuring a run of each algorithm ({len(left)}) ...", file=sys.stderr, flush=True)
    seconds: dict[tuple[int, int], float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="swiftbench-") as folder,
        Processes[Begin, Ended](_ended, n) as processes,
    ):
        # The first time, a process imports what all need: what is short is measured again.
        for again in range(2):
            samples = {
                Path(folder) / f"{i}-{j}-{again}": (i, j)
                for i, kind in enumerate(left)
                for j in range(len(kind.samples))
                if seconds.get((i, j), 0.0) < _REPEATED_S
            }
            begins = [
                Begin(dataclasses.replace(left[i].samples[j], resume=None), place, "new")
                for place, (i, j) in samples.items()
            ]
            for begin, ended in processes.done(begins):
                key = samples[begin.folder]
                if isinstance(ended, Ended) and ended.outcome.status == "completed":
                    seconds[key] = min(ended.wall_s, seconds.get(key, ended.wall_s))
    measured: dict[str, list[float]] = {}
    for (i, _), wall_s in seconds.items():
        measured.setdefault(left[i].algorithm, []).append(wall_s)
    return {name: statistics.fmean(each) for name, each in measured.items()}


class _Line:
    """How far the sweep is, and how long it will still take; before it, how many hours it will take."""

    def __init__(
        self, n_runs: int, n: int, kinds: Sequence[Kind], sampled: Mapping[str, float]
    ) -> None:
        self._n_runs, self._n_left = n_runs, sum(kind.n for kind in kinds)
        self._n_ended = self._n_new = 0
        self._began = self._last = time.monotonic()
        self._live = is_live(sys.stderr)
        text = f"{n_runs} simulated runs in {n} processes (n_jobs)"
        if self._n_left < n_runs:
            text += f", {n_runs - self._n_left} of them completed before"
        if sampled:
            all_s = sum(kind.n * sampled.get(kind.algorithm, 0.0) for kind in kinds)
            low, high = min(sampled.values()), max(sampled.values())
            text += (
                f": about {hours(all_s / n)} (a run of an algorithm took {low:.2g} to {high:.2g} s)"
            )
        print(text, file=sys.stderr, flush=True)

    def ended(self, outcome: Outcome) -> None:
        self._n_ended += 1
        self._n_new += not outcome.reason.startswith(BEFORE)
        now = time.monotonic()
        if now - self._last < (0.2 if self._live else 15.0):
            return
        self._last = now
        left_s = (now - self._began) / max(self._n_new, 1) * max(self._n_left - self._n_new, 0)
        text = f"{self._n_ended} of {self._n_runs} runs ended, {hours(left_s)} left"
        before, end = ("\r\x1b[K", "") if self._live else ("", "\n")
        print(f"{before}{text}", end=end, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the terminal's line empty for what is printed next."""
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
