"""The target contract: the model under study (`Target`) and one trial of it being trained
(`Training`).

Deviation from the first design: two nouns instead of one. A Target outlives its trials and holds
what they share (settings, framework, data set on the device); a Training is one trial's live state.
With one class the shared data would have to hide in a module global.
"""

from __future__ import annotations

import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from suite.core import plugins
from suite.core.configspace import from_configspace, is_configspace
from suite.core.curve_table import Recording
from suite.core.errors import ConfigError
from suite.core.metric import Metric, nearest_mode
from suite.core.space import Constraints, Parameter, Space, When
from suite.core.space_words import constraints_of, parameters_of
from suite.core.types import Config

if TYPE_CHECKING:
    from pathlib import Path


class Training(ABC):
    """One trial being trained. Every random choice of epoch e is drawn from (seed, e) alone.

    So checkpoints hold weights and optimiser state but no generator state, and three epochs
    straight equal one, save, load, two, bit for bit, wherever the cut was.
    """

    @abstractmethod
    def train_epoch(self, epoch: int) -> None:
        """Train epoch `epoch` (1-based, a total).

        Raises DivergedError where the loss is no longer finite.
        """

    @abstractmethod
    def validate(self) -> Mapping[str, float]:
        """Metrics on the validation split; holds `Target.metric.name`."""

    @abstractmethod
    def test(self) -> Mapping[str, float]:
        """The same metrics on the test split; the suite calls it once, for the winner."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write weights and optimiser state to the file `path`. The caller makes it atomic."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Read what `save` wrote; must not run code from it (torch: weights_only=True)."""


class Target(ABC):
    """The model under study. Its constructor takes the YAML's arguments, imports no framework and
    reads no data (a curve table, whose space is its data, reads its file then).

    parameters: the hyperparameters by name; one that plays a part at times only stands in a When, and a
    configuration in which it plays none does not have it. metric: the validation metric that is optimised,
    a Metric; or its name, with `mode` ("min" or "max") beside it, as targets of earlier revisions say it.
    framework: what must be alone in a worker ("torch", "tensorflow", "numpy"). data: "real",
    "recorded" (a curve table), "surrogate" (a table that a model of recorded curves wrote), "stand-in" or
    "synthetic"; it labels every record. checkpoint_bytes:
    about how large one checkpoint is; epoch_s: about how many seconds one epoch takes on the
    hardware its file names; `plan` reads both.

    A class names all six. One that its constructor sets is announced by an annotation in the class.
    `check_target` says what is missing or wrong.
    """

    parameters: Mapping[str, Parameter | When]
    metric: Metric
    framework: str
    data: str
    checkpoint_bytes: int
    epoch_s: float
    constraints: Constraints = Constraints()
    """Configurations that are never drawn."""
    provenance: Mapping[str, Any] = MappingProxyType({})
    """Set by `stage` where data are real or a stand-in: which data these are (name, sha256,
    stand_in), how they were split (split, split_sha256, n_train, n_valid, n_test); plain JSON, for
    the record. `check_provenance` says what is missing or wrong.
    """
    parallel: str | None = None
    """Dotted name of the group class with which several ranks train one trial; None: one rank."""
    most_epochs: int | None = None
    """Epochs of the longest training that there is (a curve table's); None: any number. A run that asks for
    more is refused before it begins.
    """
    group: Any = None
    """The group, set before `stage`'s first trial where there is one."""
    default_configuration: Mapping[str, Any] | None = None
    """What people take who do not search: published values, or a framework's defaults; the class says
    whose. One value a hyperparameter, each within its range. `retrain` trains it beside the winner, so that
    the gain by tuning is measured. None: none is known.
    """
    default_source: str = ""
    """Whose `default_configuration` is: a paper, a framework, or "ours" and why. Empty: it does not say."""

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Parameter | When] | None = None,
        space: Any = None,
        constraints: Any = None,
    ) -> None:
        """fixed: values that are held, None: searched. parameters: of this object, None: the class's. space,
        constraints: the same in the words of a YAML file (suite.core.space_words), in place of the class's;
        or a ConfigurationSpace of ConfigSpace, or its JSON as a mapping.

        Raises ConfigError for a space that cannot be.
        """
        if parameters is not None:
            self.parameters = parameters
        if space is not None:
            self.parameters, self.constraints = (
                from_configspace(space)
                if is_configspace(space)
                else (parameters_of("model.space", space), Constraints())
            )
        if constraints is not None:
            self.constraints = constraints_of("model.constraints", constraints)
        self.space = Space(self.parameters, fixed, constraints=self.constraints)

    @property
    def own_code(self) -> str:
        """Digest of code that trains and lies outside of the class's package; compared as that package is."""
        return ""

    @property
    def goal(self) -> Metric:
        """The metric that is optimised, however the class says it. The suite reads this one."""
        return _goal(self)

    @property
    def default(self) -> Config | None:
        """`default_configuration` with the values that are fixed in this object's space; None: none is known.

        Raises ConfigError where it is no point of the space.
        """
        if self.default_configuration is None:
            return None
        config = self.space.with_fixed(self.default_configuration)
        self.space.check(config)
        return config

    @abstractmethod
    def stage(self, device: str) -> None:
        """Once a worker, before its first trial: import the framework, put the data set on the
        device.

        Raises DataError where data are missing or damaged.
        """

    def warm_up(self) -> None:
        """Once a worker, after `stage` and before a run's clock starts: do what costs time only once in a
        process (first kernels, a compiler), so that no trial pays for it.

        By default a trial of the space's lowest configuration is started and thrown away. A target that
        trains overrides this and takes one step of training, not an epoch. It must change no trial's
        result. Where several ranks train one trial, all of them call it together.
        """
        self.start(self.space.lowest(), 0)

    @abstractmethod
    def start(self, config: Config, seed: int) -> Training:
        """A new trial with freshly initialised weights, drawn from `seed`."""

    def reference(self, max_epochs: int) -> Mapping[str, float] | None:
        """Where all configurations are known: `best` and `median` value at max_epochs."""
        return None

    def replay(self, config: Config, seed: int) -> Recording:
        """The whole training at once, where it is known beforehand: what simulation needs.

        Raises ConfigError for a target that really trains.
        """
        raise ConfigError(
            f"model={type(self).__name__}: cannot be simulated, it really trains; "
            "take a table, or record one (python -m suite.curves record)."
        )


