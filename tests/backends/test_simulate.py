"""Simulation: real decisions on made-up time."""

import json
import math
import os
from pathlib import Path

import pytest

from kit.clusters import cluster as cluster_of
from kit.driving import compose, names
from models.recorded_curves import Table
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core.errors import ConfigError, DataError
from suite.core.extras import MissingExtraError
from suite.core.run_settings import RunSettings
from suite.launch import assemble, execute
from suite.launch import compose as launch
from suite.run import journal as journals
from suite.run.conductor import Conductor
from suite.run.driver import Driver
from suite.run.journal import Journal
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.swift_hyperband import SwiftHyperband
from suite.searchers.random import Random

SVR = {"_target_": "suite.predictors.svr.SVR"}


def table(folder: Path, n=200, epochs=27, spoil=None, **description) -> Table:
    """A small synthetic table on disk, and its target."""
    rows = [",".join(["lr", "width", *(f"v{i}" for i in range(1, epochs + 1))])]
    for i in range(n):
        lr, width = (i * 37 % n + 1) / n, i % 7
        curve = [lr + 0.1 * width + 3 / (e + lr) for e in range(1, epochs + 1)]
        rows.append(",".join(map(repr, [lr, width, *curve])))
    (folder / "t.csv").write_text("\n".join(spoil(rows) if spoil else rows) + "\n")
    named = {
        "file": "t.csv",
        "hyperparameters": ["lr", "width"],
        "curve": {"prefix": "v", "first": 1, "last": epochs},
        "metric": "loss",
        "mode": "min",
    }
    return Table(named | description, str(folder))


def simulate(target, scheduler, seed=0, journal=None, predictor=None, max_attempts=9, **cluster):
    conductor = Conductor(
        scheduler, Random(), target.space, seed=seed, score=False, max_attempts=max_attempts
    )
    driver = Driver(conductor, journal)
    backend = Simulation(
        target, cluster_of(**cluster), Forecaster(predictor, seed), seed, scheduler.max_epochs
    )
    backend.run(driver)
    return conductor, backend


def curves(conductor) -> dict:
    return {trial_id: trial.curve for trial_id, trial in conductor.trials.items()}


@pytest.mark.parametrize("workers", [1, 3, 50, 1000])
@pytest.mark.parametrize("cluster", [{}, {"dispatch": "waves"}, {"speeds": (1.0, 0.3)}])
def test_hyperband_is_the_same_on_any_cluster(tmp_path, workers, cluster):
    target = table(tmp_path)
    one, _ = simulate(target, Hyperband(27, 3, overlap=False), workers=1)
    for overlap in (True, False):
        for order in ("oldest", "longest_path"):
            other, _ = simulate(
                target, Hyperband(27, 3, overlap, order), workers=workers, **cluster
            )
            assert curves(other) == curves(one) and other.winner == one.winner


def test_overlap_shortens_hyperband_and_waves_lengthen_it(tmp_path):
    target = table(tmp_path)
    spans = {}
    for overlap, dispatch in ((True, "free"), (False, "free"), (False, "waves")):
        _, backend = simulate(
            target, Hyperband(27, 3, overlap=overlap), workers=20, dispatch=dispatch
        )
        spans[overlap, dispatch] = backend.now_s
    assert spans[True, "free"] < 0.6 * spans[False, "free"] < spans[False, "waves"]


def test_no_simulation_beats_its_bound(tmp_path):
    target = table(tmp_path)
    for workers in (1, 7, 40):
        conductor, backend = simulate(target, Hyperband(27, 3), workers=workers)
        ends = backend._durations._ends
        each = [ends[i][len(curve)] for i, curve in curves(conductor).items()]
        assert backend.now_s >= max(sum(each) / workers, max(each)) * (1 - 1e-9)
        if workers == 1:
            assert backend.now_s == pytest.approx(sum(each))


def test_the_journal_of_a_simulation_can_be_replayed_and_reads_like_any_other(tmp_path):
    target = table(tmp_path)
    journal = Journal(tmp_path / "run", {"run_id": "1"})
    first, _ = simulate(
        target, SwiftHyperband(27, 3, n_curves=4), journal=journal, predictor=SVR, workers=5
    )
    journal.release()
    lines = journals.read(tmp_path / "run" / journals.NAME)[1]
    scheduler = SwiftHyperband(27, 3, n_curves=4)
    again = Driver(
        Conductor(scheduler, Random(), target.space, seed=0, max_attempts=9, score=False), None
    )
    again.replay(lines)
    assert curves(again.conductor) == curves(first) and scheduler.stopped_at
    reports = [e for line in lines for e in journals.decode(line) if e.kind == "epoch"]
    assert len(reports) == first.n_epochs
    assert all(report.metrics == {"loss": report.objective} for report in reports)


