"""Driver and replay: what a journal says is folded again, and the first difference is named."""

import json
import random

import pytest

from kit.driving import SVR, compose, conductor, power_law, reports, result, resumed, search, starts
from models.synthetic_curves import TableTarget
from suite.core import types as t
from suite.core.errors import ConfigError, JournalError
from suite.core.run_settings import RunSettings
from suite.launch.assemble import assemble
from suite.run import journal as journals
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal, read
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.random_search import RandomSearch
from suite.schedulers.successive_halving import SuccessiveHalving
from suite.schedulers.swift_hyperband import SwiftHyperband

pytestmark = pytest.mark.usefixtures("no_fsync")


def cut(folder, n_lines):
    """Leave the header and `n_lines` lines."""
    path = folder / journals.NAME
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rows[: n_lines + 1]))
    return len(rows) - 1


def test_a_replayed_journal_gives_the_same_state(tmp_path):
    first = search(tmp_path, SwiftHyperband(16, 2, n_curves=4), predictor=SVR)
    again = Driver(conductor(SwiftHyperband(16, 2, n_curves=4)), None)
    again.replay(read(tmp_path / journals.NAME)[1])
    assert result(again) == result(first) and result(first)["stopped"]


def test_a_shutdown_worded_otherwise_is_the_same_decision(tmp_path):
    search(tmp_path, Hyperband(9, 3))
    lines = read(tmp_path / journals.NAME)[1]
    (ended,) = [c for line in lines for c in line.get("do", ()) if c[0] == "shutdown"]
    ended[2] = "resume=<run folder> goes on"
    again = Driver(conductor(Hyperband(9, 3)), None)
    again.replay(lines)
    assert again.conductor.shutdown.status == "completed"
    ended[1] = "failed"
    with pytest.raises(
        JournalError, match="the journal says .*failed.*, now it would be .*completed"
    ):
        Driver(conductor(Hyperband(9, 3)), None).replay(lines)


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        (
            lambda: Hyperband(27, 3),
            "line 2: the journal says 0: bracket: 2, now it would be 0: bracket: 3",
        ),
        (lambda: Hyperband(9, 2), ""),
        (
            lambda: Hyperband(9, 4),
            "line 2: the journal says ['start', 0, 0, 0, 0, 1], now it would be "
            "['start', 0, 0, 0, 0, 2]",
        ),
        (
            lambda: RandomSearch(9, 9),
            "line 2: the journal says ['start', 0, 0, 0, 0, 1], now it would be "
            "['start', 0, 0, 0, 0, 9]",
        ),
        (lambda: SuccessiveHalving(9, 3, 9), ""),
    ],
)
def test_a_changed_scheduler_is_caught_at_the_first_difference(tmp_path, changed, differs):
    search(tmp_path, Hyperband(9, 3))
    total = cut(tmp_path, 60)
    assert total > 60
    with pytest.raises(JournalError) as error:
        resumed(tmp_path, changed())
    lines = read(tmp_path / journals.NAME)[1]
    assert len(lines) == 60, "a refused journal is left as it was"
    number = int(str(error.value).split()[1].rstrip(":"))
    assert "code or configuration changed. Continue with the version that wrote" in str(error.value)
    assert differs in str(error.value)
    # Up to the line before, both decide alike: the named line is the first that differs.
    driver = Driver(conductor(changed()), None)
    driver.replay(lines[: number - 2])


@pytest.mark.parametrize(("seed", "target"), [(1, None), (0, TableTarget(fixed={"width": 8}))])
def test_a_changed_space_or_seed_is_caught_too(tmp_path, seed, target):
    search(tmp_path, Hyperband(9, 3))
    cut(tmp_path, 10)
    with pytest.raises(JournalError, match="line 2"):
        reopen(tmp_path, conductor(Hyperband(9, 3), target, seed))


def test_a_failed_replay_leaves_the_folder_free(tmp_path):
    search(tmp_path, Hyperband(9, 3))
    cut(tmp_path, 40)
    for _ in range(2):
        with pytest.raises(JournalError, match="code or configuration changed"):
            resumed(tmp_path, RandomSearch(9, 9))
    assert resumed(tmp_path, Hyperband(9, 3)).conductor.shutdown.status == "completed"


def test_a_completed_run_is_not_resumed(tmp_path):
    search(tmp_path, RandomSearch(3, 2))
    with pytest.raises(ConfigError, match="completed; nothing is left to do"):
        resumed(tmp_path, RandomSearch(3, 2))


def test_a_run_that_lacks_only_its_closing_line_can_be_closed(tmp_path):
    search(tmp_path, RandomSearch(3, 2))
    cut(tmp_path, len(read(tmp_path / journals.NAME)[1]) - 1)
    resumed(tmp_path, RandomSearch(3, 2))
    assert read(tmp_path / journals.NAME)[1][-1]["status"] == "completed"


def test_a_run_may_be_resumed_more_than_once_and_its_clock_goes_on(tmp_path):
    whole = search(tmp_path / "whole", Hyperband(9, 3))
    journal = Journal(tmp_path / "cut", {"run_id": "test"})
    driver = Driver(conductor(Hyperband(9, 3)), journal)
    (start,) = starts(driver.handle([t.WorkerJoined(0, 1.0)]))
    driver.handle([t.EpochReport(0, start.job.job_id, 1, 0.5, {}, 0.1, 0.1, 7.5)])
    journal.release()
    for _ in range(2):
        again = reopen(tmp_path / "cut", conductor(Hyperband(9, 3)))
        assert again.time_s == 7.5
        again.journal.release()
    lines = read(tmp_path / "cut" / journals.NAME)[1]
    assert [line["event"] for line in lines] == ["joined", "epoch", "resumed", "resumed"]
    assert whole.conductor.shutdown is not None


