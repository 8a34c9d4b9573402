"""Figures of merit as lines that a harness reads with a regular expression.

    valid N of N runs
    note ALGORITHM SEED what must be said of it (SIMULATED TIME, STAND-IN DATA)
    merit ALGORITHM SEED FIGURE VALUE UNIT
    median ALGORITHM FIGURE VALUE UNIT n=N low=VALUE high=VALUE
    score LEVEL VALUE

VALUE is `inf` where a target was not reached. A figure that is not known has no line (energy without a meter,
`*_to_target` without a target), a median none where one run's value is not known. Words hold no blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from suite.check.levels import Level, score
from suite.check.run import figures_of
from suite.core.printable import printable
from suite.export.valid import ValidRun
from suite.results.spread import spread_of_all


def lines(runs: Sequence[ValidRun], target: float | None, level: Level | None) -> Iterator[str]:
    """The lines. target: of the metric, in its own direction; a level's own counts where one is given."""
    goal = level.target if level is not None else target
    yield f"valid {len(runs)} of {len(runs)} runs"
    by_algorithm: dict[str, list[dict[str, tuple[float | None, str]]]] = {}
    for run in sorted(runs, key=lambda run: (run.view.header.algorithm, run.view.header.seed)):
        header = run.view.header
        which = f"{_word(header.algorithm)} {header.seed}"
        if run.remark:
            yield f"note {which} {printable(run.remark)}"
        figures = figures_of(run.view, goal)
        by_algorithm.setdefault(header.algorithm, []).append(figures)
        for name, (value, unit) in figures.items():
            if value is not None:
                yield f"merit {which} {name} {value:.9g} {_word(unit)}"
    for algorithm, all_figures in by_algorithm.items():
        for name, (_, unit) in all_figures[0].items():
            found = spread_of_all([figures[name][0] for figures in all_figures])
            if found is not None:
                ends = f"n={found.n} low={found.low:.9g} high={found.high:.9g}"
                yield f"median {_word(algorithm)} {name} {found.median:.9g} {_word(unit)} {ends}"
    if level is not None:
        name = "seconds_to_target"
        seconds = {a: [f[name][0] for f in found] for a, found in by_algorithm.items()}
        if (value := score(level, seconds)) is not None:
            yield f"score {level.name} {value:.6g}"


def _word(text: str) -> str:
    """One word: a metric's unit is its author's."""
    return "_".join(printable(text).split()) or "1"
