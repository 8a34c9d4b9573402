"""A user's own training loop as a target; `swiftbench.tune` makes it.

Code cannot stand in a journal. So the target's YAML leaf only describes the loop: its name, the space, the
metric. Each process that trains finds the code under that name (`known`), where `swiftbench.tune` has put it;
a process without it (a report, `swiftbench verify`) reads the run all the same.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from suite.core.errors import ConfigError, ContractError, SuiteError, TrialError
from suite.core.metric import Metric
from suite.core.space import Parameter, When
from suite.core.target import Target, Training
from suite.core.types import Config
from suite.files import parse_json, read_bytes

Values = dict[str, Any]
MAX_BYTES = 2**26
"""Bytes of the file that holds a trial's values, where it is trained again to restore it."""
_TOO_LARGE = ("OutOfMemoryError", "ResourceExhaustedError")


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The code behind a leaf.

    train: a generator function train(config), with any of the further arguments `seed`, `device` and
    `state`; or an object with start(config, seed), as a Target has. save(state, path), load(path) -> state:
    None, or how a generator's state is kept. catch: exceptions that end a trial and not the search.
    code: digest of the source that trains.
    """

    train: Any
    save: Callable[[Any, Path], Any] | None = None
    load: Callable[[Path], Any] | None = None
    catch: tuple[type[BaseException], ...] = ()
    code: str = ""

    def arguments(self, **offered: Any) -> dict[str, Any]:
        """Those of `offered` that a generator function takes."""
        known = inspect.signature(self.train).parameters
        every = any(p.kind is p.VAR_KEYWORD for p in known.values())
        return {name: value for name, value in offered.items() if every or name in known}


known: dict[str, Loop] = {}
"""Name -> the loop, in this process."""


class OwnLoop(Target):
    """The loop that `loop` names. space, constraints: in plain words (suite.core.space_words). saves: whether
    the loop's own callables save a trial's state.

    Raises ConfigError for a wrong description, and in `start` where this process does not have the loop.
    """

    parameters: Mapping[str, Parameter | When]
    metric: Metric
    framework = "own loop"
    data: str
    checkpoint_bytes = 1
    epoch_s = 0.0

    def __init__(
        self,
        loop: str,
        space: Mapping[str, Mapping[str, Any]],
        metric: str,
        mode: Literal["min", "max"],
        data: str = "real",
        saves: bool = False,
        constraints: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(space=space, constraints=constraints)
        self.metric, self.data, self._name = Metric(metric, mode), data, loop
        self._device = "cpu"

    @property
    def own_code(self) -> str:
        """Digest of the loop's source; empty where this process does not have it."""
        return known[self._name].code if self._name in known else ""

    def stage(self, device: str) -> None:
        self._device = device
        if hasattr(train := self._loop().train, "stage"):
            train.stage(device)

    def warm_up(self) -> None:
        """Nothing but what the object does itself: an epoch of a generator may take long."""
        if hasattr(train := self._loop().train, "warm_up"):
            train.warm_up()

    def start(self, config: Config, seed: int) -> Training:
        loop = self._loop()
        return _Trial(loop, self.metric.name, lambda state: self._begun(loop, config, seed, state))

    def _begun(self, loop: Loop, config: Config, seed: int, state: Any) -> Any:
        """The generator, or the object's own training."""
        if hasattr(loop.train, "start"):
            return loop.train.start(dict(config), seed)
        offered = loop.arguments(seed=seed, device=self._device, state=state)
        begun = loop.train(dict(config), **offered)
        if not isinstance(begun, Generator):
            raise ContractError(
                f"{self._name}: returned {type(begun).__name__}; must be a generator: yield the metrics "
                "after each epoch."
            )
        return begun

    def _loop(self) -> Loop:
        if self._name not in known:
            raise ConfigError(
                f"model.loop={self._name}: is a training loop of a script, and not known to this process; "
                "run that script again, with folder=<run folder> in swiftbench.tune."
            )
        return known[self._name]


