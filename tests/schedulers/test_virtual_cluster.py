"""The virtual cluster: what comes out does not depend on who does the work, or when."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.driving import DATA, compose, configured, play, power_law
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.core.types import DONE, Propose, Train
from suite.launch import assemble
from suite.run.driver import Driver
from suite.schedulers.asha import Asha
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.virtual_cluster import VirtualCluster

ALGORITHMS = ("swift_svr", "swift", "swift_save", "calibrated_gate", "asha", "swift_asha")


def simulated(*overrides, workers, seed=0, clock=0, **cluster_settings) -> Any:
    """The conductor after a run on simulated workers; `clock` draws other durations."""
    config = compose(
        "model=table_target", "backend=simulate", "score_test=false", "max_epochs=16",
        "+common.n_curves=4", *overrides, f"seed={seed}",
    )  # fmt: skip
    return run(config, workers, clock, **cluster_settings)


def run(config, workers, clock, **cluster_settings) -> Any:
    parts = assemble.assemble(RunSettings.of(config))
    spec = dataclasses.replace(
        parts.backend,
        workers=workers,
        trial_sigma=1.0,
        straggler_share=0.1,
        **cluster_settings,
    )
    seed = config["seed"]
    backend = Simulation(
        parts.target, spec, Forecaster(config["predictor"], seed), 1000 * clock + seed,
        parts.scheduler.max_epochs,
    )  # fmt: skip
    backend.run(Driver(parts.conductor, None))
    return parts.conductor


def outcome(conductor) -> Any:
    """Everything that was decided: winner, who was stopped where, configurations, curves."""
    trials = {i: (tuple(t.config.values()), t.curve) for i, t in conductor.trials.items()}
    return conductor.winner, dict(conductor.scheduler.stopped_at), trials


def _marks(name, speculate):
    if speculate == "true" and name not in ("swift_save", "calibrated_gate"):
        return [pytest.mark.exhaustive]
    return [] if name == "swift_svr" else [pytest.mark.slow]


# Of those that speculate nothing, one stands for all in CI.
@pytest.mark.parametrize(
    ("algorithm", "speculate"),
    [
        pytest.param(name, speculate, marks=_marks(name, speculate))
        for name in ALGORITHMS
        for speculate in ("false", "true")
    ],
)
def test_the_outcome_is_the_same_on_any_number_of_workers(algorithm, speculate):
    over = (f"algorithm={algorithm}", "overlap=logical", f"virtual_cluster.speculate={speculate}")
    first = None
    for clock, workers in enumerate((1, 2, 7, 20, 50, 200)):
        found = outcome(simulated(*over, workers=workers, clock=clock))
        first = first or found
        assert found == first, f"{workers} workers decide otherwise than one"


@pytest.mark.parametrize("algorithm", ["swift_save", "calibrated_gate"])
def test_workers_that_die_change_nothing(algorithm):
    over = (
        f"algorithm={algorithm}",
        "overlap=logical",
        "virtual_cluster.speculate=true",
        "max_attempts=99",
    )
    whole = outcome(simulated(*over, workers=7))
    dying = simulated(*over, workers=7, clock=3, deaths_per_hour=2.0, return_s=60.0)
    assert outcome(dying) == whole
    assert dying.counts.n_retrained > 0, "nobody died in time"


def test_without_it_arrival_decides():
    """The reason for it: the same scheduler with free overlap depends on durations."""
    over = ("algorithm=calibrated_gate", "overlap=true")
    found = [outcome(simulated(*over, workers=7, clock=clock)) for clock in range(6)]
    assert any(other != found[0] for other in found[1:])


def test_hyperband_on_it_is_hyperband():
    logical = simulated("algorithm=hyperband", "overlap=logical", workers=5)
    free = simulated("algorithm=hyperband", "overlap=true", workers=5)
    assert outcome(logical) == outcome(free)


@given(workers=st.integers(1, 12), nominal=st.integers(1, 12), shuffle=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_any_order_of_arrival_gives_the_decisions_of_one_worker(workers, nominal, shuffle):
    """ASHA's decisions are those of its nominal workers, whatever really happens."""

    def told(workers, shuffle):
        wrapped = VirtualCluster(Asha(16, 20, eta=2), nominal)
        play(wrapped, workers=workers, shuffle=shuffle)
        return dict(wrapped.visible_epochs)

    assert told(workers, shuffle) == told(1, None)


