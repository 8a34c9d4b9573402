"""Names that moved: what journals, data packages and YAML files of earlier revisions still say.

The one table of its kind. `plugins.find` looks every `_target_` up here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.core.errors import JournalError

MODULES = {
    # revision 0e27403 -> the second plan of the house
    "models.table": "models.recorded_curves",
    "models.table_target": "models.synthetic_curves",
    "models.images.rank_group": "models.torch_group",
    "suite.core.table": "suite.core.curve_table",
    "suite.core.rungs": "suite.core.async_rung",
    "suite.core.watched": "suite.core.checked_rounds",
    "suite.predictors.dual": "suite.predictors.svr_dual",
    "suite.predictors.zoom": "suite.predictors.qsvr_zoom",
    "suite.predictors.published": "suite.predictors.qsvr_published",
    "suite.predictors.annealers": "suite.annealing.samplers",
    "suite.predictors.qpu": "suite.annealing.qpu",
    "suite.predictors.sapi": "suite.annealing.sapi",
    "suite.predictors.chains": "suite.annealing.chains",
    "suite.predictors.recordings": "suite.annealing.recordings",
}
"""Old module -> new module."""


def current(path: str) -> str:
    """Today's dotted path of a class; `path` itself where it has not moved.

    >>> current("models.table.Table")
    'models.recorded_curves.Table'
    """
    module, _, name = path.rpartition(".")
    return f"{MODULES.get(module, module)}.{name}"


def hint(module: str | None) -> str:
    """What an error says of a module that moved; empty for one that has not.

    >>> hint("suite.core.table")
    '; suite.core.table is suite.core.curve_table now'
    """
    return f"; {module} is {MODULES[module]} now" if module in MODULES else ""


TRACKER = "suite.track.tracker.MLflow"
"""The one tracker of revision 0e27403, whose YAML files name no class and no address."""


def tracking(leaf: Mapping[str, Any]) -> dict[str, Any]:
    """A YAML file of conf/tracking with today's settings.

    >>> tracking({"when": "later", "store": "store"})["_target_"]
    'suite.track.tracker.MLflow'
    """
    return dict(leaf) if "_target_" in leaf else {"_target_": TRACKER, "uri": None, **leaf}


IN_LEAVES = ("n_curves", "straight", "max_samples", "annealing")
"""Settings of revision 0e27403 that its leaves had interpolated: a journal's leaves hold their values."""

IN_GROUPS = {"nominal_workers": "virtual_cluster", "speculate": "virtual_cluster"}
"""Setting of revision 0e27403 -> the group that has it now."""


BACKENDS = {
    "auto": "suite.backends.auto.Auto",
    "inline": "suite.backends.inline.Inline",
    "mpi": "suite.backends.mpi.backend.MPI",
    "simulate": "suite.backends.simulate.Simulate",
}
"""The word `backend.kind` of revision 0e27403 -> the `_target_` of today's leaf."""


NEW_IN_BACKENDS = {"agreement": "refuse", "shrink_job": False, "group_interface": None}
"""Settings of conf/backend that are younger than 0e27403 -> what journals without them continue with."""


NEW_IN_BUDGET = {
    "hours": None, "node_hours": None, "all_epochs": None, "trainings": None, "price": None, "end": None,
    "allow_short": False,
}  # fmt: skip
"""Settings of `budget` that are younger than 0e27403 -> what journals without them continue with."""


PRICE = "suite.schedulers.price.Price"
"""It had a setting `hours` of its own, before it planned by the run's budget of time."""


NEW_IN_PRICE = {"outlook_node_hours": None, "release_workers": False}
"""Settings of conf/scheduler/price.yaml that are younger -> what journals without them continue with."""


