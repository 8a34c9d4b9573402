"""Rank 0 with workers that are slow, broken or somewhere else; MPI and time are made up."""

import dataclasses
import os
import pickle

import pytest

from kit.driving import conductor, result, search
from kit.fake_mpi import ELSEWHERE, FakeTime, FakeWorker, make_world, mpi_runner
from suite.backends.mpi import world as worlds
from suite.core import types as t
from suite.core.errors import ConfigError, PausedError, StoppedError
from suite.run import journal as journals
from suite.run.driver import Driver
from suite.run.identity import process_identity
from suite.run.journal import Journal
from suite.schedulers.hyperband import Hyperband


def train(folder, runner):
    """A search of 22 trials on that runner; the driver, its journal closed."""
    driver = Driver(conductor(Hyperband(9, 3)), Journal(folder, {"run_id": "test"}))
    try:
        runner.run(driver)
    except (StoppedError, PausedError) as error:
        driver.close("failed", str(error))
        return driver
    driver.close(driver.conductor.shutdown.status, driver.conductor.shutdown.reason)
    return driver


def losses(folder):
    lines = journals.read(folder / journals.NAME)[1]
    assert lines[-1]["event"] == "closed"
    return {line["worker"]: line["message"] for line in lines if line["event"] == "lost"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return result(search(tmp_path_factory.mktemp("whole"), Hyperband(9, 3)))


# --- garbage ------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return os.system, ("echo a worker's message ran a program",)


def changed(events, **fields):
    return [dataclasses.replace(events[0], **fields), *events[1:]]


def nested(depth):
    """joined, with a list in a list in a list ...: deeper than Python itself would write."""
    lists = b"]" * depth + b"a" * (depth - 1)
    return b"\x80\x04\x8c\x06joinedN}\x8c\x06device" + lists + b"s\x87."


# What a broken worker answers to its second job: content of "events", or bytes.
EVENTS = {
    "not bytes of a pickle": lambda _: b"\x80\x04garbage",
    "a program": lambda _: pickle.dumps(Bomb()),
    "no tuple": lambda _: pickle.dumps({"events": []}),
    "two parts": lambda _: pickle.dumps(("events", None)),
    "an unknown word": lambda _: ("events2", []),
    "no list": lambda _: ("events", "done"),
    "no event": lambda _: ("events", [{"kind": "finished"}]),
    "rank 0's own event": lambda e: ("events", [t.WorkerLost(2, "I say so")]),
    "another worker's name": lambda e: ("events", changed(e, worker=1)),
    "another job": lambda e: ("events", changed(e, job_id=99)),
    "an objective that is text": lambda e: ("events", changed(e, objective="low")),
    "an objective that is not finite": lambda e: ("events", changed(e, objective=float("nan"))),
    "an objective beyond all floats": lambda e: ("events", changed(e, objective=10**400)),
    "an epoch that is true": lambda e: ("events", changed(e, epoch=True)),
    "an epoch twice": lambda e: ("events", [e[0], *e]),
    "an epoch from nowhere": lambda e: ("events", changed(e, epoch=7)),
    "metrics in a list": lambda e: ("events", changed(e, metrics=[1.0])),
    "the end without epochs": lambda e: ("events", e[-1:]),
    "a score instead": lambda e: ("events", [t.Scored(2, e[0].job_id, 0.5)]),
    "a failure of its own invention": lambda e: (
        "events", [t.JobFailed(2, e[0].job_id, "lazy", "")],
    ),
    "a message as long as a book": lambda e: (
        "events", [t.JobFailed(2, e[0].job_id, "retry", "x" * 10_000)],
    ),
    "joined twice": lambda _: ("joined", {}),
    "paused by itself": lambda _: ("paused", None),
    "content where none is": lambda _: ("ended", [1]),
}  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS)
def test_garbage_costs_its_worker_alone(monkeypatch, tmp_path, whole, capfd, kind):
    class Broken(FakeWorker):
        n_jobs = 0

        def on_job(self, job):
            self.n_jobs += 1
            ((word, events),) = super().on_job(job)
            return [EVENTS[kind](events) if self.n_jobs == 2 else (word, events)]

    make_world(monkeypatch, [FakeWorker(), Broken()])
    driver = train(tmp_path, mpi_runner())
    assert result(driver) == whole
    assert list(losses(tmp_path)) == [2] and losses(tmp_path)[2].startswith("sent garbage: ")
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err and "ran a program" not in out


