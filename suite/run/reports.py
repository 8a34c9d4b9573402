"""Reports of epochs, taken into their trials' curves; how many there were, and the best so far."""

from __future__ import annotations

from suite.core import types as t
from suite.run.reported_curve import ReportCounts
from suite.run.trials import TrialState


class Reports:
    def __init__(self) -> None:
        self.counts = ReportCounts()
        self.best: tuple[float, int] | None = None
        """(objective, trial_id) over all epochs so far."""

    def epoch(self, trial: TrialState, job: t.Job, event: t.EpochReport) -> None:
        if trial.report(job, event.epoch, event.objective, self.counts):
            self._improve(event.objective, job.trial_id)

    def epochs(self, trial: TrialState, job: t.Job, event: t.EpochBatch) -> None:
        """A batch; where all of its epochs are new, without a step for each."""
        if trial.extend(job, event.epoch, event.objectives, self.counts):
            self._improve(min(event.objectives), job.trial_id)
            return
        for epoch, objective in enumerate(event.objectives, start=event.epoch):
            if trial.report(job, epoch, objective, self.counts):
                self._improve(objective, job.trial_id)

    def _improve(self, objective: float, trial_id: int) -> None:
        if self.best is None or objective < self.best[0]:
            self.best = (objective, trial_id)
