"""One search, whoever trains it: equal curves and winner inline, over MPI, after a kill, after a
cut.
"""

import pytest

from kit.mpi_runs import curves

SEARCH = ("model=table_target", "max_epochs=27")


@pytest.fixture
def reference(launch):
    done = launch(0, *SEARCH, "backend=inline")
    assert done.code == 0, done.out
    return curves(done.folder)


@pytest.mark.parametrize("ranks", [3, 5])
@pytest.mark.parametrize("overlap", ["true", "false"])
def test_hyperband_is_the_same_on_mpi(launch, reference, ranks, overlap):
    done = launch(ranks, *SEARCH, f"overlap={overlap}")
    assert done.code == 0, done.out
    assert done.status == "completed"
    assert curves(done.folder) == reference


def test_a_killed_worker_changes_nothing(launch, reference, tmp_path):
    marker = tmp_path / "struck"
    done = launch(
        4,
        *SEARCH,
        "model=fault_table",
        "+model.fault=kill",
        "+model.fault_rank=2",
        f"+model.marker={marker}",
    )
    assert marker.exists(), "the fault was never planted"
    assert done.code == 0, done.out
    assert [line["worker"] for line in done.lines if line["event"] == "lost"] == [2]
    assert curves(done.folder) == reference


@pytest.mark.slow
def test_a_killed_worker_changes_nothing_where_a_predictor_decides(launch, tmp_path):
    search = (
        "algorithm=asha_svr", "overlap=logical", "model=table_target", "max_epochs=12", "scheduler.eta=2",
        "scheduler.n_trials=24", "scheduler.min_epochs=3", "forecast.n_curves=4",
        "virtual_cluster.nominal_workers=2",
    )  # fmt: skip
    reference = launch(0, *search, "backend=inline")
    marker = tmp_path / "struck"
    planted = (
        "model=fault_table",
        "+model.fault=kill",
        "+model.fault_rank=2",
        f"+model.marker={marker}",
    )
    done = launch(4, *search, *planted)
    assert marker.exists(), "the fault was never planted"
    assert reference.code == done.code == 0, reference.out + done.out
    assert [line["worker"] for line in done.lines if line["event"] == "lost"] == [2]
    assert sum(len(line.get("stopped", ())) for line in done.lines) > 3
    assert curves(done.folder) == curves(reference.folder)


def test_a_raising_job_is_tried_again_elsewhere(launch, reference, tmp_path):
    done = launch(
        3,
        *SEARCH,
        "model=fault_table",
        "+model.fault=raise",
        f"+model.marker={tmp_path / 'm'}",
    )
    assert done.code == 0, done.out
    assert "planted: a worker that raises in a job" in done.out  # its traceback is shown
    assert any(line["event"] == "failed" and line["reason"] == "retry" for line in done.lines)
    assert curves(done.folder) == reference


def test_more_ranks_than_trials(launch):
    done = launch(
        6, "algorithm=random_search", "scheduler.n_trials=2", "model=table_target", "max_epochs=3"
    )
    assert done.code == 0, done.out
    assert len(curves(done.folder)["curves"]) == 2


def test_a_sweep_reuses_its_workers_and_survives_a_failed_run(launch, tmp_path):
    done = launch(
        3, "-m", *SEARCH, "seed=0,1,2", "scheduler=fault_hyperband",
        "+scheduler.fault=raise", f"+scheduler.marker={tmp_path / 'm'}",
    )  # fmt: skip
    assert done.code == 1
    ends = [f"hyperband seed {seed} on table_target: " for seed in range(3)]
    assert f"{ends[0]}failed" in done.out
    assert f"{ends[1]}completed" in done.out and f"{ends[2]}completed" in done.out
    assert done.out.count("planted: a worker that raises in a job") >= 1