JOINED = {
    "no mapping": ["cpu"],
    "50 MB": {"device": "x" * 50_000_000},
    "2 MB": {"device": "x" * 2_000_000},
    "names that are no text": {1: "cpu"},
    "nan": {"speed": float("nan")},
    "bytes": {"device": b"cpu"},
    "without an end": nested(100_000),
}


@pytest.mark.parametrize("kind", JOINED)
def test_facts_that_no_journal_could_hold_are_refused(monkeypatch, tmp_path, whole, kind):
    class Broken(FakeWorker):
        def on_begin(self, _):
            return [JOINED[kind] if kind == "without an end" else ("joined", JOINED[kind])]

    made = make_world(monkeypatch, [Broken(), FakeWorker()])
    driver = train(tmp_path, mpi_runner())
    assert result(driver) == whole and made.gone[1].startswith("sent garbage: ")
    assert (tmp_path / journals.NAME).stat().st_size < 200_000


@pytest.mark.parametrize("place", [None, ("node", 7), dataclasses.replace(ELSEWHERE, pid="7")])
def test_a_worker_that_cannot_say_where_it_is_takes_no_part(monkeypatch, tmp_path, whole, place):
    made = make_world(monkeypatch, [FakeWorker(place), FakeWorker()])
    assert made.alive == {2} and made.gone[1].startswith("sent garbage: hello")
    assert result(train(tmp_path, mpi_runner())) == whole


def test_where_all_workers_are_lost_before_they_join_the_reason_is_theirs(monkeypatch, tmp_path):
    make_world(monkeypatch, [FakeWorker(None)])
    driver = train(tmp_path, mpi_runner())
    assert driver.conductor.shutdown is None
    reason = journals.read(tmp_path / journals.NAME)[1][-1]["reason"]
    assert "0 workers joined, min_workers=1: no worker is left, rank 1 sent garbage: " in reason
    assert "join_timeout_s" not in reason


# --- who and where ------------------------------------------------------------------------------------


def test_ranks_of_other_machines_and_namespaces_are_never_looked_for_nor_killed(
    monkeypatch, tmp_path, whole
):
    """Same host name, same PID as rank 0, or one that nobody here has: all of them live."""
    mine = process_identity()
    places = [
        dataclasses.replace(mine, boot_id="another machine"),
        dataclasses.replace(mine, namespaces="pid:[1] time:[1]"),
        dataclasses.replace(mine, boot_id="another machine", pid=4_000_000),
    ]
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    # Looked for at every poll.
    monkeypatch.setattr(worlds, "LOOK_EVERY_S", -1.0)
    monkeypatch.setattr(worlds, "PIDS_EVERY_S", -1.0)

    class Silent(FakeWorker):
        def on_job(self, _):
            return []

    made = make_world(monkeypatch, [*map(FakeWorker, places), *map(Silent, places)])
    driver = train(tmp_path, mpi_runner(report_timeout_s=5.0))
    assert result(driver) == whole
    assert set(losses(tmp_path)) == made.hung == {4, 5, 6}
    assert all("silent for" in why for why in losses(tmp_path).values())


def test_one_that_is_given_up_out_of_reach_is_told_so(monkeypatch):
    worker = FakeWorker()
    made = make_world(monkeypatch, [worker])
    made.give_up(1, "why")
    assert worker.heard == ["broken"] and made.hung == {1}


def test_gpus_and_labels_are_counted_by_machine(monkeypatch):
    """Two machines of one host name, and two containers of one machine with names of their own."""
    one, two = (dataclasses.replace(ELSEWHERE, boot_id=boot) for boot in "ab")
    pod = dataclasses.replace(one, host="pod")
    made = make_world(monkeypatch, [FakeWorker(place) for place in (one, one, two, two, pod)])
    assert [made.local_index(rank) for rank in range(1, 6)] == [0, 1, 0, 1, 0]
    assert [made.node(rank) for rank in range(1, 6)] == ["node0"] * 2 + ["node1"] * 2 + ["node0"]
    made.group(2, None)
    assert made.groups == {1: (1, 2), 3: (3, 4)}


