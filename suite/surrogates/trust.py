"""Whether a forest may be believed: how it ranks what it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suite.surrogates.forest import Forest, rank_correlation


class Trust:
    """Measures each forest before it is used, and remembers what came out for the record.

    least: out-of-bag rank correlation below which a forest is not used; fallback: the name of the
    rule that stands then, and where there was never a forest.
    """

    def __init__(self, least: float, fallback: str) -> None:
        self._least, self._fallback = least, fallback
        self._found: list[float] = []
        self._n_distrusted = 0

    def fitted(self, X: Sequence[Sequence[float]], y: Sequence[float]) -> Forest | None:
        """A forest of X (n, d), y (n,); None: it could not rank what it had not seen."""
        forest = Forest()
        self._found.append(rank_correlation(forest.out_of_bag(X, y), y))
        if self._found[-1] < self._least:
            self._n_distrusted += 1
            return None
        return forest.fit(X, y)

    @property
    def measured(self) -> dict[str, Any]:
        found = self._found
        return {
            "fits": len(found),
            "out_of_bag_rank_correlation": {
                "first": round(found[0], 4) if found else None,
                "last": round(found[-1], 4) if found else None,
            },
            "least_correlation": self._least,
            "distrusted": self._n_distrusted,
            "fallback": self._fallback if not found or self._n_distrusted else None,
        }
