"""The comparison in text: a column an algorithm, a row a measure; for terminals and Markdown."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence

from suite.core.escaping import for_markdown
from suite.core.printable import printable
from suite.report import reading
from suite.report.contents import Report
from suite.report.figures import Figure
from suite.report.measures import Measure, cell, measures, parts, saved_by_prediction, tests
from suite.report.output import attempt
from suite.report.problems import Problems
from suite.report.regret_chapter import Chapter, Table
from suite.report.runs import Group
from suite.report.statistics import Margin

WIDTH = 118
SPREAD = "median (smallest..largest over seeds)"


def text_cell(group: Group, measure: Measure, algorithm: str) -> str:
    """One cell: `median (smallest..largest)`, with n where it is not the number of seeds."""
    if measure.pair is not None and algorithm == group.baseline:
        return "baseline"
    over_seeds = cell(group, measure, algorithm)
    middle, around = parts(over_seeds, measure)
    n = (
        f" n={over_seeds.n}"
        if over_seeds is not None and over_seeds.n != len(group.of(algorithm))
        else ""
    )
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
    facts = [
        f"{group.data} data" if group.data else "real data",
        *(["SIMULATED TIME"] if group.simulated else []),
        f"overlap {group.overlap}",
        f"{run.header.metric.name} ({run.better})",
        f"max_epochs {run.header.max_epochs}",
        f"workers {group.workers}",
        SPREAD,
    ]
    if group.prefix_only:
        facts.append(f"reproducible up to a point only: {', '.join(group.prefix_only)}")
    if group.baseline:
        facts.append(f"paired: against {group.baseline} at the same seed")
    return "; ".join(facts)


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


def _beside(group: Group) -> list[str]:
    return [*reading.diverged(group), *notes(group), *reading.next_steps(group)]


def as_text(group: Group, margin: Margin, width: int = WIDTH) -> str:
    """Aligned text at most `width` characters wide; algorithms that do not fit continue below."""
    lines = [printable(group.title), *_folded(caption(group), width)]
    for warning in group.warnings:
        lines += _folded(f"WARNING: {warning}", width)
    names = list(group.algorithms)
    while names:
        take = len(names)
        while take > 1 and _width(rows(group, names[:take])) > width:
            take -= 1
        lines += ["", *_aligned(rows(group, names[:take]))]
        names = names[take:]
    results = (*saved_by_prediction(group), *tests(group, margin))
    for title, sentences in (
        (None, results),
        ("diverged:", reading.diverged(group)),
        ("not in these numbers:", notes(group)),
        ("tuned against default:", reading.tuned(group)),
        ("what to do next:", reading.next_steps(group)),
    ):
        if sentences:
            lines += ["", *([title] if title else [])]
            lines += [line for sentence in sentences for line in _folded(sentence, width)]
    return "\n".join(line.rstrip() for line in lines)


def sentences_as_text(sentences: Sequence[str], width: int = WIDTH) -> str:
    lines = [line for sentence in sentences for line in _folded(sentence, width)]
    return "\n".join(lines)


def chapter_as_text(chapter: Chapter, width: int = WIDTH) -> str:
    """The chapter's tables and sentences; columns that do not fit continue below."""
    lines = [chapter.title]
    for section in chapter.sections:
        lines += ["", printable(section.title), *_folded(section.about, width)]
        lines += _tables_as_text(section.tables, width)
        lines += [
            "",
            *(line for sentence in section.sentences for line in _folded(sentence, width)),
        ]
    lines += ["", *(line for sentence in chapter.sentences for line in _folded(sentence, width))]
    return "\n".join(line.rstrip() for line in lines)


def judged_as_text(judged: Problems, width: int = WIDTH) -> str:
    """What holds over all tables; columns that do not fit continue below."""
    lines = [judged.title, *_tables_as_text(judged.tables, width), ""]
    lines += [line for sentence in judged.sentences for line in _folded(sentence, width)]
    return "\n".join(line.rstrip() for line in lines)


def _tables_as_text(tables: Sequence[Table], width: int) -> list[str]:
    lines = []
    for table in tables:
        lines += ["", *_folded(table.title, width)]
        for part in _split([table.head, *table.rows], width):
            lines += _aligned(part)
    return lines


def judged_as_markdown(judged: Problems, figures: Sequence[tuple[str, str]]) -> list[str]:
    """The same for report.md; figures: (file name, caption)."""
    lines = [f"## {for_markdown(judged.title)}", "", *markdown_figures(figures)]
    lines += _tables_as_markdown(judged.tables)
    return [*lines, *markdown_sentences(judged.sentences)]


def _tables_as_markdown(tables: Sequence[Table]) -> list[str]:
    lines = []
    for table in tables:
        lines += [f"**{for_markdown(table.title)}**", ""]
        head, *body = (" | ".join(map(for_markdown, r)) for r in (table.head, *table.rows))
        lines += [f"| {head} |", "|---|" + "---:|" * (len(table.head) - 1)]
        lines += [*(f"| {row} |" for row in body), ""]
    return lines


