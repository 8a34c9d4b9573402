"""Ends by hours and node-hours: of any algorithm, in simulated and in real time, and going on after one."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import configured
from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.launch.begin import Begin
from suite.launch.execute import run
from suite.launch.plan import Planned, text
from suite.launch.resumed import resumed_settings
from suite.results.fold import load_run
from suite.results.workers import usage
from suite.run import journal as journals
from suite.run.budget import Spending, ended, in_force, limits_of
from suite.verify.checks import verify

R = 27
EPOCH_S = 60.0
WORDS = ("model=table_target", f"max_epochs={R}", "tracking=later", "report=false")
SIMULATED = (*WORDS, "backend=simulate", f"backend.epoch_s={EPOCH_S:g}", "backend.workers=4")
PLAIN = ("backend.straggler_share=0", "backend.trial_sigma=0", "backend.epoch_noise=0")
ALGORITHMS = ("hyperband", "asha", "bohb", "swift_svr", "random_search")


def begun(folder: Path, *words: str, on=SIMULATED):
    outcome = run(configured(*on, *words), folder)
    assert outcome.status == "completed", outcome.reason
    return outcome


def gone_on(folder: Path, *words: str):
    return Begin(resumed_settings(folder, words), folder, "continue").run()


def curves(folder: Path) -> dict:
    return {i: trial.curve for i, trial in load_run(folder).trials.items()}


def verified(folder: Path) -> None:
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict


def used_s(folder: Path) -> float:
    view = load_run(folder)
    return usage(view.workers, view.time_s).worker_s


def longest_epoch_s(folder: Path) -> float:
    """Also of epochs that were trained ahead of a decision, and count for nothing."""
    return max(
        a + b
        for line in journals.read(folder / journals.NAME)[1]
        if line["event"] == "epoch"
        for a, b in zip(line["train_s"], line["eval_s"], strict=True)
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_node_hours_end_a_run_within_one_epoch_a_worker(tmp_path, no_fsync, algorithm):
    folder = tmp_path / "run"
    outcome = begun(folder, f"algorithm={algorithm}", "budget.node_hours=3", "seed=3")
    assert outcome.reason.startswith("budget.node_hours=3: used up; "), outcome.reason
    assert 3 * 3600 <= used_s(folder) <= 3 * 3600 + 4 * longest_epoch_s(folder)
    verified(folder)
    record = json.loads((folder / "record.json").read_text())
    assert (record["status"], record["reason"]) == ("completed", outcome.reason)
    assert record["result"]["winner"]["test"] is not None
    # No job begins after the end.
    _, lines, _ = journals.read(folder / journals.NAME)
    at = [line["event"] for line in lines].index("budget_used")
    assert not [c for line in lines[at:] for c in line.get("do", ()) if c[0] == "start"]
    assert any(line["event"] == "job_stopped" for line in lines[at:])


@pytest.mark.parametrize(
    "more", [(), ("backend.deaths_per_hour=1", "backend.return_s=300"), ("backend.dispatch=waves",)]
)
def test_hours_end_a_run_whatever_becomes_of_workers(tmp_path, no_fsync, more):
    folder = tmp_path / "run"
    outcome = begun(folder, "budget.hours=0.8", *more)
    assert outcome.reason.startswith("budget.hours=0.8: used up; "), outcome.reason
    (at,) = [
        line["time_s"]
        for line in journals.read(folder / journals.NAME)[1]
        if line["event"] == "budget_used"
    ]
    assert at == pytest.approx(0.8 * 3600, abs=0.01)
    verified(folder)


def test_a_wall_limit_takes_nothing_off_the_budget(tmp_path, no_fsync):
    """The clock of a run counts the wait for a new job; its nodes are not there meanwhile."""
    folder = tmp_path / "run"
    begun(folder, "budget.node_hours=3", "backend.wall_limit_s=1200", "backend.requeue_s=5000")
    assert 3 * 3600 - 1 <= used_s(folder) <= 3 * 3600 + 4 * longest_epoch_s(folder)
    verified(folder)


@pytest.mark.parametrize("algorithm", ["hyperband", "random_search"])
def test_with_a_larger_budget_it_goes_on_to_what_the_uncut_run_finds(tmp_path, no_fsync, algorithm):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    words = (f"algorithm={algorithm}", "seed=5")
    begun(whole, *words)
    begun(cut, *words, "budget.node_hours=2")
    n_before = load_run(cut).n_epochs
    again = gone_on(cut, "budget.node_hours=3.5")
    assert again.reason.startswith("budget.node_hours=3.5: used up; "), again.reason
    assert 3.5 * 3600 <= used_s(cut) <= 3.5 * 3600 + 8 * longest_epoch_s(cut)
    assert n_before < load_run(cut).n_epochs
    # What a resume has raised stays, and its end too.
    assert gone_on(cut).reason.startswith("already completed")
    assert gone_on(cut, "budget.node_hours=100").reason == ""
    verified(cut)
    assert curves(cut) == curves(whole)
    assert load_run(cut).winner == load_run(whole).winner
    assert load_run(cut).test_value == load_run(whole).test_value
    assert load_run(cut).counts.n_retrained == 0


def test_an_interrupted_end_is_ended_by_the_resume(tmp_path, no_fsync):
    """Cut at every line after the end of the budget: no job begins again, the winner is the same."""
    whole = tmp_path / "whole"
    begun(whole, "budget.node_hours=2")
    rows = (whole / journals.NAME).read_text().splitlines(keepends=True)
    at = next(n for n, row in enumerate(rows) if '"budget_used"' in row)
    for n in range(at + 1, len(rows) - 1):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / journals.NAME).write_text("".join(rows[:n]))
        outcome = gone_on(folder)
        assert (outcome.status, outcome.reason[:24]) == ("completed", "budget.node_hours=2: use")
        verified(folder)
        lines = journals.read(folder / journals.NAME)[1]
        assert not [c for line in lines[n:] for c in line.get("do", ()) if c[0] == "start"]


def test_inline_it_ends_by_the_real_clock_and_goes_on(tmp_path, no_fsync):
    folder = tmp_path / "run"
    seconds = 1.0
    outcome = begun(
        folder, f"budget.hours={seconds / 3600}", "model.sleep_s=0.02", "budget.allow_short=true",
        on=(*WORDS, "backend=inline"),
    )  # fmt: skip
    assert "used up" in outcome.reason and outcome.reason.startswith("budget.hours=")
    verified(folder)
    view = load_run(folder)
    assert view.test_value is not None
    lines = journals.read(folder / journals.NAME)[1]
    (used,) = [line for line in lines if line["event"] == "budget_used"]
    assert used["time_s"] >= seconds - 0.002
    # Every stopped trial has its checkpoint, and goes on from there.
    outcome = gone_on(folder, f"budget.hours={2 * seconds / 3600}")
    assert outcome.status == "completed", outcome.reason
    after = load_run(folder)
    assert after.n_epochs > view.n_epochs and after.counts.n_retrained == 0
    verified(folder)


def test_a_budget_that_is_not_used_up_changes_nothing(tmp_path, no_fsync):
    for name, words in (("one", ("budget.node_hours=1000", "budget.hours=900")), ("two", ())):
        begun(tmp_path / name, *words)
    one, two = (journals.read(tmp_path / name / journals.NAME)[1] for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("budget.node_hours=2",),
            r"budget.node_hours=2: must be larger than 2, which the run has",
        ),
        (("budget.node_hours=1",), r"budget.node_hours=1: must be larger than 2"),
        (("budget.node_hours=null",), r"budget.node_hours=None: must be larger than 2"),
        (("budget.hours=9",), r"budget.hours=9: the run was begun without budget.hours"),
        (("budget.n_epochs=9",), r"budget.n_epochs=9: cannot change on resume"),
    ],
)
def test_a_resume_refuses_what_is_no_larger_budget(tmp_path, no_fsync, words, says):
    folder = tmp_path / "run"
    begun(folder, "budget.node_hours=2")
    before = (folder / journals.NAME).read_bytes()
    with pytest.raises(ConfigError, match=says):
        gone_on(folder, *words)
    assert (folder / journals.NAME).read_bytes() == before


@pytest.mark.parametrize("algorithm", ["price", "price_rank"])
@pytest.mark.parametrize("limit", ["hours", "node_hours"])
def test_price_plans_by_any_limit_and_by_a_larger_one_after_a_resume(
    tmp_path, no_fsync, algorithm, limit
):
    """Four workers: as many node-hours are a quarter of them."""
    folder, short, long = tmp_path / "run", *((1, 2) if limit == "hours" else (4, 8))
    words = (f"algorithm={algorithm}", "seed=1", *PLAIN)
    outcome = begun(folder, *words, f"budget.{limit}={short}")
    assert outcome.reason.startswith(f"budget.{limit}={short}: "), outcome.reason
    first = load_run(folder)
    finished = {i for i, trial in first.trials.items() if len(trial.curve) == R}
    assert finished and first.time_s <= 3600 + EPOCH_S
    budget = first.measured["scheduler"]["budget"]
    assert budget["end_s"] == 3600
    verified(folder)
    again = gone_on(folder, f"budget.{limit}={long}")
    assert again.reason.startswith(f"budget.{limit}={long}: "), again.reason
    second = load_run(folder)
    assert first.time_s < second.time_s <= 7200 + EPOCH_S
    assert finished < {i for i, trial in second.trials.items() if len(trial.curve) == R}
    assert second.counts.n_retrained == 0
    for i, trial in first.trials.items():
        assert second.trials[i].curve[: len(trial.curve)] == trial.curve
    verified(folder)
    assert gone_on(folder).reason.startswith("already completed")


def test_an_end_without_room_for_another_training_says_so_and_keeps_checkpoints(tmp_path, no_fsync):
    """The last trial ends some time before: with straggling epochs off, no other fits in what is left."""
    folder = tmp_path / "run"
    outcome = begun(folder, "algorithm=price", "budget.hours=0.99", *PLAIN)
    assert outcome.reason == (
        "budget.hours=0.99: no room for another training; a larger budget goes on"
    )
    assert ended(journals.read(folder / journals.NAME)[1])
    assert load_run(folder).test_value is not None
    begun(tmp_path / "other", "algorithm=price", "budget.hours=1000", "budget.n_trials=3")
    assert not ended(journals.read(tmp_path / "other" / journals.NAME)[1])


def test_a_journal_of_price_with_hours_of_its_own_is_read_or_refused_by_name(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "algorithm=price", "budget.hours=1", *PLAIN)
    path = folder / journals.NAME
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    for hours, status in ((1.0, "pass"), (2.0, "skip"), (None, "skip")):
        rows[0]["config"]["scheduler"]["hours"] = hours
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (replayed,) = [c for c in verify(folder, "run").checks if c.name == "replay"]
        assert replayed.status == status, replayed
    assert "scheduler.hours=None: this run planned by it alone" in replayed.text


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (
            "budget.node_hours=1.7",
            r"budget.node_hours=1.7: one training to max_epochs=27 .* times 4 nodes",
        ),
        ("budget.hours=0.1", r"budget.hours=0.1: one training to max_epochs=27 takes about 0.45 h"),
        ("budget.node_hours=0", r"budget.node_hours=0: must be a number > 0"),
        ("budget.node_hours=.inf", r"budget.node_hours=.inf: must be a number > 0 and <="),
        ("budget.hours=-1", r"budget.hours=-1: must be a number > 0"),
        ("budget.node_hours=two", r"budget.node_hours=two: must be a number"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_before_a_folder_is_made(tmp_path, word, says):
    folder = tmp_path / "run"
    with pytest.raises(ConfigError, match=says):
        configured(*SIMULATED, word)
        outcome = run(configured(*SIMULATED, word), folder)
        raise ConfigError(outcome.reason)
    assert not folder.exists()


def test_less_than_one_training_ends_with_the_best_so_far(tmp_path, no_fsync):
    folder = tmp_path / "run"
    outcome = begun(
        folder, "budget.node_hours=0.5", "budget.allow_short=true", "algorithm=random_search"
    )
    assert "no trial has max_epochs=27, the winner has" in outcome.reason
    view = load_run(folder)
    ends = {i: trial.curve[-1] for i, trial in view.trials.items() if trial.curve}
    assert view.winner == min(ends, key=lambda i: (ends[i], i))
    assert view.test_value == view.value(ends[view.winner])
    verified(folder)


def test_plan_says_what_a_budget_buys():
    plan = Planned.of(configured(*SIMULATED, "budget.node_hours=3", "budget.hours=1"))
    said = text(plan, None)
    assert "0.75 h on 4 workers (3 node-hours, a node a worker): as many" in said
    assert "6.67 trainings" in said and "180 epochs if no worker waits, 38 % of those above" in said
    assert "budget.hours is never reached" in said
    assert "budget" not in text(Planned.of(configured(*SIMULATED)), None)
    # Of price, whose plan is an upper bound: what the nodes' time has room for.
    plan = Planned.of(configured(*SIMULATED, "budget.node_hours=3", "algorithm=price"))
    said = text(plan, None)
    assert "0.75 h on 4 workers" in said and "6.67 trainings" in said and "% of those" not in said
    assert "at most 90 trials begin (with 2 epochs each)" in said
    # 1.67 trainings a worker.
    assert "busy for about 85 % of it, as reckoned" in said and "2 to 5 trials would" in said
    assert "17 to 29 begin, as in simulated time (n=18)" in said
    plan = Planned.of(configured(*SIMULATED, "budget.node_hours=3", "algorithm=hyperband"))
    assert "workers are busy for at most 100 % of the search" in text(plan, None)
    assert "busy for at most 35 % of the search" in text(plan, 50)
    # Hardly one training fits: nothing is promised.
    plan = Planned.of(configured(*SIMULATED, "budget.node_hours=1.9", "algorithm=price"))
    assert "as reckoned" not in text(plan, None)


def test_plan_reckons_with_the_batch_job_where_there_is_one(monkeypatch):
    real = (
        *WORDS,
        "backend=inline",
        "algorithm=price",
        "budget.end=job",
        "budget.allow_short=true",
    )
    monkeypatch.delenv("SUITE_END_TIME", raising=False)
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    plan = Planned.of(configured(*real)).with_epoch_s(10.0, "as given")
    assert "until the batch job ends (budget.end=job): this is none" in text(plan, 8)
    monkeypatch.setenv("SUITE_END_TIME", f"{time.time() + 7320:.0f}")
    said = text(plan, 8)
    assert "2 h on 8 workers" in said and "213 trainings to max_epochs=27" in said, said
    assert "to the job's end, less backend.pause_before_s=120 and, as the run measures them" in said
    with pytest.raises(ConfigError, match="simulated time ends with no batch job"):
        text(Planned.of(configured(*SIMULATED, "budget.end=job")), None)


def test_a_journal_whose_times_leave_budget_does_not_replay(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "budget.node_hours=2")
    path = folder / journals.NAME
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    rows[0]["config"]["budget"]["node_hours"] = 3.0
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (replayed,) = [c for c in verify(folder, "run").checks if c.name == "replay"]
    assert replayed.status == "fail" and "was not used up after" in replayed.text


# --- the arithmetic -------------------------------------------------------------------------------------


def spending(**limits) -> Spending:
    made = Spending()
    made.adjust({f"budget_{name}_ms": ms for name, ms in limits.items()})
    return made


def test_workers_of_a_node_count_once_and_lost_ones_no_more():
    used = spending(node_hours=10_000)
    for worker, node in ((1, "a"), (2, "a"), (3, "b"), (4, None)):
        used.saw(t.WorkerJoined(worker, 1.0, {} if node is None else {"node": node}))
    assert used.end_ms() == 1000 + 3334
    used.saw(t.WorkerLost(2, "", 2.0))
    used.saw(t.WorkerLost(3, "", 2.0))
    assert used.left("budget_node_hours_ms", 3000) == 10_000 - 3000 - 2000
    used.saw(t.Resumed(3.0))
    assert used.end_ms() is None and used.used_up(10**9) is None
    with pytest.raises(JournalError, match=r"was not used up after 3.5 s"):
        used.reached(t.BudgetUsed("budget_node_hours_ms", 3.5))


def test_a_group_that_spans_nodes_uses_each_of_them():
    used = spending(node_hours=10_000)
    used.saw(t.WorkerJoined(1, 1.0, {"node": "a", "nodes": ["a", "b"]}))
    used.saw(t.WorkerJoined(3, 1.0, {"node": "b", "nodes": ["b", "c"]}))
    assert used.n_nodes == 3
    used.saw(t.WorkerLost(1, "", 2.0))
    assert used.left("budget_node_hours_ms", 3000) == 10_000 - 3000 - 2000
    # A journal is outside input: what is no list of names counts as nothing.
    used.saw(t.WorkerJoined(4, 3.0, {"node": "c", "nodes": 7}))
    assert used.n_nodes == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5000), st.booleans()), max_size=30))
def test_node_time_is_that_of_the_record(steps):
    """Against the record's own reckoning, from joining to leaving."""
    from suite.results.workers import WorkerView

    used, views, now = spending(node_hours=1), {}, 0
    for worker, after_ms, joins in steps:
        now += after_ms
        at = now / 1000
        facts = {"node": f"n{worker % 2}"}
        if worker == 5:
            facts["nodes"] = ["n1", "n2"]
        here = [k for k, v in views.items() if k[0] == worker and v.left_s == 1e9]
        if joins and not here:
            used.saw(t.WorkerJoined(worker, at, facts))
            views[worker, len(views)] = WorkerView(worker, at, 1e9, None, facts, 0.0, 0)
        elif not joins and here:
            used.saw(t.WorkerLost(worker, "", at))
            views[here[0]] = replace(views[here[0]], left_s=at)
    node_s = usage(views.values(), now / 1000).node_s or 0.0
    assert 1 - used.left("budget_node_hours_ms", now) == pytest.approx(1000 * node_s, abs=1e-3)


def test_what_a_resume_raised_is_in_force():
    begun = journals.settings({"config": {"budget": {"hours": 1, "node_hours": None}}})
    lines = [{"event": "resumed", "settings": {"budget_hours_ms": 7_200_000, "min_workers": 1}}]
    assert in_force(begun, []) == {"budget_hours_ms": 3_600_000}
    assert in_force(begun, lines) == {"budget_hours_ms": 7_200_000}
    assert in_force(journals.settings({"config": None}), lines) == {}
    for hours in (0, -1, 1e300, True, "2"):
        assert limits_of({"hours": hours}).get("budget_hours_ms", 3_600_000) == 3_600_000
