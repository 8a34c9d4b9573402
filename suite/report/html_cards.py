"""The cards at the head of a comparison: what each algorithm is good for, and what it costs."""

from __future__ import annotations

from suite.core.escaping import for_html as escape
from suite.report import measures
from suite.report.merits import Change, Merit, merits
from suite.report.runs import Group


def cards(group: Group) -> str:
    """One card an algorithm: in large its own largest gain, below it every change, and the quality."""
    found = merits(group)
    if not found:
        return ""
    words = (
        f"In large: the quantity in which an algorithm gains most on {group.baseline}, chosen from those "
        "below it after the runs. Changes in per cent, median over paired seeds: negative is better."
    )
    shown = "".join(_card(group, merit) for merit in found)
    return f'<div class="cards">{shown}</div><p class="caption">{escape(words)}</p>'


def _card(group: Group, merit: Merit) -> str:
    n = max(change.n for change in merit.changes)
    seeds = f"n = {n} paired seed{'s' * (n != 1)}, against {group.baseline}"
    if merit.gain is None:
        kinds = ", ".join(change.quantity for change in merit.changes)
        head = f'<p class="big">no gain</p><p class="range">in {escape(kinds)}; {escape(seeds)}</p>'
    else:
        percent = measures.fixed(-merit.gain.percent, 1)
        head = (
            f'<p class="big">{percent}<span> % {escape(merit.gain.less)}</span></p>'
            f'<p class="range">{escape(seeds)}</p>'
        )
    facts = [_fact(change.quantity, *_shown(change)) for change in merit.changes]
    facts.append(_difference(group, merit.algorithm))
    # What costs less and finds less is no gain by itself: said beside the large number.
    if merit.gain is not None and _is_worse(group, merit.algorithm):
        head += f'<p class="worse">but a worse {escape(group.metric)}</p>'
    return (
        f'<div class="card"><h4>{escape(merit.algorithm)}</h4>{head}<dl>{"".join(facts)}</dl></div>'
    )


def _shown(change: Change) -> tuple[str, str]:
    """The change, and its range over seeds."""
    middle = f"{measures.fixed(change.percent, 1, '+')} %"
    over_seeds = change.over_seeds
    if over_seeds is None:
        return middle, "of the means"
    if over_seeds.n < 2:
        return middle, ""
    low, high = (measures.fixed(end, 1, "+") for end in (over_seeds.low, over_seeds.high))
    return middle, "all equal" if low == high else f"{low} to {high}"


def _is_worse(group: Group, name: str) -> bool:
    """Whether the median over seeds of the paired difference is on the bad side."""
    difference = measures.cell(group, _difference_measure(group), name)
    return difference is not None and difference.median * group.first.sign > 0


def _difference_measure(group: Group) -> measures.Measure:
    return next(m for m in measures.measures(group) if m.key == "difference")


def _difference(group: Group, name: str) -> str:
    measure = _difference_measure(group)
    middle, around = measures.parts(measures.cell(group, measure, name), measure)
    return _fact(f"difference in {group.metric}", middle, around.replace("..", " to "))


def _fact(label: str, middle: str, around: str) -> str:
    return (
        f"<dt>{escape(label)}</dt><dd><b>{escape(middle)}</b> <small>{escape(around)}</small></dd>"
    )