# --- checks ---------------------------------------------------------------------------------------

DATA = ("real", "recorded", "surrogate", "stand-in", "synthetic")
TABLES = ("recorded", "surrogate")
"""The labels of curve tables."""
_LOUD = ("surrogate", "stand-in")


def loud(data: str) -> str:
    """A label of data as people read it: what is not what it is named after must not be overlooked."""
    return data.upper() if data in _LOUD else data


def mark(data: str) -> str:
    """What follows the name of a run on such data: ` [STAND-IN]`, ` [SURROGATE]`, or nothing."""
    return f" [{loud(data)}]" if data in _LOUD else ""


def make_target(spec: Mapping[str, Any], what: str = "model") -> Target:
    """The target of a YAML leaf, checked as a class and as it was made.

    Raises ConfigError for an unknown, wrong or incomplete class and for a wrong argument.
    """
    if "_target_" in spec:
        cls = plugins.find(str(spec["_target_"]), what)
        if not issubclass(cls, Target):
            raise ConfigError(
                f"{what}._target_={spec['_target_']}: must be a Target; derive the class from "
                "suite.core.Target."
            )
        check_target(cls)
    target: Target = plugins.make(spec, what)
    check_target(target)
    return target


def check_target(target: type[Target] | Target) -> None:
    """Raise one ConfigError that names every missing or wrong attribute of a target, or of its class.

    Of a class, an attribute may be missing that an annotation announces: the constructor sets it.
    """
    cls = target if isinstance(target, type) else type(target)
    problems = [_abstract(name) for name in sorted(cls.__abstractmethods__)]
    announced = {name for base in _own(cls) for name in inspect.get_annotations(base)}
    for name, (is_right, rule, example) in _RULES.items():
        if hasattr(target, name):
            value = getattr(target, name)
            if name == "metric" and isinstance(value, str):
                problems += _wrong_words(target)
            elif not is_right(value):
                problems.append(f"{name}={value}: must be {rule}; write {name} = {example}.")
        elif cls is not target or name not in announced:
            problems.append(f"{name}: missing; write {name} = {example}.")
    if isinstance(getattr(target, "metric", None), Metric):
        problems += [
            _second_mode(base) for base in _own(cls) if isinstance(vars(base).get("mode"), str)
        ]
    if not (problems or target is cls):
        assert isinstance(target, Target)
        problems += _wrong_default(target)
    _refuse(f"{cls.__module__}.{cls.__qualname__}", "target", problems)


