"""One trial on several ranks, for frameworks without a group of their own: sums in host memory.

hardware: 2-core x86-64 virtual machine, shared; versions: numpy 2, TensorFlow 2.21.0 (CPU); n, number: see
tests/models/test_numpy_group.py and tests/models/test_tensorflow_ranks.py (two ranks against one);
lineage: see models/rank_group.py; the sum itself is a star, the leader adds in the order of ranks and sends
the result back.

Why not TensorFlow's own collectives: their server (gRPC) listens on every interface, runs whatever graph
it is sent and asks for no name; and they want to know all ranks before the first operation of the process.
Here a rank that connects shows a secret which rank 0 has handed out over MPI.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import socket
import time
from typing import Any

import numpy as np

from models.rank_group import HOST, RankGroup

# Seconds within which who has connected must have said who it is.
GREETING_S = 60.0
_SECRET_BYTES = 16


class Group(RankGroup):
    """Sums numpy arrays. A target copies its gradients to the host and back: 0.1 MB to 15 MB a step."""

    def __init__(
        self,
        rank: int,
        size: int,
        device: str,
        timeout_s: float,
        shared: bool,
        interface: str | None = None,
    ) -> None:
        super().__init__(rank, size, device, timeout_s, shared, interface)
        self._listener: socket.socket | None = None
        self._secret = b""
        # The leader's: one to each other rank, in their order. Another rank's: the one to the leader.
        self._sockets: list[socket.socket] = []

    def offer(self) -> str:
        """The leader listens at a port that the system picks, of the loopback or the interface between nodes.

        Returns "<port>:<secret>", between nodes "<port>:<secret>:<address>": whoever connects must show the
        secret, which crosses the network as it is.
        """
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._listener = socket.create_server((self.host, 0), backlog=max(self.size, 128))
        address = f"{self._listener.getsockname()[1]}:{self._secret.hex()}"
        return address if self.interface is None else f"{address}:{self.host}"

    def join(self, address: str) -> None:
        """Connect to the leader, or wait for the others. Raises OSError (TimeoutError) after timeout_s."""
        if self._listener is not None:
            with self._listener as listener:
                self._sockets = self._accepted(listener)
            self._listener = None
        else:
            port, secret, *between_nodes = address.split(":")
            host = between_nodes[0] if between_nodes else HOST
            leader = socket.create_connection((host, int(port)), self.timeout_s)
            leader.sendall(bytes.fromhex(secret) + self.rank.to_bytes(4, "big"))
            self._sockets = [leader]
        for other in self._sockets:
            other.settimeout(None)
            # A sum is one message each way; it must not wait for more to send.
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.agree(False)

    def _accepted(self, listener: socket.socket) -> list[socket.socket]:
        """A connection to each other rank, in their order; strangers are turned away."""
        found: dict[int, socket.socket] = {}
        deadline = time.monotonic() + self.timeout_s
        while len(found) < self.size - 1:
            if (left_s := deadline - time.monotonic()) <= 0:
                raise TimeoutError(
                    f"{len(found) + 1} of {self.size} ranks of a group have met in "
                    f"{self.timeout_s:g} s (backend.report_timeout_s)"
                )
            listener.settimeout(left_s)
            # The loop's own message is the clearer one.
            with contextlib.suppress(TimeoutError):
                other, _ = listener.accept()
                other.settimeout(min(left_s, GREETING_S))
                rank = self._greeted(other)
                if rank in range(1, self.size) and rank not in found:
                    found[rank] = other
                else:
                    other.close()
        return [found[rank] for rank in sorted(found)]

    def _greeted(self, other: socket.socket) -> int:
        """The rank that has connected; -1: a stranger."""
        greeting = bytearray(_SECRET_BYTES + 4)
        try:
            _receive(other, greeting)
        except OSError:
            return -1
        is_ours = hmac.compare_digest(bytes(greeting[:_SECRET_BYTES]), self._secret)
        return int.from_bytes(greeting[_SECRET_BYTES:], "big") if is_ours else -1

    def total(self, value: Any) -> Any:
        """The sum over ranks of an array, C-contiguous and not empty, of one shape and kind on all ranks; in
        place, equal bit for bit on all. Raises OSError where a rank is gone.
        """
        if self.rank == 0:
            theirs = np.empty_like(value)
            for other in self._sockets:
                _receive(other, theirs)
                value += theirs
        for other in self._sockets:
            other.sendall(memoryview(value).cast("B"))
        if self.rank > 0:
            _receive(self._sockets[0], value)
        return value

    def agree(self, *flags: bool) -> list[bool]:
        """For each flag: is it true on any rank?"""
        votes = self.total(np.array(flags, np.float32))
        return [bool(vote > 0) for vote in votes]


def _receive(other: socket.socket, into: Any) -> None:
    """Fill a buffer. Raises OSError where the other end is gone before it is full."""
    left = memoryview(into).cast("B")
    while left:
        n = other.recv_into(left)
        if n == 0:
            raise ConnectionError("another rank of the group is gone")
        left = left[n:]
