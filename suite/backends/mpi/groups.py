"""Groups of neighbouring worker ranks that train one trial together: of one node, or of several if asked.

Rank 0's side: `form`. A worker's side: `GroupWorker`, whose ranks do the same things in the same
order; whatever may differ between them (a clock, a message, a failed read) is agreed by all before
anyone acts on it. What cannot be agreed any more ends the rank by `GroupBroken`, and with it all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, ContractError, DivergedError, TrialError
from suite.core.target import Training
from suite.worker.checkpoints import CheckpointError
from suite.worker.worker import Paused, Worker, out_of_memory

IDLE = "idle: leftover of backend.ranks_per_trial"


class GroupBroken(BaseException):
    """This rank cannot continue with its group: every rank of the group ends by signal."""


def form(hosts: Mapping[int, str], k: int, over_nodes: bool = False) -> dict[int, tuple[int, ...]]:
    """Leader -> its group's k ranks, neighbours among a host's worker ranks; leftovers in none.

    over_nodes: what the hosts leave over forms groups, too, in the order of hosts; the fewest possible span
    nodes.
    """
    groups: dict[int, tuple[int, ...]] = {}
    left: list[int] = []
    for host in dict.fromkeys(hosts[rank] for rank in sorted(hosts)):
        ranks = sorted(rank for rank, name in hosts.items() if name == host)
        left += _cut(ranks, k, groups)
    if over_nodes:
        _cut(left, k, groups)
    return groups


def _cut(ranks: list[int], k: int, groups: dict[int, tuple[int, ...]]) -> list[int]:
    """Add groups of k of these ranks, in their order, each led by its first; returns what is left over."""
    whole = len(ranks) - len(ranks) % k
    for i in range(0, whole, k):
        groups[ranks[i]] = tuple(ranks[i : i + k])
    return ranks[whole:]


def check(k: int, hosts: Mapping[int, str], over_nodes: bool = False) -> None:
    """Raise ConfigError where there are not `k` worker ranks, on one node unless over_nodes.

    hosts: of the worker ranks.
    """
    if form(hosts, k, over_nodes) or not hosts:
        return
    if over_nodes:
        n = len(hosts)
        raise ConfigError(
            f"backend.ranks_per_trial={k}: this launch has fewer worker ranks ({n}); use {n} or fewer, or "
            "start more ranks."
        )
    most = max(list(hosts.values()).count(host) for host in hosts.values())
    raise ConfigError(
        f"backend.ranks_per_trial={k}: no node has so many worker ranks (at most {most}); "
        f"use {most} or fewer, start more ranks a node, or let groups span nodes: "
        "backend.group_interface=NAME, of the network between them."
    )


class GroupWorker(Worker):
    """A Worker of which every rank of the group has one. The leader writes and prunes checkpoints.

    look: this rank's wishes so far, (pause, end); cancel: raises what ends a job of a run that is
    over; both are called at the ends of epochs.
    """

    def __init__(
        self,
        *args: Any,
        group: Any,
        look: Callable[[], tuple[bool, bool]],
        cancel: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.group, self.look, self.cancel = group, look, cancel
        # The error on its way is known to all ranks.
        self._agreed = False

    def attempt(self, work: Callable[[], None]) -> None:
        """Do the work, once: the others would not try again."""
        self._agreed = False
        try:
            work()
        except (DivergedError, TrialError, ContractError):
            # Raised on all ranks alike: it follows from sums that all hold.
            raise
        except Exception as error:
            # A pause is an Exception as well, and agreed.
            if not (self._agreed or isinstance(error, Paused)):
                raise GroupBroken(f"{type(error).__name__}: {error}") from error
            if out_of_memory(error):
                self.forget()
            raise

    def warm_up(self) -> None:
        self._together(super().warm_up, ContractError)

    def prune(self, job: t.Job) -> None:
        if self.group.rank == 0:
            super().prune(job)

    def at_epoch_end(self, since_save_s: float) -> tuple[bool, bool]:
        """Pause, end or checkpoint here? If any rank was asked to, and by the leader's clock."""
        due = self.group.rank == 0 and since_save_s >= self.checkpoint_every_s
        pause, end, save = self.group.agree(*self.look(), due)
        # A pause comes first: its checkpoint is written, whatever else was asked for.
        if end and not pause:
            self.cancel()
        return bool(pause), bool(pause or save)

    def restore(self, job: t.Job) -> Training:
        parent = super().restore
        training: Training = self._together(lambda: parent(job))
        return training

    def save(self, job: t.Job, epoch: int, training: Training) -> float:
        parent = super().save
        leads = self.group.rank == 0
        seconds: float = self._together(lambda: parent(job, epoch, training) if leads else 0.0)
        return seconds

    def _together(self, work: Callable[[], Any], kind: type[Exception] = CheckpointError) -> Any:
        """Do work that may fail on one rank; if it does, it fails on all, on the others by `kind`."""
        result, own = None, None
        try:
            result = work()
        except Exception as error:
            own = error
        if self.group.agree(own is not None)[0]:
            self._agreed = True
            raise own or kind("another rank of the group failed at the same step")
        return result