def test_a_launcher_and_mpi_that_disagree_about_rank_0_are_refused(monkeypatch):
    monkeypatch.setattr("kit.fake_mpi.Network.Get_rank", lambda _: 2)
    with pytest.raises(ConfigError, match=r"rank 2: MPI's number .* Unset"):
        make_world(monkeypatch, [FakeWorker()])


# --- the start ----------------------------------------------------------------------------------------


class Warming(FakeWorker):
    """Joins when the test says so."""

    def on_begin(self, _):
        return []


def joining(monkeypatch, made, rank, at_s, seconds):
    """The rank joins the present run as soon as `at_s` seconds are over."""
    poll, done = made.poll, []

    def polled():
        if seconds.now_s > at_s and not done and "begin" in made._comm.workers[rank].heard:
            done.append(1)
            made._comm.arrive(rank, [("joined", made.run_id, {"device": "cpu", "data_set": {}})])
        return poll()

    made.poll = polled


def test_the_clock_starts_when_every_worker_is_warm(monkeypatch, tmp_path, whole, capfd):
    """One needs 200 s longer: nobody trains before, and all join at the run's begin."""
    seconds = FakeTime(0.5)
    made = make_world(monkeypatch, [FakeWorker(), Warming()], seconds)
    runner = mpi_runner(join_timeout_s=600.0)
    made.run_id = runner._run_id
    joining(monkeypatch, made, 2, 200.0, seconds)
    driver = train(tmp_path, runner)
    assert result(driver) == whole and seconds.now_s > 200
    lines = journals.read(tmp_path / journals.NAME)[1]
    assert [line["event"] for line in lines[:2]] == ["joined", "joined"]
    assert max(line["time_s"] for line in lines[:2]) < 1.0
    assert "1 workers are ready, 1 not yet (rank 2); the run starts when" in capfd.readouterr().err


def test_one_that_is_not_warm_in_time_joins_later(monkeypatch, tmp_path, whole):
    seconds = FakeTime(0.5)
    made = make_world(monkeypatch, [FakeWorker(), Warming()], seconds)
    runner = mpi_runner(join_timeout_s=50.0)
    made.run_id = runner._run_id
    driver = train(tmp_path, runner)
    assert result(driver) == whole and seconds.now_s > 50
    joined = [
        line for line in journals.read(tmp_path / journals.NAME)[1] if line["event"] == "joined"
    ]
    assert [line["worker"] for line in joined] == [1]


# --- time ---------------------------------------------------------------------------------------------


class Jumps(FakeTime):
    """An hour passes between two looks, again and again: rank 0 was stopped."""

    def __call__(self):
        looked = super().__call__()
        if round(looked / self.step_s) % 50 == 0:
            self.now_s += 3600.0
        return looked


def test_time_in_which_rank_0_slept_is_nobodys_silence(monkeypatch, tmp_path, whole):
    class Slow(FakeWorker):
        """Answers a job after so many looks of rank 0."""

        def on_job(self, job):
            made.slow.append((self, job))
            return []

    made = make_world(monkeypatch, [Slow(), Slow()], Jumps())
    made.slow = []
    poll, n = made.poll, [0]

    def polled():
        n[0] += 1
        if made.slow and n[0] % 60 == 0:
            worker, job = made.slow.pop(0)
            network = made._comm
            events = worker.events(worker.worker.run, job)
            network.arrive(worker.rank, [("events", runner._run_id, events)])
        return poll()

    made.poll = polled
    runner = mpi_runner(report_timeout_s=40.0)
    driver = train(tmp_path, runner)
    assert made.clock.now() < 3600 and losses(tmp_path) == {}
    assert result(driver) == whole


