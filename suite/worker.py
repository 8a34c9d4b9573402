"""The worker: restore, train, report, checkpoint.

It turns every error into an event; decisions are elsewhere.
"""

from __future__ import annotations

import errno
import math
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from suite.checkpoints import CheckpointError, Checkpoints
from suite.core import types as t
from suite.core.errors import DivergedError, TrialError
from suite.core.target import Target, Training

_FULL = (errno.ENOSPC, errno.EDQUOT)

Send = Callable[[t.Event], None]

_OUT_OF_MEMORY = (
    "OutOfMemoryError",
    "ResourceExhaustedError",
)  # torch's and TensorFlow's, neither imported here


class Paused(Exception):
    """The job stops here, checkpointed; its end is told by nobody."""


class _NotSaved(Exception):
    """A checkpoint could not be written: the run stops, for the next one would not be either."""


class Worker:
    """Trains jobs of one target. Keeps the last `resident_trials` trials, the data set and the
    framework in memory.

    checkpoints=None: nothing is saved (a trial then lives as long as it is resident);
    checkpoint_every_s: seconds between checkpoints within a job (one is always written at its end);
    clock: seconds, replaced in tests; paused: asked after each epoch whether the job stops here.
    """

    def __init__(
        self,
        target: Target,
        checkpoints: Checkpoints | None,
        *,
        resident_trials: int = 1,
        checkpoint_every_s: float = 300.0,
        clock: Callable[[], float] = time.perf_counter,
        paused: Callable[[], Any] = bool,
    ) -> None:
        self.paused = paused
        self.target, self.checkpoints = target, checkpoints
        self.resident_trials, self.checkpoint_every_s = max(resident_trials, 1), checkpoint_every_s
        self.clock = clock
        self._sign = -1.0 if target.mode == "max" else 1.0
        self._resident: OrderedDict[int, tuple[int, Training]] = (
            OrderedDict()
        )  # trial -> (epochs trained, state)

    def run(self, worker: int, job: t.Job, send: Send) -> None:
        """Train the job and send its events, the last one JobFinished or JobFailed."""
        began = self.clock()
        reported = [
            job.from_epoch
        ]  # mutable: a second attempt after running out of memory goes on from here
        self._guard(worker, job, send, lambda: self._train(worker, job, send, began, reported))

    def score(self, worker: int, job: t.Job, send: Send) -> None:
        """Evaluate the trial at job.to_epoch on the test split; sends Scored or JobFailed."""

        def evaluate() -> None:
            metrics = _finite(self._restore(job).test())
            if self.target.metric not in metrics:
                raise DivergedError(f"{self.target.metric} of the test split is not finite")
            send(t.Scored(worker, job.job_id, metrics[self.target.metric], metrics))

        self._guard(worker, job, send, evaluate)

    def forget(self) -> None:
        """Evict every trial (a new run begins)."""
        self._resident.clear()

    def _guard(self, worker: int, job: t.Job, send: Send, work: Callable[[], None]) -> None:
        try:
            try:
                work()
            except Exception as error:
                if type(error).__name__ not in _OUT_OF_MEMORY and not isinstance(
                    error, MemoryError
                ):
                    raise
                self._resident.clear()  # make room and try once more
                work()
        except Paused:
            self._resident.pop(job.trial_id, None)
        except Exception as error:
            self._resident.pop(job.trial_id, None)
            reason, message = _explain(error)
            if reason == "retry":
                traceback.print_exc(limit=-8, file=sys.stderr)
            send(t.JobFailed(worker, job.job_id, reason, message))

    def _train(
        self, worker: int, job: t.Job, send: Send, began: float, reported: list[int]
    ) -> None:
        if self.checkpoints is not None:
            self.checkpoints.prune(job.trial_id, before_job=job.job_id, needed=job.from_epoch)
        start = self.clock()
        training = self._restore(job)
        restore_s = self.clock() - start
        saved_at = self.clock()
        checkpoint_s = 0.0
        for epoch in range(job.from_epoch + 1, job.to_epoch + 1):
            start = self.clock()
            training.train_epoch(epoch)
            trained = self.clock()
            metrics = _finite(training.validate())
            evaluated = self.clock()
            if self.target.metric not in metrics:
                raise DivergedError(f"{self.target.metric} is not finite after epoch {epoch}")
            if epoch > reported[0]:
                objective = self._sign * metrics[self.target.metric]
                send(
                    t.EpochReport(
                        worker, job.job_id, epoch, objective, metrics,
                        round(trained - start, 6), round(evaluated - trained, 6),
                    )
                )  # fmt: skip
                reported[0] = epoch
            if epoch == job.to_epoch:
                break
            pausing = bool(self.paused())
            if pausing or evaluated - saved_at >= self.checkpoint_every_s:
                checkpoint_s += self._save(job, epoch, training)
                saved_at = self.clock()
                if self.checkpoints is not None:
                    send(t.Checkpointed(worker, job.job_id, epoch))
            if pausing:
                raise Paused
        checkpoint_s += self._save(job, job.to_epoch, training)
        self._resident[job.trial_id] = (job.to_epoch, training)
        self._resident.move_to_end(job.trial_id)
        while len(self._resident) > self.resident_trials:
            self._resident.popitem(last=False)  # its checkpoint was written when its last job ended
        busy_s = self.clock() - began
        send(
            t.JobFinished(
                worker, job.job_id, round(restore_s, 6), round(checkpoint_s, 6), round(busy_s, 6)
            )
        )

    def _restore(self, job: t.Job) -> Training:
        """The trial as it was at job.from_epoch: from memory, from its checkpoint, or new."""
        epochs, training = self._resident.pop(job.trial_id, (-1, None))
        if training is not None and epochs == job.from_epoch:
            return training
        while len(self._resident) >= self.resident_trials:
            self._resident.popitem(last=False)  # before the new one is built: both may not fit
        training = self.target.start(job.config, job.seed)
        if job.from_epoch > 0:
            if self.checkpoints is None:
                raise CheckpointError(
                    f"trial {job.trial_id}: checkpoints are off and it is not in memory"
                )
            self.checkpoints.load(job.trial_id, job.from_epoch, training.load)
        return training

    def _save(self, job: t.Job, epoch: int, training: Training) -> float:
        start = self.clock()
        if self.checkpoints is not None:
            try:
                self.checkpoints.save(job.trial_id, job.job_id, epoch, training.save)
            except Exception as error:  # torch says RuntimeError, without errno, on a full disk
                raise _NotSaved(error) from error
            self.checkpoints.trim(job.trial_id, job_id=job.job_id)
        return self.clock() - start


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Numbers that strict JSON can hold; a metric that is not finite is left out."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(float(value))}


def _explain(error: Exception) -> tuple[str, str]:
    """JobFailed's reason and message for an exception."""
    message = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, TrialError):
        return "trial", str(error)
    if isinstance(error, CheckpointError):
        return "checkpoint", str(error)
    if isinstance(error, _NotSaved) or (isinstance(error, OSError) and error.errno in _FULL):
        cause = error.args[0] if isinstance(error, _NotSaved) else error
        what = getattr(cause, "strerror", None) or f"{type(cause).__name__}: {cause}"[:300]
        return (
            "storage",
            f"{what} while a checkpoint was written; mend it, then resume=<run folder>.",
        )
    return "retry", message
