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
from collections.abc import Callable

from suite.core import types as t
from suite.core.errors import ContractError, DivergedError, TrialError
from suite.core.metric import finite_metrics
from suite.core.target import Target, Training
from suite.worker.checkpoints import CheckpointError, Checkpoints

# A full disk; a mount that is read-only, or whose server or client is gone: the next job would fail, too.
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ENOTCONN)

Send = Callable[[t.Event], None]

# torch's and TensorFlow's, neither imported here.
_OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError")


class Paused(Exception):
    """The job stops after a checkpoint; no JobFinished event is sent."""


class _NotTheTargets(BaseException):
    """What the receiver of an event raised: conductor, scheduler, journal. No fault of the job.

    A BaseException, so that no guard around the target's code takes it for one of the target.
    """


class _NotSaved(Exception):
    """A checkpoint could not be written. The run stops: the next one would fail, too."""


class Worker:
    """Trains jobs of one target. Keeps the last `resident_trials` trials, the data set and the
    framework in memory.

    checkpoints=None: nothing is saved (a trial then lives as long as it is resident).
    checkpoint_every_s: seconds between checkpoints within a job; one is always written at its end.
    clock: seconds, replaced in tests. paused: called after each epoch; true: the job stops there.
    """

    def __init__(
        self,
        target: Target,
        checkpoints: Checkpoints | None,
        *,
        resident_trials: int = 1,
        checkpoint_every_s: float = math.inf,
        clock: Callable[[], float] = time.perf_counter,
        paused: Callable[[], object] = lambda: False,
    ) -> None:
        self.paused = paused
        self.target, self.checkpoints = target, checkpoints
        self.resident_trials, self.checkpoint_every_s = max(resident_trials, 1), checkpoint_every_s
        self.clock = clock
        # trial -> (epochs trained, state)
        self._resident: OrderedDict[int, tuple[int, Training]] = OrderedDict()

    def warm_up(self) -> None:
        """Let the target do what costs its process time only once; its result is thrown away.

        What one configuration is to blame for (it diverges, it does not fit into memory) is no fault of
        the target. Raises ContractError for anything else, in words for the user.
        """
        try:
            self.target.warm_up()
        except ContractError:
            raise
        except Exception as error:
            if not (isinstance(error, TrialError) or out_of_memory(error)):
                name = type(self.target).__qualname__
                raise ContractError(
                    f"model={name}: warm_up() failed before the first trial ({type(error).__name__}: "
                    f"{error}); correct the target."[:500]
                ) from error

    def run(self, worker: int, job: t.Job, send: Send) -> None:
        """Train the job and send its events, the last one JobFinished or JobFailed.

        What `send` raises is raised here.
        """
        self._guard(worker, job, send, _Attempt(self, worker, job, _outside_of_guards(send)).train)

    def score(self, worker: int, job: t.Job, send: Send) -> None:
        """Evaluate the trial at job.to_epoch on the test split; sends Scored or JobFailed."""
        name = self.target.goal.name
        outside = _outside_of_guards(send)

        def evaluate() -> None:
            metrics = finite_metrics(
                self.restore(job).test(), name, f"test() of trial {job.trial_id}"
            )
            if name not in metrics:
                raise DivergedError(f"{name} of the test split is not finite")
            outside(t.Scored(worker, job.job_id, metrics[name], metrics))

        self._guard(worker, job, send, evaluate)

    def forget(self) -> None:
        """Evict every trial (a new run begins)."""
        self._resident.clear()

    def _guard(self, worker: int, job: t.Job, send: Send, work: Callable[[], None]) -> None:
        try:
            self.attempt(work)
        except Paused:
            self._resident.pop(job.trial_id, None)
        except _NotTheTargets as error:
            assert error.__cause__ is not None
            raise error.__cause__ from None
        except Exception as error:
            self._resident.pop(job.trial_id, None)
            reason, message = _explain(error)
            if reason == "retry":
                traceback.print_exc(limit=-8, file=sys.stderr)
            send(t.JobFailed(worker, job.job_id, reason, message))

    # --- steps of a job, which a group of ranks takes together ------------------------------------

    def attempt(self, work: Callable[[], None]) -> None:
        """Do the work; out of memory, once more with nothing else resident."""
        try:
            work()
        except Exception as error:
            if not out_of_memory(error):
                raise
            self.forget()
            work()

    def prune(self, job: t.Job) -> None:
        """Remove checkpoints that this job makes needless."""
        if self.checkpoints is not None:
            self.checkpoints.prune(job)

    def at_epoch_end(self, since_save_s: float) -> tuple[bool, bool]:
        """(whether the job stops here, whether a checkpoint is written), after an epoch within a job."""
        pause = bool(self.paused())
        return pause, pause or since_save_s >= self.checkpoint_every_s

    def restore(self, job: t.Job) -> Training:
        """The trial as it was at job.from_epoch: from memory, from its checkpoint, or new."""
        epochs, training = self._resident.pop(job.trial_id, (-1, None))
        if training is not None and epochs == job.from_epoch:
            return training
        # Before the new one is built: both may not fit.
        self._evict(self.resident_trials - 1)
        training = self.target.start(job.config, job.seed)
        if job.from_epoch > 0:
            if self.checkpoints is None:
                raise CheckpointError(
                    f"trial {job.trial_id}: checkpoints are off and it is not in memory"
                )
            self._load(job, training, self.checkpoints)
        return training

    def _load(self, job: t.Job, training: Training, checkpoints: Checkpoints) -> None:
        try:
            checkpoints.load(job, training.load)
        except CheckpointError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            # Of whatever target: an older checkpoint, or training afresh, will do.
            raise CheckpointError(
                f"trial {job.trial_id}: its checkpoint of epoch {job.from_epoch} cannot be read "
                f"({type(error).__name__}: {error})"
            ) from error

    def save(self, job: t.Job, epoch: int, training: Training) -> float:
        """Write a checkpoint; returns the seconds that took."""
        start = self.clock()
        if self.checkpoints is not None:
            try:
                self.checkpoints.save(job, epoch, training.save)
            except Exception as error:
                # On a full disk torch raises RuntimeError, without errno.
                raise _NotSaved(error) from error
            self.checkpoints.trim(job)
        return self.clock() - start

    def keep(self, job: t.Job, training: Training) -> None:
        """Hold the trained trial in memory, as the newest of `resident_trials`."""
        self._resident[job.trial_id] = (job.to_epoch, training)
        self._resident.move_to_end(job.trial_id)
        # Its checkpoint was written when its last job ended.
        self._evict(self.resident_trials)

    def _evict(self, n_left: int) -> None:
        while len(self._resident) > n_left:
            self._resident.popitem(last=False)


