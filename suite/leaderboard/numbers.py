"""Figures of merit as cells: rounded, with their range, and with a value to sort by."""

from __future__ import annotations

import math

from suite.core.escaping import for_html as escape
from suite.leaderboard.entries import Result
from suite.results.spread import Spread

HEADS = {
    "seconds_to_target": "seconds to target",
    "node_hours_to_target": "node-hours to target",
    "joules_to_target": "joules to target",
    "trials_per_hour": "trials an hour",
    "not_training_share": "not training",
    "best": "best value",
    "epochs": "epochs",
    "seconds": "seconds",
    "node_hours": "node-hours",
    "joules": "joules",
    "predictor_seconds": "predictor seconds",
}
"""Figure -> head of its column, in the order of docs/rules.md."""


_SAID_ABOVE = ("1/h", "epochs", "s", "J", "h")
"""Units that the heads of columns name."""


def run_cell(figure: tuple[float | None, str]) -> str:
    """A cell of one run's (value, unit): inf: not reached, None: not known."""
    value, unit = figure
    if value is None:
        return '<td data-v="">-</td>'
    if math.isinf(value):
        return '<td data-v="1e300">not reached</td>'
    return f'<td data-v="{value!r}">{escape(shown(value, _unit_beside(unit)))}</td>'


def _unit_beside(unit: str) -> str:
    return "" if unit in _SAID_ABOVE else unit


def figure_cell(result: Result, figure: str) -> str:
    """A cell of the median, and below it the range over the runs."""
    spread, unit = result.figures.get(figure, (None, ""))
    if spread is None:
        return '<td data-v="">-</td>'
    if math.isinf(spread.median):
        missed = f"{spread.n_missed} of {spread.n} missed it"
        return f'<td data-v="1e300">not reached<small>{escape(missed)}</small></td>'
    text = shown(spread.median, _unit_beside(unit))
    return f'<td data-v="{spread.median!r}">{escape(text)}<small>{escape(_around(spread))}</small></td>'


def _around(spread: Spread) -> str:
    if spread.n_missed:
        return f"{spread.n_missed} of {spread.n} missed it"
    low, high = shown(spread.low, ""), shown(spread.high, "")
    return "" if low == high else f"{low} to {high}"


def shown(value: float, unit: str) -> str:
    """Three digits or more, as people write numbers.

    >>> shown(12345.6, "s"), shown(0.01234, "1"), shown(3.0, "h")
    ('12,346 s', '0.0123', '3 h')
    """
    size = abs(value)
    text = f"{value:,.0f}" if 1000 <= size < 1e15 else f"{value:.3g}"
    return text if unit in ("", "1") else f"{text} {unit}"
