"""The page's list of runs: a row each, with the winner, surroundings and failures folded away."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from suite.report.measures import number
from suite.report.runs import Group, Run

_HEAD = (
    "algorithm", "seed", "state", "epochs", "wall clock [s]", "stopped", "given up", "best", "test",
    "idle [%]",
)  # fmt: skip
_MOST = 20
"""Given-up trials listed by name."""


def runs_table(group: Group) -> str:
    """Every run of the group, those that the numbers leave out too."""
    rows = [_row(run) for run in (*group.runs, *group.unfinished, *group.left_out)]
    titles = "".join(f"<th>{title}</th>" for title in _HEAD)
    return (
        '<div class="scroll"><table class="sortable runs">'
        f"<thead><tr>{titles}</tr></thead>{''.join(rows)}</table></div>"
    )


def _row(run: Run) -> str:
    view = run.view
    values: list[tuple[float | None, str]] = [
        (view.n_epochs, f"{view.n_epochs:,}"),
        (view.wall_s, number(view.wall_s, 3)),
        (run.n_stopped, str(run.n_stopped)),
        (len(run.given_up), str(len(run.given_up))),
        (run.best, _value(run.best)),
        (view.test_value, _value(view.test_value)),
        (run.idle, "-" if run.idle is None else f"{100 * run.idle:.1f}"),
    ]
    state = escape(view.status) if run.completed else f'<b class="bad">{escape(view.status)}</b>'
    cells = [
        f'<td class="l">{escape(run.algorithm)}</td><td>{run.seed}</td><td class="l">{state}</td>'
    ]
    for value, text in values:
        cells.append(f'<td data-v="{"" if value is None else repr(value)}">{escape(text)}</td>')
    return (
        f'<tbody><tr>{"".join(cells)}</tr><tr class="more"><td colspan="{len(_HEAD)}">'
        f"{_details(run)}</td></tr></tbody>"
    )


def _details(run: Run) -> str:
    view, git = run.view, run.part("git")
    blocks = []
    if view.winner is not None:
        trial = view.trials[view.winner]
        bracket = "" if trial.bracket is None else f", bracket {trial.bracket}"
        title = f"Winner: trial {trial.trial_id}{bracket}, {len(trial.epochs)} epochs"
        blocks.append(_block(title, trial.config))
    revision = str(git.get("revision") or "")[:12]
    about = {
        "folder": run.place,
        "run id": run.header.get("run_id"),
        "started (UTC)": run.header.get("date_utc"),
        "suite": run.header.get("suite_version"),
        "revision": f"{revision} with changes" if git.get("dirty") else revision,
        "reproducible": run.header.get("reproducible"),
        "workers": run.n_workers,
        "resumed": f"{view.n_resumes} times" if view.n_resumes else None,
        "status": f"{view.status}: {view.reason}" if view.reason else view.status,
    }
    blocks += [_block("Run", about), _block("Host", run.part("host"))]
    blocks.append(_block("Versions", run.part("versions")))
    if lost := run.given_up:
        shown = dict(list(lost.items())[:_MOST])
        if len(lost) > _MOST:
            shown["and"] = f"{len(lost) - _MOST} more"
        blocks.append(_block(f"Given up ({len(lost)})", shown))
    dead = {f"worker {w.worker}": w.lost for w in view.workers if w.lost is not None}
    blocks.append(_block("Workers lost", dead))
    return (
        f'<details><summary>details</summary><div class="blocks">{"".join(blocks)}</div></details>'
    )


def _block(title: str, values: Mapping[str, Any]) -> str:
    rows = [
        f"<dt>{escape(str(key))}</dt><dd>{escape(_plain(value))}</dd>"
        for key, value in values.items()
        if value not in (None, "")
    ]
    return f"<div><h5>{escape(title)}</h5><dl>{''.join(rows)}</dl></div>" if rows else ""


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _value(value: float | None) -> str:
    return "-" if value is None else number(value)