@pytest.mark.parametrize("deaths_per_hour", [0.05, 0.5])
def test_dying_workers_cost_time_and_nothing_else(tmp_path, deaths_per_hour):
    target = table(tmp_path)
    calm, quick = simulate(target, Hyperband(27, 3), workers=10)
    dying, slow = simulate(
        target,
        Hyperband(27, 3),
        workers=10,
        deaths_per_hour=deaths_per_hour,
        return_s=600.0,
        max_attempts=1000,
    )
    assert dying.counts.n_retrained > 0 or deaths_per_hour < 0.1
    assert curves(dying) == curves(calm) and not dying.given_up
    assert dying.n_epochs == calm.n_epochs, "no epoch is counted twice"
    assert slow.now_s >= quick.now_s * 0.999


def test_a_thousand_mortal_workers_lose_no_trial(tmp_path):
    """1 % of workers dying an hour, Hyperband; every trial that the plan names is accounted for."""
    target = table(tmp_path, n=400, epochs=81)
    scheduler = Hyperband(81, 3)
    done, _ = simulate(
        target, scheduler, workers=1000, deaths_per_hour=0.01, return_s=300.0, max_attempts=100
    )
    assert len(done.trials) == scheduler.plan().n_trials and not done.given_up
    assert done.n_epochs == scheduler.plan().n_epochs


def test_a_wall_limit_with_requeue_loses_no_decision(tmp_path):
    target = table(tmp_path)
    calm, _ = simulate(target, Hyperband(27, 3), workers=4)
    cut, _ = simulate(
        target, Hyperband(27, 3), workers=4, wall_limit_s=1200.0, epoch_s=60.0, requeue_s=30.0
    )
    assert curves(cut) == curves(calm) and cut.n_epochs == calm.n_epochs


def test_without_return_the_last_death_stops_the_run(tmp_path):
    done, _ = simulate(table(tmp_path), Hyperband(27, 3), workers=2, deaths_per_hour=60.0)
    assert done.shutdown.status == "failed" and "min_workers=1" in done.shutdown.reason


def test_a_failed_row_is_a_diverged_trial(tmp_path):
    def spoil(rows):
        cells = rows[1].split(",")
        cells[6:] = ["0.0"] * len(cells[6:])  # ends in zeros from epoch 5 on
        blank = rows[2].split(",")
        blank[4] = ""
        return [rows[0], ",".join(cells), ",".join(blank), *rows[3:]]

    target = table(tmp_path, spoil=spoil)
    assert target.table.n_failed == 2
    done, _ = simulate(target, Hyperband(27, 3), workers=3)
    bad = {
        i
        for i, trial in done.trials.items()
        if math.isnan(target.replay(trial.config, 0).values[26])
    }
    assert set(done.given_up) <= bad
    assert all(math.isfinite(x) for curve in curves(done).values() for x in curve)


def test_repeats_are_seeds_of_one_configuration(tmp_path):
    target = table(tmp_path, spoil=lambda rows: [*rows, *(r[:-1] + "9" for r in rows[1:6])])
    assert len(target.table.configs) == 200
    assert sorted(map(len, target.table.recordings))[-5:] == [2] * 5
    config = next(
        c
        for c, some in zip(target.table.configs, target.table.recordings, strict=True)
        if len(some) == 2
    )
    drawn = {target.replay(config, seed).values[-1] for seed in range(20)}
    assert len(drawn) == 2, "draw: the trial's seed says which"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda rows: [rows[0].replace("v3,", "x,"), *rows[1:]],
            "t.csv, row 1, column v3: missing",
        ),
        (
            lambda rows: [*rows[:4], rows[4].replace(rows[4].split(",")[5], "many"), *rows[5:]],
            "t.csv, row 5, column v4: 'many': must be a number",
        ),
        (
            lambda rows: [*rows[:3], rows[3] + ",1", *rows[4:]],
            "t.csv, row 4: 30 cells; must have 29",
        ),
        (lambda rows: rows[:1], "must hold a header and rows"),
    ],
)
def test_a_damaged_table_is_named_by_file_row_and_column(tmp_path, spoil, says):
    with pytest.raises(DataError) as error:
        table(tmp_path, spoil=spoil)
    assert says in str(error.value)


def test_a_negative_duration_and_a_wrong_description(tmp_path):
    with pytest.raises(ConfigError, match="mode=up: must be min or max"):
        table(tmp_path, mode="up")
    with pytest.raises(ConfigError, match=r"table\.mode: missing"):
        table(tmp_path, mode=None)
    with pytest.raises(DataError, match="sha256="):
        table(tmp_path, sha256="0" * 64)
    with pytest.raises(DataError, match="must be a duration >= 0"):
        table(
            tmp_path,
            train_s={"prefix": "v", "first": 1, "last": 27},
            spoil=lambda rows: [*rows[:2], rows[2].rsplit(",", 1)[0] + ",-1", *rows[3:]],
        )


