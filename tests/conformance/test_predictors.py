"""What every predictor promises: each file of conf/predictor that names a class."""

import pytest

from kit.driving import compose, names
from suite.core.predictor import Features
from suite.testing import PredictorConformance

LEAVES = {name: compose(f"predictor={name}")["predictor"] for name in names("predictor")}
SUITES = {name: PredictorConformance.of(leaf) for name, leaf in LEAVES.items() if leaf["_target_"]}


@pytest.mark.parametrize("check", PredictorConformance.checks())
@pytest.mark.parametrize("name", SUITES)
def test_what_every_predictor_promises(name, check):
    getattr(SUITES[name](), check)()


@pytest.mark.parametrize("name", LEAVES)
def test_its_yaml_says_what_it_sees(name):
    assert Features.of(LEAVES[name]["features"]).use


@pytest.mark.parametrize("name", SUITES)
def test_its_files_name_begins_with_its_own(name):
    cls = type(SUITES[name]().build())
    assert name.replace("_", "").startswith(cls.__name__.lower())
