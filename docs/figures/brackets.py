"""The picture of the page on concepts: a search's brackets, and where Swift-Hyperband stops trials.

    python docs/figures/brackets.py RUN_FOLDER [PNG]        (default: brackets.png beside this file)

RUN_FOLDER: a run of algorithm=swift_svr. docs/figures/README.md has the command that made the committed one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

# The checkout, where the package is not installed.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from suite.report import style
from suite.results.fold import load_run
from suite.results.run_view import RunView, TrialView

STOPPED, FULL = style.OKABE_ITO[1], style.OKABE_ITO[0]
QUANTILE = 0.25
"""Swift-Hyperband's: of the full trials' objectives, the threshold of forecasts (conf/scheduler)."""


def draw(run: RunView, path: Path) -> Path:
    with style.rc():
        figure = style.canvas(4.6)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _brackets(left, run)
        _last_rung(right, run)
        header = run.header
        words = (
            f"{header.algorithm} on {header.model}, seed {header.seed}, {len(run.trials)} trials"
        )
        return style.footed(figure, words, header.target.data, header.simulated, path)


def _brackets(axes: Any, run: RunView) -> None:
    """A bar for each trial as long as its training, grouped by bracket; a cross where it was stopped."""
    trials = sorted(run.trials.values(), key=lambda t: (-(t.bracket or 0), -len(t.epochs)))
    colours = style.bracket_colours([trial.bracket for trial in trials])
    row, marks = 0.0, []
    for number, trial in enumerate(trials):
        if number and trial.bracket != trials[number - 1].bracket:
            row += 1.5
        axes.barh(row, len(trial.epochs), height=0.7, color=colours[trial.bracket], linewidth=0)
        if trial.stopped_at is not None:
            axes.plot(
                len(trial.epochs) + 0.45, row, "x", color=STOPPED, markersize=5, markeredgewidth=1.6
            )
        marks.append((trial.bracket, row))
        row += 1
    for bracket in colours.keys() - {None}:
        rows = [place for s, place in marks if s == bracket]
        axes.text(-0.7, np.mean(rows), f"bracket {bracket}", ha="right", va="center", fontsize=8.5)
    axes.plot([], [], "x", color=STOPPED, markeredgewidth=1.6, label="stopped by a forecast")
    axes.legend(loc="center right")
    axes.invert_yaxis()
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.set_xlabel("epochs trained")
    style.title(axes, "All trials of one search", "a bar is a trial")


def _last_rung(axes: Any, run: RunView) -> None:
    """The curves of bracket 0: trained in full, or stopped at the decision point for their forecasts."""
    trials = [trial for trial in run.trials.values() if trial.bracket == 0]
    stopped = [trial for trial in trials if trial.stopped_at is not None]
    full = [trial for trial in trials if trial.stopped_at is None]
    (forecast,) = [f for f in run.forecasts if f.key.startswith("bracket0/")]
    values = forecast.values or ()
    if len(values) != len(stopped) or not stopped:
        raise SystemExit(
            "RUN_FOLDER: bracket 0 must have stopped each trial that was asked for; take another seed."
        )
    for trial in full:
        _curve(axes, trial, FULL)
    point, end = stopped[0].stopped_at, run.header.max_epochs
    for trial, value in zip(stopped, values, strict=True):
        _curve(axes, trial, STOPPED)
        axes.plot([point, end], [trial.curve[-1], value], ":", color=STOPPED, linewidth=1.2)
        axes.plot(end, value, "x", color=STOPPED, markersize=6, markeredgewidth=1.6)
    threshold = float(np.quantile([trial.curve[-1] for trial in full], QUANTILE))
    axes.axhline(threshold, color=style.QUIET, linewidth=1, linestyle="--")
    axes.axvline(point, color=style.FAINT, linewidth=1)
    axes.plot([], [], color=FULL, label="trained in full")
    axes.plot([], [], color=STOPPED, label="stopped at the decision point")
    axes.plot([], [], "x:", color=STOPPED, label="its forecast")
    axes.plot([], [], "--", color=style.QUIET, label="threshold: below it, finish")
    axes.legend(loc="upper right")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{run.header.target.metric.name} (lower is better)")
    style.title(axes, f"Bracket 0: the decision at epoch {point}", "")


def _curve(axes: Any, trial: TrialView, colour: str) -> None:
    axes.plot(range(1, len(trial.curve) + 1), trial.curve, color=colour, linewidth=1.6)


if __name__ == "__main__":
    given = sys.argv[1:]
    if len(given) not in (1, 2):
        raise SystemExit(__doc__)
    print(
        draw(
            load_run(Path(given[0])),
            Path(given[1] if given[1:] else Path(__file__).with_name("brackets.png")),
        )
    )
