"""What every joint optimizer promises: what a scheduler does, and what a searcher does."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from suite.core.errors import ConfigError
from suite.core.space import Space
from suite.core.types import Config, Trial
from suite.schedulers.joint import Joint
from suite.searchers.joint import Joint as JointSearcher
from suite.testing.driving import Played, play, power_law
from suite.testing.schedulers import SchedulerConformance
from suite.testing.searchers import NAMED, SPACE, conditional_space

N_EPOCHS = 120
"""Of a search: seven trainings and a half."""


class JointConformance(SchedulerConformance):
    """A joint optimizer is driven as a run drives it, on a space with all kinds of hyperparameters.

    leaf: of `scheduler=joint`, with the optimizer's own in `optimizer`. It takes some tens of searches of
    120 epochs, at most 16 a trial.
    """

    group: ClassVar[str] = "scheduler"
    n_orders: ClassVar[int] = 5

    @classmethod
    def small(cls) -> dict[str, Any]:
        return {**super().small(), "n_epochs": N_EPOCHS, "n_trials": None}

    def build(self, **extra: Any) -> Any:
        return self._begun(Space(SPACE), 3)[0]

    def _begun(self, space: Space, seed: int) -> tuple[Joint, JointSearcher]:
        scheduler = super().build()
        assert isinstance(scheduler, Joint), (
            f"{type(scheduler).__name__}: must be suite.schedulers.joint.Joint; `optimizer` names your class"
        )
        scheduler.check()
        searcher = JointSearcher()
        searcher.follow(scheduler)
        searcher.begin(space, seed)
        return scheduler, searcher

    def proposals(
        self, space: Space, seed: int, workers: int = 3
    ) -> tuple[Played, dict[int, Config]]:
        """A search with its configurations; their curves depend on the configuration alone."""
        scheduler, searcher = self._begun(space, seed)
        configs: dict[int, Config] = {}

        def config(trial_id: int) -> Config:
            if trial_id not in configs:
                seen = {i: Trial(i, c, 0) for i, c in configs.items()}
                configs[trial_id] = searcher.propose(trial_id, seen)
                space.check(configs[trial_id])
            return configs[trial_id]

        def curve(trial_id: int, to_epoch: int) -> tuple[float, ...]:
            level = float(np.mean(space.encode(config(trial_id))))
            return tuple(level + value for value in power_law(0, to_epoch))

        return play(scheduler, curve, workers=workers, shuffle=2), configs

    def test_the_optimizer_is_documented(self) -> None:
        optimizer = self._begun(Space(SPACE), 3)[0].optimizer
        assert type(optimizer).__doc__, f"{type(optimizer).__name__}: has no docstring"

    def test_configurations_depend_on_the_seed_and_on_what_was_told_alone(self) -> None:
        space = Space(SPACE)
        one = self.proposals(space, 0)
        assert one == self.proposals(space, 0), (
            "seed 0 twice gives different searches; seed every generator in open(), and use no clock"
        )
        other = self.proposals(space, 1)
        assert one[1] != other[1], "seeds 0 and 1 give the same configurations"

    def test_it_uses_no_generator_that_others_use_too(self) -> None:
        """numpy's and Python's own global generators: other people's draws move them."""
        before = random.getstate(), np.random.get_state()[1:3]  # type: ignore[index]
        one = self.proposals(Space(SPACE), 0)
        after = random.getstate(), np.random.get_state()[1:3]  # type: ignore[index]
        same = (
            before[0] == after[0]
            and before[1][1] == after[1][1]
            and (before[1][0] == after[1][0]).all()
        )
        assert same, "it moves a global generator (random, or numpy.random); seed one of its own"
        saved = np.random.get_state()
        np.random.seed(12345)
        try:
            assert self.proposals(Space(SPACE), 0) == one, "it depends on numpy's global generator"
        finally:
            np.random.set_state(saved)

    def test_fixed_names_stay_fixed(self) -> None:
        fixed = {"width": 8, "optimizer": "lion"}
        _, configs = self.proposals(Space(SPACE, fixed), 0)
        pairs = {(config["width"], config["optimizer"]) for config in configs.values()}
        assert pairs == {(8, "lion")}, f"{fixed} are fixed; proposed were {pairs}"

    def test_a_hyperparameter_may_have_any_name(self) -> None:
        """Dots, spaces, a digit in front, words of Python: what configuration files have."""
        self.proposals(Space(NAMED), 0)

    def test_no_configuration_has_a_value_that_plays_no_part_or_is_forbidden(self) -> None:
        """Or it refuses such a space with a ConfigError in `open`, by what its package has not."""
        space = conditional_space()
        try:
            self._begun(space, 0)
        except ConfigError:
            return
        assert self.proposals(space, 0) == self.proposals(space, 0), (
            "seed 0 twice gives different searches in a space with conditions"
        )

    def test_of_a_table_every_trial_is_another_row(self) -> None:
        draws = np.random.default_rng(5)
        plain = Space(SPACE)
        rows = [plain.decode(u) for u in draws.random((30, len(plain))).tolist()]
        _, configs = self.proposals(Space(SPACE, rows=rows), 0)
        _unlike(configs)
        assert all(config in rows for config in configs.values())


def _unlike(configs: Mapping[int, Config]) -> None:
    texts = [str(sorted(config.items(), key=str)) for config in configs.values()]
    assert len(set(texts)) == len(texts), "two trials have the same row"
