"""Who takes part in a run over MPI, and when its clock may start; rank 0's side."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from suite.backends.mpi.received import GarbageError
from suite.backends.mpi.world import World
from suite.core import types as t
from suite.core.errors import StoppedError
from suite.run.agreement import Agreement

# When a run that waits for workers to get ready says so.
PATIENT_S = 30.0


class Joining:
    """The workers of one run, each by the rank that leads it: joined, refused, or still awaited.

    timeout_s: backend.join_timeout_s.
    """

    def __init__(
        self, world: World, agreement: Agreement, min_workers: int, timeout_s: float
    ) -> None:
        self._world, self._agreement = world, agreement
        self._min_workers, self._timeout_s = min_workers, timeout_s
        self._joined: set[int] = set()
        # Leader -> why it does not take part.
        self._refused: dict[int, str] = {}
        # Leader -> rank -> port, until the group has met.
        self._ready: dict[int, dict[int, int | None]] = {}
        # Since when this run waits for workers to join, and whether it has said so.
        self._since = world.clock.now()
        self._said = False

    def overdue(self, leader: int) -> str:
        """Why nothing is to be expected of a worker that has no job; empty: it may answer yet."""
        if leader in self._joined or leader in self._refused:
            return "no answer in time"
        limit_s = self._timeout_s
        return (
            "" if self._waited_s < limit_s else f"it did not join within join_timeout_s={limit_s:g}"
        )

    def joined(self, rank: int, facts: Mapping[str, Any]) -> t.Event | None:
        """The rank says that it is ready to train. None: it was refused before. Raises GarbageError."""
        world = self._world
        if world.leader(rank) != rank:
            raise GarbageError("joined, although it leads no group")
        if rank in self._joined:
            raise GarbageError("joined twice")
        if why := self._agreement.admit(facts, f"rank {rank}"):
            return self._refuse(rank, why)
        if not self._joined:
            self._since = world.clock.now()
        self._joined.add(rank)
        facts = {**facts, "node": world.node(rank)}
        if (k := world.ranks_per_trial or 1) > 1:
            idle = [r for r in sorted(world.alive) if world.leader(r) is None]
            facts |= {"ranks": k, "idle_ranks": idle}
            nodes = list(dict.fromkeys(world.node(r) for r in world.groups[rank]))
            if len(nodes) > 1:
                facts |= {"nodes": nodes}
        return t.WorkerJoined(rank, facts=facts)

    def ready(
        self, leader: int, rank: int, port: int | None, facts: Mapping[str, Any]
    ) -> tuple[bool, t.Event | None]:
        """A rank of a group may meet the others of it: whether all may now; or that its worker is refused."""
        if why := self._agreement.admit(facts, f"rank {rank}"):
            return False, self._refuse(leader, why)
        ports = self._ready.setdefault(leader, {})
        ports[rank] = port
        return len(ports) == len(self._world.groups[leader]), None

    def port(self, leader: int) -> int | None:
        """At which the leader of a group that is ready waits for the others."""
        return self._ready[leader][leader]

    def refused(self, rank: int, why: str) -> None:
        """The rank says that it takes no part."""
        if (leader := self._world.leader(rank)) is not None:
            self._refused[leader] = why

    def _refuse(self, leader: int, why: str) -> t.Event | None:
        """What it trains by is not that of the run: its worker takes no part."""
        is_new = leader not in self._refused
        self._refused[leader] = why
        return t.WorkerLost(leader, f"refused: {why}") if is_new else None

    def lost(self, rank: int, why: str) -> t.Event | None:
        """The worker is gone; None: it had not joined."""
        self._refused.setdefault(rank, why)
        return t.WorkerLost(rank, why) if rank in self._joined else None

    @property
    def _missing(self) -> set[int]:
        return set(self._world.groups) - set(self._refused) - self._joined

    @property
    def _waited_s(self) -> float:
        return self._world.clock.now() - self._since

    def may_begin(self, is_warm: bool) -> bool:
        """Whether the run's clock may start: every worker is there, and the predictor is warm; or
        join_timeout_s is over, and those that take longer join later.
        """
        if len(self._joined) < self._min_workers:
            return False
        missing, waited_s, limit_s = self._missing, self._waited_s, self._timeout_s
        if not (missing or not is_warm) or waited_s >= limit_s:
            return True
        if missing and waited_s > PATIENT_S and not self._said:
            self._said = True
            print(
                f"suite: {len(self._joined)} workers are ready, {len(missing)} not yet (rank "
                f"{min(missing)}{', ...' * (len(missing) > 1)}); the run starts when all are, or "
                f"in {limit_s - waited_s:.0f} s (backend.join_timeout_s={limit_s:g}).",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        return False

    def too_few(self) -> StoppedError | None:
        """A run that too few workers join must not wait for ever; None: enough are there, or may come."""
        n_joined = len(self._joined)
        if n_joined >= self._min_workers:
            return None
        late = self._waited_s > self._timeout_s
        if self._missing and not late:
            return None
        why = f"no more within join_timeout_s={self._timeout_s:g}"
        if self._refused:
            why = next(iter(self._refused.values())).removesuffix(".")
        elif not late and self._world.gone:
            rank, lost = next(iter(self._world.gone.items()))
            why = f"no worker is left, rank {rank} {lost}"
        return StoppedError(
            f"{n_joined} workers joined, min_workers={self._min_workers}: {why}; lower it, or add some."
        )
