"""Figures of merit of runs, and the reference values that an experiment states for them.

    best                  [metric]  best validation value of any epoch of any trial
    epochs                [epochs]  trained by the whole run, each counted once
    seconds               [s]       of the whole run, on rank 0's clock
    node_hours            [h]       of nodes with a worker, joining to leaving or release
    epochs_to_target      [epochs]  trained, by all workers, until a value reached the target value
    seconds_to_target     [s]       until then
    node_hours_to_target  [h]       of nodes with a worker, until then
    not_training_share    [1]       of the workers' time, joining to leaving: without a job,
                                    sending, restoring, checkpoints, scoring, epochs trained again;
                                    evaluation on the validation split counts as training
    predictor_seconds     [s]       fitting and predicting
    joules                [J]       of the whole run: what the workers' meters counted, else the batch system
    joules_to_target      [J]       what the workers' meters had counted when a value reached the target value
    trials_per_hour       [1/h]     trials begun in the run, by its wall clock: for more workers with more
                                    trials (weak scaling)

Lower is better, but for trials_per_hour and a metric that is maximised. The *_to_target figures are inf if
the target was not reached, and None if they cannot be computed: a record without its journal has no curves,
simulated workers stand on no node, and many nodes have no meter. Meters that were read after a part of the
finished jobs alone give no joules of the run: None. Joules compare where they are of one scope: a device is
no package, and neither is a node.

An experiment's YAML may hold reference values, each a median over seeds with absolute bounds
(null: none) in the figure's unit; `<algorithm>/<figure>`, or `<figure>` for every algorithm:

    reference:
      hyperband/epochs: {value: 3213, lower: 3213, upper: 3213, unit: epochs}
      seconds_to_target: {value: 700, lower: null, upper: 800, unit: s}

Deviation: ReFrame's bounds are fractions of the value. A bound in the unit of the figure can be
read without a calculator, and holds for 0 and negative values too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, unknown_name
from suite.core.metric import Metric
from suite.core.printable import printable
from suite.files import UnsafeFileError, read_text
from suite.results.run_view import RunView
from suite.results.workers import energy, usage

_MAX_YAML_BYTES = 2**20

TO_TARGET = ("epochs_to_target", "seconds_to_target", "node_hours_to_target", "joules_to_target")
UNITS = {
    "best": None,
    "epochs": "epochs",
    "seconds": "s",
    "node_hours": "h",
    **dict(zip(TO_TARGET, ("epochs", "s", "h", "J"), strict=True)),
    "not_training_share": "1",
    "predictor_seconds": "s",
    "joules": "J",
    "trials_per_hour": "1/h",
}
"""Every figure of merit and its unit (None: the metric's)."""

OF_ENERGY = ("joules", "joules_to_target")


def better(figure: str, mode: str) -> str:
    """Which way a figure of merit is better. mode: the metric's, min or max."""
    higher = figure == "trials_per_hour" or (figure == "best" and mode == "max")
    return "higher" if higher else "lower"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: its record, and the view of its journal where that is at hand. doubts: a sentence on each
    thing in them that does not fit.
    """

    record: Mapping[str, Any]
    view: RunView | None
    doubts: Sequence[str] = ()

    @property
    def algorithm(self) -> str:
        return str(self.record["algorithm"])

    @property
    def seed(self) -> int:
        return int(self.record["seed"])

    @property
    def best(self) -> float | None:
        best = self.record["result"]["best"]
        return None if best is None else float(best["validation"]["value"])

    @property
    def energy_scope(self) -> str | None:
        """What its joules are of: device, package, job (suite.worker.energy); None: of nothing."""
        energy = self.record["energy"]
        return None if energy["joules"] is None else str(energy["scope"])

    @property
    def sign(self) -> float:
        return Metric(self.record["target"]["metric"], self.record["target"]["mode"]).sign


def figures(run: Measured, target: float | None) -> dict[str, float | None]:
    """Every figure of merit of a run. target: in the metric's own direction; None: none is set."""
    record = run.record
    time, worker_s = record["time"], 3600 * float(record["cost"]["worker_hours"]["value"])
    new_s = time["train"]["value"] + time["evaluate"]["value"]
    new_s -= time["overhead"]["retrained"]["value"]
    predictor, node_hours = record["predictor"], record["cost"]["node_hours"]
    values: dict[str, float | None] = {
        "best": run.best,
        "epochs": float(record["epochs"]["used"]["value"]),
        "seconds": float(time["wall"]["value"]),
        "node_hours": None if node_hours is None else float(node_hours["value"]),
    }
    values |= dict(zip(TO_TARGET, _to_target(run, target), strict=True))
    values["not_training_share"] = max(1 - new_s / worker_s, 0.0) if worker_s > 0 else None
    values["predictor_seconds"] = predictor["fit"]["value"] + predictor["predict"]["value"]
    joules, wall_s = record["energy"]["joules"], float(time["wall"]["value"])
    in_part = run.view is not None and is_metered_in_part(run.view)
    values["joules"] = None if joules is None or in_part else float(joules["value"])
    n_trials = record["trials"]["total"]["value"]
    values["trials_per_hour"] = 3600 * n_trials / wall_s if wall_s > 0 else None
    return values


def is_metered_in_part(view: RunView) -> bool:
    """Whether meters were read after some of the jobs that finished, and not after the others: a meter that
    failed on the way, a node without one, or readings that were left out.
    """
    read = {(life.worker, time_s) for life in view.workers for time_s, _ in life.readings}
    ended = {
        (job.worker, job.end_s)
        for job in view.jobs
        if job.kind == "train" and job.outcome == "finished"
    }
    return bool(read) and not ended <= read


def _to_target(run: Measured, target: float | None) -> tuple[float | None, ...]:
    if run.view is None or target is None:
        return None, None, None, None
    view, goal = run.view, run.sign * target
    metered = energy(view.workers, view.time_s).joules is not None
    metered &= not is_metered_in_part(view)
    point = next((point for point in view.anytime if point.best <= goal), None)
    first = next((point for point in view.by_time if point.best <= goal), None)
    if point is None or first is None:
        node_h = None if run.view.usage.node_s is None else math.inf
        return math.inf, math.inf, node_h, math.inf if metered else None
    node_s = usage(view.workers, first.time_s).node_s
    node_h = None if node_s is None else node_s / 3600
    joules = energy(view.workers, first.time_s).joules if metered else None
    return float(point.n_epochs), first.time_s, node_h, joules


# --- reference values ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """What a figure is expected to be. algorithm None: of every algorithm."""

    algorithm: str | None
    figure: str
    value: float
    lower: float | None
    upper: float | None
    unit: str

    @property
    def name(self) -> str:
        return f"{self.algorithm}/{self.figure}" if self.algorithm else self.figure

    def holds(self, value: float) -> bool:
        """Whether a value is within the bounds; not reached (inf) is not."""
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        return math.isfinite(value) and low <= value <= high


def references(path: Path) -> list[Reference]:
    """The reference values of an experiment's YAML. Raises ConfigError: wrong, or none."""
    import yaml

    try:
        experiment = yaml.safe_load(read_text(path, max_bytes=_MAX_YAML_BYTES))
    except (OSError, UnsafeFileError, ValueError, yaml.YAMLError, RecursionError) as error:
        why = printable(getattr(error, "strerror", None) or str(error).split("\n")[0], most=300)
        raise ConfigError(f"reference={path.name}: {why}; name an experiment's YAML.") from None
    named = experiment.get("reference") if isinstance(experiment, dict) else None
    if not isinstance(named, dict) or not named:
        raise ConfigError(f"{path.name}: reference: missing; the experiment states no values.")
    return [_reference(path.name, str(name), spec) for name, spec in named.items()]


def _reference(file: str, name: str, spec: Any) -> Reference:
    at = f"{file}: reference.{name}"
    algorithm, _, figure = name.rpartition("/")
    if figure not in UNITS:
        raise unknown_name(f"{file}: reference", figure, UNITS)
    if not isinstance(spec, dict) or set(spec) != {"value", "lower", "upper", "unit"}:
        raise ConfigError(f"{at}={spec}: must be {{value, lower, upper, unit}}; null: no bound.")
    numbers: dict[str, float | None] = {}
    for key in ("value", "lower", "upper"):
        number = spec[key]
        if number is None and key != "value":
            numbers[key] = None
        elif isinstance(number, bool) or not isinstance(number, int | float):
            raise ConfigError(f"{at}.{key}={number}: must be a number, e.g. 1.0e-3 (not 1e-3).")
        else:
            numbers[key] = _float(f"{at}.{key}", number)
    value, lower, upper = numbers["value"], numbers["lower"], numbers["upper"]
    assert value is not None
    if lower is None and upper is None:
        raise ConfigError(f"{at}: lower and upper are null; one must be a bound.")
    if (
        not (-math.inf if lower is None else lower)
        <= value
        <= (math.inf if upper is None else upper)
    ):
        raise ConfigError(
            f"{at}: lower={lower}, value={value}, upper={upper}: must ascend; bounds are in "
            "the figure's unit, not fractions of the value."
        )
    unit = UNITS[figure]
    if unit is not None and spec["unit"] != unit:
        raise ConfigError(f"{at}.unit={spec['unit']}: {figure} is in {unit}; convert the values.")
    return Reference(algorithm or None, figure, value, lower, upper, str(spec["unit"]))


def _float(at: str, number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ConfigError(f"{at}: must be a number in the range of a float.") from None
