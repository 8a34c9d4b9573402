"""Trials as the conductor keeps them, and what a searcher and a journal see of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from suite.core import types as t


@dataclass(slots=True)
class Notes:
    """What a step decided besides its commands, for the journal's readers (records, figures,
    MLflow).
    """

    trials: dict[int, dict[str, Any]] = field(default_factory=dict)
    stopped: dict[int, int] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)
    benched: dict[int, str] = field(default_factory=dict)
    """worker -> why it gets no more jobs; it lives, but failed too often."""


class TrialState:
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
        self.decided = 0  # epochs that a decision rests on: their first report stays
        self.reached = 0  # epochs the job in flight has trained
        self.checkpoints = [0]
        self.failed_on: set[int] = set()  # workers on which it failed
        self.attempts = 0  # workers that this trial has cost


class TrialsView(Mapping[int, t.Trial]):
    """What a searcher sees: every trial so far, made when looked at."""

    def __init__(self, trials: dict[int, TrialState]) -> None:
        self._trials = trials

    def __getitem__(self, trial_id: int) -> t.Trial:
        found = self._trials[trial_id]
        return t.Trial(trial_id, found.config, found.seed, tuple(found.curve))

    def __iter__(self) -> Iterator[int]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)
