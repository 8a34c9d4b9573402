"""The workers: what each does, which trials each still holds in memory, which failed too often."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import islice

MAX_STRIKES = 3
"""Jobs in a row, each of another trial, that a worker may fail before it gets no more."""


class Workforce:
    """The conductor's workers. `resident_trials`: how many trials a worker keeps in memory."""

    def __init__(self, resident_trials: int) -> None:
        self.resident_trials = resident_trials
        # worker -> its job_id
        self.jobs: dict[int, int | None] = {}
        # An ordered set: the worker that has waited longest comes first.
        self.idle: dict[int, None] = {}
        # Those that are not needed any more; they are in none of the others.
        self.released: set[int] = set()
        # worker -> trials in its memory, newest last
        self._residents: dict[int, deque[int]] = {}
        # trial -> worker that trained it last
        self._last_on: dict[int, int] = {}
        # worker -> jobs it failed in a row
        self.strikes: dict[int, int] = {}

    def __len__(self) -> int:
        """Workers that are there, those that were released too."""
        return len(self.jobs) + len(self.released)

    def join(self, worker: int) -> None:
        if worker not in self.jobs:
            self.jobs[worker] = None
            self.idle[worker] = None

    def leave(self, worker: int) -> int | None:
        """Forget the worker; returns the job it was doing."""
        self.idle.pop(worker, None)
        self._residents.pop(worker, None)
        return self.jobs.pop(worker)

    def clear(self) -> None:
        for worker in list(self.jobs):
            self.leave(worker)
        self.released.clear()
        self.strikes.clear()

    def surplus(self, trial_ids: Collection[int], node_of: Mapping[int, Hashable]) -> list[int]:
        """Idle workers that are more than so many trials need, each one worker, and hold none of them.

        Those of nodes on which nobody trains come first: their nodes can go. Two workers stay, where there
        are as many, busy ones counted: one may be lost. node_of: worker -> node, or nodes.
        """
        n_busy = len(self.jobs) - len(self.idle)
        n_more = len(self.idle) - max(len(trial_ids), 2 - n_busy)
        homes = {self.home(i) for i in trial_ids}
        used = {node_of.get(w) for w in self.jobs if w not in self.idle or w in homes}
        more = [w for w in self.idle if w not in homes]
        more.sort(key=lambda w: w in node_of and node_of[w] in used)
        return more[: max(n_more, 0)]

    def send_away(self, worker: int) -> None:
        """An idle worker is not needed any more."""
        self.leave(worker)
        self.released.add(worker)

    def occupy(self, worker: int, job_id: int, trial_id: int) -> None:
        self.jobs[worker] = job_id
        del self.idle[worker]
        residents = self._residents.setdefault(worker, deque(maxlen=self.resident_trials))
        if trial_id in residents:
            residents.remove(trial_id)
        residents.append(trial_id)
        self._last_on[trial_id] = worker

    def release(self, worker: int) -> None:
        self.jobs[worker] = None
        self.idle[worker] = None

    def evicted(self, trial_id: int) -> None:
        """No worker holds the trial in memory any more."""
        self._last_on.pop(trial_id, None)

    def home(self, trial_id: int) -> int | None:
        """The idle worker that still holds this trial."""
        worker = self._last_on.get(trial_id)
        if worker in self.idle and trial_id in self._residents.get(worker, ()):
            return worker
        return None

    def may_take(self, failed_on: Collection[int]) -> bool:
        """Whether an idle worker is there for a trial that failed on these; all failed: any is."""
        return (
            not failed_on
            or set(failed_on) >= self.jobs.keys()
            or bool(self.idle.keys() - failed_on)
        )

    def place(self, todo: Sequence[tuple[int, Collection[int]]]) -> list[int]:
        """A worker for each (trial, workers on which it failed): at most as many as are idle.

        Trials whose home is idle go there, the others to the workers left.
        """
        # The usual case after a finished job.
        if len(todo) == 1 and not todo[0][1]:
            home = self.home(todo[0][0])
            return [home if home is not None else next(iter(self.idle))]
        homes = {
            home: trial_id for trial_id, _ in todo if (home := self.home(trial_id)) is not None
        }
        others = (worker for worker in self.idle if worker not in homes)
        n_avoided = max((len(failed_on) for _, failed_on in todo), default=0)
        free = list(islice(others, len(todo) - len(homes) + n_avoided))
        placed = []
        for trial_id, failed_on in todo:
            worker = self.home(trial_id)
            if worker is None or homes[worker] != trial_id:
                worker = next((w for w in free if w not in failed_on), free[0])
                free.remove(worker)
            placed.append(worker)
        return placed

    def strike(self, worker: int) -> bool:
        """Count a failed job; True at the MAX_STRIKES-th in a row."""
        self.strikes[worker] = self.strikes.get(worker, 0) + 1
        return self.strikes[worker] >= MAX_STRIKES

    def forgive(self, workers: Collection[int]) -> None:
        """Clear the workers' strikes: the trial was at fault, or a later job succeeded."""
        for worker in workers:
            self.strikes.pop(worker, None)
