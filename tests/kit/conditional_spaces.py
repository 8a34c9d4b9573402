"""Spaces with conditions and constraints: one with all kinds, random ones, and a target that trains on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from suite.core import (
    Choice,
    ConfigError,
    Constraints,
    Float,
    Int,
    Metric,
    Ordered,
    Space,
    Target,
    Training,
    When,
    stream,
)
from suite.core.types import Config

PARAMETERS: dict[str, Any] = {
    "optimizer": Choice("sgd", "adam", "rmsprop"),
    "learning_rate": Float(1e-4, 1.0, log=True),
    "least_rate": Float(1e-5, 1e-1, log=True),
    "momentum": When(Float(0.0, 0.99), {"optimizer": ["sgd", "rmsprop"]}),
    "nesterov": When(Choice(True, False), {"optimizer": "sgd"}),
    "damping": When(Int(0, 40, step=10), {"nesterov": False}),
    "batch_size": Ordered(16, 32, 64, 128),
    "width": Int(8, 64, step=8),
}
CONSTRAINTS = Constraints(
    forbidden=[
        {"optimizer": "adam", "batch_size": [16, 32]},
        {"nesterov": True, "batch_size": 128},
    ],
    relations=["least_rate < learning_rate"],
)


def space(fixed: Mapping[str, Any] | None = None) -> Space:
    return Space(PARAMETERS, fixed, constraints=CONSTRAINTS)


def wrong_with(config: Mapping[str, Any]) -> str:
    """What is wrong with a configuration of `space()`, said a second time and by hand; empty: nothing."""
    sgd, adam = config["optimizer"] == "sgd", config["optimizer"] == "adam"
    names = {"optimizer", "learning_rate", "least_rate", "batch_size", "width"}
    names |= set() if adam else {"momentum"}
    names |= {"nesterov"} if sgd else set()
    names |= {"damping"} if sgd and config["nesterov"] is False else set()
    if set(config) != names:
        return f"{set(config) ^ names}: has a value and plays no part, or the other way round"
    if adam and config["batch_size"] < 64:
        return "adam with a small batch is forbidden"
    if sgd and config["nesterov"] and config["batch_size"] == 128:
        return "nesterov with the largest batch is forbidden"
    if not config["least_rate"] < config["learning_rate"]:
        return "the least rate must be below the rate"
    if config["width"] % 8 or config.get("damping", 0) % 10:
        return "a step was missed"
    return ""


def objective(config: Mapping[str, Any], epoch: int) -> float:
    """Best: sgd without nesterov, momentum .9, a rate of .01, small batches."""
    far = abs(config["learning_rate"] - 0.01) ** 0.3 + 0.1 * config["batch_size"] / 128
    far += {"sgd": 0.0, "adam": 0.3, "rmsprop": 0.2}[config["optimizer"]]
    if "momentum" in config:
        far += abs(config["momentum"] - 0.9)
    far += 0.2 if config.get("nesterov") else 0.0
    return far + 0.01 * config.get("damping", 0) + 1.0 / epoch


class ConditionalTarget(Target):
    """It refuses a configuration with a value that plays no part, or a forbidden one."""

    parameters = PARAMETERS
    constraints = CONSTRAINTS
    metric = Metric("val_loss", "min")
    framework = "numpy"
    data = "synthetic"
    checkpoint_bytes = 64
    epoch_s = 0.0

    def stage(self, device: str) -> None:
        """Nothing."""

    def start(self, config: Config, seed: int) -> Training:
        if wrong := wrong_with(config):
            raise ConfigError(f"{config}: {wrong}")
        return _Training(config, seed)


class _Training(Training):
    def __init__(self, config: Config, seed: int) -> None:
        self._config, self._seed, self._epoch = config, seed, 0

    def train_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def validate(self) -> Mapping[str, float]:
        noise = 0.01 * float(stream(self._seed, "epoch", self._epoch).normal())
        return {"val_loss": objective(self._config, max(self._epoch, 1)) + noise}

    def test(self) -> Mapping[str, float]:
        return self.validate()

    def save(self, path: Path) -> None:
        path.write_text(str(self._epoch))

    def load(self, path: Path) -> None:
        self._epoch = int(path.read_text())


# --- random spaces --------------------------------------------------------------------------------

_PLAIN = st.one_of(
    st.builds(Choice, st.just("a"), st.just("b"), st.just("c")),
    st.builds(Ordered, st.just(1), st.just(2), st.just(4)),
    st.builds(Int, st.just(0), st.just(12), st.just(False), st.sampled_from([1, 3])),
    st.just(Float(0.0, 1.0)),
)


@st.composite
def spaces(draw: Any) -> Space:
    """Three to six hyperparameters, each with conditions on those before it at times; perhaps a clause and a
    relation. Some are refused when they are made (ConfigError): they forbid too much.
    """
    parameters: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for name in "abcdef"[: draw(st.integers(3, 6))]:
        plain[name] = draw(_PLAIN)
        parents = [n for n, p in plain.items() if n != name and not isinstance(p, Float)]
        when = {
            parent: draw(_some_of(_values(plain[parent])))
            for parent in parents
            if draw(st.integers(0, 3)) == 0
        }
        parameters[name] = When(plain[name], when) if when else plain[name]
    finite = [name for name, one in plain.items() if not isinstance(one, Float)]
    numbers = [name for name, one in plain.items() if isinstance(one, Int | Float)]
    forbidden, relations = [], []
    if len(finite) >= 2 and draw(st.booleans()):
        forbidden = [{name: draw(st.sampled_from(_values(plain[name]))) for name in finite[:2]}]
    if len(numbers) >= 2 and draw(st.booleans()):
        sign = draw(st.sampled_from(["<", "<=", ">", ">="]))
        relations = [f"{numbers[0]} {sign} {numbers[-1]}"]
    return Space(parameters, constraints=Constraints(forbidden, relations))


def _some_of(values: list[Any]) -> Any:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


def _values(parameter: Any) -> list[Any]:
    if isinstance(parameter, Int):
        return list(range(parameter.low, parameter.high + 1, parameter.step))
    return list(parameter.values)


def possible(draw: Any) -> Space:
    """A random space that is none too strict."""
    from hypothesis import assume

    try:
        return draw(spaces())
    except ConfigError:
        assume(False)
        raise
