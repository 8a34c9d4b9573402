"""What a run of `suite.schedulers.price` measured of itself, for the record."""

from __future__ import annotations

from typing import Any

from suite.surrogates.ladder import Ladder

_SAMPLES = 16
"""Prices in the record: one each sixteenth of the budget."""


class Measured:
    """Counted while it decides; nothing is decided by it."""

    def __init__(self) -> None:
        self.n_jobs = 0
        self.left_out: set[int] = set()
        """Numbers of trials that were paused once and could not finish any more."""
        self.n_no_fresh = 0
        """Decisions in which no new trial could."""
        # (share of the budget that was used, price)
        self._prices: list[tuple[float, float]] = []

    def sample(self, used: float, price: float) -> None:
        """Keep the price of a decision, where a sixteenth of the budget is over since the last one."""
        if not self._prices or used >= self._prices[-1][0] + 1 / _SAMPLES:
            self._prices.append((used, price))

    def diagnostics(self, n_begun: int) -> dict[str, Any]:
        return {
            "fresh_share_of_jobs": round(n_begun / self.n_jobs, 4) if self.n_jobs else None,
            "prices": [[round(used, 4), round(price, 6)] for used, price in self._prices],
            "left_out": {"trials": len(self.left_out), "no_new_trial": self.n_no_fresh},
        }


def rungs_measured(ladder: Ladder) -> dict[str, Any]:
    """Of each rung: epochs, trials, how its ranks agree with those of the next, on how many trials."""
    return {
        "epochs": list(ladder.rungs),
        "trials": [ladder.n_at(k) for k in range(len(ladder.rungs))],
        "correlation_with_next": [round(rho, 4) for rho in ladder.agreement],
        "measured_on": list(ladder.n_measured),
    }
