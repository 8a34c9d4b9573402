"""Other people's optimizers: each keeps the contract, is replayed by the same calls, and says what is absent.

CI has Optuna's package; tests/optimizers/environment makes an environment that has all of them.
"""

import importlib.metadata
import os
import random
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.conditional_spaces import objective, space, wrong_with
from kit.driving import CONF, ROOT, compose, configured, names, result, resumed, search
from kit.packages import SLOW, assembled_or_skip
from models.synthetic_curves import TableTarget
from suite.core.errors import ConfigError
from suite.core.extras import MissingExtraError
from suite.core.joint import JointOptimizer
from suite.core.ordered import Conditional, Ordered
from suite.core.plugins import make
from suite.core.space import Choice, Constraints, Float, Int, Space
from suite.core.types import Trial
from suite.launch.assemble import assemble, search_of
from suite.launch.execute import run
from suite.optimizers.optuna import Optuna
from suite.optimizers.own_random_state import OwnRandomState
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainSpace
from suite.run import journal as journals
from suite.searchers.optuna import Optuna as OptunaSearcher
from suite.testing import JointConformance
from suite.testing.searchers import CONDITIONAL
from suite.verify.checks import verify

R = 9
WORDS = (
    "model=table_target",
    f"max_epochs={R}",
    "backend=inline",
    "tracking=later",
    "report=false",
)


def joint_algorithms():
    # With a predictor the optimizer is the same.
    found = [
        n
        for n in names("algorithm")
        if "scheduler: joint" in text(n)
        and "predictor: none" in text(n)
        # It needs a file of yours: tests/optimizers/test_neps_ifbo.py.
        and n not in ("joint_halving", "neps_ifbo")
    ]
    return [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in found]


def text(name):
    return (CONF / "algorithm" / f"{name}.yaml").read_text()


def leaf_or_skip(name, *words):
    assembled_or_skip(configured(f"algorithm={name}", *words))
    return compose(f"algorithm={name}", *words)["scheduler"]


@pytest.mark.parametrize("name", joint_algorithms())
def test_it_keeps_the_contract(name):
    suite = JointConformance.of(leaf_or_skip(name))
    failed = {r.check: r.reason for r in suite.results() if not r.passed}
    assert not failed


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "random"])
def test_every_sampler_of_optuna_keeps_the_contract(sampler):
    words = [f"scheduler.optimizer.sampler={sampler}", "scheduler.optimizer.pruner=none"]
    suite = JointConformance.of(leaf_or_skip("optuna", *words))
    suite.n_orders = 2
    # These learn from trials at max_epochs alone; a search of 120 epochs has seven.
    checks = ("it_ends", "configurations_depend", "it_uses_no_generator")
    for name in suite.checks():
        if name.removeprefix("test_").startswith(checks):
            getattr(suite(), name)()


@pytest.mark.parametrize("name", joint_algorithms())
def test_cut_and_resumed_it_ends_as_if_it_had_not_been_cut(name, tmp_path, no_fsync):
    leaf = leaf_or_skip(name, f"max_epochs={R}", "budget.n_epochs=60")
    target = TableTarget(diverge_below=9)
    whole = search(tmp_path / "whole", make(leaf, "scheduler"), target, seed=3)
    rows = (tmp_path / "whole" / journals.NAME).read_bytes().splitlines(keepends=True)
    for n_rows in (len(rows) // 3, 2 * len(rows) // 3):
        folder = tmp_path / f"cut-{n_rows}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / journals.NAME).write_bytes(b"".join(rows[:n_rows]))
        again = resumed(folder, make(leaf, "scheduler"), target, seed=3)
        assert result(again) == result(whole), f"cut after line {n_rows}"


@pytest.mark.parametrize("name", joint_algorithms())
def test_a_run_of_it_is_verified(name, tmp_path, no_fsync):
    chosen = configured(f"algorithm={name}", *WORDS, "budget.n_epochs=40")
    assembled_or_skip(chosen)
    outcome = run(chosen, tmp_path / "run")
    assert (outcome.status, outcome.reason) == ("completed", "")
    assert verify(tmp_path / "run", "run").holds


def test_optunas_sampler_proposes_for_hyperband(tmp_path, no_fsync):
    chosen = configured("algorithm=hyperband_optuna", *WORDS)
    assembled_or_skip(chosen)
    assert run(chosen, tmp_path / "run").status == "completed"
    assert verify(tmp_path / "run", "run").holds
    lines = journals.read(tmp_path / "run" / journals.NAME)[1]
    (said,) = [line["measured"]["searcher"] for line in lines if "measured" in line]
    assert said["by_sampler"] > 0 and said["at_random"] >= 8


def test_a_scheduler_of_ours_prunes_a_study_of_optuna():
    pytest.importorskip("optuna", reason="optuna is not installed")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "optuna_pruner.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    epochs, most = map(int, re.search(r"; (\d+) of (\d+) epochs", done.stdout).groups())
    # As many trials as the study has, each with a rung at least, and few with all epochs.
    assert most == 27 * 60 and 60 <= epochs < most / 2


@pytest.mark.slow
def test_a_scheduler_of_ours_pauses_and_promotes_trials_of_ray_tune():
    pytest.importorskip(
        "ray", reason="Ray Tune is no extra of this project: pip install 'ray[tune]'"
    )
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "ray_scheduler.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = re.search(r"epochs of each trial: \[([\d, ]+)\]; (\d+) of 108", done.stdout)
    epochs = [int(word) for word in said[1].split(",")]
    # Every trial ends on a rung of ASHA; few are promoted, and one comes to the end at least.
    assert len(epochs) == 12 and set(epochs) == {1, 3, 9}
    assert epochs.count(1) >= 6 and sum(epochs) == int(said[2]) < 54


# --- absent, of another version, wrong arguments --------------------------------------------------


def test_a_package_that_is_absent_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    extras = {"optuna": "optuna", "dehb": "dehb", "syne_tune_asha": "syne-tune", "smac": "smac"}
    for name, extra in {**extras, "neps_priorband": "neps", "neps_ifbo": "neps"}.items():
        with pytest.raises(MissingExtraError, match=rf"pip install 'swiftbench\[{extra}\]'"):
            assembled_or_fail(name)


def assembled_or_fail(name):
    return assemble(configured(f"algorithm={name}"))


@pytest.mark.parametrize("version", ["4.9.1", "6.0", "rc"])
def test_a_package_of_another_version_is_refused_by_name(monkeypatch, version):
    monkeypatch.setattr("suite.core.packages.need", lambda module: None)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    says = rf"optuna={version}: must be at least 5 and below 6.*pip install 'swiftbench\[optuna\]'"
    with pytest.raises(ConfigError, match=says):
        check_package("optuna", "optuna", "optuna", "5", "6")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "5.3.0rc1")
    check_package("optuna", "optuna", "optuna", "5", "6")


