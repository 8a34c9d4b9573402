"""What every target promises. It is staged once and trained on the CPU for some epochs a check."""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from suite.core.errors import ContractError
from suite.core.metric import Metric, finite_metrics
from suite.core.seeds import stream
from suite.core.space import Space
from suite.core.target import TABLES, Target, check_provenance, check_target
from suite.core.types import Config
from suite.searchers.random import Random
from suite.testing.base import Conformance, expect_error

FRAMEWORKS = ("torch", "tensorflow", "sklearn", "mpi4py", "hydra", "mlflow")
Curve = list[dict[str, float]]


class TargetConformance(Conformance):
    """A target with its own data: let the leaf name few examples where the data set is large."""

    group: ClassVar[str] = "model"

    @classmethod
    def staged(cls) -> Target:
        """One target a class, as in a worker."""
        if "_staged" not in vars(cls):
            target: Target = cls().build()
            target.stage("cpu")
            cls._staged = target  # type: ignore[attr-defined]
        staged: Target = vars(cls)["_staged"]
        return staged

    @classmethod
    def configs(cls, n: int = 2) -> list[dict[str, Any]]:
        """The first n configurations of a random search."""
        searcher = Random()
        searcher.begin(cls.staged().space, 11)
        return [dict(searcher.propose(k, {})) for k in range(n)]

    @classmethod
    def curve(cls, config: Config, seed: int, epochs: int) -> Curve:
        """The metrics after each epoch of a new trial."""
        training, points = cls.staged().start(config, seed), []
        for epoch in range(1, epochs + 1):
            training.train_epoch(epoch)
            points.append(cls.metrics(training.validate(), f"validate() after epoch {epoch}"))
        return points

    @classmethod
    def metrics(cls, returned: Any, where: str) -> dict[str, float]:
        """What validate() or test() returned; it fails where a run would fail for it."""
        try:
            finite_metrics(returned, cls.staged().goal.name, where)
        except ContractError as error:
            raise AssertionError(str(error)) from None
        return dict(returned)

    def test_it_says_what_it_is(self) -> None:
        target = self.build()
        name = type(target).__name__
        assert isinstance(target, Target), f"{name}: must be a suite.core.Target"
        assert isinstance(target.space, Space) and len(target.space) > 0, (
            f"{name}.space: must hold at least one hyperparameter that is searched"
        )
        assert type(target).__doc__, f"{name}: has no docstring"
        check_target(target)

    def test_three_epochs_straight_equal_one_and_save_and_load_and_two(self) -> None:
        """Bit for bit, on a CPU: the curve, the test value, and what the next checkpoint would hold."""
        for k, config in enumerate(self.configs(3)):
            straight = self.staged().start(config, 42 + k)
            whole, cut = [], []
            for epoch in (1, 2, 3):
                straight.train_epoch(epoch)
                where = f"validate() after epoch {epoch}"
                whole.append(self.metrics(straight.validate(), where))
            first = self.staged().start(config, 42 + k)
            first.train_epoch(1)
            cut.append(dict(first.validate()))
            second = self.staged().start(config, 42 + k)
            with tempfile.TemporaryDirectory() as folder:
                first.save(Path(folder) / "1.ckpt")
                second.load(Path(folder) / "1.ckpt")
            assert dict(second.test()) == dict(first.test()), (
                f"{config}: after load, test() differs from that of the trial that was saved"
            )
            for epoch in (2, 3):
                second.train_epoch(epoch)
                cut.append(dict(second.validate()))
            assert cut == whole, (
                f"{config}: epochs 2 and 3 after save and load give {cut[1:]}, straight {whole[1:]}; "
                "draw every random choice from (seed, epoch), and save the optimiser's state too"
            )
            assert dict(second.test()) == dict(straight.test()), f"{config}: test() differs"

    def test_every_hyperparameter_that_is_searched_changes_the_training(self) -> None:
        """From one configuration to another that differs in this one alone. Some hyperparameters hide
        others, as a learning rate of 1e-9 does, so several configurations are tried.
        """
        target = self.staged()
        if target.data in TABLES:
            return  # which configurations there are is the table's
        drawn = self.configs(8)

        # Only those that are needed: a target may compile each configuration for seconds.
        @functools.cache
        def drawn_curve(k: int) -> Any:
            return self.curve(drawn[k], 8, 2)

        if not target.space.is_plain:
            # What waits for others plays a part in some only.
            drawn = self.configs(200)
        for name in target.space:
            values = [config[name] for config in drawn if name in config]
            if not values and name not in target.space.free:
                # What it waits for is held at another value.
                continue
            pairs = [(k, _changed(target.space, config, name, values))
                     for k, config in enumerate(drawn) if name in config][:4]  # fmt: skip
            changes = any(
                self.curve(config, 8, 2) != drawn_curve(k) for k, config in pairs if config
            )
            assert changes, f"{name}: changes nothing; fix it, or use it in start()"

    def test_what_was_staged_is_named(self) -> None:
        """Data set, digest and split, in plain JSON: the record's."""
        target = self.staged()
        check_provenance(target)

    def test_a_trial_is_a_function_of_its_configuration_and_seed(self) -> None:
        config = self.configs(1)[0]
        one = self.curve(config, 1, 1)
        assert self.curve(config, 1, 1) == one, f"{config}: twice seed 1, two different epochs"
        if self.staged().data not in TABLES:  # a table may hold one recording a configuration
            assert self.curve(config, 2, 1) != one, f"{config}: seeds 1 and 2 give the same epoch"

    def test_two_trials_in_one_worker_do_not_disturb_each_other(self) -> None:
        one, two = self.configs(2)
        a, b = self.staged().start(one, 1), self.staged().start(two, 2)
        together = []
        for epoch in (1, 2):
            a.train_epoch(epoch)
            b.train_epoch(epoch)
            b.validate()
            together.append(dict(a.validate()))
        assert together == self.curve(one, 1, 2), (
            "a trial's curve changes when another trains in between: they share state"
        )

    def test_a_warm_up_changes_no_trial(self) -> None:
        """Bit for bit: neither of a trial that was begun before it, nor of one that begins after it."""
        target, config = self.staged(), self.configs(1)[0]
        cold = self.curve(config, 1, 2)
        begun, points = target.start(config, 1), []
        for epoch in (1, 2):
            begun.train_epoch(epoch)
            points.append(dict(begun.validate()))
            target.warm_up()
        assert points == cold, (
            "warm_up() changes a trial that was begun before it: they share state"
        )
        assert self.curve(config, 1, 1) == cold[:1], "after warm_up() a trial gives another curve"

    def test_metrics_are_finite_and_validating_twice_gives_the_same(self) -> None:
        for config in self.configs():
            training = self.staged().start(config, 5)
            training.train_epoch(1)
            metrics = self.metrics(training.validate(), "validate() after epoch 1")
            assert all(map(math.isfinite, metrics.values())), f"{config}: {metrics} is not finite"
            assert dict(training.validate()) == metrics, f"{config}: validate() twice differs"
            self.metrics(training.test(), "test()")
            assert dict(training.validate()) == metrics, f"{config}: test() changes validate()"
            json.dumps(metrics, allow_nan=False)

    def test_the_search_never_sees_the_test_split(self) -> None:
        """Attributes of the target whose name holds `test` are replaced by one that cannot be used."""
        target = self.build()
        target.stage("cpu")
        held_out = [attribute for attribute in vars(target) if "test" in attribute]
        for attribute in held_out:
            setattr(target, attribute, _Untouchable())
        training = target.start(self.configs()[0], 5)
        training.train_epoch(1)
        training.validate()
        if target.data == "real":
            assert held_out, (
                "no attribute of the target is named test: this check cannot see what it must not; "
                "hold the test split in an attribute whose name holds `test`"
            )
            expect_error(_TouchedError, "test() after the test split was hidden", training.test)

    def test_it_learns(self) -> None:
        """Of some configurations at least one is better after three epochs than after one: by the
        validation loss, where there is one (an accuracy on few examples stands still for long).
        """
        for config in self.configs(6):
            points = self.curve(config, 3, 3)
            metric = Metric("val_loss", "min") if "val_loss" in points[0] else self.staged().goal
            if metric.objective(points[2]) < metric.objective(points[0]):
                return
        raise AssertionError(
            "of six configurations none is better after three epochs than after one"
        )

    def test_a_checkpoint_is_about_as_large_as_plan_says(self) -> None:
        sizes = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.ckpt"
            for config in self.configs(4):
                training = self.staged().start(config, 1)
                training.train_epoch(1)
                training.save(path)
                sizes.append(path.stat().st_size)
        told, mean = self.staged().checkpoint_bytes, sum(sizes) / len(sizes)
        assert told / 10 < mean < told * 10, (
            f"checkpoint_bytes={told}: must be right within a factor of 10; they have {mean:.0f}"
        )

    def test_importing_and_making_it_imports_no_framework(self) -> None:
        self.build()
        script = (
            # suite.run hands SUITE_PLUGINS over.
            "import json, sys; import suite.run; from suite.core.target import make_target\n"
            "make_target(json.loads(sys.argv[1]))\n"
            f"print([m for m in {FRAMEWORKS} if m in sys.modules])"
        )
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        done = subprocess.run(
            [sys.executable, "-c", script, json.dumps(dict(self.leaf))],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": path},
            timeout=60,
        )
        told = done.stdout.strip()
        assert done.returncode == 0, f"cannot be made in a process of its own: {done.stderr}"
        assert told == "[]", f"importing and making it imports {told}; import them in stage()"


class _TouchedError(Exception):
    """The test split was used."""


class _Untouchable:
    """In the test split's place: whoever looks at it fails."""

    def __getattribute__(self, name: str) -> Any:
        raise _TouchedError(f"the test split was used during the search ({name})")

    def _refuse(self, *_: Any) -> Any:
        raise _TouchedError("the test split was used during the search")

    __iter__ = __getitem__ = __len__ = _refuse


def _changed(space: Space, config: Config, name: str, values: list[Any]) -> Config | None:
    """The configuration with another value of `name`, and with what plays a part by it; None: all others are
    forbidden.
    """
    if space.is_plain:
        return {**config, name: _far_from(config[name], values)}
    for _ in range(20):
        other = space.completed(
            {**config, name: _far_from(config[name], values)}, stream(0, "changed")
        )
        if space.forbids(other) is None:
            return other
        values = [value for value in values if value != other[name]]
    return None


def _far_from(value: Any, values: list[Any]) -> Any:
    """The most different one of `values`: between two tiny decays nothing may change."""
    others = [other for other in values if other != value]
    if not others:
        return value
    return max(others, key=lambda o: abs(o - value) if isinstance(o, int | float) else 0)
