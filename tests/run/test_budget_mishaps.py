"""What may go wrong near the end of a budget: clocks that jump, slow epochs, failures, losses."""

import pytest

from kit.driving import configured
from models.synthetic_curves import TableTarget
from suite.core import types as t
from suite.core.errors import ConfigError
from suite.launch.execute import run
from suite.launch.plan import Planned, text
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run.budget import Spending
from suite.run.conductor import Conductor
from suite.run.driver import Driver
from suite.run.journal import Journal
from suite.schedulers.price import Price
from suite.searchers.random import Random
from suite.verify.checks import verify

R = 8
SIMULATED = (
    "model=table_target", "max_epochs=27", "tracking=later", "report=false", "backend=simulate",
    "backend.epoch_s=60", "backend.workers=4",
)  # fmt: skip


def price(**changes):
    return Price(R, **{"n_trees": 3, "n_candidates": 20, "release_workers": False, **changes})


class Played:
    """A search of price with two workers, whose events are told by hand."""

    def __init__(self, end_s, folder=None, scheduler=None):
        self.conductor = self._new(end_s, scheduler)
        journal = None if folder is None else Journal(folder, {})
        self.driver = Driver(self.conductor, journal)
        self.begun = self.tell(t.WorkerJoined(1, 0.0), t.WorkerJoined(2, 0.0))

    @staticmethod
    def _new(end_s, scheduler=None):
        limits = {"budget_hours_ms": end_s * 1000}
        many = {"seed": 1, "max_attempts": 2, "score": False, "budget": limits}
        return Conductor(scheduler or price(), Random(), TableTarget().space, **many)

    def tell(self, *events):
        commands = self.driver.handle(events)
        return [c.job for c in commands if isinstance(c, t.Start)]

    def train(self, worker, job, at_s, each_s=1.0):
        """All of a job's epochs, at this time; the jobs that follow."""
        last = (job.from_epoch, job.to_epoch)
        epochs = [
            t.EpochReport(worker, job.job_id, e, 1.0 / e + job.trial_id, {}, each_s, 0.0, at_s)
            for e in range(last[0] + 1, last[1] + 1)
        ]
        return self.tell(*epochs, t.JobFinished(worker, job.job_id, time_s=at_s))


def test_a_clock_that_goes_back_or_far_forward_ends_the_run_and_replays(tmp_path, no_fsync):
    played = Played(100, tmp_path / "run")
    (one, _two) = played.begun
    (three,) = played.train(1, one, 50.0)
    (four,) = played.train(1, three, 20.0)
    machine = played.conductor._machine
    assert (
        machine.now_ms == 50_000 and played.conductor.spending.left("budget_hours_ms", 50_000) > 0
    )
    # A machine that slept, a clock that was set.
    played.train(1, four, 9e8)
    used = played.driver.budget_used(9e8)
    assert used.limit == "budget_hours_ms"
    played.tell(used, t.JobStopped(2, 1, time_s=60.0))
    assert played.conductor.shutdown.status == "completed"
    assert played.conductor.shutdown.reason.startswith("budget.hours=0.0277778: used up; ")
    played.driver.close("completed")
    _, lines, _ = journals.read(tmp_path / "run" / journals.NAME)
    again = Driver(Played._new(100), None)
    again.replay(lines)
    assert again.conductor.shutdown == played.conductor.shutdown


def test_node_time_never_shrinks_when_a_clock_goes_back():
    used = Spending()
    used.adjust({"budget_node_hours_ms": 10_000})
    for time_s in (1.0, 4.0, 2.0, 3.0, 5.0):
        used.saw(t.WorkerJoined(1, time_s))
    assert used.node_ms == 4000 and used.left("budget_node_hours_ms", 2000) == 6000


def test_a_worker_that_is_lost_a_second_before_the_end_costs_only_its_epochs():
    played = Played(100)
    (one, two) = played.begun
    (three,) = played.train(1, one, 50.0)
    assert not played.tell(t.WorkerLost(2, "gone", 99.0)), "the other one is busy"
    assert two.trial_id in played.conductor._again.trial_ids
    played.tell(t.BudgetUsed("budget_hours_ms", 100.0))
    played.tell(
        t.EpochReport(1, three.job_id, three.from_epoch + 1, 0.1, {}, 1.0, 0.0, 101.0),
        t.Checkpointed(1, three.job_id, three.from_epoch + 1, 101.0),
        t.JobStopped(1, three.job_id, 101.0),
    )
    ended = played.conductor.shutdown
    assert ended.status == "completed" and "2 trials stopped" in ended.reason, ended


