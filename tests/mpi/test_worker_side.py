"""A worker's side of the talk: what rank 0 sent during an epoch is read at its end. MPI is made up."""

# ruff: noqa: N802 - MPI's names

import functools
from collections import deque

import pytest

from kit.driving import compose
from suite.backends.mpi import groups, serve
from suite.backends.mpi.messages import Begin
from suite.core import types as t
from suite.worker.checkpoints import CheckpointPlace
from suite.worker.settings import WorkerSettings

CONFIG = {"learning_rate": 0.01, "width": 64, "optimizer": "adam"}
RUN = "run"


class RankZero:
    """mpi4py's module and its communicator, as far as a worker uses them. What was sent during an epoch is
    found by the second probe only (measured: 8 of 8 times).
    """

    Exception, ERRORS_RETURN = type("MPIError", (Exception,), {}), 0

    def __init__(self):
        self.COMM_WORLD = self
        self.sent, self.inbox = [], deque()
        # Sent to the worker while it trains this epoch: epoch -> messages.
        self.during: dict[int, list] = {}
        self.missed = False
        # Tests until a message that was sent is handed over.
        self.slow, self.tests = 0, 0

    def Set_errhandler(self, _):
        pass

    def Get_rank(self):
        return 1

    def Get_size(self):
        return 2

    def Get_failed(self):
        raise NotImplementedError

    def Iprobe(self, source, tag):
        if self.inbox and self.missed:
            return True
        self.missed = bool(self.inbox)
        return False

    def recv(self, source, tag):
        self.missed = bool(self.inbox) and self.missed
        return self.inbox.popleft()

    def isend(self, message, dest, tag):
        self.sent.append(message)
        self.tests = self.slow
        return self

    def test(self):
        self.tests -= 1
        return (self.tests <= 0, None)

    def trained(self, epoch):
        self.inbox += self.during.pop(epoch, [])
        self.missed = False


class Exits(BaseException):
    pass


@functools.cache
def _leaves():
    config = compose("backend=mpi", "model=table_target")
    return {k: v for k, v in config["backend"].items() if k != "_target_"}, config["model"]


@pytest.fixture
def rank_zero(monkeypatch):
    made = RankZero()
    monkeypatch.setattr(serve.library, "load", lambda: made)
    # As after a long epoch: every report is sent at once.
    monkeypatch.setattr(serve, "FLUSH_EVERY_S", 0.0)
    return made


@pytest.fixture
def server(rank_zero, monkeypatch, tmp_path):
    made = serve._Server()
    leaf, model = _leaves()
    place = CheckpointPlace.of(tmp_path, None, "abc")
    made._take("begin", RUN, Begin(WorkerSettings(**leaf), model, place, 0, (1,), None))
    assert [word for word, _, _ in rank_zero.sent] == ["hello", "joined"]
    rank_zero.sent.clear()
    train = made._target.start

    def start(config, seed):
        training = train(config, seed)
        epoch_of = training.train_epoch

        def train_epoch(epoch):
            epoch_of(epoch)
            rank_zero.trained(epoch)

        training.train_epoch = train_epoch
        return training

    made._target.start = start
    monkeypatch.setattr(made, "leave", lambda _: (_ for _ in ()).throw(Exits()))
    return made


def work(server, to_epoch=9):
    """One job, and then what the worker has read meanwhile."""
    server._take("job", RUN, t.Job(0, 0, 0, to_epoch, CONFIG, 7))
    while (message := server.receive()) is not None:
        server._take(*message)


def reported(rank_zero):
    return [
        type(e).__name__ for word, _, events in rank_zero.sent if word == "events" for e in events
    ]


def words(rank_zero):
    return [word for word, _, _ in rank_zero.sent if word != "events"]


def test_a_pause_that_came_during_an_epoch_ends_the_job_at_the_end_of_that_epoch(rank_zero, server):
    rank_zero.during[3] = [("pause", RUN, None)]
    work(server)
    assert reported(rank_zero) == ["EpochReport"] * 3 + ["Checkpointed"]
    assert set(words(rank_zero)) == {"paused"}