def test_too_few_configurations_give_both_numbers(tmp_path):
    (tmp_path / "t").mkdir()
    table(tmp_path / "t", n=20)
    config = compose("model=mlpf_table", "max_epochs=27", "backend=simulate")
    config["model"] |= {
        "folder": str(tmp_path / "t"),
        "description": {
            "file": "t.csv",
            "hyperparameters": ["lr", "width"],
            "metric": "loss",
            "mode": "min",
            "curve": {"prefix": "v", "first": 1, "last": 27},
        },
    }
    with pytest.raises(ConfigError, match="asks for 43 configurations, the table has 20"):
        assemble.assemble(RunSettings.of(config))
    # Hyperband of 50 trains to 25 and to 50 epochs: the number that was typed is named.
    table(tmp_path / "t", n=120)
    longer = {**config, "max_epochs": 50, "scheduler": {**config["scheduler"], "max_epochs": 50}}
    says = "max_epochs=50: the curves of mlpf_table have 27 epochs; use max_epochs=27 or fewer."
    with pytest.raises(ConfigError, match=says):
        assemble.assemble(RunSettings.of(longer))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"workers": 0}, "workers=0"),
        ({"workers": 10**6}, "<= 100000"),
        ({"speeds": (0.0,)}, "speeds"),
        ({"epoch_s": -1.0}, "epoch_s=-1.0"),
        ({"dispatch": "wave"}, "Did you mean waves"),
        ({"load_s": math.nan}, "load_s=nan"),
    ],
)
def test_bad_clusters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        cluster_of(**wrong)


@pytest.mark.slow
def test_a_table_that_nobody_has_seen_runs_through_every_scheduler(tmp_path, monkeypatch):
    """Described by a ten-line YAML outside the repository; no code."""
    table(tmp_path, n=150, epochs=9)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (
        tmp_path / "conf" / "model" / "unseen.yaml"
    ).write_text(f"""_target_: models.recorded_curves.Table
folder: {tmp_path}
description:
  file: t.csv
  hyperparameters: [lr, width]
  curve: {{prefix: v, first: 1, last: 9}}
  metric: loss
  mode: min
""")
    algorithms = names("algorithm")
    assert len(algorithms) >= 5
    for name in algorithms:
        overrides = ["model=unseen", f"algorithm={name}", "backend=simulate", "max_epochs=9"]
        config = launch.compose([*overrides, "+common.n_curves=4"], tmp_path / "conf")
        settings = RunSettings.of(config)
        try:
            assemble.assemble(settings)
        except MissingExtraError:
            continue
        outcome = execute.run(settings, tmp_path / "runs" / name)
        assert outcome.status == "completed", f"{name}: {outcome.reason}"
        record = json.loads((tmp_path / "runs" / name / "record.json").read_text())
        assert (record["algorithm"], record["model"]) == (name, "unseen")


DATA = Path(os.environ.get("SUITE_DATA", ""))


@pytest.mark.parametrize(
    "algorithm", ["hyperband", "successive_halving", "random_search", "swift_svr", "asha_svr"]
)
def test_simulate_and_inline_agree_on_a_recorded_table(tmp_path, algorithm):
    """The same seeds and scheduler: equal curves and equal decisions of each trial."""
    if not (DATA / "curves" / "mlpf_delphes.csv").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("SUITE_DATA holds no curves/mlpf_delphes.csv")
        pytest.skip("SUITE_DATA holds no curves/mlpf_delphes.csv: set it to the folder with tables")
    found = {}
    for backend in ("simulate", "inline"):
        config = compose(
            f"algorithm={algorithm}",
            "model=mlpf_table",
            f"backend={backend}",
            "max_epochs=27",
            # What does not wait decides alike on a virtual cluster.
            f"overlap={'logical' if algorithm == 'asha_svr' else 'false'}",
            "+common.n_curves=6",
            "seed=3",
        )
        folder = tmp_path / backend
        assert execute.run(RunSettings.of(config), folder).status == "completed"
        parts = assemble.assemble(RunSettings.of(config))
        lines = journals.read(folder / journals.NAME)[1]
        Driver(parts.conductor, None).replay(lines)
        decisions: dict[int, list] = {}
        for line in lines:
            for command in line.get("do", []):
                if command[0] == "start":
                    decisions.setdefault(command[3], []).append(command[4:])
        found[backend] = (curves(parts.conductor), decisions, dict(parts.scheduler.stopped_at))
    assert found["simulate"] == found["inline"]
