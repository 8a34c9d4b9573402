"""What a run found, measured on its table: the winner at max_epochs, and normalised regret."""

from __future__ import annotations

from typing import Any

from suite.views import RunView


def table_of(view: RunView) -> str:
    """The curve table's name where the header has a reference, else the model's."""
    if "reference" not in view.header:
        return str(view.header["model"])
    config: dict[str, Any] = view.header.get("config") or {}
    file = ((config.get("model") or {}).get("description") or {}).get("file", "table")
    return str(file).removesuffix(".csv")


def final(view: RunView) -> float | None:
    """The winner's objective (minimised) at max_epochs; None without a winner."""
    if view.winner is None:
        return None
    return view.trials[view.winner].epochs[-1].objective


def scale(view: RunView) -> tuple[float, float] | None:
    """Values of the metric at which regret is 0 and 1: the table's best and median.

    None where no table is known, or all of it is equal.
    """
    reference = view.header.get("reference")
    if not reference or reference["median"] == reference["best"]:
        return None
    return float(reference["best"]), float(reference["median"])


def nregret(view: RunView) -> float | None:
    """(winner at max_epochs - table's best) / (table's median - table's best); None: unknown.

    0: nothing in the table is better; 1: a random configuration does as well half of the time.
    """
    ends, found = scale(view), final(view)
    if ends is None or found is None:
        return None
    best, median = ends
    return (view.value(found) - best) / (median - best)
