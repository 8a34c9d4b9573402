"""YAML files that nobody writes: `task/NAME` and `model/NAME_table` for each table of the catalogue.

`compose` finds them behind the files of conf/ and --config-dir: one of that name comes first.
"""

from __future__ import annotations

import json

from suite.core.catalogue import Entry
from suite.files import published_tables

GROUPS = ("task", "model")


def names(group: str) -> list[str]:
    """The options that the catalogue adds to a group of conf/."""
    entries = published_tables().values() if group in GROUPS else ()
    return [entry.name if group == "task" else entry.model for entry in entries]


def text(place: str) -> str | None:
    """The YAML of a place as in `task/mnist`; None where the catalogue has none."""
    group, _, name = place.partition("/")
    if group == "task" and name in published_tables():
        return _task(published_tables()[name])
    table = name.removesuffix("_table")
    if group == "model" and table != name and table in published_tables():
        return _model(published_tables()[table])
    return None


def _task(entry: Entry) -> str:
    return (
        "# @package _global_\n"
        f"# {entry.kind}: {entry.about}; the budget: every row of the table, Hyperband's epochs at eta = 2\n"
        f"defaults:\n  - override /model: {entry.model}\n"
        f"max_epochs: {entry.max_epochs}\n"
        f"budget: {{n_trials: {entry.configurations}, n_epochs: {entry.n_epochs}}}\n"
    )


def _model(entry: Entry) -> str:
    # JSON is YAML.
    lines = {
        key: f"{key}: {json.dumps(v)}" for key, v in entry.leaf("${oc.env:SUITE_DATA,data}").items()
    }
    lines["repeats"] += "   # of a configuration that was trained several times: draw one by the "
    lines["repeats"] += "trial's seed, or their mean"
    return "\n".join([f"# {entry.kind}: {entry.about}", *lines.values(), ""])
