"""A job on a simulated worker: when its epochs end, and what it reports of them."""

from __future__ import annotations

from dataclasses import dataclass

from suite.core import types as t
from suite.core.curve_table import Recording
from suite.core.metric import Metric


@dataclass(slots=True)
class Running:
    """began_s: when its first epoch began. ends: seconds of the trial up to the end of each epoch, from 0 on.
    speed: the worker's. bad_epoch: the first whose value is not finite. told: the last that was reported.
    """

    job: t.Job
    began_s: float
    ends: list[float]
    speed: float
    recording: Recording
    bad_epoch: int | None
    told: int

    def ends_s(self) -> list[float]:
        """When each epoch ends that is still to be reported and can be, on the run's clock."""
        job, ends = self.job, self.ends
        last = job.to_epoch if self.bad_epoch is None else min(job.to_epoch, self.bad_epoch - 1)
        first, later = ends[job.from_epoch], ends[self.told + 1 : last + 1]
        return [self.began_s + (end - first) / self.speed for end in later]

    def reports(self, worker: int, last: int, metric: Metric) -> list[t.Event]:
        """Of the epochs up to `last` that were not reported yet, at once; empty where there is none."""
        first = self.told
        if last <= first:
            return []
        values = self.recording.values[first:last]
        ends_s, speed = self.ends[first : last + 1], self.speed
        if speed != 1.0:
            ends_s = [end / speed for end in ends_s]
        origin_s = self.began_s - self.ends[self.job.from_epoch] / speed
        return [
            t.EpochBatch(
                worker,
                self.job.job_id,
                first + 1,
                metric.objectives(values),
                metric.name,
                values,
                origin_s,
                ends_s,
                round(origin_s + ends_s[-1], 6),
            )
        ]
