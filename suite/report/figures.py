"""Which figures a report has, with their titles and captions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.report import price_run, problems, ranks, regret_chapter
from suite.report.measures import several_workers
from suite.report.output import attempt
from suite.report.runs import Group, Run
from suite.results.retrained import read_retrained

Draw = Callable[[Group, Path], Path | None]
"""Draws a group's figure into a file; None where its runs allow none."""


MOST_RETRAINED = 4
"""Figures of one comparison's runs that were trained again."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that was drawn."""

    path: Path
    title: str
    caption: str


def of_ranks(ranking: ranks.Ranks, out: Path, failures: list[str]) -> list[Figure]:
    """The figure of mean ranks, where it can be drawn."""
    from suite.report import ranks_figure

    caption = (
        f"Mean ranks over n = {ranking.n_blocks} blocks of {len(ranking.tables)} tables (1 is best). "
        "Algorithms under one bar lie no further apart than the critical difference (Nemenyi, 5 %)."
    )

    def draw() -> list[Figure]:
        path = ranks_figure.draw(ranking, out / ranks_figure.NAME)
        return [Figure(path, "Critical differences", caption)] if path is not None else []

    return attempt("the figure of ranks", draw, failures) or []


def of_regret(chapter: regret_chapter.Chapter, out: Path, failures: list[str]) -> list[Figure]:
    """The figure of regret over the search, where it can be drawn."""
    from suite.report import regret_figure

    def draw() -> list[Figure]:
        path = regret_figure.draw(chapter, out / regret_figure.NAME)
        return [Figure(path, *regret_figure.caption(chapter))] if path is not None else []

    return attempt("the figure of regret", draw, failures) or []


def of_problems(judged: problems.Problems, out: Path, failures: list[str]) -> list[Figure]:
    """The performance profile over tables, and regret over node-hours."""
    from suite.report import node_hours_figure, problems_figure

    drawn = []
    for what, module in (
        ("the performance profile", problems_figure),
        ("the figure of node-hours", node_hours_figure),
    ):
        # Of several judgements the number of workers is in the files' names.
        beyond = judged.title.removeprefix(problems.TITLE).strip(", ").replace(" ", "-")
        name = module.NAME.replace(".png", f"-{beyond}.png") if beyond else module.NAME
        path = attempt(what, functools.partial(module.draw, judged, out / name), failures)
        drawn += [Figure(path, *module.caption(judged))] if path is not None else []
    return drawn


def of_price_runs(
    runs: Sequence[price_run.PriceRun], out: Path, failures: list[str]
) -> list[Figure | None]:
    """One figure a run, None where it cannot be drawn."""
    from suite.report import price_figure

    drawn: list[Figure | None] = []
    for n, run in enumerate(runs, start=1):
        path = attempt(
            f"the figure of {run.title}",
            functools.partial(price_figure.draw, run, out / f"deadline-run-{n}.png"),
            failures,
        )
        drawn.append(None if path is None else Figure(path, *price_figure.caption(run)))
    return drawn


def of_retrained(group: Group, out: Path, prefix: str, failures: list[str]) -> list[Figure]:
    """Of the runs whose best configurations were trained again, the first MOST_RETRAINED."""
    from suite.report import retrained_figure

    def draw(run: Run, n: int) -> Figure | None:
        retrained = read_retrained(run.view.folder)
        if retrained is None or retrained.run_id != run.header.run_id:
            return None
        path = retrained_figure.draw(retrained, group.title, out / f"{prefix}-retrain-{n}.png")
        return None if path is None else Figure(path, *retrained_figure.caption(retrained))

    drawn: list[Figure] = []
    for run in group.runs:
        what = f"{group.title}: the figure of {run.place} trained again"
        figure = attempt(what, functools.partial(draw, run, len(drawn) + 1), failures)
        drawn += [figure] if figure is not None else []
        if len(drawn) == MOST_RETRAINED:
            break
    return drawn


def of_group(group: Group, out: Path, prefix: str, failures: list[str]) -> list[Figure]:
    """Draw what the group's runs allow. failures: gets a line for each figure that cannot be drawn."""
    from suite.report import binned_figure, comparison_figures, run_figures, style, trial_figures

    seconds = ", wall clock" if several_workers(group) else ""
    n = ", ".join(f"{name} n = {len(group.of(name))}" for name in group.algorithms)
    time = "; simulated time" if group.simulated else ""
    about = f"Overlap {group.overlap}{time}" + (f"; {group.data} data." if group.data else ".")
    example = f"One run an algorithm, its lowest seed. {about}"
    wanted: list[tuple[str, str, str, Draw]] = [
        (
            "anytime",
            "Best value over time",
            f"Best validation {group.metric} found so far, against epochs and wall clock. Line: "
            "median over seeds; thin lines: each seed; band, from five seeds on: smallest to largest; "
            "dots: where each seed ended. "
            f"{n}. {about}",
            comparison_figures.anytime,
        ),
        (
            "comparison",
            "Cost and quality",
            f"Epochs trained{seconds} and best validation {group.metric} of every seed; bar: median; grey "
            "lines join runs of the same seed, which meet the same trials; per cent: median of the "
            f"paired differences. {n}. {about}",
            comparison_figures.comparison,
        ),
        (
            "curves",
            "Learning curves",
            "Every trial of one run, coloured by bracket. A cross marks where a prediction stopped "
            f"a trial, the star the winner. The worst 2 % of the values may lie outside. {example}",
            run_figures.curves,
        ),
        (
            "timeline",
            "Workers over time",
            "What each worker trained when, coloured by bracket; blank is idle time, a triangle "
            f"the answer of a predictor, the last job the winner's test. {example}",
            run_figures.timeline,
        ),
        (
            "importance",
            "Importance of hyperparameters",
            "How much worse a random forest predicts the rank of a configuration's value when one "
            "hyperparameter is shuffled: permutation importance (Breiman 2001) on trials that were left out. "
            f"0: it decides nothing. Trials were chosen by the searches, and are no random sample. {about}",
            trial_figures.importance,
        ),
        (
            "slices",
            "Value against each hyperparameter",
            "Every configuration of all runs once, at the largest epoch that enough of them trained "
            f"for. {about}",
            trial_figures.slices,
        ),
        (
            "parallel",
            "Parallel coordinates of trials",
            "Every configuration of all runs once: a line over its hyperparameters, dark where its "
            f"value is among the best. {about}",
            trial_figures.parallel,
        ),
        (
            "correlation",
            "Do early epochs tell the order of later ones?",
            "Rank correlation of the values after two epochs at which trials ended. Near 1: stopping early "
            "is safe. Later epochs hold only trials that were promoted, which makes it smaller. "
            f"{about}",
            trial_figures.rank_correlation,
        ),
        (
            "bins",
            "What the winner measures, in bins",
            f"{binned_figure.caption(group)} {about}",
            binned_figure.draw,
        ),
    ]
    drawn = of_retrained(group, out, prefix, failures)
    with style.rc():
        for name, title, caption, draw in wanted:
            path = attempt(
                f"{group.title}: the figure {title.lower()}",
                functools.partial(draw, group, out / f"{prefix}-{name}.png"),
                failures,
            )
            if path is not None:
                drawn.append(Figure(path, title, caption))
    return drawn
