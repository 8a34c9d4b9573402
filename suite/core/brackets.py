"""Brackets and rungs: what a run will train, as plain numbers; Hyperband's arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from suite.core.errors import check_integer


@dataclass(frozen=True, slots=True)
class Rung:
    """`n_trials` trials trained to `to_epoch` epochs in total; `n_next` survive it."""

    n_trials: int
    to_epoch: int
    n_next: int
    decision_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedBracket:
    """One bracket (s counts down from s_max to 0) with its rungs, first to last."""

    s: int
    rungs: tuple[Rung, ...]

    @property
    def n_trials(self) -> int:
        return self.rungs[0].n_trials

    @property
    def n_epochs(self) -> int:
        before = (0, *(r.to_epoch for r in self.rungs))
        return sum(r.n_trials * (r.to_epoch - b) for r, b in zip(self.rungs, before, strict=False))


@dataclass(frozen=True, slots=True)
class Plan:
    """Brackets in the order they start."""

    brackets: tuple[PlannedBracket, ...]
    upper_bound: bool = False
    """True where even without predictions less may be trained (asynchronous promotion)."""

    def assigned(self) -> list[tuple[PlannedBracket, list[int]]]:
        """Each bracket with its trials' ids: 0, 1, 2, ... through all brackets."""
        pairs, first = [], 0
        for bracket in self.brackets:
            pairs.append((bracket, list(range(first, first + bracket.n_trials))))
            first += bracket.n_trials
        return pairs

    @property
    def n_trials(self) -> int:
        return sum(b.n_trials for b in self.brackets)

    @property
    def n_epochs(self) -> int:
        return sum(b.n_epochs for b in self.brackets)


def hyperband_plan(max_epochs: int, eta: int) -> Plan:
    """Brackets and rungs for R = max_epochs and η = eta (Li et al. 2018, Algorithm 1).

    s_max is the exact integer logarithm: in floats log(243, 3) lies below 5. Rounds r_i to the
    nearest integer, halves to even, as the published runs did: with η = 2, R = 100 costs 3213
    epochs (halves up would cost 3235).
    """
    check_integer("eta", eta, 2, "(Li et al. 2018 use 3 or 4)")
    check_integer("max_epochs", max_epochs, 1)
    s_max = 0
    while eta ** (s_max + 1) <= max_epochs:
        s_max += 1
    brackets = []
    for s in range(s_max, -1, -1):
        n = -(-(s_max + 1) * eta**s // (s + 1))
        rungs = []
        for i in range(s + 1):
            n_i = n // eta**i
            r_i = round(Fraction(max_epochs, eta ** (s - i)))  # exact, halves to even
            rungs.append(Rung(n_i, r_i, max(n_i // eta, 1)))
        brackets.append(PlannedBracket(s, tuple(rungs)))
    return Plan(tuple(brackets))