def check_provenance(target: Target) -> None:
    """Raise one ConfigError for what a staged target's `provenance` lacks, or says wrongly.

    Tables and synthetic data need none.
    """
    if target.data in (*TABLES, "synthetic"):
        return
    provenance, problems = dict(target.provenance), []
    for name, (is_right, rule) in _PROVENANCE.items():
        if name not in provenance:
            problems.append(f"provenance[{name!r}]: missing; stage() sets it to {rule}.")
        elif not is_right(provenance[name]):
            problems.append(f"provenance[{name!r}]={provenance[name]}: must be {rule}.")
    if isinstance(stand_in := provenance.get("stand_in"), bool) and stand_in != (
        target.data == "stand-in"
    ):
        problems.append(f"provenance['stand_in']={stand_in}: data={target.data}; make them agree.")
    try:
        json.dumps(provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        problems.append(f"provenance: must be plain JSON ({error}).")
    _refuse(f"{type(target).__module__}.{type(target).__qualname__}", "provenance", problems)


def _own(cls: type) -> list[type]:
    """The class and its bases below Target."""
    return [base for base in cls.__mro__ if issubclass(base, Target) and base is not Target]


def _abstract(name: str) -> str:
    return f"{name}(): missing; define the method."


def _goal(target: type[Target] | Target) -> Metric:
    """The Metric, or the one that the words `metric` and `mode` say. Raises ConfigError for other words."""
    metric: Any = target.metric
    if isinstance(metric, Metric):
        return metric
    return Metric(metric, getattr(target, "mode", "missing"))


def _wrong_words(target: type[Target] | Target) -> list[str]:
    try:
        _goal(target)
    except ConfigError as error:
        mode = nearest_mode(getattr(target, "mode", None)) or "min"
        return [f'{error} To mend it, write metric = Metric("{target.metric}", "{mode}").']
    return []


def _wrong_default(target: Target) -> list[str]:
    """Only an object is asked: its constructor may have set the space."""
    if not isinstance(target.default_configuration, Mapping | None):
        given = target.default_configuration
        return [
            f'default_configuration={given}: must be a mapping; write {{"lr": 0.001, ...}}, or None.'
        ]
    try:
        _ = target.default
    except ConfigError as error:
        return [f"default_configuration: {error}"]
    return []


def _second_mode(cls: type) -> str:
    mode = vars(cls)["mode"]
    return (
        f"mode={mode}: is part of the metric; remove it, and write "
        f'metric = Metric(name, "{nearest_mode(mode) or "min"}").'
    )


def _refuse(name: str, what: str, problems: list[str]) -> None:
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise ConfigError(f"{name}: its {what} is not complete and right:{lines}")


def _is_number(value: Any, least: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= least


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_parameters(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(one, Parameter | When) for name, one in value.items()
    )


_RULES: Mapping[str, tuple[Callable[[Any], bool], str, str]] = {
    "parameters": (
        _are_parameters, "a mapping from names to Float, Int, Choice, Ordered or When",
        '{"lr": Float(1e-4, 1.0)}',
    ),
    "metric": (lambda v: isinstance(v, Metric), "a Metric", 'Metric("val_loss", "min")'),
    "framework": (lambda v: isinstance(v, str) and bool(v), "a framework's name", '"numpy"'),
    "data": (lambda v: v in DATA, ", ".join(DATA[:-1]) + f" or {DATA[-1]}", '"real"'),
    "checkpoint_bytes": (_is_count, "an integer > 0 (bytes)", "1_000_000"),
    "epoch_s": (lambda v: _is_number(v, 0.0), "a number >= 0 (seconds)", "1.0"),
}  # fmt: skip
"""What a target must have: its check, its rule, an example."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64


_PROVENANCE: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "the data set's name"),
    "sha256": (_is_sha256, "the SHA-256 of the data, 64 hexadecimal digits"),
    "stand_in": (lambda v: isinstance(v, bool), "True or False"),
    "split": (_is_text, "the split's name"),
    "split_sha256": (_is_sha256, "the SHA-256 of the split, 64 hexadecimal digits"),
    "n_train": (_is_count, "a number of examples > 0"),
    "n_valid": (_is_count, "a number of examples > 0"),
    "n_test": (_is_count, "a number of examples > 0"),
}
"""What the provenance of real and stand-in data must hold."""