_CHOICES = ("algorithm", "scheduler", "predictor", "searcher", "model", "task", "backend")
"""What a header of today says of the YAML files that were chosen; one of 0e27403 does not."""


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration as a journal holds it, with today's names.

    >>> upgraded({"eta": 2, "n_curves": 15, "nominal_workers": None, "speculate": False})
    {'eta': 2, 'virtual_cluster': {'nominal_workers': None, 'speculate': False}, 'forecast': None, \
'common': {}}
    """
    today = {k: v for k, v in config.items() if k not in IN_LEAVES and k not in IN_GROUPS}
    for key, group in IN_GROUPS.items():
        if key in config and isinstance(today.get(group, {}), Mapping):
            today[group] = {**today.get(group, {}), key: config[key]}
    backend = config.get("backend")
    kind = backend.get("kind") if isinstance(backend, Mapping) else None
    if isinstance(backend, Mapping) and isinstance(kind, str) and kind in BACKENDS:
        settings = {key: value for key, value in backend.items() if key != "kind"}
        today["backend"] = {"_target_": BACKENDS[kind], **settings}
    if isinstance(today.get("backend"), Mapping):
        today["backend"] = {**today["backend"], **_missing(today["backend"])}
    if isinstance(today.get("budget"), Mapping):
        today["budget"] = {**NEW_IN_BUDGET, **today["budget"]}
    if _is_price(config):
        kept = {k: v for k, v in config["scheduler"].items() if k != "hours"}
        today["scheduler"] = {**NEW_IN_PRICE, **kept}
    # Before, a scheduler that did not ask was run without its predictor.
    today.setdefault("forecast", None)
    today.pop("algorithm_name", None)
    if not isinstance(today.get("name", ""), str):
        # name=20261128 was a number then; the folder has its digits.
        today["name"] = str(today["name"])
    return {**_with_targets(today), "common": config.get("common", {})}


def _is_price(config: Mapping[str, Any]) -> bool:
    leaf = config.get("scheduler")
    return isinstance(leaf, Mapping) and leaf.get("_target_") == PRICE


def _check_hours(config: Mapping[str, Any]) -> None:
    """Raise JournalError for a run of Price that today would plan by another end."""
    budget = config.get("budget")
    if (
        not _is_price(config)
        or "hours" not in config["scheduler"]
        or not isinstance(budget, Mapping)
    ):
        return
    own, node_hours = config["scheduler"]["hours"], budget.get("node_hours")
    if own != budget.get("hours") or node_hours is not None:
        raise JournalError(
            f"scheduler.hours={own}: this run planned by it alone; today price plans by budget.hours and "
            "budget.node_hours, whichever ends first. Continue or verify it with the version that wrote it."
        )


def _missing(backend: Mapping[str, Any]) -> dict[str, Any]:
    # Of a leaf that has the suite's settings: all have join_timeout_s.
    named = "join_timeout_s" in backend
    return {k: v for k, v in NEW_IN_BACKENDS.items() if named and k not in backend}


def choices(header: Mapping[str, Any]) -> dict[str, Any]:
    """The `choices` of a journal's header; of an older one without them, what it says by name.

    >>> choices({"algorithm": "swift_svr", "model": "mlpf"})["scheduler"] is None
    True
    """
    names = {"algorithm": header.get("algorithm"), "model": header.get("model")}
    return header.get("choices") or {**dict.fromkeys(_CHOICES), **names}


def _with_targets(value: Any) -> Any:
    """A configuration whose every `_target_` is today's."""
    if isinstance(value, Mapping):
        return {
            key: current(inner)
            if key == "_target_" and isinstance(inner, str)
            else _with_targets(inner)
            for key, inner in value.items()
        }
    return [_with_targets(inner) for inner in value] if isinstance(value, list) else value


def begun_with(header: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration by which a journal's run was begun, as today's settings name it, with its choices.

    Raises JournalError where the header holds none.
    """
    if not isinstance(header.get("config"), Mapping):
        raise JournalError(
            "the journal's header: config: missing, or no mapping; the run cannot be made again by it. "
            "Restore the journal from a copy."
        )
    _check_hours(header["config"])
    return {**upgraded(header["config"]), "choices": choices(header)}
