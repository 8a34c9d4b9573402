"""What every scheduler promises: each file of conf/scheduler is tested the moment it exists."""

import pytest

from kit.driving import compose, names
from suite.core.plugins import make
from suite.testing import SchedulerConformance

# A forest is fitted every 8 jobs: with Hyperband's 43 trials that takes four times as long.
FEWER_TRIALS = {"swift_asha": ["scheduler.n_trials=24"]}
SUITES = {
    name: SchedulerConformance.of(
        compose(f"scheduler={name}", "max_epochs=16", "predictor=svr", *FEWER_TRIALS.get(name, []))[
            "scheduler"
        ]
    )
    for name in names("scheduler")
}


@pytest.mark.parametrize("check", SchedulerConformance.checks())
@pytest.mark.parametrize("name", SUITES)
def test_what_every_scheduler_promises(name, check):
    getattr(SUITES[name](), check)()


@pytest.mark.parametrize("name", SUITES)
def test_its_name_is_its_files(name):
    module, cls = SUITES[name].leaf["_target_"].rsplit(".", 1)
    assert module.rsplit(".", 1)[1] == name and cls.lower() == name.replace("_", "")
    assert type(make(SUITES[name].leaf, "scheduler")).__name__ == cls
