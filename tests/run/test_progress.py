"""A run that is paused and requeued without a new epoch ends, with the reason; so does a simulated one."""

import json

import pytest

from kit.driving import configured
from models.synthetic_curves import TableTarget
from suite.launch import execute
from suite.run import journal as journals
from suite.run import limit

SMALL = (
    "model=table_target", "max_epochs=3", "algorithm=random_search", "scheduler.n_trials=3",
    "backend=inline", "tracking=later", "report=false",
)  # fmt: skip


@pytest.fixture(autouse=True)
def job(monkeypatch):
    """Pauses when it is told to, after so many epochs of this process."""
    left = {"epochs": 0}
    train = TableTarget.start

    def start(self, config, seed):
        training = train(self, config, seed)
        inner = training.train_epoch

        def train_epoch(epoch):
            left["epochs"] -= 1
            inner(epoch)

        training.train_epoch = train_epoch
        return training

    monkeypatch.setattr(TableTarget, "start", start)
    monkeypatch.setattr(
        limit.Limit, "due", lambda _: "the job ends in 1 s" if left["epochs"] <= 0 else ""
    )
    return left


def run(folder, job, epochs, *overrides):
    job["epochs"] = epochs
    resume = (folder / journals.NAME).exists()
    return execute.run(configured(*SMALL, *overrides), folder, resume=resume)


def test_a_second_job_without_an_epoch_is_the_last(tmp_path, job):
    assert run(tmp_path, job, 0).status == "paused"
    outcome = run(tmp_path, job, 0)
    assert outcome.status == "failed"
    assert "2 jobs in a row" in outcome.reason and "longer than the job" in outcome.reason
    closing = journals.read(tmp_path / journals.NAME)[1][-1]
    assert closing["status"] == "failed" and "longer than the job" in closing["reason"]


def test_after_it_failed_a_longer_job_continues(tmp_path, job):
    run(tmp_path, job, 0)
    assert run(tmp_path, job, 0).status == "failed"
    assert run(tmp_path, job, 0).status == "paused"
    assert run(tmp_path, job, 99).status == "completed"


def test_each_new_epoch_begins_the_count_anew(tmp_path, job):
    for epochs in (0, 1, 0, 1, 0):
        assert run(tmp_path, job, epochs).status == "paused"
    assert run(tmp_path, job, 0).status == "failed"


def test_epochs_that_are_trained_again_are_no_progress(tmp_path, job):
    """Without checkpoints each job begins its trial anew."""
    folder = tmp_path
    assert run(folder, job, 2, "backend.checkpoint=none").status == "paused"
    assert run(folder, job, 2, "backend.checkpoint=none").status == "paused"
    assert run(folder, job, 2, "backend.checkpoint=none").status == "failed"


def test_a_run_stopped_by_hand_is_no_pause(tmp_path, job, monkeypatch):
    run(tmp_path, job, 0)
    path = tmp_path / journals.NAME
    lines = path.read_text().splitlines()
    closing = json.loads(lines[-1]) | {"reason": "stopped by a signal; continue with resume"}
    path.write_text("\n".join([*lines[:-1], json.dumps(closing)]) + "\n")
    assert run(tmp_path, job, 0).status == "paused"


def test_the_shortest_epoch_of_the_journal_counts_at_the_next_start(tmp_path, job, monkeypatch):
    asked = []
    monkeypatch.setattr(limit.Limit, "check", lambda _, epoch_s: asked.append(epoch_s))
    assert run(tmp_path, job, 1).status == "paused"
    path = tmp_path / journals.NAME
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [
        x | {"train_s": 40.0, "eval_s": 2.5} if x.get("event") == "epoch" else x for x in lines
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(tmp_path, job, 99)
    assert asked[0] == TableTarget().epoch_s and asked[-1] == 42.5


@pytest.mark.parametrize("backend", ["inline", "simulate", "auto"])
def test_fewer_workers_than_the_run_waits_for_are_refused_before_a_folder_is_made(
    tmp_path, backend
):
    one = ["backend.workers=1"] if backend == "simulate" else []
    settings = configured(*SMALL, f"backend={backend}", "min_workers=2", *one)
    outcome = execute.run(settings, tmp_path / "run")
    assert outcome.status == "failed"
    assert "min_workers=2: this run can have 1 worker at most" in outcome.reason
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "cluster",
    [
        ("wall_limit_s=30", "epoch_s=60"),
        ("wall_limit_s=0", "requeue_s=0"),
        ("wall_limit_s=100", "epoch_s=60", "checkpoint_every_s=1000"),
        ("wall_limit_s=100", "epoch_s=60", "load_s=1000"),
        ("wall_limit_s=100", "epoch_s=60", "job_overhead_s=1000"),
    ],
)
def test_a_simulated_job_that_holds_no_epoch_ends_with_the_reason(tmp_path, cluster):
    settings = configured(
        *SMALL, "backend=simulate", "backend.workers=2", "backend.epoch_noise=0", "backend.trial_sigma=0",
        "backend.straggler_share=0", *(f"backend.{word}" for word in cluster),
    )  # fmt: skip
    outcome = execute.run(settings, tmp_path / "run")
    assert outcome.status == "failed" and "wall_limit_s" in outcome.reason
    assert "no new epoch" in outcome.reason


def test_a_simulated_job_that_holds_epochs_completes(tmp_path):
    settings = configured(
        *SMALL, "backend=simulate", "backend.workers=2", "backend.wall_limit_s=200",
        "backend.checkpoint_every_s=1",
    )  # fmt: skip
    assert execute.run(settings, tmp_path / "run").status == "completed"


@pytest.mark.parametrize("wrong", ["epoch_s=1e308", "straggler_factor=1e308", "speeds=[1e-308]"])
def test_simulated_seconds_beyond_a_float_are_named(tmp_path, wrong):
    settings = configured(
        *SMALL,
        "backend=simulate",
        "backend.workers=2",
        "backend.straggler_share=1",
        f"backend.{wrong}",
    )
    outcome = execute.run(settings, tmp_path / "run")
    assert outcome.status == "failed" and "beyond the range of a float" in outcome.reason
