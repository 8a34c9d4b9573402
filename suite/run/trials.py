"""Trials as the conductor keeps them, and what a searcher and a journal see of them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
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
    counted: dict[int, int] = field(default_factory=dict)
    """trial_id -> epochs that count, where more were trained ahead of a decision; at the end."""
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What searcher and scheduler measured of their own rules; at the end."""


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
        found = self._trials[trial_id]
        if self._seen is None:
            failed, n = trial_id in self._given_up, len(found.curve)
        else:
            failed, n = self._seen[trial_id] < 0, max(self._seen[trial_id], 0)
        return t.Trial(trial_id, found.config, found.seed, tuple(found.curve[:n]), failed)

    def __iter__(self) -> Iterator[int]:
        known = self._trials if self._seen is None else self._trials.keys() & self._seen.keys()
        return iter(sorted(known))

    def __len__(self) -> int:
        if self._seen is None:
            return len(self._trials)
        return len(self._trials.keys() & self._seen.keys())
