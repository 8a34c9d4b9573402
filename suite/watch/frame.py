"""What a terminal shows of runs: a line each; workers and best trials of those that have not ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from suite.core.printable import hours, printable
from suite.results.fold_state import Life
from suite.results.folding import Fold
from suite.run.secrets import redact
from suite.watch.following import FollowedRun

MOST_RUNS, MOST_WORKERS, MOST_TRIALS, MOST_DETAILS = 20, 12, 5, 2
_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {
    "completed": "green", "running": "bold cyan", "failed": "red", "unreadable": "red",
    "interrupted": "yellow",
}  # fmt: skip
# A journal that has not grown for so long may be a dead job's.
SILENT_S = 60.0


def frame(runs: Sequence[FollowedRun], width: int = 120) -> RenderableType:
    """All of it, for a terminal of `width` columns. Strings of journals are escaped, and never taken for
    markup.
    """
    shown = [*[run for run in runs if not run.is_over], *[run for run in runs if run.is_over]]
    detailed = [run for run in shown if not run.is_over][:MOST_DETAILS] or shown[:1]
    parts: list[RenderableType] = [_head(runs), _overview(shown[:MOST_RUNS], width)]
    if len(shown) > MOST_RUNS:
        parts.append(Text(f"and {len(shown) - MOST_RUNS} more"))
    for run in detailed:
        if run.fold is not None:
            parts += _details(run, run.fold)
    return Group(*parts)


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """Values from left to right as bars, at most `width`: the last of each equal part.

    >>> sparkline([1.0, 2.0, 3.0])
    '▁▅█'
    """
    n = len(values)
    parts = [values[(i + 1) * n // width - 1] for i in range(width)] if n > width else list(values)
    if not parts:
        return ""
    low, high = min(parts), max(parts)
    if not high > low:
        return _BARS[0] * len(parts)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in parts)


def _foreign(text: object, *, most: int) -> str:
    """A string of a journal or of a folder. A terminal's own stream, to which a frame goes, hides nothing."""
    return printable(redact(printable(text, most=most)))


def _head(runs: Sequence[FollowedRun]) -> Text:
    kinds = [run.status for run in runs]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    return Text(f"{len(runs)} run{'s' * (len(runs) != 1)}: {counts}", style="bold")


_COLUMNS: dict[str, tuple[int, Literal["left", "right"]]] = {
    "run": (0, "left"), "task": (140, "left"), "status": (0, "left"), "epochs": (0, "right"),
    "trials": (100, "right"), "best": (0, "right"), "best so far": (110, "left"),
    "workers": (0, "left"), "time": (120, "right"), "left": (0, "right"),
}  # fmt: skip
"""Name -> from how wide a terminal on, and where its cells stand."""


def _overview(runs: Sequence[FollowedRun], width: int) -> Table:
    table = _table()
    shown = [name for name, (least, _) in _COLUMNS.items() if width >= least]
    for name in shown:
        table.add_column(name, justify=_COLUMNS[name][1], no_wrap=name not in ("run", "status"))
    for run in runs:
        cells = _row(run)
        table.add_row(*(cells.get(name, Text("")) for name in shown))
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _row(run: FollowedRun) -> dict[str, Text]:
    """Column -> its cell, of one run."""
    fold, status = run.fold, Text(run.status, style=_STYLES.get(run.status, ""))
    if not run.is_over and run.silent_s > SILENT_S:
        status.append(f", silent for {hours(run.silent_s)}", style="yellow")
    if run.error:
        status.append(f": {run.error}")
    cells = {"run": Text(_foreign(run.folder.name, most=60)), "status": status}
    if fold is None:
        return cells
    planned = f"/{run.n_planned}" if run.n_planned is not None and not run.is_over else ""
    stopped = f", {len(fold.stopped)} stopped" if fold.stopped else ""
    values = [fold.header.metric.value(point.best) for point in fold.anytime]
    left_s = run.left_s
    return cells | {
        "task": Text(_foreign(fold.header.model, most=30)),
        "epochs": Text(f"{fold.counts.n_epochs}{planned}"),
        "trials": Text(f"{len(fold.trials)}{stopped}"),
        "best": Text(f"{values[-1]:.4g}" if values else ""),
        "best so far": Text(sparkline(values), style="cyan"),
        "workers": _n_workers(run, fold),
        "time": Text(_seconds(fold.time_s)),
        "left": Text("" if left_s is None else f"at most {_seconds(left_s)}"),
    }


