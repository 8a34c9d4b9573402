"""Lines of progress: which run, workers, time left of the run and of the sweep; on stderr."""

import io
import re

import pytest

from kit.driving import conductor, starts
from models.synthetic_curves import TableTarget
from suite.core import types as t
from suite.core.metric import Metric
from suite.core.printable import hours
from suite.launch import progress as lines
from suite.launch.progress import Progress, Sweep
from suite.schedulers.hyperband import Hyperband


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(lines.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def report(start, epoch):
    return t.EpochReport(start.worker, start.job.job_id, epoch, 0.5, {}, 0.0, 0.0)


def test_a_line_says_run_workers_and_what_is_left(clock):
    search = conductor(Hyperband(max_epochs=9, eta=3), TableTarget())
    jobs = [
        job
        for worker in (1, 2, 3)
        for job in starts(search.handle(t.WorkerJoined(worker, 0.0)).commands)
    ]
    out = io.StringIO()
    sweep = Sweep(n_runs=3, work=3 * 60.0)
    sweep.next(60.0)
    shown = Progress(
        "hyperband seed 0 on mlpf", 60, Metric("val_loss", "min"), out, sweep=sweep, work=60.0
    )
    clock.now += 1000  # until a worker is ready: no training
    for n, start in enumerate(jobs):
        event = report(start, 1)
        search.handle(event)
        clock.now += 60 * (n > 0)
        shown(event, search)
    lost = t.WorkerLost(3, "silent for 900 s", 0.0)
    search.handle(lost)
    shown(lost, search)
    said = out.getvalue().splitlines()
    # One epoch a minute since the first one came: 57 of this run are left, and 120 of the others.
    assert said[-1] == ("run 1 of 3: hyperband seed 0 on mlpf: worker 3 lost: silent for 900 s")
    line = shown.line(search, clock.now)
    assert line.startswith(
        "run 1 of 3: hyperband seed 0 on mlpf: 3 trials, 3/60 epochs, best val_loss 0.5"
    )
    assert line.endswith("2 of 2 workers busy, 1 lost, 0:57 h left, 2:57 h of the sweep")


def test_the_sweeps_time_is_that_of_its_ended_runs():
    sweep = Sweep(n_runs=3, work=90.0)
    sweep.next(30.0)
    sweep.ended(30.0, 300.0)
    sweep.next(30.0)
    assert sweep.left_s(1.0) == 300.0 and sweep.of == "run 2 of 3: "
    # One that was over before takes its share of the work, and no time.
    sweep.next()
    assert sweep.left_s(1.0) == 0.0 and Sweep().of == ""


def test_of_the_first_seconds_no_time_left_is_made(clock):
    search = conductor(Hyperband(max_epochs=9, eta=3), TableTarget())
    (start,) = starts(search.handle(t.WorkerJoined(1, 0.0)).commands)
    shown = Progress("x", 60, Metric("val_loss", "min"), io.StringIO())
    search.handle(event := report(start, 1))
    shown(event, search)
    clock.now += lines._SETTLED_S - 1
    assert shown.line(search, clock.now).endswith("1 of 1 worker busy")


def test_progress_goes_to_stderr(capsys, clock):
    search = conductor(Hyperband(max_epochs=9, eta=3), TableTarget())
    (start,) = starts(search.handle(t.WorkerJoined(1, 0.0)).commands)
    shown = Progress("x", 60, Metric("val_loss", "min"))
    clock.now += 60
    search.handle(event := report(start, 1))
    shown(event, search)
    out, err = capsys.readouterr()
    assert out == "" and re.match(r"x: 1 trial, 1/60 epochs", err)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (42.4, "42 s"), (59.7, "0:01 h"), (90, "0:02 h"), (3600, "1:00 h"),
     (73236, "20:21 h"), (9.5e6, "2638:53 h")],
)  # fmt: skip
def test_times_are_hours_and_minutes(seconds, text):
    assert hours(seconds) == text
