"""What every searcher promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from suite.core.errors import ConfigError
from suite.core.searcher import Searcher
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
from suite.core.types import Trial
from suite.testing.base import Conformance

SPACE: dict[str, Parameter] = {
    "learning_rate": Float(1e-4, 1.0, log=True),
    "width": Int(4, 256, log=True),
    "optimizer": Choice("sgd", "adam", "lion"),
}


NAMED: dict[str, Parameter] = {
    "1st_dense": Float(1e-4, 1.0, log=True),
    "model.layers": Int(1, 9),
    "batch size": Ordered(16, 32, 64),
    "lambda": Choice("sgd", "adam"),
    "größe-μ": Float(0.0, 1.0),
}
"""Names that a configuration may have, and a variable of a program may not."""


CONDITIONAL: dict[str, Parameter | When] = {
    **SPACE,
    "momentum": When(Float(0.0, 0.99), {"optimizer": ["sgd"]}),
    "dampening": When(Int(0, 30, step=10), {"optimizer": "sgd"}),
    "batch_size": Ordered(16, 32, 64),
}
CONSTRAINTS = Constraints(
    forbidden=[{"optimizer": "lion", "batch_size": 64}], relations=["batch_size <= width"]
)


def conditional_space() -> Space:
    """With conditions, steps, an order and constraints."""
    return Space(CONDITIONAL, constraints=CONSTRAINTS)


class SearcherConformance(Conformance):
    """A searcher proposes configurations of a space with all kinds of hyperparameters."""

    group: ClassVar[str] = "searcher"

    def proposals(
        self,
        seed: int,
        ids: Iterable[int],
        fixed: Mapping[str, Any] | None = None,
        space: Space | None = None,
    ) -> dict[int, Any]:
        """Propose in this order; trials known so far carry a curve of one epoch."""
        space = space or Space(SPACE, fixed)
        searcher = self.build()
        searcher.begin(space, seed)
        trials: dict[int, Trial] = {}
        for trial_id in ids:
            config = searcher.propose(trial_id, trials)
            space.check(config)
            trials[trial_id] = Trial(trial_id, config, 0, (1.0 / (trial_id + 1),))
        return {trial_id: trial.config for trial_id, trial in trials.items()}

    def test_it_is_a_searcher_and_documented(self) -> None:
        searcher = self.build()
        assert isinstance(searcher, Searcher), (
            f"{type(searcher).__name__}: must be a suite.core.Searcher"
        )
        assert type(searcher).__doc__, f"{type(searcher).__name__}: has no docstring"

    def test_a_hyperparameter_may_have_any_name(self) -> None:
        self.proposals(0, range(12), space=Space(NAMED))

    def test_every_proposal_is_in_the_space_and_depends_on_the_seed(self) -> None:
        one = self.proposals(0, range(30))
        assert one == self.proposals(0, range(30)), "seed 0 twice gives different proposals"
        assert one != self.proposals(1, range(30)), "seeds 0 and 1 give the same proposals"

    def test_no_proposal_has_a_value_that_plays_no_part_or_is_forbidden(self) -> None:
        """Or it refuses such a space with a ConfigError in `begin`."""
        try:
            self.build().begin(conditional_space(), 0)
        except ConfigError:
            return
        one = self.proposals(0, range(30), space=conditional_space())
        again = self.proposals(0, range(30), space=conditional_space())
        assert one == again, "seed 0 twice gives different proposals in a space with conditions"

    def test_fixed_names_stay_fixed(self) -> None:
        fixed = {"width": 8, "optimizer": "lion"}
        proposed = self.proposals(0, range(10), fixed)
        pairs = {(config["width"], config["optimizer"]) for config in proposed.values()}
        assert pairs == {(8, "lion")}, f"{fixed} are fixed; proposed were {pairs}"
        rates = {config["learning_rate"] for config in proposed.values()}
        assert len(rates) == 10, f"ten proposals have {len(rates)} learning rates"
