"""What a tracker is told of a run in words and files: its description, its data set, the report on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.files import UnsafeFileError, read_bytes
from suite.results.run_view import RunView

REPORT = "report"
"""The folder of a report, in a folder above its runs; and of its files among a run's artifacts."""

_LEVELS = 3
_MOST_RUNS, _MOST_BYTES, _MOST_FILES = 32, 2**24, 100
_LONGEST_DIGEST = 36
_RUN_ID = "<dt>run id</dt><dd>{}</dd>"


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a run was trained on. digest: of its content; source: where it comes from, for people."""

    name: str
    digest: str
    source: str
    profile: Mapping[str, Any]


def data_set(view: RunView) -> DataSet | None:
    """The data set that the workers staged, or the curve table; None where no digest is known."""
    for worker in view.workers:
        facts = worker.facts.get("data_set") or {}
        if facts.get("sha256"):
            sizes = {key: facts[key] for key in ("n_train", "n_valid", "n_test") if key in facts}
            kind = {"data": view.header.target.data, "split_sha256": facts.get("split_sha256")}
            return _data_set(facts.get("name"), facts["sha256"], facts.get("origin"), sizes | kind)
    description = (view.header.model_settings or {}).get("description")
    if isinstance(description, Mapping) and description.get("sha256"):
        kind = {"data": view.header.target.data, "max_epochs": view.header.max_epochs}
        source = description.get("source") or description.get("file")
        return _data_set(view.header.table, description["sha256"], source, kind)
    return None


def _data_set(name: Any, sha256: Any, source: Any, profile: Mapping[str, Any]) -> DataSet:
    known = {key: value for key, value in profile.items() if value is not None}
    return DataSet(str(name or "data"), str(sha256)[:_LONGEST_DIGEST], str(source or ""), known)


def note(view: RunView) -> str:
    """A run in Markdown, for the top of its page."""
    header = view.header
    data = header.target.data
    label = "" if data == "real" else f" **{str(data or 'unknown data').upper()} DATA**"
    seconds = "simulated seconds" if header.simulated else "s"
    lines = [
        f"**{header.algorithm}** on **{header.model}**, seed {header.seed}{label}: {view.status}; "
        f"{len(view.trials)} trials, {view.n_epochs:,} epochs, {view.wall_s:,.1f} {seconds}."
    ]
    if view.best is not None:
        lines.append(f"Best {view.metric}: {view.value(view.best.best):.6g}.")
    if view.winner is not None:
        config = view.trials[view.winner].config
        settings = ", ".join(f"`{name}={_plain(value)}`" for name, value in config.items())
        test = "" if view.test_value is None else f"; test value {view.test_value:.6g}"
        lines.append(f"Winner: trial {view.winner} with {settings}{test}.")
    if header.command:
        lines.append(f"Made by `swiftbench run {' '.join(header.command)}`.")
    return "\n\n".join(lines)


def _plain(value: Any) -> str:
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    return shown.replace("`", "'")


def profile_text(data: DataSet) -> str:
    return json.dumps(dict(data.profile), sort_keys=True)


def report_files(view: RunView) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the report on a run and its figures, where one stands in a folder above it.

    None of a report on more than 32 runs: each of them would hold a copy. None that does not name the run.
    """
    for above in list(view.folder.resolve().parents)[:_LEVELS]:
        folder = above / REPORT
        try:
            page = read_bytes(folder / "report.html", max_bytes=_MOST_BYTES, below=above)
        except (OSError, UnsafeFileError):
            continue
        text = page.decode("utf-8", "replace")
        if _RUN_ID.format(view.header.run_id) not in text:
            continue
        if text.count(_RUN_ID.partition("{")[0]) <= _MOST_RUNS:
            yield "report.html", page
            yield from _figures(folder, above)
        return


def _figures(folder: Path, above: Path) -> Iterator[tuple[str, bytes]]:
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".png")
    for name in names[:_MOST_FILES]:
        if re.fullmatch(r"[\w.=-]+", name):
            try:
                yield name, read_bytes(folder / name, max_bytes=_MOST_BYTES, below=above)
            except (OSError, UnsafeFileError):
                continue