class _Trial(Training):
    """One trial of a loop. begin: starts it, from a state or (None) from the beginning.

    Where nothing saves its state, a trial that is no longer in memory is trained again from the beginning,
    and its values are compared with those that it had: a loop that is no function of configuration and seed
    would go on as another trial.
    """

    def __init__(self, loop: Loop, metric: str, begin: Callable[[Any], Any]) -> None:
        self._loop, self._metric, self._begin = loop, metric, begin
        self._steps: Any = None
        self._values: list[float] = []
        self._latest: Values = {}
        self._state: Any = None
        self._broken: Exception | None = None

    def train_epoch(self, epoch: int) -> None:
        if self._broken is not None:
            raise self._broken
        with _faults(self._loop.catch):
            self._step(epoch)

    def validate(self) -> Mapping[str, float]:
        return self._latest

    def test(self) -> Mapping[str, float]:
        if not hasattr(self._steps, "test"):
            raise ContractError(
                "score_test=true: the loop has no test(); leave it false, or pass an object that has one."
            )
        with _faults(self._loop.catch):
            return _metrics(self._steps.test(), self._metric, "test()")

    def save(self, path: Path) -> None:
        own = self._saves()
        if own is None:
            path.write_text(json.dumps({"values": self._values}))
            return
        own(path)
        if not path.exists() or path.stat().st_size == 0:
            raise ContractError(
                f"save: wrote nothing to {path.name}; must write to the path that it is given (numpy.save "
                "adds .npy to a name: pass it an open file)."
            )

    def load(self, path: Path) -> None:
        try:
            with _faults(self._loop.catch):
                self._restore(path)
        except (ContractError, TrialError) as error:
            # Said when training continues: what a load raises only means that the file will not do.
            self._broken = error

    # --- parts ------------------------------------------------------------------------------------

    def _saves(self) -> Callable[[Path], Any] | None:
        """How this trial's state is saved; None: it is not."""
        if self._loop.save is not None:
            save = self._loop.save
            return lambda path: save(self._state, path)
        return self._steps.save if _saves_itself(self._steps) else None

    def _restore(self, path: Path) -> None:
        if self._loop.load is not None:
            self._state = self._loop.load(path)
            self._steps = self._begin(self._state)
            return
        self._steps = self._begin(None)
        if _saves_itself(self._steps):
            self._steps.load(path)
            return
        had = parse_json(read_bytes(path, max_bytes=MAX_BYTES).decode())["values"]
        for epoch, before in enumerate(had, start=1):
            self._step(epoch)
            if (now := self._values[-1]) != before:
                raise ContractError(
                    f"epoch {epoch}: trained again, {self._metric} is {now!r}, and was {before!r}; a trial "
                    "that is not saved must be a function of configuration and seed. Seed every random "
                    "number from `seed`, or give save and load."
                )

    def _step(self, epoch: int) -> None:
        """Train one epoch, and take what it gave."""
        if self._steps is None:
            self._steps = self._begin(None)
        if isinstance(self._steps, Generator):
            try:
                given = next(self._steps)
            except StopIteration:
                raise ContractError(
                    f"epoch {epoch}: the loop ended before; must yield once an epoch, max_epochs times "
                    "(or for ever)."
                ) from None
            if self._loop.save is not None:
                given, self._state = _pair(given)
        else:
            self._steps.train_epoch(epoch)
            given = self._steps.validate()
        self._latest = _metrics(given, self._metric, f"epoch {epoch}")
        with contextlib.suppress(KeyError, TypeError, ValueError):
            self._values.append(float(self._latest[self._metric]))


# --- what the loop gives ------------------------------------------------------------------------------


def _saves_itself(steps: Any) -> bool:
    return hasattr(steps, "save") and hasattr(steps, "load")


def _pair(given: Any) -> tuple[Any, Any]:
    if not isinstance(given, tuple) or len(given) != 2:
        raise ContractError(
            f"the loop yielded {type(given).__name__}; with save and load it must yield metrics, state."
        )
    return given


def _metrics(given: Any, metric: str, where: str) -> Values:
    """What a loop yielded as metrics by name. A number is that of `metric`."""
    if isinstance(given, Mapping):
        if metric not in given:
            came = ", ".join(str(key)[:60] for key in list(given)[:10]) or "nothing"
            raise ContractError(
                f"metric={metric}: is not among what came at {where} ({came}); name one of them, or add it."
            )
        return dict(given)
    if isinstance(given, tuple):
        raise ContractError(
            f"{where}: the loop yielded a tuple; must be a number, or a mapping that holds {metric}. With "
            "save= and load= it yields metrics, state."
        )
    if isinstance(given, str | bytes) or not hasattr(given, "__float__"):
        raise ContractError(
            f"{where}: the loop gave {type(given).__name__}; must be a number, or a mapping that holds "
            f"{metric}."
        )
    return {metric: given}


@contextlib.contextmanager
def _faults(catch: tuple[type[BaseException], ...]) -> Any:
    """A mistake in the loop ends the search; what it says to `catch` ends the trial alone.

    Out of memory passes: the worker tries again with nothing else in memory.
    """
    try:
        yield
    except SuiteError:
        raise
    except catch as error:
        raise TrialError(f"{type(error).__name__}: {error}"[:500]) from error
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ in _TOO_LARGE:
            raise
        traceback.print_exc()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise ContractError(
            f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno}); mend the "
            f"loop, or name {type(error).__name__} in catch= to give such trials up."
        ) from error
