"""Workers, their use and their energy, as read from a journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from suite.results.typed import COUNT, FLAG, NUMBER, SHARE, TEXT, Keys, Rule, list_of

_RANK = Rule(lambda value: COUNT.holds(value) and value >= 1, "an integer >= 1")
_SECONDS = Rule(lambda value: NUMBER.holds(value) and value >= 0, "seconds >= 0")
_TEXTS = ("node", "device", "device_id", "device_name")
_OF_ENERGY = ("source", "scope", "excludes", "why", "meter")
_OF_DATA = ("name", "origin", "sha256", "split", "split_sha256")


def check_facts(facts: Mapping[str, Any]) -> None:
    """Raise ValueError, by key, where a worker's facts are of other types than readers compute with."""
    said = Keys(facts, "facts.")
    for name in _TEXTS:
        said.get(name, TEXT)
    for name in ("n_threads", "n_cores"):
        said.get(name, COUNT)
    for name in ("stage_s", "warm_up_s"):
        said.get(name, _SECONDS)
    said.get("ranks", _RANK)
    said.get("idle_ranks", list_of(_RANK))
    said.get("nodes", list_of(TEXT))
    if (meter := said.keys("energy")) is not None:
        for name in _OF_ENERGY:
            meter.get(name, TEXT)
    if (data_set := said.keys("data_set")) is not None:
        for name in _OF_DATA:
            data_set.get(name, TEXT)
        data_set.get("stand_in", FLAG)
        for name in ("n_train", "n_valid", "n_test"):
            data_set.get(name, COUNT)


def check_sampler(info: Mapping[str, Any] | None) -> None:
    """The same for what a sampler says of itself with a forecast."""
    said = Keys(info or {}, "sampler_info.")
    said.get("chain_break_fraction", SHARE)
    said.get("qpu_access_time_s", NUMBER)
    said.get("fallback_why", TEXT)


def check_energy(used: Mapping[str, Any]) -> None:
    """The same for the batch system's answer in a closing line."""
    said = Keys(used, "energy.")
    said.get("joules", NUMBER)
    for name in _OF_ENERGY:
        said.get(name, TEXT)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One life of a worker: after a resume, worker 1 is another process. lost: why, or None.

    left_s: when it was lost or released, or the run was taken over, or ended (so far). busy_s: seconds with a
    job, as rank 0 saw. readings: (time_s, J since it joined) of its meter.
    """

    worker: int
    joined_s: float
    left_s: float
    lost: str | None
    facts: Mapping[str, Any]
    busy_s: float
    n_jobs: int
    readings: tuple[tuple[float, float], ...] = ()
    released: bool = False

    @property
    def warm_up_s(self) -> float | None:
        """Seconds before it joined: framework imported, data staged, one step thrown away. None: not said."""
        return self.facts.get("warm_up_s")

    @property
    def idle_s(self) -> float:
        return max(self.left_s - self.joined_s - self.busy_s, 0.0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds occupied, from joining to leaving.

    node_s: each node once; gpu_s: each device of a node once; core_s: worker seconds times
    n_threads. None: some worker did not say what it ran on.
    """

    worker_s: float
    node_s: float | None
    core_s: float | None
    gpu_s: float | None


