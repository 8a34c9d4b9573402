"""Leaves of conf/: each value has the type that its class's constructor names."""

import inspect
from typing import Any, get_type_hints

import pytest

from kit.driving import compose, names
from suite.core import plugins
from suite.core.errors import ConfigError
from suite.core.settings import checked

LEAVES = [
    (group, name)
    for group in ("scheduler", "searcher", "predictor")
    for name in names(group)
    if name != "none"
]
NOT_OF_YAML = {"random_state"}


def leaf(group: str, name: str) -> dict[str, Any]:
    whole = compose(f"{group}={name}", *(["predictor=svr"] if group == "scheduler" else []))
    return {k: v for k, v in whole[group].items() if (group, k) != ("predictor", "features")}


@pytest.mark.parametrize(("group", "name"), LEAVES)
def test_a_constructors_types_are_named_and_admit_the_leaf(group, name):
    settings = leaf(group, name)
    cls = plugins.find(settings.pop("_target_"), group)
    hints = get_type_hints(cls.__init__)
    for parameter in list(inspect.signature(cls).parameters.values()):
        assert hints[parameter.name] not in (Any, object), parameter
    for key, value in settings.items():
        checked(value, hints[key], f"{group}.{key}")
        with pytest.raises(ConfigError, match=f"{group}.{key}="):
            checked([["wrong"]], hints[key], f"{group}.{key}")
    assert settings.keys() >= hints.keys() - {"return"} - NOT_OF_YAML or group == "predictor"


@pytest.mark.parametrize(("group", "name"), [one for one in LEAVES if one[0] != "predictor"])
def test_a_default_of_the_constructor_is_that_of_the_leaf(group, name):
    """Whoever constructs a class by hand gets what YAML gives; `overlap` is every algorithm's."""
    settings = leaf(group, name)
    cls = plugins.find(settings.pop("_target_"), group)
    for key, parameter in inspect.signature(cls).parameters.items():
        if parameter.default is not parameter.empty and key not in ("overlap", "eta", "features"):
            given = settings[key] or None if isinstance(settings[key], dict) else settings[key]
            assert parameter.default == given, f"{group}.{key}"