class _Attempt:
    """One job on its worker. `train` may be called again, after running out of memory: epochs that were
    reported are not reported twice.
    """

    def __init__(self, on: Worker, worker: int, job: t.Job, send: Send) -> None:
        self._on, self._worker, self._job, self._send = on, worker, job, send
        self._began = on.clock()
        self._reported = job.from_epoch

    def train(self) -> None:
        on, job, clock = self._on, self._job, self._on.clock
        on.prune(job)
        start = clock()
        training = on.restore(job)
        restore_s = clock() - start
        saved_at = clock()
        checkpoint_s = 0.0
        for epoch in range(job.from_epoch + 1, job.to_epoch):
            evaluated = self._epoch(epoch, training)
            pause, save = on.at_epoch_end(evaluated - saved_at)
            if save:
                checkpoint_s += on.save(job, epoch, training)
                saved_at = clock()
                if on.checkpoints is not None:
                    self._send(t.Checkpointed(self._worker, job.job_id, epoch))
            if pause:
                raise Paused
        if job.to_epoch > job.from_epoch:
            self._epoch(job.to_epoch, training)
        checkpoint_s += on.save(job, job.to_epoch, training)
        on.keep(job, training)
        seconds = (restore_s, checkpoint_s, clock() - self._began)
        self._send(t.JobFinished(self._worker, job.job_id, *(round(s, 6) for s in seconds)))

    def _epoch(self, epoch: int, training: Training) -> float:
        """Train, evaluate and report one epoch; returns the clock after its evaluation."""
        job, clock, metric = self._job, self._on.clock, self._on.target.goal
        start = clock()
        training.train_epoch(epoch)
        trained = clock()
        where = f"validate() of trial {job.trial_id} after epoch {epoch}"
        metrics = finite_metrics(training.validate(), metric.name, where)
        evaluated = clock()
        if metric.name not in metrics:
            raise DivergedError(f"{metric.name} is not finite after epoch {epoch}")
        if epoch > self._reported:
            self._send(
                t.EpochReport(
                    self._worker, job.job_id, epoch, metric.objective(metrics), metrics,
                    round(trained - start, 6), round(evaluated - trained, 6),
                )
            )  # fmt: skip
            self._reported = epoch
        return evaluated


def _outside_of_guards(send: Send) -> Send:
    def outside(event: t.Event) -> None:
        try:
            send(event)
        except Exception as error:
            raise _NotTheTargets from error

    return outside


def out_of_memory(error: Exception) -> bool:
    return type(error).__name__ in _OUT_OF_MEMORY or isinstance(error, MemoryError)


def _explain(error: Exception) -> tuple[t.FailureReason, str]:
    """JobFailed's reason and message for an exception."""
    message = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, TrialError):
        return "trial", str(error)
    if isinstance(error, ContractError):
        return "contract", str(error)
    if isinstance(error, CheckpointError):
        return "checkpoint", str(error)
    if isinstance(error, _NotSaved) or (isinstance(error, OSError) and error.errno in _STORAGE):
        cause = error.args[0] if isinstance(error, _NotSaved) else error
        what = getattr(cause, "strerror", None) or f"{type(cause).__name__}: {cause}"[:300]
        when = "a checkpoint was written" if cause is not error else "files were read or written"
        return (
            "storage",
            f"{what} while {when}; mend it, then continue with resume=<run folder>.",
        )
    return "retry", message
