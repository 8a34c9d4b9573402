"""report.html: one file for a stranger, no external resources. What a journal says is escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

from suite import __version__
from suite.core.escaping import for_html as escape
from suite.files import read_bytes
from suite.report import html_comparison, measures, reading, tables
from suite.report.contents import Report
from suite.report.figures import Figure
from suite.report.html_cards import cards
from suite.report.html_runs import made, runs_table
from suite.report.html_style import CSS, SCRIPT
from suite.report.output import attempt
from suite.report.problems import Problems
from suite.report.regret_chapter import Chapter, Table
from suite.report.runs import Group
from suite.report.statistics import Margin

_MAX_FIGURE_BYTES = 64 * 2**20
MOST_IMAGE_BYTES = 2_400_000
MOST_NAMED = 5
"""Algorithms besides the baseline that a headline names; of more it gives the number."""
"""Of all images of a page, as it holds them: a page can be sent by mail."""


class Room:
    """What is left of MOST_IMAGE_BYTES."""

    def __init__(self) -> None:
        self._left = MOST_IMAGE_BYTES

    def take(self, n_bytes: int) -> bool:
        """Whether so many bytes fit; they are then taken."""
        fits = n_bytes <= self._left
        self._left -= n_bytes if fits else 0
        return fits


def page(report: Report, out: Path | None = None) -> str:
    """The whole page. The policy in its head loads nothing and runs only the page's own script.

    out: the folder that the page is written to; links to journals and records are relative to it. None: none.
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    title = escape(" · ".join(group.title for group in report.groups) or "no runs")
    failures, room = [*report.failures], Room()
    sections = []
    for i, comparison in enumerate(report.comparisons):
        group = comparison.group
        section = functools.partial(
            _section, i, group, comparison.figures, report.margin, out, room
        )
        sections.append(attempt(group.title, section, failures) or "")
    chapters = [c for c in (report.deadlines, report.runs_chapter, report.chapter) if c]
    body = [_head(report.groups, chapters), _how_to_read()]
    if report.unreadable:
        body.append(_box("warn", "Could not be read", report.unreadable))
    if failures:
        body.append(_box("warn", "Could not be made", failures))
    body += sections
    body.append(_chapter(report.deadlines, (), room))
    body.append(_chapter(report.runs_chapter, (), room, report.price_figures))
    body += [
        _judged(i, judged, figures, room)
        for i, (judged, figures) in enumerate(report.judged_with_figures)
    ]
    body.append(_chapter(report.chapter, report.chapter_figures, room))
    body.append(_over_tables(report.ranks_sentences, report.ranks_figures, room))
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


def _head(groups: Sequence[Group], chapters: Sequence[Chapter]) -> str:
    runs = [run for group in groups for run in (*group.runs, *group.unfinished, *group.left_out)]
    days = sorted({run.view.began.date().isoformat() for run in runs})
    facts = [
        f"{len(runs)} run{'s' * (len(runs) != 1)}, {sum(run.completed for run in runs)} completed"
    ]
    if days:
        facts.append(days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}")
    links = [f'<a href="#g{i}">{escape(group.title)}</a>' for i, group in enumerate(groups)]
    links += [f'<a href="#{chapter.name}">{escape(chapter.title)}</a>' for chapter in chapters]
    contents = f"<nav>{''.join(links)}</nav>" if len(links) > 1 else ""
    return (
        '<header><p class="brand">swiftbench report</p>'
        f"<h1>{escape(_headline(groups))}</h1>"
        f'<p class="sub">{escape(" · ".join(facts))}</p>{contents}</header>'
    )


def _how_to_read() -> str:
    """The page's words, folded away."""
    terms = "".join(
        f"<dt>{escape(t)}</dt><dd>{escape(words)}</dd>" for t, words in reading.GLOSSARY
    )
    return (
        '<details class="reading"><summary>How to read this page</summary>'
        f"<dl>{terms}</dl></details>"
    )


