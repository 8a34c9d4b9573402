"""A group's worker, with the votes of the other ranks played."""

import numpy as np
import pytest

from models.synthetic_curves import TableTarget
from suite.backends.mpi.groups import GroupBroken, GroupWorker
from suite.core import types as t
from suite.core.errors import ContractError
from suite.worker.checkpoints import CheckpointPlace, Checkpoints


class Votes:
    """This rank's votes, or-ed with those of `others` at their call."""

    def __init__(self, rank, others=None):
        self.rank, self.others, self.n = rank, others or {}, 0

    def agree(self, *votes):
        self.n += 1
        other = self.others.get(self.n, (False,) * len(votes))
        return [a or b for a, b in zip(votes, other, strict=True)]


def trained(folder, group, target=None, every_s=300.0):
    ticks = iter(range(10_000))
    worker = GroupWorker(
        target or TableTarget(), Checkpoints(CheckpointPlace.of(folder, None, "test")), group=group,
        look=lambda: (False, False), cancel=lambda: None, checkpoint_every_s=every_s,
        clock=lambda: float(next(ticks)),
    )  # fmt: skip
    events = []
    config = TableTarget().space.sample(np.random.default_rng(0))
    worker.run(1, t.Job(0, 0, 0, 4, config, 7), events.append)
    return [event.kind for event in events]


def test_the_leader_saves_by_its_clock_and_the_others_follow_without_a_file(tmp_path):
    epoch, saved = "epoch", "checkpointed"
    often = [epoch, saved, epoch, saved, epoch, saved, epoch, "finished"]
    assert trained(tmp_path / "a", Votes(0), every_s=1.0) == often
    assert list((tmp_path / "a").rglob("*.ckpt"))
    assert trained(tmp_path / "b", Votes(1), every_s=1.0) == [epoch] * 4 + ["finished"]
    assert not list((tmp_path / "b").rglob("*.ckpt"))
    # Votes: restore, then at the end of each epoch (pause, end, save).
    told = Votes(1, {2: (False, False, True)})
    assert trained(tmp_path / "c", told)[:3] == [epoch, saved, epoch]


def test_a_pause_that_another_rank_was_told_stops_here_too(tmp_path):
    assert trained(tmp_path, Votes(1, {2: (True, False, False)})) == ["epoch", "checkpointed"]


class Cold(TableTarget):
    def warm_up(self):
        raise KeyError("momentum")


def group_worker(group, target):
    return GroupWorker(target, None, group=group, look=None, cancel=None)


def test_a_warm_up_that_fails_on_one_rank_fails_on_all():
    with pytest.raises(
        ContractError, match=r"warm_up\(\) failed before the first trial \(KeyError"
    ):
        group_worker(Votes(0), Cold()).warm_up()
    with pytest.raises(ContractError, match="another rank of the group failed"):
        group_worker(Votes(1, {1: (True,)}), TableTarget()).warm_up()
    group_worker(Votes(1), TableTarget()).warm_up()


def test_what_fails_on_one_rank_alone_breaks_the_group(tmp_path):
    class Fails(TableTarget):
        def start(self, config, seed):
            training = super().start(config, seed)
            training.train_epoch = lambda epoch: 1 / 0
            return training

    with pytest.raises(GroupBroken, match="ZeroDivisionError"):
        trained(tmp_path, Votes(0), Fails())
