"""Workers that have nothing to train until the end leave the run; what the others do is the same."""

import json

import numpy as np
import pytest

from kit.driving import configured
from suite.core import types as t
from suite.core.errors import JournalError
from suite.launch.begin import Begin
from suite.launch.execute import run
from suite.launch.resumed import resumed_settings
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run.budget import Spending
from suite.run.workforce import Workforce
from suite.schedulers.time_left import TimeBudget
from suite.verify.checks import verify

R = 27
SIMULATED = (
    "model=table_target", f"max_epochs={R}", "tracking=later", "report=false", "backend=simulate",
    "backend.epoch_s=60", "backend.workers=6", "scheduler.n_trees=6", "scheduler.n_candidates=60",
)  # fmt: skip


def begun(folder, *words):
    outcome = run(configured(*SIMULATED, *words), folder)
    assert outcome.status == "completed", outcome.reason
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict
    return load_run(folder)


def jobs(view):
    return [
        (j.trial_id, j.from_epoch, j.to_epoch, j.start_s, j.end_s or 0.0)
        for j in view.jobs
        if j.kind == "train"
    ]


@pytest.mark.parametrize(
    ("algorithm", "limit", "hours"), [("price", "hours", 1.2), ("price_rank", "node_hours", 7.2)]
)
def test_what_the_others_train_is_the_same(tmp_path, no_fsync, algorithm, limit, hours):
    words = (f"algorithm={algorithm}", f"budget.{limit}={hours}", "seed=1")
    kept = begun(tmp_path / "kept", *words, "scheduler.release_workers=false")
    view = begun(tmp_path / "run", *words)
    at_end = min(kept.time_s, 1.2 * 3600)
    same = [[job for job in jobs(x) if job[3] < at_end and job[4] < at_end] for x in (kept, view)]
    # By node-hours what is handed back lasts longer: a job that would be cut may end.
    assert same[0] == same[1] and len(same[0]) > 20
    if limit == "hours":
        assert jobs(kept) == jobs(view) and kept.winner == view.winner
    gone = [worker for worker in view.workers if worker.released]
    assert 2 <= len(gone) <= 4, "two stay as long as one trains"
    assert not any(worker.released for worker in kept.workers)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    back = record["cost"]["handed_back"]
    spared = sum(view.time_s - worker.left_s for worker in gone) / 3600
    assert back["worker_hours"]["value"] == pytest.approx(spared) and back["node_hours"] is None
    hours_kept = sum(worker.left_s - worker.joined_s for worker in view.workers) / 3600
    assert back["share"]["value"] == pytest.approx(spared / (spared + hours_kept), abs=1e-5)
    assert record["workers"]["released"]["value"] == len(gone)
    assert (
        view.measured["scheduler"]["budget"] == kept.measured["scheduler"]["budget"]
        or limit != "hours"
    )


def test_after_a_resume_all_are_there_again_and_it_goes_on(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "algorithm=price", "budget.hours=1.2", "seed=1")
    Begin(resumed_settings(folder, ("budget.hours=2.2",)), folder, "continue").run()
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict
    after = [worker for worker in load_run(folder).workers if worker.joined_s > 3600]
    assert len(after) == 6 and sum(worker.n_jobs > 0 for worker in after) == 6


def test_workers_for_which_a_table_has_no_rows_leave_at_once(tmp_path, no_fsync):
    view = begun(tmp_path / "run", "algorithm=price", "budget.hours=3", "budget.n_trials=3")
    gone = sorted(worker.left_s for worker in view.workers if worker.released)
    assert gone[:3] == [0.0, 0.0, 0.0]


def test_fewer_than_min_workers_may_stay(tmp_path, no_fsync):
    begun(tmp_path / "run", "algorithm=price", "budget.hours=1.2", "seed=1", "min_workers=6")


def test_a_journal_that_gives_a_released_worker_a_job_is_refused(tmp_path, no_fsync):
    folder = tmp_path / "run"
    begun(folder, "algorithm=price", "budget.hours=3", "budget.n_trials=3", "min_workers=1")
    path = folder / journals.NAME
    text = path.read_text()
    gone = next(
        c
        for line in text.splitlines()[1:]
        for c in json.loads(line).get("do", ())
        if c[0] == "release"
    )
    for worker, says in ((gone[1] + 90, "is not there"), (0, "has job 0, which has not ended")):
        path.write_text(text.replace(f'["release",{gone[1]}]', f'["release",{worker}]', 1))
        with pytest.raises(JournalError, match=says):
            load_run(folder)


def force(n, busy=()):
    made = Workforce(1)
    for worker in range(n):
        made.join(worker)
    for job, worker in enumerate(busy):
        made.occupy(worker, job, 100 + worker)
    return made


def test_two_stay_and_whole_nodes_go_first():
    nodes = {0: "a", 1: "a", 2: "b", 3: "b", 4: "c"}
    assert force(5, busy=[0]).surplus((), nodes) == [2, 3, 4]
    assert force(5, busy=[0, 2]).surplus((), nodes) == [4, 1, 3]
    assert force(5, busy=[0, 2]).surplus((7,), nodes) == [4, 1]
    assert force(5, busy=[0]).surplus((7, 8, 9), {}) == [1]
    assert force(2, busy=[0]).surplus((), nodes) == []
    # One that holds a trial that may go on stays.
    held = force(5, busy=[0, 4])
    held.release(4)
    assert 4 not in held.surplus((104,), nodes)
    held.send_away(1)
    assert len(held) == 5 and 1 not in held.jobs


def test_a_node_counts_until_its_last_worker_is_released_and_plans_do_not_change():
    used = Spending()
    used.adjust({"budget_node_hours_ms": 12_000})
    for worker, node in ((1, "a"), (2, "a"), (3, "b")):
        used.saw(t.WorkerJoined(worker, 0.0, {"node": node}))
    used.saw(t.Scored(9, 9, 0.0, {}, 1.0))
    used.released(1)
    used.saw(t.Scored(9, 9, 0.0, {}, 2.0))
    assert used.node_ms == 4000
    used.released(2)
    used.saw(t.Scored(9, 9, 0.0, {}, 4.0))
    assert used.node_ms == 6000 and used.n_nodes == 2
    assert (used.planned_end_ms(), used.end_ms()) == (6000, 10_000)


class Clock:
    has_end, end_ms, overhead_ms, n_workers = True, 1000, 0, 4
    now_ms, ms = 0, {}

    def epochs_ms(self, trial_id):
        return [self.ms[trial_id]] * 10

    def is_resident(self, trial_id):
        return True


def test_what_does_not_fit_by_a_tenth_never_fits():
    clock = Clock()
    clock.ms = {i: 100 + i for i in range(10)}
    budget = TimeBudget(10, 5, clock)
    assert budget.may_fit_fresh(()) == 1 and budget.may_fit([0], np.array([0])).all()
    for i in range(10):
        budget.told(i)
    # 1.02 times 100 to 109 ms an epoch: none fits, all within a tenth do.
    assert budget.fit_fresh() == 0 < budget.may_fit_fresh(())
    clock.now_ms = 100
    assert budget.may_fit_fresh(()) == 0 and budget.may_fit_fresh([77]) == pytest.approx(1 / 11)
    assert budget.may_fit([0, 0], np.array([0, 2])).tolist() == [False, True]
    clock.now_ms = 1000
    assert budget.may_fit_fresh([77]) == 0 and not budget.may_fit([0], np.array([10])).any()
