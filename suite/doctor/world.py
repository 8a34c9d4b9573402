"""The ranks' findings brought to rank 0, without ever waiting for ever.

Point to point and polled, no collective: a rank that never starts, hangs or dies is named after a
deadline. What cannot be polled, MPI_Init and MPI_Finalize, is watched by a process forked before
MPI is touched; it ends its parent after the deadline, and rank 0's says so on the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from suite.backends.mpi import library
from suite.doctor.findings import Finding, fail, ok, warn
from suite.doctor.gpu import Visible
from suite.run.identity import node_identity

TAG = 79
START_S = 60.0
"""Most seconds of MPI_Init (52 ranks on two cores: 7 s)."""
SKEW_WARN_S, SKEW_FAIL_S = 1.0, 60.0


@dataclass(frozen=True)
class Look:
    """What rank 0 asks a rank to do. device: the backend's; framework: empty where another of its
    node looks; first: of its node.
    """

    device: str
    runs: str
    framework: str
    first: bool


@dataclass(frozen=True)
class Seen:
    """What a rank found."""

    findings: tuple[Finding, ...]
    gpus: Visible


class Ranks:
    """Rank 0's view of the others."""

    def __init__(self, comm: Any) -> None:
        MPI = library.load()

        self._mpi, self._comm = MPI, comm
        self.size: int = comm.Get_size()
        self.silent: dict[int, str] = {}  # rank -> when it was last waited for
        self._sent: list[Any] = []

    def others(self) -> list[int]:
        return [rank for rank in range(1, self.size) if rank not in self.silent]

    def send(self, rank: int, word: str, content: Any = None) -> None:
        self._sent.append(self._comm.isend((word, content), dest=rank, tag=TAG))

    def gather(self, word: str, timeout_s: float) -> dict[int, Any]:
        """Every other rank's answer; those without one within `timeout_s` are silent from now."""
        contents: dict[int, Any] = {}
        until = time.monotonic() + timeout_s
        while set(self.others()) - set(contents) and time.monotonic() < until:
            for rank, topic, content in self._poll():
                if topic == word:
                    contents[rank] = content
            time.sleep(2e-3)
        for rank in self.others():
            if rank not in contents:
                self.silent[rank] = word
        return contents

    def skew(self, timeout_s: float = 2.0) -> Finding:
        """Clocks against rank 0's, as NTP measures: half of the round trip is taken off, and is
        the error (Source: RFC 5905, section 8).
        """
        name, worst, error, whose = "clock skew", 0.0, 0.0, 0
        for rank in self.others():
            best: tuple[float, float] | None = None
            for _ in range(3):
                start, began = time.time(), time.monotonic()
                self.send(rank, "time")
                answer = self._one(rank, timeout_s)
                trip = time.monotonic() - began
                if answer is not None and (best is None or trip / 2 < best[0]):
                    best = (trip / 2, answer - (start + trip / 2))
            if best is not None and abs(best[1]) > abs(worst):
                error, worst, whose = best[0], best[1], rank
        return clocks(worst, error, whose) if self.others() else ok(name, "one rank")

    def _one(self, rank: int, timeout_s: float) -> float | None:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for who, topic, content in self._poll():
                if who == rank and topic == "time":
                    return float(content)
        return None

    def _poll(self) -> Iterator[tuple[int, str, Any]]:
        status = self._mpi.Status()
        self._sent = [request for request in self._sent if not request.test()[0]]
        while self._comm.Iprobe(source=self._mpi.ANY_SOURCE, tag=TAG, status=status):
            rank = status.Get_source()
            word, content = self._comm.recv(source=rank, tag=TAG)
            yield rank, word, content

    def answers(self) -> Finding:
        """Who did not answer."""
        if self.silent:
            named = ", ".join(map(str, sorted(self.silent)))
            return fail(
                "ranks", f"no answer from {named} of {self.size} (stage: "
                f"{', '.join(sorted(set(self.silent.values())))})",
                "see these ranks' messages; a hung node, a firewall between nodes, or a program "
                "other than this one in the launch line",
            )  # fmt: skip
        return ok("ranks", f"{self.size} answered")


def clocks(worst_s: float, error_s: float, rank: int) -> Finding:
    """The verdict on the largest offset."""
    skew = f"at most {1000 * abs(worst_s):.3g} ms (rank {rank}, ± {1000 * error_s:.2g} ms)"
    remedy = "the site's time service (chrony, NTP) does not run on that node: leave it out"
    if abs(worst_s) - error_s > SKEW_FAIL_S:
        return fail("clock skew", skew, remedy)
    if abs(worst_s) - error_s > SKEW_WARN_S:
        return warn("clock skew", skew, remedy)
    return ok("clock skew", skew)


def serve(comm: Any, look: Callable[[Look], Seen], timeout_s: float) -> None:
    """What ranks other than 0 do: say hello, look when told, tell the time, go."""
    MPI = library.load()

    # Sends that are not waited for: rank 0 may be gone.
    sent = [comm.isend(("hello", node_identity()), dest=0, tag=TAG)]
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if not comm.Iprobe(source=0, tag=TAG):
            sent = [request for request in sent if not request.test()[0]]
            time.sleep(1e-3)
            continue
        word, content = comm.recv(source=0, tag=TAG)
        if word == "bye":
            MPI.Request.Waitall(sent)
            return
        if word == "look":
            sent.append(comm.isend(("found", look(content)), dest=0, tag=TAG))
        elif word == "time":
            sent.append(comm.isend(("time", time.time()), dest=0, tag=TAG))


def firsts(nodes: dict[int, str], ranks: Sequence[int]) -> set[int]:
    """The first of `ranks` on each node."""
    first_ranks: dict[str, int] = {}
    for rank in sorted(ranks):
        first_ranks.setdefault(nodes[rank], rank)
    return set(first_ranks.values())
