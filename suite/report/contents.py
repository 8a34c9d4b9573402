"""What a report says, apart from how it is shown: comparisons, the chapter on regret, ranks."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from suite.core.errors import JournalError
from suite.report import (
    deadline_chapter,
    figures,
    node_hours,
    price_run,
    problems,
    ranks,
    regret_chapter,
)
from suite.report.figures import Figure
from suite.report.groups import collect
from suite.report.output import attempt
from suite.report.runs import Group
from suite.report.statistics import Margin
from suite.results.run_view import RunView

MOST_DRAWN = 8
"""Comparisons that get figures: a sweep over clusters has dozens; the tables say all."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group of runs that may be compared, with its figures."""

    group: Group
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report shows. The formatters (markdown, html, text) only lay it out.

    unreadable: a line for each damaged journal. margin: of equivalence in quality. chapter: on
    regret, None where no table is known. ranking: over tables, None where there are too few. judged:
    over tables, a judgement for each number of workers; none where there are too few. deadlines: the
    chapter on runs that ended by a budget of time; price_runs: of them those that say what they measured,
    with a figure each.
    failures: a line for each part that could not be made, with the reason.
    """

    comparisons: Sequence[Comparison]
    unreadable: Sequence[str]
    margin: Margin
    chapter: regret_chapter.Chapter | None
    ranking: ranks.Ranks | None
    judged: Sequence[problems.Problems] = ()
    chapter_figures: Sequence[Figure] = ()
    ranks_figures: Sequence[Figure] = ()
    deadlines: regret_chapter.Chapter | None = None
    price_runs: Sequence[price_run.PriceRun] = ()
    price_figures: Sequence[Figure | None] = ()
    judged_figures: Sequence[Sequence[Figure]] = ()
    failures: Sequence[str] = ()

    @property
    def groups(self) -> list[Group]:
        return [comparison.group for comparison in self.comparisons]

    @property
    def completed(self) -> list[RunView]:
        """All completed runs, those too that a newer run of the same seed replaces."""
        return [run.view for group in self.groups for run in (*group.runs, *group.left_out)]

    @property
    def judged_with_figures(self) -> list[tuple[problems.Problems, Sequence[Figure]]]:
        drawn = self.judged_figures or [()] * len(self.judged)
        return list(zip(self.judged, drawn, strict=True))

    @property
    def runs_chapter(self) -> regret_chapter.Chapter | None:
        return price_run.chapter(self.price_runs)

    @property
    def ranks_sentences(self) -> Sequence[str]:
        return ranks.sentences(self.ranking) if self.ranking else []


def read(
    folders: Sequence[Path], margin: Margin | None = None, baseline: str | None = None
) -> Report:
    """The report on every run at or below `folders`, without figures.

    margin: default 5 % of the baseline's median best value. baseline: the algorithm that others are compared
    with; None: plain Hyperband. Raises ConfigError where there is no run, or none of that baseline,
    JournalError where none can be read.
    """
    groups, unreadable = collect(folders, baseline)
    if not groups:
        lines = "".join(f"\n  {line}" for line in unreadable)
        raise JournalError(
            f"runs={len(unreadable)}: none can be read; a report needs one that can.{lines}"
        )
    failures: list[str] = []
    ranking = attempt("ranks over tables", lambda: ranks.rank(groups), failures)
    chapter = attempt(
        "the chapter on regret",
        lambda: regret_chapter.chapter(groups, ranked=ranking is not None),
        failures,
    )
    judged = attempt("the judgement over tables", lambda: problems.judge_all(groups), failures)
    judged = [
        attempt(
            "regret over node-hours", functools.partial(node_hours.with_node_hours, one), failures
        )
        or one
        for one in judged or ()
    ]
    comparisons = [Comparison(group) for group in groups]
    at_deadlines = attempt(
        "the chapter on deadlines", lambda: deadline_chapter.chapter(groups), failures
    )
    price_runs = attempt("runs until a deadline", lambda: price_run.chosen(groups), failures)
    return Report(
        comparisons, unreadable, margin or Margin(), chapter, ranking, judged, failures=failures,
        deadlines=at_deadlines, price_runs=price_runs or (),
    )  # fmt: skip


def drawn(report: Report, out: Path) -> Report:
    """The report with its figures, drawn into the folder `out`. A figure that cannot be drawn is named in
    `failures`. Raises SuiteError where the folder refuses.
    """
    failures = [*report.failures]
    names = _file_names(report.groups)
    comparisons = [
        replace(comparison, figures=figures.of_group(comparison.group, out, name, failures))
        if i < MOST_DRAWN
        else comparison
        for i, (comparison, name) in enumerate(zip(report.comparisons, names, strict=True))
    ]
    ranking, chapter, judged = report.ranking, report.chapter, report.judged
    return replace(
        report,
        comparisons=comparisons,
        ranks_figures=figures.of_ranks(ranking, out, failures) if ranking else (),
        judged_figures=[figures.of_problems(one, out, failures) for one in judged],
        chapter_figures=figures.of_regret(chapter, out, failures) if chapter else (),
        price_figures=figures.of_price_runs(report.price_runs, out, failures),
        failures=failures,
    )


def _file_names(groups: Sequence[Group]) -> list[str]:
    """The groups' slugs; a second one of the same letters gets a number."""
    slugs = [group.slug.lower() for group in groups]
    return [
        f"{group.slug}-{slugs[:i].count(slugs[i]) + 1}" if slugs[i] in slugs[:i] else group.slug
        for i, group in enumerate(groups)
    ]