@dataclass(frozen=True, slots=True)
class HandedBack:
    """Seconds from the release of workers to the run's end (so far). node_s: of nodes of which no worker was
    there any more; None: some worker did not say what it ran on. share: of what would have been occupied
    without; of nodes where they are known, else of workers.
    """

    worker_s: float
    node_s: float | None
    share: float


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules that meters counted, each meter once; None where nothing was read (`why`).

    source, scope, excludes: as suite.worker.energy names them, several joined. covered: share of the
    workers' time, joining to leaving, that lies within readings; None where the job was read.
    """

    joules: float | None
    source: str
    scope: str | None = None
    excludes: str | None = None
    why: str | None = None
    covered: float | None = None


def usage(workers: Iterable[WorkerView], until_s: float) -> Usage:
    """What these workers occupied up to `until_s`."""
    spans = [(w, w.joined_s, min(w.left_s, until_s)) for w in workers if w.joined_s < until_s]
    nodes: dict[str, list[tuple[float, float]]] = {}
    devices: dict[tuple[str, str], list[tuple[float, float]]] = {}
    core_s: float | None = 0.0
    named = gpus_known = True
    for worker, start, end in spans:
        node, device, n_threads = map(worker.facts.get, ("node", "device", "n_threads"))
        named &= node is not None
        ranks = worker.facts.get("ranks") or 1  # of its group; the leader's device is known only
        gpus_known &= device is not None and (ranks == 1 or str(device) == "cpu")
        # Of a group that spans several; its leader's alone is `node`.
        for each in worker.facts.get("nodes") or [node]:
            nodes.setdefault(str(each), []).append((start, end))
        if device is not None and str(device) != "cpu":
            # "cuda:0" is what every pinned worker calls its own.
            which = worker.facts.get("device_id") or device
            devices.setdefault((str(node), str(which)), []).append((start, end))
        core_s = (
            None
            if core_s is None or not isinstance(n_threads, int)
            else core_s + n_threads * ranks * (end - start)
        )
    return Usage(
        worker_s=sum(end - start for _, start, end in spans),
        node_s=sum(map(_covered, nodes.values())) if named else None,
        core_s=core_s,
        gpu_s=float(sum(map(_covered, devices.values()))) if gpus_known else None,
    )


def handed_back(workers: Iterable[WorkerView], until_s: float) -> HandedBack:
    """What these workers handed back by `until_s`."""
    lives = list(workers)
    stayed = [replace(w, left_s=until_s) if w.released else w for w in lives]
    had, would = usage(lives, until_s), usage(stayed, until_s)
    pair = (had.worker_s, would.worker_s)
    if had.node_s is not None and would.node_s is not None:
        pair = (had.node_s, would.node_s)
    node_s = None if had.node_s is None else pair[1] - pair[0]
    share = 1 - pair[0] / pair[1] if pair[1] > 0 else 0.0
    return HandedBack(would.worker_s - had.worker_s, node_s, share)


def energy(workers: Iterable[WorkerView], until_s: float) -> Energy:
    """What these workers' meters had counted by `until_s`.

    Workers of one meter (a shared device; for a package or node scope their node) saw the same
    joules: where their readings overlap they count once, a reading pro rata of its time.
    """
    pieces: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    read: list[Mapping[str, Any]] = []
    whys: list[Any] = []
    there_s = read_s = 0.0
    for worker in workers:
        if worker.joined_s >= until_s:
            continue
        there_s += min(worker.left_s, until_s) - worker.joined_s
        said = worker.facts.get("energy")
        said = said if isinstance(said, Mapping) else {"why": "no worker carried a meter"}
        readings = [reading for reading in worker.readings if reading[0] <= until_s]
        if not readings:
            whys.append(said.get("why") or "no job had finished")
            continue
        read.append(said)
        read_s += readings[-1][0] - worker.joined_s
        key = (str(worker.facts.get("node")), str(said.get("meter") or said.get("scope")))
        before = (worker.joined_s, 0.0)
        for time_s, joules in readings:
            pieces.setdefault(key, []).append((before[0], time_s, max(joules - before[1], 0.0)))
            before = (time_s, joules)
    if not read:
        return Energy(None, "none", why=_joined(whys) or "no worker joined")
    words = [_joined(x.get(key) for x in read) for key in ("source", "scope", "excludes")]
    joules = sum(map(_once, pieces.values()))
    share = min(read_s / there_s, 1.0) if there_s > 0 else None
    return Energy(joules, words[0] or "unknown", words[1], words[2], _joined(whys), share)


def _once(pieces: list[tuple[float, float, float]]) -> float:
    """Joules of (start, end, joules), less the shares of time that an earlier piece covers."""
    total, reached = 0.0, float("-inf")
    for start, end, joules in sorted(pieces):
        if end > start:
            total += joules * max(end - max(start, reached), 0.0) / (end - start)
        elif start >= reached:
            total += joules
        reached = max(reached, end)
    return total


def _joined(words: Iterable[Any]) -> str | None:
    """Different words once each, sorted; None where there is none."""
    return "; ".join(sorted({str(word) for word in words if word})) or None


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds that lie in at least one span."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total
