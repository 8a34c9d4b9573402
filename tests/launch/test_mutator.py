"""Every setting of conf/ with values that no one would write: it works, or is refused by name."""

import copy
import random
from collections import Counter

import pytest

from kit.driving import compose, names
from suite.core.errors import SuiteError
from suite.core.run_settings import RunSettings
from suite.launch import cli
from suite.launch.assemble import assemble
from suite.launch.checks import check_plain
from suite.launch.compose import Loader

VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 2**31, 2**62, 2**63 - 1, 2**63, 2**64, 10**400, 10**6, 10**8, 10**9,
    1e8, 0.5, 1.5, -0.5, 1e300, -1e300, 1e-300, float("nan"), float("inf"), float("-inf"), "", "abc", "null",
    "1", "1.5",
    "nan", "../x", "a/b", "\x1b[2J", "é", "\ud800", "x" * 300, [], [1], ["a"], [[]], [None], {}, {"a": 1},
    {"a": {"b": [1]}}, {1: 2}, "http://me:X@h",
]  # fmt: skip
GROUPS = ("scheduler", "predictor", "searcher", "backend", "tracking", "model")
# Their tables are recorded data, which is not part of the repository.
LEAVES = [(g, n) for g in GROUPS for n in names(g) if not (g == "model" and n.endswith("_table"))]


LOADER = Loader()


def places(node, path=()):
    """The path to each setting, and to each group of them."""
    if path:
        yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, (*path, key))


def with_value(config, path, value):
    changed = copy.deepcopy(config)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def outcomes(cases):
    """How many cases work and are refused. Any other error is the test's own."""
    counts = Counter()
    for config, path, value in cases:
        changed = with_value(config, path, value)
        try:
            check_plain(changed)
            assemble(RunSettings.of(changed))
            counts["works"] += 1
        except SuiteError as error:
            assert str(error).strip(), (path, value)
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{'.'.join(path)} = {value!r}: {error!r}") from error
    return counts


def composed(group, name):
    words = [f"{group}={name}"]
    if group != "model":
        words.append("model=table_target")
    if group == "scheduler":
        words.append("predictor=loo_svr")
    # One loader for all: it reads each file of conf/ once.
    return LOADER.plain(LOADER.load(words))


def drawn(n_a_leaf):
    rng = random.Random(13)
    for group, name in LEAVES:
        config = composed(group, name)
        of_leaf = list(places(config[group], (group,)))
        for _ in range(n_a_leaf):
            yield config, rng.choice(of_leaf), rng.choice(VALUES)


def test_no_value_of_a_leaf_s_setting_gives_a_traceback():
    counts = outcomes(drawn(4))
    assert counts.total() == 4 * len(LEAVES) and counts["refused"] > counts["works"] > 0


def test_no_value_of_a_run_s_own_setting_gives_a_traceback():
    config = compose("model=table_target", "predictor=svr", "scheduler=swift_hyperband")
    own = [p for p in places(config) if p[0] not in (*GROUPS, "choices") or len(p) == 1]
    cases = [(config, path, value) for path in own for value in VALUES]
    assert outcomes(random.Random(13).sample(cases, 150))["refused"] > 75


@pytest.mark.exhaustive
def test_no_value_of_any_setting_gives_a_traceback():
    outcomes(drawn(150))


WORDS = [
    "null", "", "abc", "-1", "1e400", "nan", "[", "{a:", "${x}", "${oc.decode:'['}", "'", "range(3)", "a b",
    "9" * 30,
]  # fmt: skip
KEYS = [
    "seed", "name", "eta", "model", "model.noise", "common", "backend.device", "hydra.mode", "hydra", "~seed",
    "+x", "hydra.run.dir", "hydra.sweeper.params", "n_seeds", "scheduler._target_", "experiment",
    "hydra/launcher",
]  # fmt: skip


def test_no_override_gives_a_traceback(capsys):
    """The whole way of the command line, with words as Hydra's grammar takes them and as it does not."""
    rng = random.Random(13)
    for _ in range(25):
        key, value = rng.choice(KEYS), rng.choice(WORDS)
        code = cli.main(["plan", "model=table_target", f"{key}={value}"])
        err = capsys.readouterr().err
        assert "Traceback" not in err and (code == 0 or err), (key, value, err)
