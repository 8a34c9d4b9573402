"""The machine as events show it: what a scheduler that reads the clock decides by."""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Mapping, Sequence

from suite.core import types as t
from suite.run.budget import Spending
from suite.run.workforce import Workforce


class MachineLog:
    """Folds times and durations of events; a `suite.core.machine.Machine`.

    Seconds are rounded as the journal writes them (six decimals) before they become milliseconds, so
    that a replay of the journal sees the same integers.
    """

    def __init__(self, force: Workforce, spending: Spending) -> None:
        self._force, self._spending = force, spending
        self._now_ms = 0
        # trial -> milliseconds of its epochs
        self._epochs: dict[int, list[int]] = {}
        # job -> milliseconds of its epochs
        self._job_ms: dict[int, int] = {}
        # sorted
        self._overheads: list[int] = []
        self._last_busy: dict[int, int] = {}

    @property
    def now_ms(self) -> int:
        return self._now_ms

    @property
    def has_end(self) -> bool:
        return self._spending.has_end

    @property
    def end_ms(self) -> int | None:
        return self._spending.planned_end_ms()

    @property
    def n_workers(self) -> int:
        return len(self._force)

    @property
    def n_nodes(self) -> int:
        return self._spending.n_nodes

    @property
    def node_ms(self) -> int:
        return self._spending.node_ms

    @property
    def overhead_ms(self) -> int:
        return self._overheads[len(self._overheads) // 2] if self._overheads else 0

    @property
    def last_busy_ms(self) -> Sequence[int]:
        return list(self._last_busy.values())

    def epochs_ms(self, trial_id: int) -> Sequence[int]:
        return self._epochs.get(trial_id, ())

    def is_resident(self, trial_id: int) -> bool:
        return self._force.home(trial_id) is not None

    def saw(self, event: t.Event, in_flight: Mapping[int, tuple[int, t.Job]]) -> None:
        """Any event, before it is handled; those of jobs that are not in flight only say what time it is."""
        self._now_ms = max(self._now_ms, _ms(event.time_s))
        if isinstance(event, t.WorkerJoined):
            self._last_busy[event.worker] = self._now_ms
        elif isinstance(event, t.WorkerLost):
            self._last_busy.pop(event.worker, None)
        elif isinstance(event, t.Resumed):
            self._last_busy.clear()
        elif isinstance(
            event, t.EpochReport | t.EpochBatch | t.JobFinished | t.JobFailed | t.JobStopped
        ):
            worker, job = in_flight.get(event.job_id, (None, None))
            if job is None or worker != event.worker:
                return
            self._last_busy[event.worker] = self._now_ms
            if isinstance(event, t.EpochReport | t.EpochBatch):
                self._trained(job, event)
            elif isinstance(event, t.JobFinished):
                spent_ms = self._job_ms.pop(event.job_id, 0)
                insort(self._overheads, max(_ms(event.busy_s) - spent_ms, 0))
            else:
                self._job_ms.pop(event.job_id, None)

    def _trained(self, job: t.Job, event: t.EpochReport | t.EpochBatch) -> None:
        """An epoch that is trained again takes the place of the first."""
        epochs = self._epochs.setdefault(job.trial_id, [])
        for epoch, seconds in enumerate(_seconds(event), start=event.epoch):
            ms = max(_ms(seconds), 1)
            self._job_ms[job.job_id] = self._job_ms.get(job.job_id, 0) + ms
            if epoch <= len(epochs):
                epochs[epoch - 1] = ms
            elif epoch == len(epochs) + 1:
                epochs.append(ms)


def _ms(seconds: float) -> int:
    return round(round(seconds, 6) * 1000)


def _seconds(event: t.EpochReport | t.EpochBatch) -> list[float]:
    if isinstance(event, t.EpochReport):
        return [event.train_s + event.eval_s]
    # As `suite.run.journal.encode` writes a batch.
    times = [round(event.origin_s + end, 6) for end in event.ends_s]
    return [round(b - a, 6) for a, b in itertools.pairwise(times)]
