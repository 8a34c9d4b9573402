"""Several ranks of a node that train one trial: what the groups of all frameworks share.

A target that can be trained so names its group's class in `parallel`: models.torch_group.Group for torch,
models.numpy_group.Group for TensorFlow. The mpi backend makes it, once a process, and hands it to the target.

lineage: synchronous data parallelism as in torch's DistributedDataParallel (Li et al. 2020, VLDB 13:3005),
with the sum over shares divided by the whole batch's size, so that unequal and empty shares count as they
should.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

HOST = "127.0.0.1"
"""The ranks of a group are on one node: nothing of it listens on another interface."""


class RankGroup(ABC):
    """The ranks that train one trial together; made once a process.

    `offer` on the leader (rank 0), `join` on every rank; then only collectives, in one order on all ranks.
    device: this rank's. timeout_s: until the ranks have met; a sum waits without end, for whoever watches the
    ranks knows whether one is lost, and a clock would also count the time in which all of them were stopped
    (SIGSTOP, a suspended job or virtual machine). shared: whether ranks share a GPU.
    """

    def __init__(self, rank: int, size: int, device: str, timeout_s: float, shared: bool) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.timeout_s, self.shared = timeout_s, shared
        # Examples in the batch whose share is being trained.
        self.batch = 0

    @abstractmethod
    def offer(self) -> int | str:
        """The leader begins to wait for the others. Returns where, as `join` takes it."""

    @abstractmethod
    def join(self, address: Any) -> None:
        """Connect to the other ranks; raises after timeout_s without them."""

    @abstractmethod
    def total(self, value: Any) -> Any:
        """The sum over ranks of an array of the framework, equal bit for bit on all; in place.

        Raises where a rank is gone.
        """

    @abstractmethod
    def agree(self, *flags: bool) -> list[bool]:
        """For each flag: is it true on any rank?"""

    def share(self, first: int, last: int) -> tuple[int, int]:
        """This rank's part of the batch [first, last), and notes the batch's size."""
        self.batch = n = last - first
        return first + n * self.rank // self.size, first + n * (self.rank + 1) // self.size
