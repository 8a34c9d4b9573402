"""The worker: from memory, from a checkpoint, or anew; every error becomes an event; memory stays
flat.
"""

import errno
import gc
import json
import math
import os
import subprocess
import sys
import weakref

import pytest

from kit.driving import ROOT, search
from models.synthetic_curves import TableTarget
from suite.core import types as t
from suite.core.errors import ContractError, DivergedError, TrialError
from suite.core.metric import Metric
from suite.schedulers.random_search import RandomSearch
from suite.worker.checkpoints import CheckpointPlace, Checkpoints
from suite.worker.worker import Worker

CONFIG = {"learning_rate": 0.01, "width": 64, "optimizer": "adam"}


def job(job_id, trial_id, from_epoch, to_epoch, seed=None):
    return t.Job(
        job_id, trial_id, from_epoch, to_epoch, CONFIG, 100 + trial_id if seed is None else seed
    )


class Watched(TableTarget):
    """Counts starts and loads; `strike` is called with (epoch) before each epoch."""

    def __init__(self, strike=None, **settings):
        super().__init__(**settings)
        self.strike, self.n_started, self.n_loaded, self.alive = strike, 0, 0, []

    def start(self, config, seed):
        self.n_started += 1
        training = super().start(config, seed)
        train, load = training.train_epoch, training.load

        def train_epoch(epoch):
            if self.strike:
                self.strike(epoch)
            train(epoch)

        def counted(path):
            self.n_loaded += 1
            load(path)

        training.train_epoch, training.load = train_epoch, counted
        self.alive.append(weakref.ref(training))
        return training


def run(worker, *jobs):
    events = []
    for each in jobs:
        worker.run(5, each, events.append)
    return events


def objectives(events):
    return {e.epoch: e.objective for e in events if isinstance(e, t.EpochReport)}


@pytest.fixture
def store(tmp_path):
    return Checkpoints(CheckpointPlace.of(tmp_path, None, "test"))


@pytest.fixture
def straight():
    """Six epochs of trial 0 without any cut."""
    return objectives(run(Worker(TableTarget(), None), job(0, 0, 0, 6)))


def test_a_job_reports_every_epoch_once_and_ends_with_finished(store):
    ticks = iter(range(1000))
    worker = Worker(TableTarget(), store, clock=lambda: float(next(ticks)))
    events = run(worker, job(3, 0, 0, 4))
    assert [type(e).__name__ for e in events] == ["EpochReport"] * 4 + ["JobFinished"]
    assert [e.epoch for e in events[:4]] == [1, 2, 3, 4]
    assert all((e.worker, e.job_id) == (5, 3) and e.train_s == e.eval_s == 1.0 for e in events[:4])
    assert events[0].metrics == {"val_loss": events[0].objective}
    end = events[-1]
    assert 0 < end.restore_s < end.busy_s and 0 < end.checkpoint_s < end.busy_s


def test_a_trial_goes_on_from_memory(store, straight):
    target = Watched()
    events = run(Worker(target, store), job(0, 0, 0, 2), job(1, 0, 2, 6))
    assert objectives(events) == straight and (target.n_started, target.n_loaded) == (1, 0)


def test_a_trial_goes_on_from_its_checkpoint_on_another_worker(store, straight):
    run(Worker(TableTarget(), store), job(0, 0, 0, 2))
    target = Watched()
    events = run(Worker(target, store), job(1, 0, 2, 6))
    assert (
        objectives(events) == {e: x for e, x in straight.items() if e > 2} and target.n_loaded == 1
    )


def test_what_is_in_memory_is_not_used_when_the_job_starts_elsewhere(store, straight):
    worker = Worker(Watched(), store)
    run(worker, job(0, 0, 0, 2), job(1, 0, 2, 4))
    again = run(worker, job(2, 0, 2, 6))  # memory holds epoch 4, the journal says 2
    assert (
        objectives(again) == {e: x for e, x in straight.items() if e > 2}
        and worker.target.n_loaded == 1
    )


@pytest.mark.parametrize("resident", [1, 2, 3])
def test_the_last_trials_stay_in_memory_and_no_more(store, resident):
    worker = Worker(Watched(), store, resident_trials=resident)
    for trial_id in range(6):
        run(worker, job(trial_id, trial_id, 0, 1))
        assert len(worker._resident) == min(trial_id + 1, resident)
    run(worker, *(job(10 + i, i, 1, 2) for i in range(6 - resident, 6)))
    assert worker.target.n_loaded == 0


