"""Figures of single runs, an algorithm's lowest seed each: learning curves, workers over time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.runs import Group, Run
from suite.results.run_view import TrialView

_COLUMNS = 3
_MOST = 6
"""Panels a figure shows at most; a sweep over many settings has the rest in its table."""

_TEST = "#cbd5e1"
_ABSENT = "#eceef1"


def examples(group: Group) -> list[Run]:
    return [run for name in group.algorithms if (run := group.example(name)) is not None][:_MOST]


def curves(group: Group, path: Path) -> Path | None:
    """Every trial's curve by bracket; crosses where predictions stopped one, a star: the winner.

    A run without an epoch has no panel. None where no run has one.
    """
    runs = [run for run in examples(group) if run.view.n_epochs]
    if not runs:
        return None
    from matplotlib.lines import Line2D

    columns = 2 if len(runs) == 4 else min(len(runs), _COLUMNS)
    n_rows = -(-len(runs) // columns)
    figure = style.canvas(0.8 + 2.9 * n_rows)
    panels = figure.subplots(n_rows, columns, sharex=True, sharey=True, squeeze=False)
    shown = [(run, [trial for trial in run.view.trials.values() if trial.epochs]) for run in runs]
    everyone = [trial for _, trials in shown for trial in trials]
    colours = style.bracket_colours([trial.bracket for trial in everyone])
    for axes, (run, trials) in zip(panels.flat, shown, strict=False):
        _lines(axes, run, trials, colours)
        facts = [f"{len(trials)} trials", f"{run.n_stopped} stopped", *_state(run)]
        style.title(
            axes, "\n".join(textwrap.wrap(_name(run), 72 // columns)), ", ".join(facts), below=True
        )
    for axes in panels.flat[len(runs) :]:
        axes.set_visible(False)
    sign = runs[0].sign
    values = [style.drawable(sign * v) for trial in everyone for v in trial.curve]
    _limits(panels[0][0], values, sign)
    panels[0][0].set_xlim(0.5, max(len(trial.epochs) for trial in everyone) + 0.8)
    style.integers(panels[0][0].xaxis)
    for column in range(columns):
        below = [panels[row][column] for row in range(n_rows) if row * columns + column < len(runs)]
        below[-1].set_xlabel("epoch of the trial")
        below[-1].tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel(f"validation {style.escape(group.metric)}\n({runs[0].better})")
    marks = [
        Line2D([], [], color=c, linewidth=2, label=label)
        for label, c in _brackets(colours, everyone)
    ]
    if any(run.view.winner is not None for run in runs):
        marks.append(Line2D([], [], color=style.INK, marker="*", markersize=9, label="winner"))
    if any(run.n_stopped for run in runs):
        marks.append(
            Line2D(
                [], [], color=style.WARN, marker="x", linestyle="", label="stopped by prediction"
            )
        )
    style.legend(figure, marks)
    note = style.clipped(v for t in everyone for v in t.curve) + "one run each: lowest seed"
    return style.save(figure, group, note, path)


def _points(run: Run, trial: TrialView) -> list[tuple[int, float]]:
    """(epoch, value in the metric's own direction) of a trial."""
    return [(e, style.drawable(run.sign * v)) for e, v in enumerate(trial.curve, start=1)]


def _lines(
    axes: Any, run: Run, trials: Sequence[TrialView], colours: dict[int | None, Any]
) -> None:
    from matplotlib.collections import LineCollection

    lines = [_points(run, trial) for trial in trials]
    shades = [colours[trial.bracket] for trial in trials]
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.9, alpha=0.75))
    x, y = zip(*(line[-1] for line in lines), strict=True)
    axes.scatter(x, y, s=5, c=shades, linewidth=0, zorder=3)
    cut = [line[-1] for line, trial in zip(lines, trials, strict=True) if trial.status == "stopped"]
    if cut:
        axes.plot(
            *zip(*cut, strict=True),
            "x",
            color=style.WARN,
            markersize=5,
            markeredgewidth=1.2,
            zorder=4,
        )
    if run.view.winner is not None:
        best = _points(run, run.view.trials[run.view.winner])
        axes.plot(*zip(*best, strict=True), color=style.INK, linewidth=1.3, zorder=5)
        axes.plot(*best[-1], "*", color=style.INK, markersize=9, zorder=6)


