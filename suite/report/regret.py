"""What a run found, measured on its table: the winner at max_epochs, and normalised regret."""

from __future__ import annotations

from suite.core.catalogue import Entry
from suite.files import published_tables
from suite.results.run_view import RunView


def table_of(view: RunView) -> str:
    """The curve table's name: of one of the catalogue its task, of another its file's; of no table the
    model's.
    """
    entry = published(view)
    return entry.name if entry is not None else view.header.table


def published(view: RunView) -> Entry | None:
    """The catalogue's entry of the table that a run searched; None for another target."""
    file = f"{view.header.table}.csv"
    return next((one for one in published_tables().values() if one.file == file), None)


def final(view: RunView) -> float | None:
    """The winner's objective (minimised) at max_epochs; None without a winner."""
    if view.winner is None:
        return None
    return view.trials[view.winner].epochs[-1].objective


def scale(view: RunView) -> tuple[float, float] | None:
    """Values of the metric at which regret is 0 and 1: the table's best and median.

    None where no table is known, or all of it is equal.
    """
    reference = view.header.reference
    if reference is None or reference.median == reference.best:
        return None
    return reference.best, reference.median


def nregret(view: RunView) -> float | None:
    """(winner at max_epochs - table's best) / (table's median - table's best); None: unknown.

    0: nothing in the table is better; 1: a random configuration does as well half of the time.
    """
    ends, objective = scale(view), final(view)
    if ends is None or objective is None:
        return None
    best, median = ends
    return (view.value(objective) - best) / (median - best)
