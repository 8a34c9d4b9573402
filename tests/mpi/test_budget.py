"""A budget of hours over real MPI: the run ends in time, is verified, and goes on with a larger one."""

import json

import pytest

from kit.mpi_runs import Launch, journals_in
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.verify.checks import verify

SECONDS = 3.0
SLEEP_S = 0.1
SEARCH = (
    "model=table_target", "max_epochs=27", f"model.sleep_s={SLEEP_S}", "budget.allow_short=true",
    "tracking=later", "report=false",
)  # fmt: skip


def of(line, kind):
    return [command for command in line.get("do", ()) if command[0] == kind]


ENDS = ("job_stopped", "finished")


def left_at(lines, at):
    """The jobs that are under way before a line, each with its epochs that are not reported yet."""
    left = {}
    for line in lines[:at]:
        if line["event"] == "epoch":
            many = line["epoch"]
            left[line["job_id"]] -= len(many) if isinstance(many, list) else 1
        elif line["event"] in ENDS:
            del left[line["job_id"]]
        left |= {job: to - start for _, _, job, _, start, to in of(line, "start")}
    return left


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["hours", "node_hours"])
def test_the_budget_ends_a_run_and_a_larger_one_goes_on(tmp_path, limit):
    """All workers are on one node: node-hours are hours then."""
    runs = tmp_path / "runs"
    launch = Launch(4, *SEARCH, f"budget.{limit}={SECONDS / 3600}", runs=runs)
    out = launch.until()
    assert launch.code == 0 and f"completed: budget.{limit}=" in out, out
    (path,) = journals_in(runs)
    folder = path.parent
    lines = journals.read(path)[1]
    kinds = [line["event"] for line in lines]
    at = kinds.index("budget_used")
    assert lines[at]["time_s"] >= SECONDS - 0.002
    # Every job that was under way ends; one that had more epochs left than may still be trained is stopped.
    left = left_at(lines, at)
    ended = {line["job_id"]: line["event"] for line in lines[at:] if line["event"] in ENDS}
    assert left and set(ended) == set(left)
    assert all(ended[job] == "job_stopped" for job, n in left.items() if n > 3), (left, ended)
    assert not [x for line in lines[at:] for x in of(line, "start")]
    # Jobs end with the epoch in which the budget ended, or with the next, if that had begun by then.
    trained = [line for line in lines[at:] if line["event"] == "epoch"]
    n_after = {}
    for line in trained:
        many = line["epoch"] if isinstance(line["epoch"], list) else [line["epoch"]]
        n_after[line["worker"]] = n_after.get(line["worker"], 0) + len(many)
    assert max(n_after.values(), default=0) <= 3, n_after
    assert verify(folder, "run").holds
    before = load_run(folder)
    assert before.test_value is not None
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "completed" and record["reason"].startswith(f"budget.{limit}=")
    launch = Launch(4, f"resume={folder}", f"budget.{limit}=1", "tracking=later", runs=runs)
    out = launch.until()
    assert launch.code == 0, out
    after = load_run(folder)
    assert (after.status, after.reason) == ("completed", "")
    assert after.n_epochs > before.n_epochs and after.counts.n_retrained == 0
    assert verify(folder, "run").holds


@pytest.mark.slow
def test_a_worker_that_is_not_needed_is_released_and_the_run_ends_well(tmp_path):
    """One trial on three workers: one trains, one stays in case it is lost."""
    runs = tmp_path / "runs"
    words = ("algorithm=price", "budget.hours=1", "budget.n_trials=1")
    search = [word for word in SEARCH if not word.startswith("model.sleep_s")]
    launch = Launch(4, *search, *words, runs=runs)
    out = launch.until()
    assert launch.code == 0, out
    (path,) = journals_in(runs)
    gone = [command for line in journals.read(path)[1] for command in of(line, "release")]
    record = json.loads((path.parent / "record.json").read_text())
    assert len(gone) == record["workers"]["released"]["value"] == 1
    # Its node has others.
    back = record["cost"]["handed_back"]
    assert back["worker_hours"]["value"] > 0 == back["node_hours"]["value"]
    assert load_run(path.parent).test_value is not None and verify(path.parent, "run").holds
