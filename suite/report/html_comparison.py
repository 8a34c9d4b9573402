"""The page's table of one comparison: a row an algorithm, a column a measure."""

from __future__ import annotations

from suite.core.escaping import for_html as escape
from suite.report import measures
from suite.report.measures import Measure
from suite.report.runs import Group
from suite.report.statistics import LEAST

_LEFT_OUT_IF_ZERO = ("stopped", "predictor")
"""Columns that say nothing where no algorithm has a predictor."""


_PAIRED = {"saved": "saved {} %", "ratio": "ratio {}", "difference": "diff. {}"}
"""Paired measures stand below the column that they compare, in these words."""


def table(group: Group) -> str:
    """Medians, with the range below in small. Columns in which no algorithm has a value are left out."""
    columns: list[list[Measure]] = []
    for measure in measures.measures(group):
        if measure.pair is not None:
            columns[-1].append(measure)
        elif _says_something(group, measure):
            columns.append([measure])
    head = "".join(f"<th>{_head(column)}</th>" for column in columns)
    rows = "".join(_row(group, name, columns) for name in group.algorithms)
    return (
        '<div class="scroll"><table class="sortable"><thead><tr><th>algorithm</th><th>seeds</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="caption">{escape(" ".join(_sentences(group)))}</p>'
    )


def _says_something(group: Group, measure: Measure) -> bool:
    cells = [measures.cell(group, measure, name) for name in group.algorithms]
    known = [cell for cell in cells if cell is not None]
    if measure.key in _LEFT_OUT_IF_ZERO:
        return any(cell.high for cell in known)
    return bool(known)


def _head(column: list[Measure]) -> str:
    """The column's title, and in small what its last line is."""
    first, *paired = column
    below = "".join(f"<small>{escape(measure.short)}</small>" for measure in paired)
    return f"{escape(first.short)}{below}"


def _row(group: Group, name: str, columns: list[list[Measure]]) -> str:
    lost, *kinds = group.not_completed(name).split(" ", 1)
    missing = f"<small>{escape(' '.join(kinds).strip('()'))}</small>" if lost != "0" else ""
    n = len(group.of(name))
    cells = [f'<td data-v="{n}">{n}{missing}</td>']
    for first, *paired in columns:
        over_seeds = measures.cell(group, first, name)
        middle, around = _shown(group, first, name)
        lines = [f"<small>{escape(around)}</small>"]
        lines += [f'<small class="paired">{escape(_pair(group, m, name))}</small>' for m in paired]
        value = "" if over_seeds is None else repr(over_seeds.median)
        cells.append(f'<td data-v="{value}">{escape(middle)}{"".join(lines)}</td>')
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'


def _shown(group: Group, measure: Measure, name: str) -> tuple[str, str]:
    """The median, and its range with n where that is not the number of seeds."""
    over_seeds = measures.cell(group, measure, name)
    middle, around = measures.parts(over_seeds, measure)
    below = ranged(around)
    if over_seeds is not None and over_seeds.n != len(group.of(name)):
        below += f" n = {over_seeds.n}"
    return middle, below.strip()


def _pair(group: Group, measure: Measure, name: str) -> str:
    if name == group.baseline:
        return "baseline"
    middle, around = _shown(group, measure, name)
    around = f" ({around})" if around else ""
    return "" if middle == "-" else _PAIRED[measure.key].format(middle) + around


def ranged(around: str) -> str:
    """`3..5` as people write it; with signs, a dash would read as one of them."""
    return around.replace("..", " to " if "+" in around or "-" in around else "\u2013")


def _sentences(group: Group) -> list[str]:
    sentences = [
        "Median over seeds; small: smallest to largest. Seeds: completed runs. Best validation: over all "
        "epochs of all trials; test: the winner's, scored once."
    ]
    if group.baseline:
        sentences.append(f"Saved, ratio and difference: paired by seed against {group.baseline}.")
    sentences.append(f"Values of {group.first.header.metric.name}. Overlap {group.overlap}.")
    sentences.append(f"Tests are made from {LEAST} pairs on.")
    return sentences