def chapter_as_markdown(
    chapter: Chapter,
    figures: Sequence[tuple[str, str]],
    of_sections: Sequence[Sequence[tuple[str, str]]] = (),
) -> list[str]:
    """The chapter for report.md; figures: (file name, caption), of the chapter and of each section."""
    lines = [f"## {chapter.title}", "", *markdown_figures(figures)]
    of_sections = of_sections or [()] * len(chapter.sections)
    for section, own in zip(chapter.sections, of_sections, strict=True):
        lines += [f"### {for_markdown(section.title)}", "", for_markdown(section.about), ""]
        lines += markdown_figures(own)
        lines += [*_tables_as_markdown(section.tables), *markdown_sentences(section.sentences)]
    return [*lines, *markdown_sentences(chapter.sentences)]


def _split(table: Sequence[Sequence[str]], width: int) -> list[list[list[str]]]:
    """A table as several that fit, each with the first column."""
    tables, columns = [], list(range(1, len(table[0])))
    while columns:
        take = len(columns)
        while (
            take > 1 and _width([[row[i] for i in (0, *columns[:take])] for row in table]) > width
        ):
            take -= 1
        tables.append([[row[i] for i in (0, *columns[:take])] for row in table])
        columns = columns[take:]
    return tables


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(printable(cell)) for cell in column) for column in zip(*table, strict=True)]


def _width(table: Sequence[Sequence[str]]) -> int:
    return sum(width + 2 for width in _widths(table)) - 2


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = _widths(table)
    out = [
        "  ".join(printable(cell).ljust(w) for cell, w in zip(row, widths, strict=True))
        for row in table
    ]
    out.insert(1, "  ".join("-" * w for w in widths))
    return out


def _folded(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text), width, subsequent_indent="  ", break_on_hyphens=False
    ) or [""]


def as_markdown(group: Group, margin: Margin, figures: Sequence[tuple[str, str]]) -> str:
    """A section for report.md; figures: (file name, caption)."""
    lines = [f"## {for_markdown(group.title)}", "", for_markdown(caption(group)), ""]
    for warning in group.warnings:
        lines += [f"> **WARNING: {for_markdown(warning)}**", ""]
    head, *body = rows(group, group.algorithms)
    lines.append("| " + " | ".join(map(for_markdown, head)) + " |")
    lines.append("|---|" + "---:|" * len(group.algorithms))
    for label, *cells in body:
        indent = "&nbsp;&nbsp;" if label.startswith(" ") else ""
        shown = " | ".join(map(for_markdown, cells))
        lines.append(f"| {indent}{for_markdown(label.strip())} | {shown} |")
    lines.append("")
    for sentences in ((*saved_by_prediction(group), *tests(group, margin)), _beside(group)):
        lines += markdown_sentences(sentences)
    return "\n".join([*lines, *markdown_figures(figures)])


def markdown_sentences(sentences: Sequence[str]) -> list[str]:
    return [f"- {for_markdown(sentence)}" for sentence in sentences] + ([""] if sentences else [])


def markdown_figures(figures: Sequence[tuple[str, str]]) -> list[str]:
    lines = []
    for name, words in figures:
        shown = for_markdown(words)
        lines += [f"![{shown}]({name})", "", f"*{shown}*", ""]
    return lines


# --- the whole report ----------------------------------------------------------------------------


def report_as_text(report: Report) -> str:
    """All of it for a terminal. A comparison that cannot be shown is named, with the reason."""
    failures = [*report.failures]
    texts = []
    for group in report.groups:
        text = attempt(group.title, functools.partial(as_text, group, report.margin), failures)
        texts += [text] if text is not None else []
    texts += [judged_as_text(judged) for judged in report.judged]
    for chapter in (report.deadlines, report.runs_chapter, report.chapter):
        texts += [chapter_as_text(chapter)] if chapter else []
    if report.ranking:
        texts.append(sentences_as_text(report.ranks_sentences))
    texts += [printable(f"could not be read: {line}") for line in report.unreadable]
    texts += [printable(f"could not be made: {line}") for line in failures]
    return "\n\n\n".join(texts)


def report_as_markdown(report: Report) -> str:
    """All of it as report.md, with its figures beside it."""
    failures = [*report.failures]
    sections = []
    for comparison in report.comparisons:
        captions = _captions(comparison.figures)
        section = functools.partial(as_markdown, comparison.group, report.margin, captions)
        text = attempt(comparison.group.title, section, failures)
        sections += [text] if text is not None else []
    for judged, figures in report.judged_with_figures:
        sections += judged_as_markdown(judged, _captions(figures))
    if report.deadlines:
        sections += chapter_as_markdown(report.deadlines, ())
    if report.runs_chapter:
        own = [_captions([figure] if figure else []) for figure in report.price_figures]
        sections += chapter_as_markdown(report.runs_chapter, (), own)
    if report.chapter:
        sections += chapter_as_markdown(report.chapter, _captions(report.chapter_figures))
    if report.ranks_sentences:
        sections += ["## Ranks over tables", "", *markdown_sentences(report.ranks_sentences)]
        sections += markdown_figures(_captions(report.ranks_figures))
    head = ["# swiftbench report", ""]
    head += [f"> **Could not be read:** {for_markdown(line)}\n" for line in report.unreadable]
    head += [f"> **Could not be made:** {for_markdown(line)}\n" for line in failures]
    return "\n".join([*head, *sections])


def _captions(figures: Sequence[Figure]) -> list[tuple[str, str]]:
    return [(figure.path.name, f"{figure.title}. {figure.caption}") for figure in figures]
