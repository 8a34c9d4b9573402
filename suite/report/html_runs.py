"""The page's list of runs: a row each, with the winner, surroundings and failures folded away."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from suite.core.escaping import for_html as escape
from suite.report.measures import number
from suite.report.reading import commands, machines
from suite.report.runs import Group, Run
from suite.run.journal import NAME

_HEAD = (
    "algorithm", "seed", "state", "epochs", "wall clock [s]", "stopped", "diverged", "given up", "best",
    "test", "idle [%]",
)  # fmt: skip
_MOST = 20
"""Given-up trials listed by name."""


def runs_table(group: Group, out: Path | None = None) -> str:
    """Every run of the group, those that the numbers leave out too.

    out: the folder of the page, from where journals and records are linked; None: no links.
    """
    rows = [_row(run, out) for run in (*group.runs, *group.unfinished, *group.left_out)]
    titles = "".join(f"<th>{title}</th>" for title in _HEAD)
    return (
        '<div class="scroll"><table class="sortable runs">'
        f"<thead><tr>{titles}</tr></thead>{''.join(rows)}</table></div>"
    )


def _row(run: Run, out: Path | None) -> str:
    view = run.view
    values: list[tuple[float | None, str]] = [
        (view.n_epochs, f"{view.n_epochs:,}"),
        (view.wall_s, number(view.wall_s, 3)),
        (run.n_stopped, str(run.n_stopped)),
        (run.n_diverged, str(run.n_diverged)),
        (n_lost := len(run.given_up) - run.n_diverged, str(n_lost)),
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
        f"{_details(run, out)}</td></tr></tbody>"
    )


def _details(run: Run, out: Path | None) -> str:
    view, header = run.view, run.header
    blocks = []
    if view.winner is not None:
        trial = view.trials[view.winner]
        bracket = "" if trial.bracket is None else f", bracket {trial.bracket}"
        title = f"Winner: trial {trial.trial_id}{bracket}, {len(trial.epochs)} epochs"
        blocks.append(_block(title, trial.config))
    revision = str(header.revision or "")[:12]
    about = {
        "folder": run.place,
        "run id": header.run_id,
        "started (UTC)": header.date_utc,
        "suite": header.suite_version,
        "revision": f"{revision} with changes" if header.changed else revision,
        "reproducible": header.reproducible,
        "workers": run.n_workers,
        "resumed": f"{view.counts.n_resumes} times" if view.counts.n_resumes else None,
        "status": f"{view.status}: {view.reason}" if view.reason else view.status,
    }
    blocks.append(_block("Run", about))
    if lost := run.given_up:
        shown = dict(list(lost.items())[:_MOST])
        if len(lost) > _MOST:
            shown["and"] = f"{len(lost) - _MOST} more"
        blocks.append(_block(f"Diverged or given up ({len(lost)})", shown))
    dead = {f"worker {w.worker}": w.lost for w in view.workers if w.lost is not None}
    blocks.append(_block("Workers lost", dead))
    return (
        f"<details><summary>details</summary>{_links(run, out)}"
        f'<div class="blocks">{"".join(blocks)}</div></details>'
    )


def _links(run: Run, out: Path | None) -> str:
    """The files that this page was made from, beside it."""
    if out is None:
        return ""
    shown = []
    for name in (NAME, "record.json"):
        path = run.view.folder / name
        if path.is_file():
            address = quote(Path(os.path.relpath(path.resolve(), out.resolve())).as_posix())
            shown.append(f'<a href="{escape(address)}">{escape(name)}</a>')
    return f'<p class="links">{" ".join(shown)}</p>' if shown else ""


def made(group: Group) -> str:
    """The command lines that made the runs, and the machines that they ran on, each once."""
    parts = ['<h3 class="label">How these runs were made</h3>']
    if lines := commands(group):
        parts.append(f"<pre>{_escaped(lines)}</pre>")
    blocks = "".join(
        _block("Machine" if "runs" not in m else "Machine of", m) for m in machines(group)
    )
    return "".join([*parts, f'<div class="blocks wide">{blocks}</div>'])


def _escaped(lines: Sequence[str]) -> str:
    return "\n".join(map(escape, lines))


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