def test_one_nominal_worker_is_the_scheduler_alone():
    plain = play(Asha(16, 20, eta=2), workers=1)
    logical = VirtualCluster(Asha(16, 20, eta=2), 1)
    play(logical, workers=9, shuffle=3)
    assert logical.visible_epochs == {i: len(c) for i, c in plain.curves.items()}


def test_certain_work_is_handed_out_before_its_time():
    """One nominal worker, three real ones: fresh trials of a plain Hyperband are certain."""
    wrapped = VirtualCluster(Hyperband(4, 2), 1)
    first = wrapped.ask()
    assert first == Propose(0), "its configuration is drawn when it starts"
    wrapped.on_config(0, (0.5,))
    assert [wrapped.ask() for _ in range(3)] == [Train(0, 1), Train(1, 1), Train(2, 1)]
    assert wrapped.visible_epochs == {0: 0}, "only the first has started"


def test_fresh_trials_wait_for_their_configurations_where_a_searcher_learns():
    wrapped = VirtualCluster(Hyperband(4, 2), 1, ahead=False)
    assert wrapped.ask() == Propose(0)
    wrapped.on_config(0, (0.5,))
    assert wrapped.ask() == Train(0, 1)
    assert not isinstance(wrapped.ask(), Train)
    wrapped.tell(0, power_law(0, 1))
    assert wrapped.ask() == Propose(1)


def test_speculation_trains_more_and_counts_the_same():
    over = ("algorithm=calibrated_gate", "overlap=logical", "virtual_cluster.nominal_workers=16")
    plain = simulated(*over, workers=50)
    ahead = simulated(*over, "virtual_cluster.speculate=true", workers=50)
    assert outcome(plain) == outcome(ahead)
    assert plain.n_epochs == sum(len(t.curve) for t in plain.trials.values())
    counted = sum(len(t.curve) for t in ahead.trials.values())
    assert counted == plain.n_epochs < ahead.n_epochs
    assert sum(ahead._notes.counted.values()) <= counted
    wasted = ahead.n_epochs - counted
    trained = {i: len(state.curve) for i, state in ahead._trials.items()}
    assert wasted == sum(trained[i] - n for i, n in ahead._notes.counted.items())


def test_a_trial_that_failed_is_told_when_its_time_is_over():
    wrapped = VirtualCluster(Hyperband(4, 2), 2)
    played = play(wrapped, lambda i, e: None if i == 0 else power_law(i, e), workers=3, shuffle=1)
    assert wrapped.visible_epochs[0] == -1 and played.winner != 0
    assert wrapped.ask() == DONE


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "4"])
def test_a_wrong_number_of_nominal_workers_is_refused(wrong):
    with pytest.raises(ConfigError, match="nominal_workers="):
        VirtualCluster(Hyperband(4, 2), wrong)


def test_the_default_is_what_keeps_busy_for_one_full_training():
    scheduler = Hyperband(100, 2)
    assert VirtualCluster(scheduler).nominal_workers == 33  # 3213 / 100


def test_a_wrong_overlap_is_refused():
    with pytest.raises(ConfigError, match="overlap=perhaps: must be true, false or logical"):
        assemble.assemble(configured("overlap=perhaps", "model=table_target"))


RECORDED = {"mlpf_table": 100, "ptb_table": 60, "resnet_cifar10_table": 49, "mnist_table": 12}


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "curves").is_dir(), reason="needs recorded curves: SUITE_DATA")
@pytest.mark.parametrize(
    ("tables", "crowds"),
    [
        (("ptb_table", "mnist_table"), (1, 20)),
        pytest.param(tuple(RECORDED), (1, 2, 7, 20, 50, 200), marks=pytest.mark.exhaustive),
    ],
    ids=["sample", "all"],
)
def test_over_all_cases_on_recorded_curves_nothing_deviates(tables, crowds):
    n_cases = 0
    for table in tables:
        for algorithm in ("swift_svr", "swift", "swift_save", "calibrated_gate"):
            for seed, speculate in ((0, "false"), (1, "true")):
                config = compose(
                    f"model={table}", "backend=simulate", "score_test=false", "overlap=logical",
                    f"max_epochs={RECORDED[table]}", f"algorithm={algorithm}", f"seed={seed}",
                    f"virtual_cluster.speculate={speculate}",
                )  # fmt: skip
                first = None
                for clock, workers in enumerate(crowds):
                    found = outcome(run(config, workers, clock))
                    first = first or found
                    assert found == first, (table, algorithm, seed, workers)
                    n_cases += 1
    assert n_cases == 8 * len(tables) * len(crowds)