@pytest.mark.parametrize(
    ("name", "word", "says"),
    [
        ("optuna", "sampler=tpee", "Did you mean tpe"),
        ("optuna", "pruner=mean", "scheduler.optimizer.pruner=mean"),
        ("optuna", "eta=1", "scheduler.optimizer.eta=1: must be"),
        ("dehb", "min_epochs=0", "scheduler.optimizer.min_epochs=0: must be"),
        ("syne_tune_asha", "method=bohb", "scheduler.optimizer.method=bohb"),
        ("blackboxopt_bohb", "eta=2.5", "eta=2.5: must be an integer"),
        ("smac", "eta=1", "scheduler.optimizer.eta=1: must be"),
        ("neps_priorband", "base=hyper", "scheduler.optimizer.base=hyper"),
        ("neps_priorband", "confidence=lo", "Did you mean low"),
        ("neps_priorband", "prior=0.1", "prior=0.1: must be a mapping"),
        ("neps_ifbo", "step_epochs=0", "scheduler.optimizer.step_epochs=0: must be"),
        ("neps_ifbo", "n_initial=0", "scheduler.optimizer.n_initial=0: must be"),
        ("neps_ifbo", "objective_range=[1,0]", "objective_range=.*must be .lowest, highest."),
        ("neps_ifbo", "weights_sha256=abc", "weights_sha256=abc: must be 64 hexadecimal digits"),
    ],
)
def test_a_wrong_argument_is_named_whether_or_not_the_package_is_here(name, word, says):
    with pytest.raises(ConfigError, match=says):
        assembled_or_fail_with(name, f"scheduler.optimizer.{word}")


def assembled_or_fail_with(name, word):
    return search_of(configured(f"algorithm={name}", word))


# --- spaces and generators ------------------------------------------------------------------------

PARAMETERS = {
    "rate": Float(1e-4, 1.0, log=True),
    "decay": Float(0.0, 0.5),
    "width": Int(4, 256, log=True),
    "kind": Choice("sgd", "adam", None),
    "size": Ordered(16, 32, 64),
    "momentum": Conditional(Float(0.0, 0.99), "none"),
    "only": Choice("one"),
    "held": Float(0.0, 1.0),
}
SPACE = Space(PARAMETERS, {"held": 0.25})


@given(st.lists(st.floats(0, 1), min_size=len(PARAMETERS), max_size=len(PARAMETERS)))
@settings(max_examples=60, deadline=None)
def test_a_configuration_survives_a_packages_words(point):
    plain = PlainSpace(SPACE, "it")
    assert list(plain.parameters) == ["rate", "decay", "width", "kind", "size", "momentum"]
    config = SPACE.decode(point)
    again = plain.config(plain.values(config))
    assert list(again) == list(PARAMETERS)
    SPACE.check(again)
    for name, value in config.items():
        is_number = isinstance(value, float)
        assert again[name] == (pytest.approx(value, rel=1e-9) if is_number else value), name


def test_a_rounding_error_at_a_bound_is_put_right_and_no_more():
    plain = PlainSpace(Space({"rate": Float(1e-4, 1.0, log=True)}), "it")
    assert plain.config({"rate": 1.0 + 1e-12})["rate"] == 1.0
    assert plain.config({"rate": 1.01})["rate"] == 1.01
    assert plain.from_unit([0.5])["rate"] == pytest.approx(1e-2)


