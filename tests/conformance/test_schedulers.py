"""What every scheduler promises: each file of conf/scheduler is tested the moment it exists."""

import functools

import pytest

from kit.driving import compose, names
from suite.core.plugins import make
from suite.testing import JointConformance, SchedulerConformance

# A forest is fitted every few jobs: with Hyperband's 43 trials, or with all trees, that takes long. A loop
# is of several.
FEWER_TRIALS = {
    "swift_asha": ["scheduler.n_trials=24"],
    "price": ["scheduler.n_trees=4"],
    "looped": ["scheduler.rounds=3"],
}
# It has no optimizer of its own.
MORE = {
    **FEWER_TRIALS,
    "joint": ["scheduler.optimizer={_target_:suite.optimizers.halving.Halving}"],
}
SCHEDULERS = names("scheduler")


@functools.cache
def suite(name):
    """Composed when the first test asks: every process of pytest collects this file."""
    words = ["max_epochs=16", "predictor=svr", *MORE.get(name, [])]
    kind = JointConformance if name == "joint" else SchedulerConformance
    return kind.of(compose(f"scheduler={name}", *words)["scheduler"])


@pytest.mark.parametrize("check", SchedulerConformance.checks())
@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_every_scheduler_promises(name, check):
    getattr(suite(name)(), check)()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_its_name_is_its_files(name):
    module, cls = suite(name).leaf["_target_"].rsplit(".", 1)
    assert module.rsplit(".", 1)[1] == name and cls.lower() == name.replace("_", "")
    assert type(make(suite(name).leaf, "scheduler")).__name__ == cls
