"""Several ranks that train one trial, of one node or of several: what the groups of all frameworks share.

A target that can be trained so names its group's class in `parallel`: models.torch_group.Group for torch,
models.numpy_group.Group for TensorFlow. The mpi backend makes it, once a process, and hands it to the target.

lineage: synchronous data parallelism as in torch's DistributedDataParallel (Li et al. 2020, VLDB 13:3005),
with the sum over shares divided by the whole batch's size, so that unequal and empty shares count as they
should.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from abc import ABC, abstractmethod
from typing import Any

from suite.core.errors import ConfigError

HOST = "127.0.0.1"
"""Where the ranks of a group are on one node, nothing of it listens on another interface."""
# Linux' number for "the IPv4 address of an interface" (netdevice(7)).
_SIOCGIFADDR = 0x8915
_OF_IFREQ = "256s"


class RankGroup(ABC):
    """The ranks that train one trial together; made once a process.

    `offer` on the leader (rank 0), `join` on every rank; then only collectives, in one order on all ranks.
    device: this rank's. timeout_s: until the ranks have met; a sum waits without end, for whoever watches the
    ranks knows whether one is lost, and a clock would also count the time in which all of them were stopped
    (SIGSTOP, a suspended job or virtual machine). shared: whether ranks share a GPU. interface: of the
    network between the nodes that the group's ranks are on; None: they are on one, and meet on its loopback.

    Raises ConfigError for an interface that this node does not have.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        device: str,
        timeout_s: float,
        shared: bool,
        interface: str | None = None,
    ) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.timeout_s, self.shared, self.interface = timeout_s, shared, interface
        # This rank's address, at which it listens if it does.
        self.host = HOST if interface is None else address_of(interface)
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


def address_of(interface: str) -> str:
    """The IPv4 address of a network interface of this node.

    Raises ConfigError where it has none, or one that no other node reaches.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack(_OF_IFREQ, interface.encode())
        try:
            answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)
        except OSError:
            there = ", ".join(name for _, name in socket.if_nameindex())
            raise ConfigError(
                f"backend.group_interface={interface}: a node has no interface of that name with an IPv4 "
                f"address (it has {there}); name one that connects the nodes, or null for groups within "
                "a node."
            ) from None
    address = socket.inet_ntoa(answer[20:24])
    if address.startswith("127."):
        raise ConfigError(
            f"backend.group_interface={interface}: is the loopback, which no other node reaches; name an "
            "interface that connects the nodes, or null for groups within a node."
        )
    return address