def _limits(axes: Any, values: Sequence[float], sign: float) -> None:
    """Leave out the worst 2 % where they would press every other curve flat."""
    low, high = min(values), max(values)
    cut_low, cut_high = (
        (low, style.pick(values, 0.98)) if sign > 0 else (style.pick(values, 0.02), high)
    )
    if high - low > 1.5 * (cut_high - cut_low) > 0:
        low, high = cut_low, cut_high
    if style.log_if_wide(axes, [low, high]):
        axes.set_ylim(low / 1.15, high * 1.15)
    elif high > low:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def timeline(group: Group, path: Path) -> Path | None:
    """What each worker did when: jobs by bracket, blank where idle, grey where it was lost."""
    runs = [run for run in examples(group) if run.view.jobs]
    if not runs:
        return None
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    heights = [min(max(0.26 * len(_workers(run)), 0.55), 2.6) for run in runs]
    figure = style.canvas(1.25 + sum(heights) + 0.42 * len(runs))
    panels = figure.subplots(len(runs), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    end = max(run.view.time_s for run in runs) or 1.0
    divisor, unit = style.clock(end)
    everyone = [trial for run in runs for trial in run.view.trials.values()]
    colours = style.bracket_colours([trial.bracket for trial in everyone])
    for axes, run in zip(panels, runs, strict=True):
        _rows(axes, run, colours, divisor)
        _predictor(axes, run, divisor)
        n = len(_workers(run))
        idle = (
            []
            if run.idle is None
            else [f"idle {100 * run.idle:.1f} % of {n} worker{'s' * (n > 1)}"]
        )
        style.title(axes, _name(run), ", ".join([*_state(run), *idle]))
    panels[-1].set_xlabel(f"wall clock [{unit}]")
    panels[-1].set_xlim(0, end / divisor * 1.005)
    marks: list[Any] = [Patch(color=c, label=label) for label, c in _brackets(colours, everyone)]
    jobs = [job for run in runs for job in run.view.jobs]
    if any(job.kind == "score" for job in jobs):
        marks.append(Patch(color=_TEST, label="test"))
    if any(run.view.forecasts for run in runs):
        marks.append(Line2D([], [], color=style.WARN, marker="v", linestyle="", label="predictor"))
    if any(job.outcome in ("failed", "lost") for job in jobs):
        marks.append(
            Line2D(
                [], [], color=style.WARN, marker="|", markersize=9, linestyle="", label="job failed"
            )
        )
    if any(worker.lost for run in runs for worker in run.view.workers):
        marks.append(Patch(color=_ABSENT, label="worker lost"))
    style.legend(figure, marks)
    return style.save(figure, group, "one run each: lowest seed, blank: idle", path)


def _workers(run: Run) -> list[int]:
    return sorted({worker.worker for worker in run.view.workers})


def _rows(axes: Any, run: Run, colours: dict[int | None, Any], divisor: float) -> None:
    """One row a worker: its jobs, their failures, and where it was lost."""
    view = run.view
    row = {worker: i for i, worker in enumerate(_workers(run))}
    spans: dict[tuple[int, Any], list[tuple[float, float]]] = {}
    for job in view.jobs:
        end_s = view.time_s if job.end_s is None else job.end_s
        colour = _TEST if job.kind == "score" else colours[view.trials[job.trial_id].bracket]
        spans.setdefault((row[job.worker], colour), []).append(
            (job.start_s / divisor, (end_s - job.start_s) / divisor)
        )
        if job.outcome in ("failed", "lost"):
            at = row[job.worker]
            axes.vlines(
                end_s / divisor, at - 0.45, at + 0.45, color=style.WARN, linewidth=1.6, zorder=4
            )
    for worker in view.workers:
        if worker.lost is not None:
            here = [other.joined_s for other in view.workers if other.worker == worker.worker]
            back_s = min((s for s in here if s >= worker.left_s), default=view.time_s)
            span = (worker.left_s / divisor, (back_s - worker.left_s) / divisor)
            axes.broken_barh(
                [span], (row[worker.worker] - 0.41, 0.82), facecolors=_ABSENT, zorder=1.5
            )
    edge = 0.4 if len(view.jobs) < 60 * len(row) else 0.0
    for (i, colour), bars in spans.items():
        axes.broken_barh(
            bars,
            (i - 0.41, 0.82),
            facecolors=[colour],
            edgecolor="white",
            linewidth=edge,
            zorder=2,
        )
    axes.set_ylim(len(row) - 0.4, -0.6)
    named = list(row.items())[:: -(-len(row) // 10)]
    axes.set_yticks([i for _, i in named], [str(worker) for worker, _ in named])
    axes.set_ylabel("worker")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _predictor(axes: Any, run: Run, divisor: float) -> None:
    """From each question to its answer; an empty mark where the predictor failed."""
    for forecast in run.view.forecasts:
        start, end = forecast.asked_s / divisor, forecast.time_s / divisor
        axes.axvspan(start, end, color=style.WARN, alpha=0.12, linewidth=0)
        face = "white" if forecast.failed else style.WARN
        axes.plot(
            end, 1.0, "v", color=style.WARN, markerfacecolor=face, markersize=4.5,
            transform=axes.get_xaxis_transform(), clip_on=False, zorder=5,
        )  # fmt: skip


def _name(run: Run) -> str:
    return f"{run.algorithm}, seed {run.seed}"


def _state(run: Run) -> list[str]:
    return [] if run.completed else [run.view.status]


def _brackets(colours: dict[int | None, Any], trials: Sequence[TrialView]) -> list[tuple[str, Any]]:
    """Legend entries of the brackets that occur; the word stands once."""
    met = {trial.bracket for trial in trials}
    used = [s for s in colours if s in met]
    names = [f"bracket {s}" if i == 0 else f"{s}" for i, s in enumerate(used)]
    return [
        ("no bracket" if s is None else name, colours[s])
        for s, name in zip(used, names, strict=True)
    ]
