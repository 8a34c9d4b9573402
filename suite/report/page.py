"""report.html: one file for a stranger, no external resources. What a journal says is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from suite import __version__
from suite.report import measures, tables
from suite.report.chapter import TITLE, Chapter, Table
from suite.report.page_runs import runs_table
from suite.report.page_style import CSS, SCRIPT
from suite.report.runs import Group
from suite.report.statistics import LEAST, Margin

Figures = Sequence[tuple[Path, str, str]]
"""(file, title, caption) of each figure of a group."""


def page(
    groups: Sequence[tuple[Group, Figures]],
    unreadable: Sequence[str],
    margin: Margin,
    over_tables: tuple[Sequence[str], Figures] = ((), ()),
    on_tables: tuple[Chapter | None, Figures] = (None, ()),
) -> str:
    """The whole page; over_tables: sentences and figures on ranks over tables, if any.

    on_tables: the chapter on regret, if any, and its figures.

    The policy in its head loads nothing and runs only the page's own script.
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    title = escape(" · ".join(group.title for group, _ in groups) or "no runs")
    body = [_head([group for group, _ in groups], on_tables[0] is not None)]
    if unreadable:
        body.append(_box("warn", "Could not be read", unreadable))
    body += [_section(i, group, figures, margin) for i, (group, figures) in enumerate(groups)]
    body += [_on_tables(*on_tables), _over_tables(*over_tables)]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · swiftbench</title>
