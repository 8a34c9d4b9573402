"""The comparison in text: a column an algorithm, a row a measure; for terminals and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from suite.report.chapter import TITLE, Chapter
from suite.report.measures import Measure, cell, measures, parts, saved_by_prediction, tests
from suite.report.runs import Group
from suite.report.statistics import Margin

WIDTH = 118
SPREAD = "median (smallest..largest over seeds)"


def text_cell(group: Group, measure: Measure, algorithm: str) -> str:
    """One cell: `median (smallest..largest)`, with n where it is not the number of seeds."""
    if measure.pair is not None and algorithm == group.baseline:
        return "baseline"
    found = cell(group, measure, algorithm)
    middle, around = parts(found, measure)
    n = f" n={found.n}" if found is not None and found.n != len(group.of(algorithm)) else ""
    return f"{middle} ({around})" + n if around else middle + n


def rows(group: Group, algorithms: Sequence[str]) -> list[list[str]]:
    """Header and rows as strings, the first column being labels."""
    n = [str(len(group.of(name))) for name in algorithms]
    lost = [group.not_completed(name) for name in algorithms]
    out = [["", *algorithms], ["seeds (n)", *n], ["runs failed or unfinished", *lost]]
    for measure in measures(group):
        out.append([measure.label, *(text_cell(group, measure, name) for name in algorithms)])
    return out


def caption(group: Group) -> str:
    """What a reader must know before the numbers: data, overlap, metric, budget, what is shown."""
    run = group.first
    said = [
        f"{group.data} data" if group.data else "real data",
        *(["SIMULATED TIME"] if group.simulated else []),
        f"overlap {group.overlap}",
        f"{run.target('metric')} ({run.better})",
        f"max_epochs {run.header.get('max_epochs')}",
        f"workers {group.workers}",
        SPREAD,
    ]
    if group.prefix_only:
        said.append(f"reproducible up to a point only: {', '.join(group.prefix_only)}")
    if group.baseline:
        said.append(f"paired: against {group.baseline} at the same seed")
    return "; ".join(said)


def notes(group: Group) -> list[str]:
    """Runs that the numbers leave out, with the reason."""
    lines = []
    for run in group.unfinished:
        why = f"{run.view.status}: {run.view.reason}" if run.view.reason else run.view.status
        after = f"({run.view.n_epochs:,} epochs; {run.place})"
        lines.append(f"{run.algorithm} seed {run.seed}: {why} {after}")
    for run in group.left_out:
        why = "left out, a newer run has the same seed"
        lines.append(f"{run.algorithm} seed {run.seed}: {why} ({run.place})")
    return lines


def as_text(group: Group, margin: Margin, width: int = WIDTH) -> str:
    """Aligned text at most `width` characters wide; algorithms that do not fit continue below."""
    lines = [group.title, *_folded(caption(group), width)]
    for warning in group.warnings:
        lines += _folded(f"WARNING: {warning}", width)
    names = list(group.algorithms)
    while names:
        take = len(names)
        while take > 1 and _width(rows(group, names[:take])) > width:
            take -= 1
        lines += ["", *_aligned(rows(group, names[:take]))]
        names = names[take:]
    said_by = (*saved_by_prediction(group), *tests(group, margin))
    for title, said in ((None, said_by), ("not in these numbers:", notes(group))):
        if said:
            lines += ["", *([title] if title else [])]
            lines += [line for sentence in said for line in _folded(sentence, width)]
    return "\n".join(printable(line).rstrip() for line in lines)


def sentences_as_text(said: Sequence[str], width: int = WIDTH) -> str:
    lines = [line for sentence in said for line in _folded(sentence, width)]
    return "\n".join(printable(line) for line in lines)


def chapter_as_text(found: Chapter, width: int = WIDTH) -> str:
    """The chapter's tables and sentences; columns that do not fit continue below."""
    lines = [TITLE]
    for section in found.sections:
        lines += ["", section.title, *_folded(section.about, width)]
        for table in section.tables:
            lines += ["", *_folded(table.title, width)]
            for part in _split([table.head, *table.rows], width):
                lines += _aligned(part)
        lines += ["", *(line for said in section.said for line in _folded(said, width))]
    lines += ["", *(line for said in found.said for line in _folded(said, width))]
    return "\n".join(printable(line).rstrip() for line in lines)


def chapter_as_markdown(found: Chapter, figures: Sequence[tuple[str, str]]) -> list[str]:
    """The chapter for report.md; figures: (file name, caption)."""
    lines = [f"## {TITLE}", "", *markdown_figures(figures)]
    for section in found.sections:
        lines += [f"### {escape_markdown(section.title)}", "", escape_markdown(section.about), ""]
        for table in section.tables:
            lines += [f"**{escape_markdown(table.title)}**", ""]
            head, *body = (" | ".join(map(escape_markdown, r)) for r in (table.head, *table.rows))
            lines += [f"| {head} |", "|---|" + "---:|" * (len(table.head) - 1)]
            lines += [*(f"| {row} |" for row in body), ""]
        lines += markdown_sentences(section.said)
    return [*lines, *markdown_sentences(found.said)]


def _split(table: Sequence[Sequence[str]], width: int) -> list[list[list[str]]]:
    """A table as several that fit, each with the first column."""
    found, columns = [], list(range(1, len(table[0])))
    while columns:
        take = len(columns)
        while (
            take > 1 and _width([[row[i] for i in (0, *columns[:take])] for row in table]) > width
        ):
            take -= 1
        found.append([[row[i] for i in (0, *columns[:take])] for row in table])
        columns = columns[take:]
    return found


def _width(table: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*table, strict=True)) - 2


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    out = ["  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in table]
    out.insert(1, "  ".join("-" * w for w in widths))
    return out


def _folded(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def printable(text: str) -> str:
    """Without the control characters by which a message could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def as_markdown(group: Group, margin: Margin, figures: Sequence[tuple[str, str]]) -> str:
    """A section for report.md; figures: (file name, caption)."""
    lines = [f"## {escape_markdown(group.title)}", "", escape_markdown(caption(group)), ""]
    for warning in group.warnings:
        lines += [f"> **WARNING: {escape_markdown(warning)}**", ""]
    head, *body = rows(group, group.algorithms)
    lines.append("| " + " | ".join(map(escape_markdown, head)) + " |")
    lines.append("|---|" + "---:|" * len(group.algorithms))
    for label, *cells in body:
        indent = "&nbsp;&nbsp;" if label.startswith(" ") else ""
        shown = " | ".join(map(escape_markdown, cells))
        lines.append(f"| {indent}{escape_markdown(label.strip())} | {shown} |")
    lines.append("")
    for said in ((*saved_by_prediction(group), *tests(group, margin)), notes(group)):
        lines += markdown_sentences(said)
    return "\n".join([*lines, *markdown_figures(figures)])


def markdown_sentences(said: Sequence[str]) -> list[str]:
    return [f"- {escape_markdown(sentence)}" for sentence in said] + ([""] if said else [])


def markdown_figures(figures: Sequence[tuple[str, str]]) -> list[str]:
    lines = []
    for name, words in figures:
        shown = escape_markdown(words)
        lines += [f"![{shown}]({name})", "", f"*{shown}*", ""]
    return lines


def escape_markdown(text: str) -> str:
    """Text from a journal as plain text: neither markup nor HTML nor another cell."""
    out = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|":
        out = out.replace(mark, "\\" + mark)
    return " ".join(out.split())