def test_max_is_turned_into_min(store):
    class Accuracy(TableTarget):
        metric = Metric("val_loss", "max")

    events = run(Worker(Accuracy(), store), job(0, 0, 0, 2))
    assert objectives(events) == {
        e: -x for e, x in objectives(run(Worker(TableTarget(), None), job(0, 0, 0, 2))).items()
    }
    assert events[0].metrics["val_loss"] == -events[0].objective > 0


def test_checkpoints_within_a_job_come_every_so_many_seconds(store):
    now = [0.0]

    def strike(epoch):
        now[0] += 10.0

    events = run(
        Worker(Watched(strike), store, checkpoint_every_s=25.0, clock=lambda: now[0]),
        job(0, 0, 0, 9),
    )
    assert [e.epoch for e in events if isinstance(e, t.Checkpointed)] == [
        3,
        6,
    ]  # the one at 9 is the job's own
    for epoch in (6, 9):
        store.load(job(9, 0, epoch, 9), lambda path: None)


# --- errors become events -------------------------------------------------------------------------


def strike_at(epoch, error, times=1):
    left = [times]

    def strike(now):
        if now == epoch and left[0] > 0:
            left[0] -= 1
            raise error

    return strike


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DivergedError("train_loss=nan in epoch 2"), "diverged"),
        (TrialError("batch_size 64 does not fit"), "trial"),
        (RuntimeError("CUDA error"), "retry"),
        (OSError(errno.EIO, "Input/output error"), "retry"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "storage"),
        (OSError(errno.EROFS, "Read-only file system"), "storage"),
        (OSError(errno.ESTALE, "Stale file handle"), "storage"),
        (OSError(errno.ENOTCONN, "Transport endpoint is not connected"), "storage"),
    ],
)
def test_an_error_becomes_job_failed_with_its_reason(store, error, reason, capfd):
    worker = Worker(Watched(strike_at(2, error)), store)
    events = run(worker, job(0, 0, 0, 4))
    assert [type(e).__name__ for e in events] == ["EpochReport", "JobFailed"]
    assert events[-1].reason == reason and str(error.args[-1]) in events[-1].message
    assert worker._resident == {}
    assert ("Traceback" in capfd.readouterr().err) == (reason == "retry")
    assert isinstance(run(worker, job(1, 1, 0, 2))[-1], t.JobFinished), "the worker goes on"


def test_a_loss_that_is_no_number_is_never_reported(store):
    events = run(Worker(TableTarget(diverge_below=1000), store), job(0, 0, 0, 4))
    assert [type(e).__name__ for e in events] == ["EpochReport", "JobFailed"]
    assert events[-1].reason == "diverged" and math.isfinite(events[0].objective)
    json.dumps([e.metrics for e in events[:1]], allow_nan=False)


def test_other_metrics_that_are_no_numbers_are_left_out(store):
    class More(TableTarget):
        def start(self, config, seed):
            training = super().start(config, seed)
            validate = training.validate
            training.validate = lambda: {**validate(), "ratio": math.inf}
            return training

    events = run(Worker(More(), store), job(0, 0, 0, 1))
    assert set(events[0].metrics) == {"val_loss"}


def test_a_full_disk_while_saving_stops_with_storage_and_leaves_nothing_half_written(store):
    class Full(TableTarget):
        def start(self, config, seed):
            training = super().start(config, seed)

            def save(path):
                path.write_text("hal")
                raise OSError(errno.ENOSPC, "No space left on device")

            training.save = save
            return training

    events = run(Worker(Full(), store), job(0, 0, 0, 2))
    assert events[-1].reason == "storage" and "resume=<run folder>" in events[-1].message
    assert os.listdir(store._of(0)) == []


def test_torchs_own_way_of_saying_that_the_disk_is_full(store):
    torch = pytest.importorskip("torch")

    class Full(TableTarget):
        def start(self, config, seed):
            training = super().start(config, seed)
            training.save = lambda path: torch.save({"weights": torch.zeros(100_000)}, "/dev/full")
            return training

    events = run(Worker(Full(), store), job(0, 0, 0, 2))
    assert events[-1].reason == "storage"


def test_a_damaged_checkpoint_is_said_to_be_one_and_an_older_one_works(store, straight):
    run(Worker(TableTarget(), store), job(0, 0, 0, 2), job(1, 0, 2, 4))
    newest = max(store._of(0).iterdir())
    newest.write_bytes(newest.read_bytes()[:-3])
    worker = Worker(TableTarget(), store)
    (failed,) = run(worker, job(2, 0, 4, 6))
    assert (failed.reason, failed.message) == (
        "checkpoint",
        "trial 0: no valid checkpoint of epoch 4",
    )
    assert objectives(run(worker, job(3, 0, 2, 6))) == {e: x for e, x in straight.items() if e > 2}


