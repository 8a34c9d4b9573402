"""Floor 5: tables, statistics, figures and one page from run folders. Reads journals only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from suite.report import chapter, ranks, tables
from suite.report import summary as summary_json
from suite.report.groups import collect
from suite.report.runs import Group, common_parent
from suite.report.statistics import Margin

MOST_DRAWN = 8
"""Comparisons that get figures: a sweep over clusters has dozens; the tables say all."""

FORMATS = ("html", "md", "png")

__all__ = ["FORMATS", "summary", "write"]

Draw = Callable[[Group, Path], Path | None]


def write(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    margin: Margin | None = None,
    formats: Sequence[str] = FORMATS,
) -> Path:
    """Report on every run at or below `folders`; returns the folder it was written to.

    out: default `report` in the folders' common parent; margin: of equivalence in quality (default
    5 % of the baseline's median best value); formats: of html, md, png (figures are always drawn).
    Raises ConfigError where there is no run, or for an unknown format.
    """
    from suite.core.errors import unknown_name

    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
    groups, unreadable = collect(folders)
    margin = margin or Margin()
    out = out or common_parent(folders) / "report"
    out.mkdir(parents=True, exist_ok=True)
    summary_json.write(
        [run.view for group in groups for run in (*group.runs, *group.left_out)], out
    )
    slugs = [group.slug.lower() for group in groups]
    drawn = []
    for i, group in enumerate(groups):
        twin = f"-{slugs[:i].count(slugs[i]) + 1}" if slugs[i] in slugs[:i] else ""
        found = _figures(group, out, f"{group.slug}{twin}") if i < MOST_DRAWN else []
        drawn.append((group, found))
    found_ranks = ranks.rank(groups)
    said = ranks.sentences(found_ranks) if found_ranks else []
    over = _ranks_figure(found_ranks, out) if found_ranks else []
    on_tables = chapter.chapter(groups, ranked=found_ranks is not None)
    regret = _regret_figure(on_tables, out) if on_tables else []
    if "md" in formats:
        text = ["# swiftbench report", ""]
        text += [
            f"> **Could not be read:** {tables.escape_markdown(line)}\n" for line in unreadable
        ]
        for group, found in drawn:
            captions = [(path.name, f"{title}. {said}") for path, title, said in found]
            text.append(tables.as_markdown(group, margin, captions))
        if on_tables:
            captions = [(path.name, f"{title}. {words}") for path, title, words in regret]
            text += tables.chapter_as_markdown(on_tables, captions)
        if said:
            captions = [(path.name, f"{title}. {words}") for path, title, words in over]
            text += ["## Ranks over tables", "", *tables.markdown_sentences(said)]
            text += tables.markdown_figures(captions)
        (out / "report.md").write_text("\n".join(text), encoding="utf-8")
    if "html" in formats:
        from suite.report.page import page

        (out / "report.html").write_text(
            page(drawn, unreadable, margin, (said, over), (on_tables, regret)), encoding="utf-8"
        )
    return out


def summary(folders: Sequence[Path], *, margin: Margin | None = None) -> str:
    """The comparisons as plain text for a terminal. Raises ConfigError where there is no run."""
    groups, unreadable = collect(folders)
    texts = [tables.as_text(group, margin or Margin()) for group in groups]
    found = ranks.rank(groups)
    if on_tables := chapter.chapter(groups, ranked=found is not None):
        texts.append(tables.chapter_as_text(on_tables))
    if found:
        texts.append(tables.sentences_as_text(ranks.sentences(found)))
    texts += [tables.printable(f"could not be read: {line}") for line in unreadable]
    return "\n\n\n".join(texts)


def _ranks_figure(found: ranks.Ranks, out: Path) -> list[tuple[Path, str, str]]:
    from suite.report import ranks_figure

    path = ranks_figure.draw(found, out / ranks_figure.NAME)
    caption = (
        f"Mean ranks over n = {found.n_blocks} blocks of {len(found.tables)} tables (1 is best). "
        "Algorithms under one bar lie no further apart than the critical difference (Nemenyi, 5 %)."
    )
    return [(path, "Critical differences", caption)] if path is not None else []


def _regret_figure(found: chapter.Chapter, out: Path) -> list[tuple[Path, str, str]]:
    from suite.report import chapter_figure

    path = chapter_figure.draw(found, out / chapter_figure.NAME)
    return [(path, *chapter_figure.caption(found))] if path is not None else []


def _figures(group: Group, out: Path, prefix: str) -> list[tuple[Path, str, str]]:
    """Draw what the group's runs allow: (file, title, caption) each."""
    from suite.report import figures, portraits, style

    n = ", ".join(f"{name} n = {len(group.of(name))}" for name in group.algorithms)
    time = "; simulated time" if group.simulated else ""
    about = f"Overlap {group.overlap}{time}" + (f"; {group.data} data." if group.data else ".")
    example = f"One run an algorithm, its lowest seed. {about}"
    wanted: list[tuple[str, str, str, Draw]] = [
        (
            "anytime",
            "Best value over time",
            f"Best validation {group.metric} found so far, against epochs and wall clock. Line: "
            "median over seeds; band: smallest to largest; dots: where each seed ended. "
            f"{n}. {about}",
            figures.anytime,
        ),
        (
            "comparison",
            "Cost and quality",
            f"Epochs trained and best validation {group.metric} of every seed; bar: median; grey "
            "lines join runs of the same seed, which meet the same trials; per cent: median of the "
            f"paired differences. {n}. {about}",
            figures.comparison,
        ),
        (
            "curves",
            "Learning curves",
            "Every trial of one run, coloured by bracket. A cross marks where a prediction stopped "
            f"a trial, the star the winner. The worst 2 % of the values may lie outside. {example}",
            portraits.curves,
        ),
        (
            "timeline",
            "Workers over time",
            "What each worker trained when, coloured by bracket; blank is idle time, a triangle "
            f"the answer of a predictor, the last job the winner's test. {example}",
            portraits.timeline,
        ),
    ]
    found = []
    with style.rc():
        for name, title, said, draw in wanted:
            path = draw(group, out / f"{prefix}-{name}.png")
            if path is not None:
                found.append((path, title, said))
    return found