def _headline(groups: Sequence[Group]) -> str:
    if len(groups) != 1:
        return f"{len(groups)} comparisons"
    names = list(dict.fromkeys(name.split(" [")[0] for name in groups[0].algorithms))
    first, others = names[0], names[1:]
    if not others or groups[0].baseline is None:
        return _and(names)
    if len(others) > MOST_NAMED:
        return f"{first} against {len(others)} other algorithms"
    return f"{first} against {_and(others)}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _section(
    index: int,
    group: Group,
    figures: Sequence[Figure],
    margin: Margin,
    out: Path | None,
    room: Room,
) -> str:
    parts = [f'<section id="g{index}"><h2>{escape(group.title)}</h2>', _badges(group)]
    if group.warnings:
        parts.append(_box("warn", "Warning", group.warnings))
    parts += [cards(group), '<h3 class="label">Comparison</h3>', html_comparison.table(group)]
    if tests := measures.tests(group, margin):
        parts.append(_sentences(tests))
    for title, lines in (
        ("Diverged", reading.diverged(group)),
        ("Not in these numbers", tables.notes(group)),
        ("Tuned against default", reading.tuned(group)),
        ("What to do next", reading.next_steps(group)),
    ):
        if lines:
            parts.append(_box("note", title, lines))
    parts += [_figure(figure, room) for figure in figures]
    parts += ['<h3 class="label">Runs</h3>', runs_table(group, out), made(group), "</section>"]
    return "\n".join(parts)


def _judged(index: int, judged: Problems, figures: Sequence[Figure], room: Room) -> str:
    name = f"problems{index or ''}"
    parts = [f'<section id="{name}"><h2>{escape(judged.title)}</h2>']
    for table in judged.tables:
        parts += [f"<h4>{escape(table.title)}</h4>", _plain_table(table)]
    parts += [_sentences(judged.sentences), *(_figure(figure, room) for figure in figures)]
    return "\n".join([*parts, "</section>"])


def _chapter(
    chapter: Chapter | None,
    figures: Sequence[Figure],
    room: Room,
    of_sections: Sequence[Figure | None] = (),
) -> str:
    """Figures, then a part for each section with its own figure, then what holds for all."""
    if chapter is None:
        return ""
    parts = [f'<section id="{chapter.name}"><h2>{escape(chapter.title)}</h2>']
    parts += [_figure(figure, room) for figure in figures]
    of_sections = of_sections or [None] * len(chapter.sections)
    for section, own in zip(chapter.sections, of_sections, strict=True):
        parts.append(f'<h3 class="label">{escape(section.title)}</h3>')
        parts.append(f'<p class="caption">{escape(section.about)}</p>')
        parts += [_figure(own, room)] if own else []
        for table in section.tables:
            parts += [f"<h4>{escape(table.title)}</h4>", _plain_table(table)]
        parts.append(_sentences(section.sentences))
    parts += ['<h3 class="label">How to read it</h3>', _sentences(chapter.sentences), "</section>"]
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


def _over_tables(sentences: Sequence[str], figures: Sequence[Figure], room: Room) -> str:
    if not sentences:
        return ""
    parts = ['<section id="ranks"><h2>Ranks over tables</h2>', _sentences(sentences)]
    parts += [_figure(figure, room) for figure in figures]
    return "\n".join([*parts, "</section>"])


def _sentences(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in sentences)
    return f'<ul class="tests">{items}</ul>'


def _figure(figure: Figure, room: Room) -> str:
    """The image itself; of what no longer fits into the page, its name, which lies beside it."""
    title, caption = escape(figure.title), escape(figure.caption)
    data = base64.b64encode(read_bytes(figure.path, max_bytes=_MAX_FIGURE_BYTES)).decode()
    if not room.take(len(data)):
        name = escape(figure.path.name)
        words = f'In a file of its own, for this page is full: <a href="{name}">{name}</a>'
        return f'<h3 class="label">{title}</h3><p class="caption">{words}</p>'
    image = f'<img alt="{title}: {caption}" src="data:image/png;base64,{data}">'
    return (
        f'<figure><h3 class="label">{title}</h3><div class="frame">{image}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _badges(group: Group) -> str:
    run = group.first
    labels = [
        f"{run.header.metric.name}, {run.better}",
        f"overlap {group.overlap}",
        f"max. {run.header.max_epochs} epochs a trial",
        f"{group.workers} worker{'s' * (group.workers != '1')}",
        run.header.target.framework or "",
        f"reproducible up to a point only: {_and(group.prefix_only)}" if group.prefix_only else "",
    ]
    data = f"{group.data} data" if group.data else "real data"
    badges = [f'<span class="badge{" loud" if group.data else ""}">{escape(data)}</span>']
    if group.simulated:
        badges.append('<span class="badge loud">simulated time</span>')
    badges += [f'<span class="badge">{escape(words)}</span>' for words in labels if words]
    return f'<p class="badges">{"".join(badges)}</p>'


def _box(kind: str, title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<aside class="{kind}"><b>{escape(title)}</b><ul>{items}</ul></aside>'