def test_a_prediction_without_its_answer_is_asked_again_on_resume(tmp_path):
    whole = search(tmp_path / "a", SwiftHyperband(16, 2, n_curves=4), predictor=SVR)
    lines = read(tmp_path / "a" / journals.NAME)[1]
    at = next(i for i, line in enumerate(lines) if any(c[0] == "ask" for c in line.get("do", [])))
    cut(tmp_path / "a", at + 1)
    driver = reopen(tmp_path / "a", conductor(SwiftHyperband(16, 2, n_curves=4)))
    again = driver.handle([t.WorkerJoined(0)])
    assert [c.request.key for c in again if isinstance(c, t.Ask)] == [
        c[1] for c in lines[at]["do"] if c[0] == "ask"
    ]
    driver.journal.release()
    assert result(
        resumed(tmp_path / "a", SwiftHyperband(16, 2, n_curves=4), predictor=SVR)
    ) == result(whole)


def test_the_line_is_written_before_any_command_leaves(tmp_path):
    class Journalled(Journal):
        def append(self, events, commands, notes):
            said.append((events[0].kind, len(commands)))
            raise OSError("the disk is gone")

    said = []
    driver = Driver(
        conductor(RandomSearch(2, 1)),
        Journalled(tmp_path, {"run_id": "test"}),
        [lambda *_: said.append("observer")],
    )
    with pytest.raises(OSError, match="the disk is gone"):
        driver.handle([t.WorkerJoined(0)])
    assert said == [("joined", 1)]
    driver.journal.release()


def test_reports_that_came_together_share_a_line_and_fold_as_if_apart(tmp_path):
    states = []
    for together in (True, False):
        folder = tmp_path / str(together)
        driver = Driver(conductor(RandomSearch(5, 1)), Journal(folder, {"run_id": "test"}))
        (start,) = starts(driver.handle([t.WorkerJoined(0)]))
        events = [
            *reports(start, objective=lambda i, e: power_law(i, e)[-1]),
            t.JobFinished(0, start.job.job_id),
        ]
        for batch in [events] if together else [[event] for event in events]:
            driver.handle(batch)
        driver.journal.release()
        states.append({i: x.curve for i, x in driver.conductor.trials.items()})
    assert states[0] == states[1]
    lines = read(tmp_path / "True" / journals.NAME)[1]
    assert [line["event"] for line in lines] == ["joined", "epoch", "finished"] and lines[1][
        "epoch"
    ] == [1, 2, 3, 4, 5]
    again = Driver(conductor(RandomSearch(5, 1)), None)
    again.replay(lines)
    assert {i: x.curve for i, x in again.conductor.trials.items()} == states[0]


# --- what `resume=` lets one change ---------------------------------------------------------------


def _journal_of(config, folder, n_workers):
    """A run of `config` on several workers, cut in its middle by losing one after the other."""
    parts = assemble(RunSettings.of(config))
    driver = Driver(parts.conductor, Journal(folder, {"run_id": "test", "config": config}))
    todo = [
        c for worker in range(1, n_workers + 1) for c in driver.handle([t.WorkerJoined(worker)])
    ]
    order = random.Random(2)  # an order that gives an idle worker the choice between homes
    for _ in range(17):
        start = todo.pop(order.randrange(len(todo)))
        driver.handle(reports(start, objective=lambda i, e: power_law(i, e)[-1]))
        todo += driver.handle([t.JobFinished(start.worker, start.job.job_id)])
    for worker in range(1, n_workers + 1):
        if parts.conductor.shutdown is None:
            driver.handle([t.WorkerLost(worker, "signal 9")])
    assert parts.conductor.shutdown is not None
    driver.close("failed", parts.conductor.shutdown.reason)


BASE = ("model=table_target", "max_epochs=9", "eta=3")


@pytest.mark.parametrize(
    ("ran_with", "resumed_with"),
    [
        pytest.param(("min_workers=3",), ("min_workers=1",), id="min_workers"),
        pytest.param(
            ("backend.resident_trials=3", "overlap=false"),
            ("backend.threads=2",),
            id="resident_trials",
        ),
    ],
)
def test_what_resume_allows_to_change_does_not_change_the_past(tmp_path, ran_with, resumed_with):
    _journal_of(compose(*BASE, *ran_with), tmp_path, 4)
    config = {**read(tmp_path / journals.NAME)[0]["config"]}
    fresh = compose(*resumed_with)  # as cli._resume does it
    config |= {"min_workers": fresh["min_workers"], "backend": fresh["backend"]}
    reopen(tmp_path, assemble(RunSettings.of(config)).conductor).journal.release()


def test_the_same_settings_resume_after_the_workers_were_lost(tmp_path):
    _journal_of(compose(*BASE, "min_workers=3"), tmp_path, 4)
    config = read(tmp_path / journals.NAME)[0]["config"]
    reopen(tmp_path, assemble(RunSettings.of(config)).conductor).journal.release()
    assert json.loads((tmp_path / journals.NAME).read_text().splitlines()[-1])["event"] == "resumed"