def test_where_all_are_lost_before_the_end_the_run_says_so_and_can_go_on():
    played = Played(100)
    played.tell(t.WorkerLost(2, "gone", 98.0), t.WorkerLost(1, "gone", 99.0))
    assert played.conductor.shutdown.status == "failed"
    assert "0 workers left, min_workers=1" in played.conductor.shutdown.reason


def test_losing_one_of_the_two_that_stay_loses_nothing():
    """Of three workers one is released; then the only one that trains is lost."""
    played = Played(1000, scheduler=price(n_trials=1, release_workers=True))
    (one,) = played.begun
    played.tell(t.WorkerJoined(3, 0.0))
    assert len(played.conductor.workers) == 2
    (again,) = played.tell(t.WorkerLost(1, "gone", 5.0))
    assert again.trial_id == one.trial_id


@pytest.mark.parametrize("algorithm", ["asha", "hyperband"])
def test_epochs_that_take_longer_than_foreseen_end_with_a_checkpoint(tmp_path, no_fsync, algorithm):
    """One epoch in five takes twenty times as long: what was foreseen is wrong for nearly all trials."""
    slow = ("backend.straggler_share=0.2", "backend.straggler_factor=20")
    folder = tmp_path / "run"
    outcome = run(configured(*SIMULATED, *slow, f"algorithm={algorithm}", "budget.hours=3"), folder)
    assert outcome.status == "completed", outcome.reason
    assert outcome.reason.startswith("budget.hours=3: used up; ")
    _, lines, _ = journals.read(folder / journals.NAME)
    at = [line["event"] for line in lines].index("budget_used")
    stopped = [n for n, line in enumerate(lines) if line["event"] == "job_stopped"]
    assert stopped and all(n > at for n in stopped)
    # Whole epochs, each with its checkpoint.
    for n in stopped:
        job_id = lines[n]["job_id"]
        epochs = [
            e for x in lines if x["event"] == "epoch" and x["job_id"] == job_id for e in x["epoch"]
        ]
        assert lines[n - 1]["event"] == "checkpointed" and lines[n - 1]["epoch"] == epochs[-1]
    assert {check.status for check in verify(folder, "run").checks} == {"pass"}


def test_of_several_ends_the_first_that_is_reached_ends_the_run(tmp_path, no_fsync):
    ends = {"hours": 1, "node_hours": 100, "all_epochs": 100_000}
    for first, sooner in (("hours", 1), ("node_hours", 3), ("all_epochs", 90)):
        words = [f"budget.{name}={end}" for name, end in (ends | {first: sooner}).items()]
        outcome = run(configured(*SIMULATED, "algorithm=price", *words), tmp_path / first)
        assert outcome.reason.startswith(f"budget.{first}={sooner}: "), outcome.reason


def test_ends_that_contradict_each_other_are_an_error_that_names_both():
    with pytest.raises(
        ConfigError, match=r"budget.hours=9, budget.trainings=2: the second sets the first"
    ):
        configured(*SIMULATED, "budget.hours=9", "budget.trainings=2")


def test_an_end_that_another_one_makes_void_is_said_by_the_plan():
    words = ("algorithm=price", "budget.n_epochs=270", "budget.hours=1")
    said = text(Planned.of(configured(*SIMULATED, *words)), None)
    assert "budget.n_epochs=270 is not read beside a budget of time" in said
    alone = text(Planned.of(configured(*SIMULATED, *words[:2])), None)
    assert "is not read" not in alone


@pytest.mark.parametrize("algorithm", ["price", "price_rank"])
def test_where_all_trials_fail_the_run_ends_and_says_so(tmp_path, no_fsync, algorithm):
    outcome = run(
        configured(
            *SIMULATED, f"algorithm={algorithm}", "model.diverge_below=1000", "budget.hours=1"
        ),
        tmp_path / "run",
    )
    assert outcome.status == "completed" and "no trial has max_epochs=27" in outcome.reason
    view = load_run(tmp_path / "run")
    assert view.trials and not any(x.status == "finished" for x in view.trials.values())


def test_price_ends_in_time_where_epochs_take_longer_than_foreseen(tmp_path, no_fsync):
    slow = ("backend.straggler_share=0.2", "backend.straggler_factor=20", "backend.epoch_noise=0")
    words = ("algorithm=price", "budget.hours=3", "backend.trial_sigma=0")
    outcome = run(configured(*SIMULATED, *slow, *words), tmp_path / "run")
    assert outcome.status == "completed", outcome.reason
    assert load_run(tmp_path / "run").time_s <= 3 * 3600 + 20 * 60
