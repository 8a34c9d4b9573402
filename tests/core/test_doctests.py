"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import suite.core
import suite.predictors
import suite.results
import suite.schedulers
import suite.searchers
import suite.surrogates

PACKAGES = (
    suite.core, suite.schedulers, suite.searchers, suite.predictors, suite.surrogates, suite.results,
)  # fmt: skip
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]
SHOWN = {
    "suite.core.brackets", "suite.core.curve_memory", "suite.core.metric", "suite.core.predictor",
    "suite.core.scheduler", "suite.core.space", "suite.predictors.constant", "suite.predictors.qsvr",
    "suite.predictors.svr", "suite.schedulers.asha", "suite.schedulers.hyperband",
    "suite.schedulers.swift_hyperband",
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    done = doctest.testmod(importlib.import_module(name))
    assert done.failed == 0
    assert done.attempted > 0 or name not in SHOWN, "its example is gone"