def test_without_checkpoints_a_trial_that_was_evicted_says_so():
    worker = Worker(TableTarget(), None)
    run(worker, job(0, 0, 0, 1), job(1, 1, 0, 1))
    (failed,) = run(worker, job(2, 0, 1, 2))
    assert failed.reason == "checkpoint"


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize("error", [OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_evicts_all_and_tries_once_more_without_double_reports(
    store, straight, error
):
    target = Watched(strike_at(3, error))
    worker = Worker(target, store, resident_trials=4)
    run(worker, job(7, 7, 0, 1), job(8, 8, 0, 1))
    events = run(worker, job(9, 0, 0, 6))
    assert [e.epoch for e in events[:-1]] == [1, 2, 3, 4, 5, 6] and objectives(events) == straight
    assert isinstance(events[-1], t.JobFinished) and set(worker._resident) == {0}


def test_out_of_memory_twice_is_another_workers_turn(store):
    events = run(
        Worker(Watched(strike_at(2, OutOfMemoryError("x"), times=2)), store), job(0, 0, 0, 4)
    )
    assert [type(e).__name__ for e in events] == ["EpochReport", "JobFailed"] and events[
        -1
    ].reason == "retry"


# --- the winner -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
def test_the_score_is_that_of_the_test_split_from_memory_or_checkpoint(store, fresh):
    worker = Worker(TableTarget(), store)
    reported = objectives(run(worker, job(0, 0, 0, 3)))
    events = []
    (Worker(TableTarget(), store) if fresh else worker).score(5, job(1, 0, 3, 3), events.append)
    (scored,) = events
    assert scored.test_value == scored.metrics["val_loss"] == pytest.approx(reported[3] + 0.01)


def test_a_score_that_is_no_number_is_a_failure(store):
    target = TableTarget()
    worker = Worker(target, store)
    run(worker, job(0, 0, 0, 3))
    target.diverge_below = 1000
    events = []
    worker.score(5, job(1, 0, 3, 3), events.append)
    assert events[0].reason == "diverged"


# --- warming up -----------------------------------------------------------------------------------


class Cold(TableTarget):
    """Raises `error` when it is warmed up."""

    error: Exception | None = None

    def warm_up(self):
        if self.error is not None:
            raise self.error


def test_by_default_one_trial_of_the_lowest_configuration_is_begun():
    target = Watched()
    Worker(target, None).warm_up()
    gc.collect()
    assert target.n_started == 1 and target.alive[0]() is None
    lowest = target.space.lowest()
    assert lowest == {"learning_rate": pytest.approx(1e-4), "width": 4, "optimizer": "sgd"}


def test_what_the_lowest_configuration_is_to_blame_for_is_no_fault_of_the_target():
    for error in (DivergedError("nan"), TrialError("no"), MemoryError("of a GPU")):
        target = Cold()
        target.error = error
        Worker(target, None).warm_up()


def test_a_warm_up_that_fails_fails_the_run_by_name(tmp_path):
    target = Cold()
    target.error = KeyError("momentum")
    with pytest.raises(
        ContractError, match=r"model=Cold: warm_up\(\) failed .*KeyError.*; correct"
    ):
        search(tmp_path, RandomSearch(2, 2), target)


# --- what is kept ---------------------------------------------------------------------------------


def test_a_trial_keeps_its_last_two_checkpoints(store):
    worker = Worker(TableTarget(), store)
    run(worker, *(job(e, 0, e, e + 1) for e in range(6)))
    kept = sorted(name[6:11] for name in os.listdir(store._of(0)))
    assert kept == ["00004", "00005", "00006"]  # the last two before the last job, and its own
    store.load(job(9, 0, 5, 9), lambda path: None)


def test_200_trials_on_one_worker_leave_one_in_memory(tmp_path, no_fsync):
    target = Watched()
    done = search(tmp_path, RandomSearch(2, 200), target)
    # One more was started to warm the target up.
    assert len(done.conductor.trials) == 200 == target.n_started - target.n_loaded - 1
    gc.collect()
    assert sum(ref() is not None for ref in target.alive) <= 1


SCRIPT = """
import resource, sys
sys.path.insert(0, "tests")
from kit.driving import conductor, inline
from pathlib import Path
from models.digits_cnn import DigitsCNN
from suite.core.types import JobFinished
from suite.run.driver import Driver
from suite.schedulers.random_search import RandomSearch

def rss():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

seen = {}
def observe(event, done):
    if isinstance(event, JobFinished):
        seen[len(seen) + 1] = rss()

target = DigitsCNN({"num_filters": 4, "batch_size": 128})
driver = Driver(conductor(RandomSearch(1, 200), target), None, [observe])
inline(Path(sys.argv[1]), target).run(driver)
print(len(seen), seen[50], seen[200])
"""


@pytest.mark.slow
def test_200_trials_of_digits_on_one_worker_show_flat_memory(tmp_path):
    env = os.environ | {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    n, after_50, after_200 = done.stdout.split()
    print(f"\nresident memory: {after_50} MiB after 50 trials, {after_200} MiB after 200")
    assert int(n) == 200 and float(after_200) - float(after_50) < 30


# --- whose fault it is ------------------------------------------------------------------------------


class Returns(TableTarget):
    """validate() and test() return what `give(epoch)` says."""

    def __init__(self, give):
        super().__init__()
        self.give = give

    def start(self, config, seed):
        training = super().start(config, seed)
        reached = [0]
        train = training.train_epoch

        def train_epoch(epoch):
            reached[0] = epoch
            train(epoch)

        training.train_epoch = train_epoch
        training.validate = training.test = lambda: self.give(reached[0])
        return training


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda e: {"val_acc": 0.5, "n": 1}, "returned val_acc, n; must hold val_loss"),
        (lambda e: {}, "returned nothing; must hold val_loss"),
        (lambda e: None, "returned NoneType; must be a mapping that holds val_loss"),
        (lambda e: 0.5, "returned float; must be a mapping"),
        (lambda e: {"val_loss": "0.5"}, "val_loss='0.5': is str; must be a number"),
        (lambda e: {"val_loss": None}, "val_loss='None': is NoneType; must be a number"),
        (lambda e: {"val_loss": 0.5, "aux": [1, 2]}, "aux='[1, 2]': is list; must be a number"),
        (lambda e: {"val_loss": 0.5j}, "must be a number"),
    ],
)
def test_a_metric_that_never_comes_is_named_with_what_came_instead(store, give, message):
    (end,) = run(Worker(Returns(give), store), job(0, 0, 0, 2))
    assert type(end) is t.JobFailed and end.reason == "contract" and message in end.message
    assert "validate() of trial 0 after epoch 1" in end.message


