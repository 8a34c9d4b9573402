"""budget.end=job: an end by the batch job, said in the journal, and a search that goes on in the next job."""

import json

import pytest

from kit.driving import conductor, configured
from suite.core import types as t
from suite.core.errors import ConfigError
from suite.launch.assemble import assemble
from suite.launch.begin import Begin
from suite.launch.job_end import check_job_end, job_end_of
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run import limit
from suite.run.driver import Driver
from suite.run.job_end import JobEnd
from suite.schedulers.random_search import RandomSearch
from suite.verify.checks import verify

WORDS = (
    "model=table_target", "model.sleep_s=0.01", "algorithm=price_rank", "max_epochs=8", "backend=inline",
    "budget.end=job", "budget.allow_short=true", "backend.pause_before_s=2", "tracking=later",
    "report=false", "scheduler.n_trees=4", "resume=auto",
)  # fmt: skip


def ran(folder, *words):
    outcome = Begin(configured(*WORDS, *words), folder, "auto").run()
    assert outcome.status == "completed", outcome.reason
    return outcome


def verified(folder):
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict


def test_a_run_ends_with_its_job_and_goes_on_in_the_next(tmp_path, no_fsync, job, short):
    folder = tmp_path / "run"
    job(600.0)
    first = ran(folder)
    assert first.reason.startswith("budget.end=job: "), first.reason
    assert "; resume=auto in a new job goes on" in first.reason
    verified(folder)
    before = load_run(folder)
    (said,) = before.allocations[:1]
    assert said.job == "17" and said.margin_ms == 2000 and 900 < said.end_ms < 1100
    assert before.test_value is not None
    job(600.0, "18")
    second = ran(folder)
    assert second.reason.startswith("budget.end=job: "), second.reason
    after = load_run(folder)
    assert after.n_epochs > before.n_epochs and after.counts.n_retrained == 0
    for i, trial in before.trials.items():
        assert after.trials[i].curve[: len(trial.curve)] == trial.curve
    verified(folder)
    record = json.loads((folder / "record.json").read_text())
    numbers = [said["job"] for said in record["allocations"]]
    assert numbers[0] == "17" and numbers[-1] == "18" and record["status"] == "completed"
    assert record["reproducible"] == "prefix only"
    # In a job without time left it says so, and changes nothing.
    job(-5.0, "19")
    lines = (folder / journals.NAME).read_bytes()
    with pytest.raises(ConfigError, match=r"budget.end=job: the job ended \d+ s ago"):
        check_job_end([configured(*WORDS)], 1)
    assert (folder / journals.NAME).read_bytes() == lines


def test_a_batch_system_s_signal_ends_it_by_itself(tmp_path, no_fsync, job):
    """Earlier than was reckoned: the run is whole all the same, and not paused."""
    folder = tmp_path / "run"
    job(60.0)
    settings = configured(*WORDS)
    seen = []

    def noted(self, event, _):
        seen.append(event)
        if sum(isinstance(each, t.EpochReport) for each in seen) == 20:
            limit._note()

    from suite.launch.progress import Progress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "__call__", noted)
        outcome = Begin(settings, folder, "auto").run()
    assert outcome.status == "completed", outcome.reason
    assert outcome.reason.startswith("budget.end=job: ended where a pause was due; "), (
        outcome.reason
    )
    assert outcome.reason.endswith("resume=auto in a new job goes on") or "winner" in outcome.reason
    verified(folder)