<style>{CSS}</style></head><body><main>
{"".join(body)}
<footer>swiftbench {escape(__version__)}. Every number and figure on this page is read from
the runs' journals; <code>python -m suite.report RUN_FOLDERS</code> makes it again.</footer>
</main><script>{SCRIPT}</script></body></html>
"""


def _head(groups: Sequence[Group], regret: bool) -> str:
    runs = [run for group in groups for run in (*group.runs, *group.unfinished, *group.left_out)]
    days = sorted({run.view.began.date().isoformat() for run in runs})
    said = [
        f"{len(runs)} run{'s' * (len(runs) != 1)}, {sum(run.completed for run in runs)} completed"
    ]
    if days:
        said.append(days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}")
    links = [f'<a href="#g{i}">{escape(group.title)}</a>' for i, group in enumerate(groups)]
    if regret:
        links.append(f'<a href="#regret">{escape(TITLE)}</a>')
    contents = f"<nav>{''.join(links)}</nav>" if len(groups) > 1 else ""
    return (
        '<header><p class="brand">swiftbench report</p>'
        f"<h1>{escape(_headline(groups))}</h1>"
        f'<p class="sub">{escape(" · ".join(said))}</p>{contents}</header>'
    )


def _headline(groups: Sequence[Group]) -> str:
    if len(groups) != 1:
        return f"{len(groups)} comparisons"
    names = list(dict.fromkeys(name.split(" [")[0] for name in groups[0].algorithms))
    first, others = names[0], names[1:]
    if not others or groups[0].baseline is None:
        return _and(names)
    return f"{first} against {_and(others)}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _section(index: int, group: Group, figures: Figures, margin: Margin) -> str:
    parts = [f'<section id="g{index}"><h2>{escape(group.title)}</h2>', _badges(group)]
    if group.warnings:
        parts.append(_box("warn", "Warning", group.warnings))
    parts += [_cards(group), '<h3 class="label">Comparison</h3>', _comparison(group)]
    if tests := measures.tests(group, margin):
        parts.append(_sentences(tests))
    if left := tables.notes(group):
        parts.append(_box("note", "Not in these numbers", left))
    parts += [_figure(path, title, said) for path, title, said in figures]
    parts += ['<h3 class="label">Runs</h3>', runs_table(group), "</section>"]
    return "\n".join(parts)


def _on_tables(found: Chapter | None, figures: Figures) -> str:
    """The chapter on regret: figures, then a part for each curve table, then what holds for all."""
    if found is None:
        return ""
    parts = [f'<section id="regret"><h2>{escape(TITLE)}</h2>']
    parts += [_figure(path, title, words) for path, title, words in figures]
    for section in found.sections:
        parts.append(f'<h3 class="label">{escape(section.title)}</h3>')
        parts.append(f'<p class="caption">{escape(section.about)}</p>')
        for table in section.tables:
            parts += [f"<h4>{escape(table.title)}</h4>", _plain_table(table)]
        parts.append(_sentences(section.said))
    parts += ['<h3 class="label">How to read it</h3>', _sentences(found.said), "</section>"]
    return "\n".join(parts)


def _plain_table(table: Table) -> str:
    """Cells as they are; sorted by the number that they begin with."""
    rows = []
    for name, *cells in table.rows:
        shown = "".join(f"<td{_sorted_by(cell)}>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{shown}</tr>')
    head = "".join(f"<th>{escape(label)}</th>" for label in table.head)
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sorted_by(cell: str) -> str:
    try:
        return f' data-v="{float(cell.split(" ")[0])!r}"'
    except ValueError:
        return ""


def _over_tables(said: Sequence[str], figures: Figures) -> str:
    if not said:
        return ""
    parts = ['<section id="ranks"><h2>Ranks over tables</h2>', _sentences(said)]
    parts += [_figure(path, title, words) for path, title, words in figures]
    return "\n".join([*parts, "</section>"])


def _sentences(said: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in said)
    return f'<ul class="tests">{items}</ul>'


def _figure(path: Path, title: str, said: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{escape(title)}: {escape(said)}" src="data:image/png;base64,{data}">'
    return (
        f'<figure><h3 class="label">{escape(title)}</h3><div class="frame">{image}</div>'
        f"<figcaption>{escape(said)}</figcaption></figure>"
    )


def _badges(group: Group) -> str:
    run = group.first
    said = [
        f"{run.target('metric')}, {run.better}",
        f"overlap {group.overlap}",
        f"max. {run.header.get('max_epochs')} epochs a trial",
        f"{group.workers} worker{'s' * (group.workers != '1')}",
        run.target("framework"),
        f"reproducible up to a point only: {_and(group.prefix_only)}" if group.prefix_only else "",
    ]
    data = f"{group.data} data" if group.data else "real data"
    badges = [f'<span class="badge{" loud" if group.data else ""}">{escape(data)}</span>']
    if group.simulated:
        badges.append('<span class="badge loud">simulated time</span>')
    badges += [f'<span class="badge">{escape(words)}</span>' for words in said if words]
    return f'<p class="badges">{"".join(badges)}</p>'


def _cards(group: Group) -> str:
    """What each algorithm saved and lost against the baseline, in three numbers."""
    found = {measure.key: measure for measure in measures.measures(group)}
    wanted = (
        ("ratio", "wall clock", " ×"),
        ("difference", f"difference in best validation {group.metric}", ""),
    )
    cards = []
    for name in group.algorithms:
        saved = measures.cell(group, found["saved"], name) if group.baseline else None
        if saved is None:
            continue
        facts = []
        for key, label, unit in wanted:
            middle, around = measures.parts(measures.cell(group, found[key], name), found[key])
            value = f"<b>{escape(middle)}{unit}</b> <small>{escape(_range(around))}</small>"
            facts.append(f"<dt>{escape(label)}</dt><dd>{value}</dd>")
        middle, around = measures.parts(saved, found["saved"])
        more = "fewer" if saved.median >= 0 else "more"
        seeds = f"n = {saved.n} paired seed{'s' * (saved.n != 1)}, against {group.baseline}"
        below = " · ".join(words for words in (_range(around), seeds) if words)
        cards.append(
            f'<div class="card"><h4>{escape(name)}</h4>'
            f'<p class="big">{escape(middle.lstrip("-"))}<span> % {more} epochs</span></p>'
            f'<p class="range">{escape(below)}</p><dl>{"".join(facts)}</dl></div>'
        )
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _range(around: str) -> str:
    """`3..5` as people write it; with signs, a dash would read as one of them."""
    return around.replace("..", " to " if "+" in around or "-" in around else "\u2013")


def _comparison(group: Group) -> str:
    """One row an algorithm: medians, with the range below in small."""
    wanted = measures.measures(group)
    head = "".join(f"<th>{escape(measure.short)}</th>" for measure in wanted)
    rows = []
    for name in group.algorithms:
        lost, *kinds = group.not_completed(name).split(" ", 1)
        cells = [f"<td>{len(group.of(name))}</td>"]
        cells.append(f"<td>{lost}<small>{escape(' '.join(kinds))}</small></td>")
        for measure in wanted:
            if measure.pair is not None and name == group.baseline:
                cells.append('<td class="quiet">baseline</td>')
                continue
            found = measures.cell(group, measure, name)
            middle, around = measures.parts(found, measure)
            below = escape(_range(around))
            if found is not None and found.n != len(group.of(name)):
                below += f" n = {found.n}"
            value = "" if found is None else repr(found.median)
            cells.append(f'<td data-v="{value}">{escape(middle)}<small>{below}</small></td>')
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    said = [
        "Median over seeds; small: smallest to largest. Best validation: over all epochs of all "
        "trials; test: the winner's, scored once."
    ]
    if group.baseline:
        said.append(f"Saved, ratio and difference: paired by seed against {group.baseline}.")
    said.append(f"Values of {group.first.target('metric')}. Overlap {group.overlap}.")
    said.append(f"Tests are made from {LEAST} pairs on.")
    return (
        '<div class="scroll"><table class="sortable"><thead><tr><th>algorithm</th><th>seeds</th>'
        f"<th>failed or unfinished</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="caption">{escape(" ".join(said))}</p>'
    )


def _box(kind: str, title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<aside class="{kind}"><b>{escape(title)}</b><ul>{items}</ul></aside>'
