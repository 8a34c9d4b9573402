"""What `swiftbench.tune` is called with: each argument checked, and made what the search needs."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models import own_loop
from suite.core.configspace import from_configspace, is_configspace
from suite.core.errors import ConfigError
from suite.core.metric import Metric
from suite.core.printable import printable
from suite.core.space import (
    Choice,
    Constraints,
    Float,
    Int,
    Ordered,
    Parameter,
    Space,
    When,
)
from suite.core.target import Target


def as_object(train: Any) -> Any:
    """`train`, made if it is a class with `start`. Raises ConfigError for what is no training loop."""
    if inspect.isclass(train) and hasattr(train, "start"):
        return train()
    if hasattr(train, "start") or inspect.isgeneratorfunction(_function(train)):
        return train
    what = getattr(train, "__name__", type(train).__name__)
    rule = "must be a generator function that yields after each epoch, or an object with start(config, seed)"
    if callable(train) and not inspect.isclass(train):
        raise ConfigError(
            f"train={what}: has no yield; {rule}. Put `yield` where an epoch's metrics are known."
        )
    raise ConfigError(f"train={what}: {rule}.")


def _function(train: Any) -> Any:
    """The function behind a partial or a callable object."""
    train = getattr(train, "func", train)
    return train if inspect.isroutine(train) else type(train).__call__ if callable(train) else train


def goal(target: Any, metric: str | Metric | None, mode: str | None) -> Metric:
    """The metric that is optimised. Raises ConfigError where it, or its direction, is not said."""
    if metric is None and isinstance(target, Target):
        return target.goal
    if isinstance(metric, Metric):
        if mode not in (None, metric.mode):
            raise ConfigError(f"mode={mode}: the metric says {metric.mode}; leave mode out.")
        return metric
    if not isinstance(metric, str) or not metric:
        raise ConfigError(
            f'metric={metric}: must be the name of what train yields; write metric="val_loss".'
        )
    if mode is None and metric.endswith(("loss", "error")):
        mode = "min"
    if mode is None:
        raise ConfigError(f'mode: missing; write mode="min" or mode="max" for metric={metric}.')
    return Metric(metric, mode)


def searched_space(
    target: Any,
    space: Mapping[str, Parameter | When] | None,
    constraints: Constraints | None = None,
) -> tuple[Mapping[str, Parameter | When], Constraints]:
    """What is searched, and what is never drawn. Raises ConfigError for an empty space, or a value that is no
    parameter.
    """
    if space is None and isinstance(target, Target):
        return _own_space(target.space, constraints)
    if is_configspace(space):
        space, limits = from_configspace(space)
        constraints = constraints or limits
    example = 'write space={"lr": swiftbench.Float(1e-4, 1.0, log=True)}'
    if not isinstance(space, Mapping) or not space:
        raise ConfigError(
            f"space={printable(space, most=80)}: must name hyperparameters; {example}."
        )
    for name, one in space.items():
        if not isinstance(name, str) or not name:
            raise ConfigError(f"space: the key {printable(name, most=80)} is no text; {example}.")
        if not isinstance(one, Float | Int | Choice | Ordered | When):
            guess = "Choice(*values)" if isinstance(one, list | set) else "Float(low, high)"
            raise ConfigError(
                f"space[{printable(name)!r}]={printable(one, most=80)}: must be Float, Int, Choice, "
                f"Ordered or When of swiftbench; e.g. swiftbench.{guess}."
            )
    parameters = dict(space)
    checked = Space(parameters, constraints=constraints)
    return parameters, checked.constraints


def _own_space(
    space: Space, constraints: Constraints | None
) -> tuple[Mapping[str, Parameter | When], Constraints]:
    if space.is_plain:
        parameters = {name: space.parameters[name] for name in space.free}
        return parameters, Space(parameters, constraints=constraints).constraints
    if held := [name for name in space if name not in space.free]:
        raise ConfigError(
            f"train: its space has conditions or constraints, and {printable(held[0], most=80)} is held; "
            "pass space= without it, or hold nothing."
        )
    limits = space.constraints if constraints is None else constraints
    return space.parameters, Space(space.parameters, constraints=limits).constraints


def training_loop(
    target: Any,
    save: Callable[[Any, Path], Any] | None,
    load: Callable[[Path], Any] | None,
    catch: Iterable[type[Exception]],
) -> own_loop.Loop:
    """The loop as the target runs it. Raises ConfigError where save, load and catch do not fit it."""
    kinds = tuple(catch) if isinstance(catch, Iterable) else (catch,)
    for kind in kinds:
        if not (inspect.isclass(kind) and issubclass(kind, Exception)):
            raise ConfigError(
                f"catch={kind}: must be classes of exceptions; e.g. catch=[ValueError]."
            )
    if (save is None) != (load is None):
        missing = "load" if load is None else "save"
        raise ConfigError(f"{missing}: missing; save and load go together.")
    loop = own_loop.Loop(train=target, save=save, load=load, catch=kinds, code=code_digest(target))
    if save is not None:
        if hasattr(target, "start"):
            raise ConfigError(
                "save: is for generators; what start() returns has save(path) and load(path)."
            )
        if "state" not in loop.arguments(state=None):
            raise ConfigError(
                "train: takes no argument `state`; with save and load it must: train(config, state=None)."
            )
    return loop


def extra_settings(settings: Sequence[str]) -> list[str]:
    """Words of the command line. Raises ConfigError for what is no list of key=value."""
    if isinstance(settings, str) or not all(
        isinstance(word, str) and "=" in word for word in settings
    ):
        raise ConfigError(
            f"settings={printable(settings, most=80)}: must be a list of key=value, as on the command line; "
            'e.g. settings=["eta=3"].'
        )
    return list(settings)


def named(target: Any) -> Any:
    """The function, or the class of the object: what has a name and a source."""
    target = getattr(target, "func", target)
    return target if inspect.isroutine(target) else type(target)


def module_name(target: Any) -> str:
    """The name of the script or the module."""
    if (module := named(target).__module__) != "__main__":
        return str(module)
    file = getattr(sys.modules["__main__"], "__file__", None)
    return Path(file).stem if file else "notebook"


def code_digest(target: Any) -> str:
    """Digest of the source file that trains; of the function's own source where there is no file."""
    code = named(target)
    try:
        file = Path(inspect.getsourcefile(code) or "")
        source = file.read_bytes() if file.is_file() else inspect.getsource(code).encode()
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(source).hexdigest()[:16]
