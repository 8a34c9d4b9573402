"""Floor 7: the conformance suites, for the suite's own plug-ins and for yours.

On the command line, each check one line, exit code 1 where one fails:

    swiftbench check-target model=mine --config-dir conf
    swiftbench check-scheduler scheduler=mine --config-dir conf
    swiftbench check-joint algorithm=mine --config-dir conf
    swiftbench check-sampler sampler=mine --config-dir conf

and in the tests of your own repository, where pytest collects the class:

    from suite.testing import conformance

    TestMine = conformance("scheduler=mine", config_dir="conf")

(`conformances("conf")` gives those of all YAML files there, by name), or, without a YAML file, by the class
and its arguments:

    from suite.testing import SchedulerConformance

    class TestMine(SchedulerConformance):
        leaf = {"_target_": "mypackage.scheduler.Mine", "max_epochs": 16}

Packages outside `suite` and `models` are admitted by the environment's SUITE_PLUGINS, as everywhere. A check
is a method whose name begins with `test_`; it needs no pytest. To leave one out, set it to None in the class.

It stands beside the doctor, and not with the readers of results: it composes configurations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.core.lazy import lazy_names

if TYPE_CHECKING:
    from suite.testing.base import Conformance as Conformance
    from suite.testing.base import Result as Result
    from suite.testing.driving import Played as Played
    from suite.testing.driving import last_value as last_value
    from suite.testing.driving import play as play
    from suite.testing.driving import power_law as power_law
    from suite.testing.joint import JointConformance as JointConformance
    from suite.testing.leaves import KINDS as KINDS
    from suite.testing.leaves import conformance as conformance
    from suite.testing.leaves import conformances as conformances
    from suite.testing.predictors import PredictorConformance as PredictorConformance
    from suite.testing.samplers import SamplerConformance as SamplerConformance
    from suite.testing.schedulers import SchedulerConformance as SchedulerConformance
    from suite.testing.searchers import SearcherConformance as SearcherConformance
    from suite.testing.targets import TargetConformance as TargetConformance

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "suite.testing.base": ["Conformance", "Result"],
        "suite.testing.driving": ["Played", "last_value", "play", "power_law"],
        "suite.testing.joint": ["JointConformance"],
        "suite.testing.leaves": ["KINDS", "conformance", "conformances"],
        "suite.testing.predictors": ["PredictorConformance"],
        "suite.testing.samplers": ["SamplerConformance"],
        "suite.testing.schedulers": ["SchedulerConformance"],
        "suite.testing.searchers": ["SearcherConformance"],
        "suite.testing.targets": ["TargetConformance"],
    },
)