def test_a_search_that_only_its_end_keeps_from_repeating_is_verified_too(
    tmp_path, no_fsync, job, short
):
    """Hyperband without overlap repeats as a whole; where it ends with a job, up to there."""
    job(600.0)
    words = [word for word in WORDS if not word.startswith("scheduler.")]
    words += ["algorithm=hyperband", "overlap=false", "max_epochs=27"]
    outcome = Begin(configured(*words), tmp_path / "run", "auto").run()
    assert outcome.reason.startswith("budget.end=job: "), outcome.reason
    assert journals.read_header(tmp_path / "run" / journals.NAME)["reproducible"] == "prefix only"
    verified(tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "seconds", "n_runs", "says"),
    [
        ((), None, 1, r"budget.end=job: SUITE_END_TIME and SLURM_JOB_END_TIME are not set"),
        ((), -7200.0, 1, r"budget.end=job: the job ended 2:00 h ago, .* submit a new job"),
        (("backend.pause_before_s=120",), 60.0, 1, r"budget.end=job: the job ends in \d+ s, and backend"),
        ((), 60.0, 3, r"budget.end=job: of 3 runs the first would train until the job ends"),
        (
            ("backend=simulate", "~backend.pause_before_s"), 60.0, 1,
            r"budget.end=job: simulated time ends with no batch job",
        ),
        (("budget.end=night",), 60.0, 1, r"budget.end=night: must be job or null"),
        (("overlap=logical",), 60.0, 1, r"overlap=logical: .* plans by one .budget.end."),
    ],
)  # fmt: skip
def test_an_end_that_cannot_be_is_refused_before_anything_runs(
    monkeypatch, job, words, seconds, n_runs, says
):
    monkeypatch.delenv("SUITE_END_TIME", raising=False)
    if seconds is not None:
        job(seconds)
    given = [word for word in WORDS if not any(w.startswith("backend=sim") for w in words) or (
        not word.startswith("backend")
    )]  # fmt: skip
    with pytest.raises(ConfigError, match=says):
        settings = configured(*given, *(word for word in words if not word.startswith("~")))
        check_job_end([settings], n_runs)
        assemble(settings)


class Clocks:
    """Two clocks; the wall's may be set."""

    def __init__(self, monkeypatch):
        self.wall_s, self.now_s = 1_000_000.0, 50.0
        monkeypatch.setenv("SUITE_END_TIME", "1000100")
        monkeypatch.setenv("SLURM_JOB_ID", "17")

    def made(self, before_s=10.0):
        return JobEnd(before_s, lambda: self.wall_s, lambda: self.now_s)


def test_a_wall_clock_that_is_set_meanwhile_moves_nothing(monkeypatch):
    clocks = Clocks(monkeypatch)
    end = clocks.made()
    clocks.wall_s += 86_400.0
    clocks.now_s += 20.0
    assert end.allocation(5.0) == t.Allocation(75_000, 10_000, "17", 5.0)


def test_the_margin_grows_with_what_is_measured_and_outliers_are_left_out(monkeypatch):
    end = Clocks(monkeypatch).made()
    assert end.allocation(0.0).margin_ms == 10_000
    for epoch in range(1, 9):
        end.saw(t.EpochReport(1, 0, epoch, 0.5, {}, 3.0, 0.5))
    end.saw(t.JobFinished(1, 0, 1.0, 0.5, 30.0))
    assert end.margin_s == pytest.approx(15.0)
    moved = end.allocation(1.0)
    assert (moved.end_ms, moved.margin_ms) == (86_000, 15_000)
    # One trial that is fifty times slower than others: it would be cut, and costs nobody's time.
    end.saw(t.EpochReport(2, 1, 1, 0.5, {}, 175.0, 0.0))
    assert end.margin_s == pytest.approx(15.0) and end.allocation(2.0) is None
    end.saw(t.EpochReport(1, 2, 1, 0.5, {}, 4.0, 0.4))
    assert end.allocation(3.0) is None, "less than a second more is not said"


def test_the_end_is_said_before_any_worker_and_replays(monkeypatch):
    clocks = Clocks(monkeypatch)
    made = conductor(RandomSearch(4, 3), budget={"budget_job": 1})
    driver = Driver(made, None, job_end=clocks.made())
    driver.now = lambda: 2.0
    seen = []
    driver.observers.append(lambda event, _: seen.append(event))
    driver.handle([t.WorkerJoined(1, 1.5)])
    assert [type(event) for event in seen] == [t.Allocation, t.WorkerJoined]
    assert seen[0].end_ms == 91_500 and made.spending.end_ms() == 91_500
    assert driver.budget_used(91.4) is None
    assert driver.budget_used(91.5) == t.BudgetUsed("budget_job", 91.5)


def test_settings_of_a_run_that_ends_with_its_job(job):
    job(100.0)
    settings = configured(*WORDS)
    parts = assemble(settings)
    assert parts.conductor.spending.has_end and parts.conductor.spending.end_ms() is None
    assert job_end_of(settings, parts.backend).margin_s == 2.0