def test_a_target_that_validates_every_second_epoch_is_named_at_the_first_without(store):
    give = Returns(lambda e: {"val_loss": 1.0} if e % 2 else {"train_loss": 1.0})
    report, end = run(Worker(give, store), job(0, 0, 0, 4))
    assert report.epoch == 1 and end.reason == "contract"
    assert "after epoch 2: returned train_loss" in end.message


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400])
def test_a_metric_that_came_and_is_not_finite_is_divergence(store, value):
    (end,) = run(Worker(Returns(lambda e: {"val_loss": value}), store), job(0, 0, 0, 2))
    assert end.reason == "diverged"
    aux, _ = run(Worker(Returns(lambda e: {"val_loss": 1, "a": value}), store), job(0, 0, 0, 1))
    assert aux.metrics == {"val_loss": 1.0}


def test_a_test_split_without_the_metric_is_named_too(store):
    events = []
    Worker(Returns(lambda e: {"acc": 1.0}), None).score(5, job(0, 0, 0, 0), events.append)
    assert events[0].reason == "contract" and "test() of trial 0: returned acc" in events[0].message


@pytest.mark.parametrize("error", [ValueError("nan"), MemoryError(), OSError(errno.ENOSPC, "full")])
@pytest.mark.parametrize("kind", [t.EpochReport, t.Checkpointed, t.JobFinished, t.Scored])
def test_what_the_receiver_of_an_event_raises_is_not_the_job_s(store, error, kind):
    """A scheduler, a searcher or the journal: the run's error, under its own name, and once."""
    came = []

    def send(event):
        came.append(type(event))
        if type(event) is kind:
            raise error

    worker = Worker(TableTarget(), store, checkpoint_every_s=0.0)
    with pytest.raises(type(error)) as raised:
        (worker.score if kind is t.Scored else worker.run)(5, job(0, 0, 0, 2), send)
    assert raised.value is error and came.count(kind) == 1 and t.JobFailed not in came
