"""Brackets and rungs: what a run will train, as plain numbers; Hyperband's arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from suite.core.errors import ConfigError, check_integer

MAX_TRIALS, MAX_EPOCHS, MAX_TRIAL_EPOCHS = 1_000_000, 10**9, 1_000_000
"""Of a run: trials, epochs of all of them, and of one. Trials and curves are held in memory, and each epoch
is a line of the journal; a plan beyond this is a slip of the keyboard."""


@dataclass(frozen=True, slots=True)
class PlannedRung:
    """`n_trials` trials trained to `to_epoch` epochs in total; `n_next` survive it."""

    n_trials: int
    to_epoch: int
    n_next: int
    decision_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedBracket:
    """One bracket (s counts down from s_max to 0) with its rungs, first to last."""

    s: int
    rungs: tuple[PlannedRung, ...]

    @property
    def n_trials(self) -> int:
        return self.rungs[0].n_trials

    @property
    def n_epochs(self) -> int:
        before = (0, *(r.to_epoch for r in self.rungs))
        return sum(r.n_trials * (r.to_epoch - b) for r, b in zip(self.rungs, before, strict=False))


@dataclass(frozen=True, slots=True)
class Plan:
    """Brackets in the order they start.

    Raises ConfigError for more trials or epochs than a run can hold.
    """

    brackets: tuple[PlannedBracket, ...]
    upper_bound: bool = False
    """True where even without predictions less may be trained (asynchronous promotion)."""

    def __post_init__(self) -> None:
        if not self.brackets:
            return
        for name, planned, most in (
            ("epochs of a trial", self.max_epochs, MAX_TRIAL_EPOCHS),
            ("trials", self.n_trials, MAX_TRIALS),
            ("epochs of all trials", self.n_epochs, MAX_EPOCHS),
        ):
            if planned > most:
                raise ConfigError(
                    f"the scheduler's plan: {planned:.3g} {name}; must be at most {most:,} in a run; "
                    "lower max_epochs, n_trials, or the scheduler's own number of them."
                )

    def assigned(self) -> list[tuple[PlannedBracket, list[int]]]:
        """Each bracket with its trials' ids: 0, 1, 2, ... through all brackets."""
        pairs, first = [], 0
        for bracket in self.brackets:
            pairs.append((bracket, list(range(first, first + bracket.n_trials))))
            first += bracket.n_trials
        return pairs

    @property
    def max_epochs(self) -> int:
        """The most epochs that a trial gets."""
        return max(rung.to_epoch for bracket in self.brackets for rung in bracket.rungs)

    @property
    def n_trials(self) -> int:
        return sum(b.n_trials for b in self.brackets)

    @property
    def n_epochs(self) -> int:
        return sum(b.n_epochs for b in self.brackets)


def share_in_epochs(share: float, max_epochs: int) -> int:
    """A share of R = max_epochs in whole epochs, rounded as `hyperband_plan` rounds its rungs; at least 1.

    So that a share of 1/4 is the rung of R/4, which is 12 where R is 50, and not the one after it.

    >>> share_in_epochs(0.25, 50), share_in_epochs(0.25, 2)
    (12, 1)
    """
    return max(round(Fraction(str(share)) * max_epochs), 1)


def hyperband_plan(max_epochs: int, eta: int) -> Plan:
    """Brackets and rungs for R = max_epochs and η = eta (Li et al. 2018, Algorithm 1).

    s_max is the exact integer logarithm: in floats log(243, 3) lies below 5. Rounds r_i to the
    nearest integer, halves to even, as the published runs did: with η = 2, R = 100 costs 3213
    epochs (halves up would cost 3235).

    >>> plan = hyperband_plan(max_epochs=9, eta=3)
    >>> [(r.n_trials, r.to_epoch) for r in plan.brackets[0].rungs]
    [(9, 1), (3, 3), (1, 9)]
    >>> plan.n_trials, plan.n_epochs
    (17, 69)
    """
    check_integer("eta", eta, 2, "(Li et al. 2018 use 3 or 4)")
    # Here too, and not in Plan alone: the brackets of a number of ten thousand digits have no end.
    check_integer("max_epochs", max_epochs, 1, most=MAX_TRIAL_EPOCHS)
    s_max = 0
    while eta ** (s_max + 1) <= max_epochs:
        s_max += 1
    brackets = []
    for s in range(s_max, -1, -1):
        n = -(-(s_max + 1) * eta**s // (s + 1))
        rungs = []
        for i in range(s + 1):
            n_i = n // eta**i
            # exact, halves to even
            r_i = round(Fraction(max_epochs, eta ** (s - i)))
            rungs.append(PlannedRung(n_i, r_i, max(n_i // eta, 1)))
        brackets.append(PlannedBracket(s, tuple(rungs)))
    return Plan(tuple(brackets))
