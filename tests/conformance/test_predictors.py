"""What every predictor promises: each file of conf/predictor that names a class."""

import functools

import pytest

from kit.driving import compose, names
from suite.core.predictor import Features
from suite.testing import PredictorConformance

ALL = names("predictor")
PREDICTORS = [name for name in ALL if name != "none"]


@functools.cache
def leaf(name):
    """Composed when the first test asks: every process of pytest collects this file."""
    return compose(f"predictor={name}")["predictor"]


@functools.cache
def suite(name):
    return PredictorConformance.of(leaf(name))


@pytest.mark.parametrize("check", PredictorConformance.checks())
@pytest.mark.parametrize("name", PREDICTORS)
def test_what_every_predictor_promises(name, check):
    getattr(suite(name)(), check)()


@pytest.mark.parametrize("name", ALL)
def test_its_yaml_says_what_it_sees(name):
    assert Features.of(leaf(name)["features"]).use
    assert bool(leaf(name)["_target_"]) == (name in PREDICTORS)


@pytest.mark.parametrize("name", PREDICTORS)
def test_its_files_name_begins_with_its_own(name):
    cls = type(suite(name)().build())
    assert name.replace("_", "").startswith(cls.__name__.lower())
