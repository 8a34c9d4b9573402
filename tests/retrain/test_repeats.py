"""The trainings of retrain on workers that come, fail and die: a fold, without a clock or a process."""

from __future__ import annotations

import pytest

from suite.core import types as t
from suite.retrain.repeats import MOST_ATTEMPTS, Repeat, Repeats
from suite.run.agreement import Agreement

EPOCHS = 2


class Played:
    """Workers that train at once what they are told. fails: (worker, seed) -> why a job fails there."""

    def __init__(self, n_repeats: int, fails: dict[tuple[int, int], str] | None = None) -> None:
        self.repeats = [Repeat("winner", i, {"x": i}, seed=i) for i in range(n_repeats)]
        self.said: list[int] = []
        self.sent: list[t.Command] = []
        self.fails = fails or {}
        self.fold = Repeats(
            self.repeats, EPOCHS, Agreement({}), value=lambda objective: -objective,
            joined=lambda facts: None, said=lambda repeat: self.said.append(repeat.seed),
        )  # fmt: skip

    def tell(self, *events: t.Event) -> list[t.Command]:
        commands = self.fold.handle(events)
        self.sent += commands
        return commands

    def join(self, *workers: int) -> list[t.Command]:
        return self.tell(*(t.WorkerJoined(worker) for worker in workers))

    def work(self, commands: list[t.Command]) -> None:
        """Carry out the commands, and those that follow, to the end."""
        todo = list(commands)
        while todo:
            todo += self.answer(todo.pop(0))

    def answer(self, command: t.Command) -> list[t.Command]:
        if isinstance(command, t.Shutdown):
            return []
        assert isinstance(command, t.Start | t.Score)
        worker, job = command.worker, command.job
        if why := self.fails.get((worker, job.seed)):
            return self.tell(t.JobFailed(worker, job.job_id, why, "planted"))
        if isinstance(command, t.Score):
            assert job.from_epoch == job.to_epoch == EPOCHS
            return self.tell(t.Scored(worker, job.job_id, 10.0 + job.seed))
        reports = [
            t.EpochReport(worker, job.job_id, e, job.seed + 1.0 / e, {}, 1.0, 0.0)
            for e in range(job.from_epoch + 1, job.to_epoch + 1)
        ]
        return self.tell(*reports, t.JobFinished(worker, job.job_id))

    @property
    def tests(self) -> list[float | None]:
        return [repeat.test for repeat in self.repeats]


def test_every_repeat_is_trained_and_scored_once_on_one_worker():
    played = Played(3)
    played.work(played.join(1, 2))
    assert played.tests == [10.0, 11.0, 12.0]
    assert [repeat.validation for repeat in played.repeats] == [-0.5, -1.5, -2.5]
    assert [repeat.curve for repeat in played.repeats] == [[s + 1.0, s + 0.5] for s in range(3)]
    assert played.fold.shutdown == t.Shutdown("completed")
    starts = {c.job.trial_id: c.worker for c in played.sent if isinstance(c, t.Start)}
    scores = {c.job.trial_id: c.worker for c in played.sent if isinstance(c, t.Score)}
    assert starts == scores and len(starts) == 3 and set(starts.values()) == {1, 2}


@pytest.mark.parametrize("during", ["training", "test"])
def test_the_repeat_of_a_lost_worker_goes_to_another_from_its_first_epoch(during):
    played = Played(2)
    first, second = played.join(1, 2)
    if during == "test":
        (score,) = played.answer(first)
        assert isinstance(score, t.Score)
    else:
        played.tell(t.EpochReport(1, first.job.job_id, 1, 99.0, {}, 1.0, 0.0))
    assert played.tell(t.WorkerLost(1, "died")) == []
    # What the dead worker still sent is of no job in flight.
    assert played.tell(t.EpochReport(1, first.job.job_id, 2, 99.0, {}, 1.0, 0.0)) == []
    played.work([second])
    assert played.tests == [10.0, 11.0] and played.repeats[0].curve == [1.0, 0.5]
    assert played.fold.shutdown == t.Shutdown("completed")


def test_a_job_that_fails_on_one_worker_succeeds_on_another():
    played = Played(3, fails={(1, 0): "retry"})
    played.work(played.join(1, 2))
    assert played.tests == [10.0, 11.0, 12.0]
    assert not any(repeat.failure for repeat in played.repeats)


def test_a_worker_that_fails_three_times_in_a_row_gets_nothing_more():
    played = Played(8, fails={(1, seed): "retry" for seed in range(8)})
    played.work(played.join(1, 2))
    assert None not in played.tests
    assert sum(c.worker == 1 for c in played.sent if isinstance(c, t.Start)) == 3


@pytest.mark.parametrize("why", ["diverged", "trial", "contract", "retry"])
def test_a_training_that_fails_everywhere_is_counted_and_the_others_go_on(why):
    played = Played(3, fails={(worker, 1): why for worker in (1, 2)})
    played.work(played.join(1, 2))
    assert played.tests == [10.0, None, 12.0]
    assert played.repeats[1].failure == f"{why}: planted"
    assert sorted(played.said) == [0, 1, 2]
    assert played.fold.shutdown == t.Shutdown("completed")


def test_a_training_that_kills_its_workers_is_given_up():
    played = Played(1)
    played.join(1)
    for worker in range(1, MOST_ATTEMPTS):
        played.join(worker + 1)
        (again,) = played.tell(t.WorkerLost(worker, "died"))
        assert isinstance(again, t.Start) and again.worker == worker + 1
    played.join(9)
    (end,) = played.tell(t.WorkerLost(MOST_ATTEMPTS, "died"))
    why = f"cost {MOST_ATTEMPTS} workers, last: worker {MOST_ATTEMPTS}: died"
    assert played.repeats[0].failure == why and end == t.Shutdown("completed")


def test_without_workers_the_work_has_failed():
    played = Played(2)
    played.join(1)
    (end,) = played.tell(t.WorkerLost(1, "died (seen by ULFM)"))
    assert end == t.Shutdown("failed", "no worker is left (died (seen by ULFM))")
    assert played.tell(t.WorkerJoined(2)) == []


def test_what_the_first_worker_states_may_end_the_work():
    def refuse(facts):
        raise ValueError("other data")

    played = Played(1)
    played.fold._joined = refuse
    with pytest.raises(ValueError, match="other data"):
        played.join(1)
    assert played.sent == []