def test_an_epoch_longer_than_the_fence_loses_no_worker(monkeypatch, tmp_path):
    """The first run fails while a worker trains; the second one of the sweep still has it."""
    seconds = FakeTime(1.0)

    class Trains(FakeWorker):
        until = None

        def on_job(self, job):
            self.until = seconds.now_s + 300
            return []

        def on_end(self, _):
            return []

    class Fails(FakeWorker):
        def on_job(self, job):
            return [("leaving", "RuntimeError: planted")]

    trains = Trains()
    made = make_world(monkeypatch, [trains, Fails()], seconds)
    poll = made.poll

    def polled():
        if trains.until is not None and seconds.now_s > trains.until and "end" in trains.heard:
            trains.until = None
            made._comm.arrive(1, [("ended", runner._run_id, None)])
        return poll()

    made.poll = polled
    runner = mpi_runner(report_timeout_s=900.0)
    driver = Driver(conductor(Hyperband(9, 3), min_workers=2), Journal(tmp_path, {"run_id": "a"}))
    runner.run(driver)
    driver.close("failed", "")
    assert driver.conductor.shutdown.status == "failed"
    assert made.alive == {1} and seconds.now_s > 300


def test_a_worker_that_never_ends_a_run_is_given_up_when_its_epoch_takes_too_long(
    monkeypatch, tmp_path
):
    class Stuck(FakeWorker):
        def on_job(self, _):
            return []

        def on_end(self, _):
            return []

    class Fails(FakeWorker):
        def on_job(self, job):
            return [("leaving", "RuntimeError: planted")]

    made = make_world(monkeypatch, [Stuck(), Fails()], FakeTime(1.0))
    driver = Driver(conductor(Hyperband(9, 3), min_workers=2), Journal(tmp_path, {"run_id": "a"}))
    mpi_runner(report_timeout_s=100.0).run(driver)
    driver.close("failed", "")
    assert made.gone[1].startswith("did not end the run: its epoch takes too long")


def test_a_large_message_on_its_way_keeps_nobody_waiting(monkeypatch):
    """A sender in the midst of an epoch does not help its message along."""
    made = make_world(monkeypatch, [FakeWorker(), FakeWorker()])
    network, slow = made._comm, pickle.dumps(("refused", None, "slow"))
    network.arrive(1, [slow, ("refused", None, "after it")])
    network.arrive(2, [("refused", None, "at once")])
    whole = [False]

    class Part:
        def Test(self):  # noqa: N802 - MPI's name
            return whole[0]

    irecv = type(network).Irecv

    def received(self, buffer):
        irecv(self, buffer)
        return Part() if self.data == slow else self

    monkeypatch.setattr(type(network), "Irecv", received)
    assert made.poll() == [(2, ("refused", None, "at once"))] and made.poll() == []
    whole[0] = True
    assert [m[2] for _, m in made.poll()] == ["slow", "after it"]


def test_exit_waits_for_nobody_that_was_never_met(monkeypatch):
    monkeypatch.setattr(worlds, "_world", None)
    monkeypatch.setattr(worlds.library, "load", lambda: pytest.fail("MPI was begun"))
    monkeypatch.setattr(worlds.library, "begun", lambda: False)
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with pytest.raises(pytest.fail.Exception):
        worlds.dismiss(3, may_wait=False)
    assert ended == [3]


def test_workers_leave_before_rank_0_reports_and_only_once(monkeypatch):
    workers = [FakeWorker(), FakeWorker()]
    made = make_world(monkeypatch, workers)
    worlds.release()
    worlds.release()
    assert [worker.heard for worker in workers] == [["exit"], ["exit"]]
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    worlds.dismiss(0, may_wait=True)
    assert ended == [0] and made._mpi.n_finalized == 1
    assert [worker.heard for worker in workers] == [["exit"], ["exit"]]


def test_with_a_lost_rank_the_others_stay_until_rank_0_leaves(monkeypatch):
    workers = [FakeWorker(), FakeWorker()]
    made = make_world(monkeypatch, workers)
    made.give_up(1, "why")
    worlds.release()
    assert workers[1].heard == [] and made._mpi.n_finalized == 0