def _n_workers(run: FollowedRun, fold: Fold) -> Text:
    n_lost = sum(life.lost is not None for life in fold.lives)
    n_busy = sum(life.busy is not None for life in fold.here.values())
    text = Text(str(len(fold.lives)) if run.is_over else f"{n_busy} of {len(fold.here)} busy")
    return text.append(f", {n_lost} lost", style="red") if n_lost else text


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else hours(seconds)


def _details(run: FollowedRun, fold: Fold) -> list[RenderableType]:
    parts: list[RenderableType] = [
        Text(""),
        Text(_foreign(run.folder.name, most=60), style="bold"),
    ]
    if (lives := _lives(run, fold)) and (not run.is_over or any(life.lost for life in lives)):
        parts.append(_workers(fold, lives))
    parts.append(_trials(fold))
    return parts


def _lives(run: FollowedRun, fold: Fold) -> list[Life]:
    """The workers that are here, and before them those that were lost."""
    lost = [life for life in fold.lives if life.lost is not None]
    here = [] if run.is_over else sorted(fold.here.values(), key=lambda life: life.worker)
    return [*lost[-MOST_WORKERS // 2 :], *here]


def _workers(fold: Fold, lives: Sequence[Life]) -> Table:
    table = _table()
    for name in ("worker", "device", "does", "jobs"):
        table.add_column(name, no_wrap=name != "does")
    for life in lives[:MOST_WORKERS]:
        device = _foreign(life.facts.get("device", ""), most=20)
        table.add_row(
            Text(str(life.worker)), Text(device), _work(fold, life), Text(str(len(life.jobs)))
        )
    if len(lives) > MOST_WORKERS:
        table.add_row(
            Text("..."), Text(""), Text(f"and {len(lives) - MOST_WORKERS} more"), Text("")
        )
    return table


def _work(fold: Fold, life: Life) -> Text:
    if life.lost is not None:
        return Text(f"lost: {_foreign(fold.clean(life.lost), most=100)}", style="red")
    if life.busy is None:
        return Text("waits", style="dim")
    job = fold.flying[life.busy]
    if job.kind == "score":
        return Text(f"scores trial {job.job.trial_id}")
    done = job.job.from_epoch + job.n_epochs
    return Text(f"trial {job.job.trial_id}: epoch {done} of {job.job.to_epoch}")


def _trials(fold: Fold) -> Table:
    """The trials with the lowest objective so far."""
    table = _table()
    for name in ("trial", "epochs", fold.header.metric.name, "curve", "configuration"):
        table.add_column(Text(_foreign(name, most=30)), no_wrap=True, overflow="ellipsis")
    curves = {trial_id: trial.state.curve for trial_id, trial in fold.trials.items()}
    ranked = sorted((min(curve), trial_id) for trial_id, curve in curves.items() if curve)
    for best, trial_id in ranked[:MOST_TRIALS]:
        values = [fold.header.metric.value(objective) for objective in curves[trial_id]]
        config = ", ".join(
            f"{_foreign(name, most=30)}={_foreign(_short(value), most=30)}"
            for name, value in fold.clean(fold.trials[trial_id].state.config).items()
        )
        table.add_row(
            Text(str(trial_id)), Text(str(len(values))), Text(f"{fold.header.metric.value(best):.4g}"),
            Text(sparkline(values), style="cyan"), Text(config),
        )  # fmt: skip
    return table


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