def test_the_end_of_the_run_ends_the_job_at_the_end_of_that_epoch(rank_zero, server):
    rank_zero.during[3] = [("end", RUN, None)]
    work(server)
    assert reported(rank_zero) == ["EpochReport"] * 3 and words(rank_zero) == ["ended"]


def test_the_end_of_another_run_ends_nothing(rank_zero, server):
    rank_zero.during[3] = [("end", "before", None), ("pause", "before", None)]
    work(server)
    assert reported(rank_zero) == ["EpochReport"] * 9 + ["JobFinished"]


def test_exit_is_obeyed_at_the_end_of_that_epoch(rank_zero, server):
    rank_zero.during[3] = [("exit", None, True)]
    with pytest.raises(Exits):
        work(server)
    assert reported(rank_zero) == ["EpochReport"] * 3


def test_a_pause_writes_its_checkpoint_even_if_rank_0_has_left_meanwhile(rank_zero, server):
    """Both came during one epoch: rank 0 could wait no longer."""
    rank_zero.during[3] = [("pause", RUN, None), ("exit", None, True)]
    with pytest.raises(Exits):
        work(server)
    assert reported(rank_zero) == ["EpochReport"] * 3 + ["Checkpointed"]


def test_a_rank_that_was_given_up_ends_itself(rank_zero, server):
    rank_zero.during[3] = [("broken", None, "silent for 900 s")]
    with pytest.raises(groups.GroupBroken, match="silent for 900 s"):
        work(server)


def test_many_messages_are_all_read(rank_zero, server):
    rank_zero.during[3] = [("begin2", "before", i) for i in range(500)] + [("pause", RUN, None)]
    work(server)
    assert reported(rank_zero)[-1] == "Checkpointed"


def test_a_large_message_is_helped_on_its_way_before_the_next_epoch(rank_zero, server):
    rank_zero.slow = 5
    rank_zero.during[2] = []
    work(server, to_epoch=3)
    assert rank_zero.tests <= 0


def test_a_group_pauses_rather_than_ends():
    class Group:
        rank = 0

        def agree(self, *votes):
            return list(votes)

    ends = []
    worker = groups.GroupWorker(
        None, None, group=Group(), look=lambda: (True, True), cancel=lambda: ends.append(1)
    )
    assert worker.at_epoch_end(0.0) == (True, True) and ends == []
    worker.look = lambda: (False, True)
    worker.at_epoch_end(0.0)
    assert ends == [1]


@pytest.mark.parametrize("value", [b"bytes", object(), float("nan"), {1, 2}])
def test_a_target_whose_provenance_is_no_plain_data_is_refused_by_name(rank_zero, server, value):
    server._target.provenance = {"digest": value}
    rank_zero.sent.clear()
    server._take("begin", RUN, server._begin)
    ((word, _, why),) = rank_zero.sent
    assert word == "refused" and "`provenance` must hold plain values" in why


def test_a_worker_warms_a_target_up_once_and_then_joins(rank_zero, server, monkeypatch, capfd):
    warmed = []
    monkeypatch.setattr(type(server._target), "warm_up", lambda _: warmed.append(1))
    server._model = ""
    rank_zero.sent.clear()
    for _ in range(2):
        server._take("begin", RUN, server._begin)
    assert warmed == [1]
    assert [word for word, _, _ in rank_zero.sent] == ["joined", "joined"]
    for _, _, facts in rank_zero.sent:
        assert 0 <= facts["stage_s"] <= facts["warm_up_s"]


def test_a_warm_up_that_fails_refuses_the_run_without_a_traceback(
    rank_zero, server, monkeypatch, capfd
):
    def cold(_):
        raise KeyError("momentum")

    monkeypatch.setattr(type(server._target), "warm_up", cold)
    server._model = ""
    rank_zero.sent.clear()
    server._take("begin", RUN, server._begin)
    ((word, _, why),) = rank_zero.sent
    assert word == "refused" and "warm_up() failed before the first trial (KeyError" in why
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err


def test_a_long_message_of_a_failure_is_cut(rank_zero, server):
    server.send(t.JobFailed(1, 0, "trial", "x" * 100_000))
    assert len(rank_zero.sent[-1][2][0].message) <= serve.MOST_TEXT