def test_a_package_that_counts_in_32_bits_misses_bounds_by_more_and_integers_too():
    space = Space({"rate": Float(1e-4, 1.0, log=True), "n": Int(15_066_080, 28_155_680)})
    plain = PlainSpace(space, "it", rounding=1e-5)
    single = float(np.float32(np.exp(np.float32(np.log(1e-4)))))
    assert single < 1e-4
    assert plain.config({"rate": single, "n": 15_066_074}) == {"rate": 1e-4, "n": 15_066_080}
    # What lies inside is what was asked for.
    inside = {"rate": 1.000001e-4, "n": 15_066_090}
    assert plain.config(inside) == inside
    far = {"rate": 9.9e-5, "n": 15_060_000}
    assert plain.config(far) == far


def test_generators_that_a_process_shares_are_kept_apart():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    drawn = []
    for _ in range(2):
        own = OwnRandomState(5, "test")
        for _ in range(3):
            with own():
                drawn.append((random.random(), np.random.random()))
    assert drawn[:3] == drawn[3:] and len(set(drawn)) == 3
    assert (random.random(), np.random.random()) == expected


# --- conditions and constraints -------------------------------------------------------------------


@pytest.mark.parametrize(
    "sampler", ["tpe", "cmaes", pytest.param("gp", marks=pytest.mark.exhaustive)]
)
def test_optuna_keeps_conditions_and_constraints(sampler):
    pytest.importorskip("optuna", reason="Optuna is not installed: swiftbench[optuna]")
    optimizer = Optuna(sampler, pruner="none")
    optimizer.open(space(), 0, 1)
    # Ten are drawn before a model proposes; a proposal of gp takes seconds.
    for _ in range(14 if sampler == "gp" else 40):
        key, config, to_epoch = optimizer.ask()
        assert wrong_with(config) == ""
        optimizer.tell(key, to_epoch, objective(config, 1))
    assert optimizer.diagnostics["forbidden"] > 0


def test_optuna_that_insists_on_what_is_forbidden_is_given_a_draw(monkeypatch):
    pytest.importorskip("optuna", reason="Optuna is not installed: swiftbench[optuna]")
    tight = Space(
        {"a": Int(1, 40), "b": Int(1, 40)},
        constraints=Constraints(relations=["a < b"]),
    )
    optimizer = Optuna("random", pruner="none")
    optimizer.open(tight, 0, 1)
    refused = iter([True] * 50)
    forbids = tight.forbids
    monkeypatch.setattr(tight, "forbids", lambda c: "so" if next(refused, False) else forbids(c))
    _, config, _ = optimizer.ask()
    tight.check(config)
    assert optimizer.diagnostics["forbidden"] == 50


def test_optunas_sampler_as_a_searcher_keeps_conditions_and_constraints():
    pytest.importorskip("optuna", reason="Optuna is not installed: swiftbench[optuna]")
    searcher = OptunaSearcher(n_least=4)
    searcher.begin(space(), 0)
    trials = {}
    for k in range(20):
        config = searcher.propose(k, trials)
        assert wrong_with(config) == ""
        trials[k] = Trial(k, config, 0, (objective(config, 1),))
    assert searcher.diagnostics["by_sampler"] >= 14


@pytest.mark.parametrize(
    ("package", "can", "says"),
    [
        ("DEHB", {"conditions": True}, "DEHB: has no constraints, and the space has .*optimizer"),
        (
            "Syne Tune",
            {},
            "Syne Tune: has no conditional hyperparameters, and momentum plays a part",
        ),
    ],
)
def test_a_package_that_cannot_keep_a_space_refuses_it_by_name(package, can, says):
    with pytest.raises(ConfigError, match=says):
        PlainSpace(space(), package, **can)


@pytest.mark.parametrize("name", ["dehb", "blackboxopt_bohb"])
def test_a_package_with_conditions_keeps_them(name):
    """Without the constraints, which these refuse."""
    leaf = leaf_or_skip(name, "model=table_target", "max_epochs=9")["optimizer"]
    optimizer = make(leaf, "optimizer", JointOptimizer)
    conditional = Space(CONDITIONAL)
    optimizer.open(conditional, 0, 9)
    configs = {}
    for _ in range(30):
        key, config, to_epoch = optimizer.ask()
        # None: a trial goes on with what it has.
        configs.setdefault(key, config)
        conditional.check(configs[key])
        optimizer.tell(key, to_epoch, len(configs[key]) / to_epoch)
    assert len({len(config) for config in configs.values()}) > 1
    with pytest.raises(ConfigError, match="has no constraints"):
        make(leaf, "optimizer", JointOptimizer).open(space(), 0, 9)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_configuration_with_conditions_survives_a_packages_words(seed):
    plain = PlainSpace(space(), "it", conditions=True, constraints=True)
    config = space().sample(np.random.default_rng(seed))
    values = plain.values(config)
    assert plain.config(values) == config
    assert {n for n in plain.in_order() if plain.plays_a_part(n, values)} == set(config)
    assert plain.conditions["damping"] == {"optimizer": {0}, "nesterov": {1}}
