"""Groups of neighbouring worker ranks of one node that train one trial together.

Rank 0's side: `form`. A worker's side: `GroupWorker`, whose ranks do the same things in the same
order; whatever may differ between them (a clock, a message, a failed read) is agreed by all before
anyone acts on it. What cannot be agreed any more ends the rank by `GroupBroken`, and with it all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from suite.checkpoints import CheckpointError
from suite.core import types as t
from suite.core.errors import ConfigError, DivergedError, TrialError
from suite.core.target import Target, Training
from suite.worker import Paused, Send, Worker

IDLE = "idle: leftover of backend.ranks_per_trial"


class GroupBroken(BaseException):
    """This rank cannot go on with its group: it ends by signal, the others do, too."""


def form(hosts: Mapping[int, str], k: int) -> dict[int, tuple[int, ...]]:
    """Leader -> its group's k ranks, neighbours among a host's worker ranks; leftovers in none."""
    groups: dict[int, tuple[int, ...]] = {}
    for host in dict.fromkeys(hosts[rank] for rank in sorted(hosts)):
        ranks = sorted(rank for rank, name in hosts.items() if name == host)
        for i in range(0, len(ranks) - k + 1, k):
            groups[ranks[i]] = tuple(ranks[i : i + k])
    return groups


def check(k: Any, target: Target, hosts: Mapping[int, str]) -> int:
    """ranks_per_trial, as far as it fits. Raises ConfigError else."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigError(f"backend.ranks_per_trial={k}: must be an integer >= 1.")
    if k > 1 and not target.parallel:
        raise ConfigError(
            f"backend.ranks_per_trial={k}: {type(target).__name__} (framework="
            f"{target.framework}) trains on one rank only; use 1, or a torch target "
            "that says `parallel`, as digits_cnn does."
        )
    if not form(hosts, k) and hosts:
        most = max(list(hosts.values()).count(host) for host in hosts.values())
        raise ConfigError(
            f"backend.ranks_per_trial={k}: no node has so many worker ranks (at most {most}); "
            f"use {most} or fewer, or start more ranks a node."
        )
    return k


class GroupWorker(Worker):
    """A Worker of which every rank of the group has one. The leader writes checkpoints.

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
        super().__init__(*args, **kwargs, paused=self._agree)
        self.group, self.look, self.cancel = group, look, cancel
        self._every_s = self.checkpoint_every_s
        self._saved_at = self.clock()
        self._agreed = False  # the error on its way is known to all ranks

    def _agree(self) -> bool:
        """Pause, end or checkpoint here? As any rank was told, and by the leader's clock."""
        due = self.group.rank == 0 and self.clock() - self._saved_at >= self._every_s
        pause, end, save = self.group.agree(*self.look(), due)
        if end:
            self.cancel()
        self.checkpoint_every_s = -1.0 if save else float("inf")  # read just after this
        return bool(pause)

    def _together(self, work: Callable[[], Any]) -> Any:
        """What may fail on one rank: then it has failed on all."""
        result, own = None, None
        try:
            result = work()
        except Exception as error:
            own = error
        if self.group.agree(own is not None)[0]:
            self._agreed = True
            raise own or CheckpointError("another rank of the group failed at its checkpoint")
        return result

    def _restore(self, job: t.Job) -> Training:
        parent = super()._restore
        training: Training = self._together(lambda: parent(job))
        self._saved_at = self.clock()
        return training

    def _save(self, job: t.Job, epoch: int, training: Training) -> float:
        parent = super()._save
        leads = self.group.rank == 0
        seconds: float = self._together(lambda: parent(job, epoch, training) if leads else 0.0)
        self._saved_at = self.clock()
        return seconds

    def _train(
        self, worker: int, job: t.Job, send: Send, began: float, reported: list[int]
    ) -> None:
        kept = self.checkpoints
        if kept is not None and self.group.rank > 0:
            self.checkpoints = _ReadOnly(kept)  # type: ignore[assignment]
        try:
            super()._train(worker, job, send, began, reported)
        finally:
            self.checkpoints = kept

    def _guard(self, worker: int, job: t.Job, send: Send, work: Callable[[], None]) -> None:
        """No second attempt: the others would not make it."""
        self._agreed = False

        def checked() -> None:
            try:
                work()
            except (DivergedError, TrialError):
                raise  # of the sums that all ranks hold
            except Exception as error:
                # A pause is an Exception as well, and agreed.
                if self._agreed or isinstance(error, Paused):
                    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
                        self._resident.clear()
                        raise RuntimeError(f"{type(error).__name__}: {error}") from error
                    raise
                raise GroupBroken(f"{type(error).__name__}: {error}") from error

        super()._guard(worker, job, send, checked)


class _ReadOnly:
    """Another rank's checkpoints: read, never pruned."""

    def __init__(self, checkpoints: Any) -> None:
        self.load = checkpoints.load

    def prune(self, *_: Any, **__: Any) -> None:
        pass
