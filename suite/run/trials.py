"""Trials as the conductor keeps them, and what a searcher and a journal see of them."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.core.scheduler import ranking
from suite.run.reported_curve import ReportCounts

GivenUpReason = Literal["diverged", "trial", "attempts"]
"""Its objective is not finite; its configuration cannot be trained; it has cost `max_attempts` workers."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why a trial was given up. Journals hold `str(...)` of it; `read` parses that text."""

    reason: GivenUpReason
    message: str

    def __str__(self) -> str:
        return self.message if self.reason == "attempts" else f"{self.reason}: {self.message}"

    @classmethod
    def read(cls, text: str) -> GivenUp:
        """Parse a journal's text.

        >>> GivenUp.read("diverged: loss is inf")
        GivenUp(reason='diverged', message='loss is inf')
        """
        reason, _, message = text.partition(": ")
        if reason == "diverged":
            return cls("diverged", message)
        if reason == "trial":
            return cls("trial", message)
        return cls("attempts", text)


@dataclass(slots=True)
class Notes:
    """What a step decided besides its commands, for readers of the journal."""

    trials: dict[int, dict[str, Any]] = field(default_factory=dict)
    stopped: dict[int, int] = field(default_factory=dict)
    given_up: dict[int, GivenUp] = field(default_factory=dict)
    benched: dict[int, str] = field(default_factory=dict)
    """worker -> why it gets no more jobs: it is alive, but failed too often."""
    counted: dict[int, int] = field(default_factory=dict)
    """trial_id -> epochs that count, where more were trained ahead of a decision; at the end."""
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Diagnostics of searcher and scheduler; at the end."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one event caused: commands for the backend, and notes for the journal's readers."""

    commands: Sequence[t.Command]
    notes: Notes


NOTHING = Step([], Notes())
"""Of an event that decides nothing, as reports of epochs do. Nobody may write to it."""


def check_proposal(config: t.Config, searcher: str) -> None:
    """Raise ConfigError for a value that no journal can hold: the training could not be repeated.

    searcher: the name of who proposed it.
    """
    for name, value in config.items():
        kind = type(value)
        # Nearly all: at a tenth of the time that json takes.
        if (kind is float and math.isfinite(value)) or kind is int or kind is bool or kind is str:
            continue
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ConfigError(
                f"searcher={searcher}: proposed {name}={value!r}: must be text, a finite number, true, "
                "false or null; mend the space (a table's column), or the searcher."
            ) from None


class TrialState:
    """One trial: its curve, its checkpoints, and what the job in flight has reached."""

    __slots__ = (
        "attempts",
        "checkpoints",
        "config",
        "curve",
        "decided",
        "failed_on",
        "reached",
        "seed",
    )

    def __init__(self, config: t.Config, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.curve: list[float] = []
        # Epochs that a decision rests on: their first report stays.
        self.decided = 0
        # Epochs that the job in flight has trained.
        self.reached = 0
        # Epochs of which a checkpoint exists, in order; 0 stands for a new trial.
        self.checkpoints = [0]
        # Workers on which it failed, and how many it has cost.
        self.failed_on: set[int] = set()
        self.attempts = 0

    def report(self, job: t.Job, epoch: int, objective: float, counts: ReportCounts) -> bool:
        """Take in the report of one epoch and count it; True where it enters the curve.

        Raises JournalError where it is not the next epoch of the job.
        """
        if epoch != self.reached + 1 or epoch > job.to_epoch:
            raise JournalError(
                f"job {job.job_id}: epoch={epoch} reported after epoch {self.reached} of {job.to_epoch}: "
                "reports must come in order; the worker and the journal do not agree."
            )
        self.reached = epoch
        index = epoch - 1
        before = self.curve[index] if index < len(self.curve) else None
        enters = counts.counts(epoch, objective, before, self.decided)
        if enters:
            self.curve[index : index + 1] = [objective]
        return enters

    def extend(
        self, job: t.Job, epoch: int, objectives: Sequence[float], counts: ReportCounts
    ) -> bool:
        """Take in reports of several epochs at once, if all are new; else False, nothing is done."""
        n = len(objectives)
        if not (
            epoch == self.reached + 1 == len(self.curve) + 1 and self.reached + n <= job.to_epoch
        ):
            return False
        self.curve += objectives
        self.reached += n
        counts.n_epochs += n
        return True

    def checkpointed(self, epoch: int) -> None:
        """A checkpoint of this epoch was written; workers keep it and the one before."""
        if epoch not in self.checkpoints:
            self.checkpoints = [0, *[e for e in self.checkpoints if 0 < e < epoch][-1:], epoch]

    def forget_checkpoint(self, epoch: int) -> bool:
        """Forget a damaged checkpoint; False where this epoch has none."""
        if epoch not in self.checkpoints[1:]:
            return False
        self.checkpoints.remove(epoch)
        return True

    def restart_epoch(self) -> int:
        """The epoch from which the next job trains: of the last checkpoint within the curve."""
        n_known = len(self.curve)
        if (last := self.checkpoints[-1]) <= n_known:
            return last
        return next(e for e in reversed(self.checkpoints) if e <= n_known)


def best_checkpointed(
    trials: Mapping[int, TrialState], curves: Mapping[int, t.Curve]
) -> int | None:
    """Of trials whose last epoch has a checkpoint, the one with the lowest objective there; ties by lower
    trial_id. For a run that ends before any trial has all its epochs: they may differ in epochs.

    curves: those that count.
    """
    there = {i: c for i, c in curves.items() if c and trials[i].restart_epoch() == len(c)}
    return next(iter(ranking(there)), None)


class TrialsView(Mapping[int, t.Trial]):
    """What a searcher sees: trials made when looked at.

    seen: trial_id -> epochs that may be looked at (-1: it failed), other trials are not there;
    None: everything. Trials by number, whatever order they came in.
    """

    def __init__(
        self,
        trials: Mapping[int, TrialState],
        given_up: Container[int] = (),
        seen: Mapping[int, int] | None = None,
    ) -> None:
        self._trials, self._given_up, self._seen = trials, given_up, seen

    def __getitem__(self, trial_id: int) -> t.Trial:
        trial = self._trials[trial_id]
        if self._seen is None:
            failed, n = trial_id in self._given_up, len(trial.curve)
        else:
            failed, n = self._seen[trial_id] < 0, max(self._seen[trial_id], 0)
        return t.Trial(trial_id, trial.config, trial.seed, tuple(trial.curve[:n]), failed)

    def __iter__(self) -> Iterator[int]:
        known = self._trials if self._seen is None else self._trials.keys() & self._seen.keys()
        return iter(sorted(known))

    def __len__(self) -> int:
        if self._seen is None:
            return len(self._trials)
        return len(self._trials.keys() & self._seen.keys())
