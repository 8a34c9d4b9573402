"""Floor 4: what readers see of a run: frozen dataclasses, made from the journal by projection.

Times are seconds since the run began (`_s`, on the journal's own clock, which a resumed run
continues); objectives are minimised, and `RunView.value()` turns one into the metric's own
direction.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from suite.core import types as t

Status = Literal["completed", "failed", "interrupted", "unfinished"]
"""Of a run: what its closing line says; `unfinished` without one (it runs still, or was killed)."""

TrialStatus = Literal["finished", "stopped", "cut", "diverged", "given up", "open"]
"""finished: trained for max_epochs; stopped: by a prediction, at `stopped_at`; cut: not promoted by
the scheduler; open: the search is not over, so nobody knows."""

Outcome = Literal["finished", "failed", "lost", "cut", "running"]
"""failed: the worker said so; lost: it is gone; cut: meanwhile the run ended or was resumed."""


@dataclass(frozen=True, slots=True)
class EpochView:
    """One point of a learning curve. `epoch` counts from 1; `metrics` in their own direction."""

    epoch: int
    objective: float
    metrics: Mapping[str, float]
    train_s: float
    eval_s: float
    time_s: float
    worker: int
    job_id: int


@dataclass(frozen=True, slots=True)
class TrialView:
    """One configuration and its fate. len(epochs) == epochs trained; `reason`: why given up."""

    trial_id: int
    config: Mapping[str, Any]
    seed: int
    bracket: int | None
    epochs: tuple[EpochView, ...]
    status: TrialStatus
    stopped_at: int | None
    reason: str | None

    @property
    def curve(self) -> t.Curve:
        """Objective (minimised) after epoch 1, 2, ..."""
        return tuple(point.objective for point in self.epochs)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as rank 0 saw it, from sending it (`start_s`) to its end (`end_s`; None: it runs).

    kind: "train", or "score" (the winner on the test split). train_s, eval_s: sums over its epoch
    reports. busy_s: the worker's own clock, from receipt to answer; it, restore_s and checkpoint_s
    are None where the job did not finish, and for scores.
    """

    job_id: int
    kind: Literal["train", "score"]
    worker: int
    trial_id: int
    from_epoch: int
    to_epoch: int
    start_s: float
    end_s: float | None
    outcome: Outcome
    n_epochs: int
    train_s: float
    eval_s: float
    restore_s: float | None
    checkpoint_s: float | None
    busy_s: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class ForecastView:
    """An answer of the predictor: fitted on n rows, extrapolated m; values None: see `message`."""

    key: str
    n: int
    m: int
    asked_s: float
    time_s: float
    fit_s: float
    predict_s: float
    sampler: str | None
    sampler_info: dict[str, Any] | None
    values: tuple[float | None, ...] | None
    message: str | None

    @property
    def failed(self) -> bool:
        return self.values is None

    @property
    def predictor_s(self) -> float:
        return self.fit_s + self.predict_s


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One life of a worker: after a resume, worker 1 is another process. lost: why, or None.

    left_s: when it was lost, or the run was taken over, or ended (so far). busy_s: seconds with a
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

    @property
    def idle_s(self) -> float:
        return max(self.left_s - self.joined_s - self.busy_s, 0.0)


@dataclass(frozen=True, slots=True)
class Incumbent:
    """Best objective so far (minimised) once `n_epochs` epochs were trained in all, at `time_s`."""

    n_epochs: int
    time_s: float
    best: float
    trial_id: int
    epoch: int


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
class Energy:
    """Joules that meters counted, each meter once; None where nothing was read (`why`).

    source, scope, excludes: as suite.energy names them, several joined. covered: share of the
    workers' time, joining to leaving, that lies within readings; None where the job was read.
    """

    joules: float | None
    source: str
    scope: str | None = None
    excludes: str | None = None
    why: str | None = None
    covered: float | None = None


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds of workers that trained and evaluated nothing new.

    other_s: of finished jobs, outside of training, evaluation, restore and checkpoint; dispatch_s:
    between rank 0's sending and the worker's beginning, and back; retrained_s: training and
    evaluation of epochs that were known.
    """

    restore_s: float
    checkpoint_s: float
    other_s: float
    dispatch_s: float
    retrained_s: float

    @property
    def total_s(self) -> float:
        return (
            self.restore_s + self.checkpoint_s + self.other_s + self.dispatch_s + self.retrained_s
        )


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, read. `header`: the journal's first line, cleaned; `trials`: in the order met.

    anytime: one point an improvement, and a last one where the run ended (so far). winner: lowest
    objective at max_epochs once the search is over, else None. test_value: the winner's, in the
    metric's own direction. n_epochs: epochs reported first, n_ahead of them beyond what a
    decision gave their trial (they stand in no curve); n_retrained: reported again;
    n_differences of them gave another value, at most max_difference apart. n_lines, n_bytes,
    n_restarts: starts of the job after its first, as the batch system said last; None: it did not.
    sha256: of the whole lines read. job_energy: what the batch system said at each close.
    """

    folder: Path
    header: Mapping[str, Any]
    status: Status
    reason: str
    trials: Mapping[int, TrialView]
    jobs: tuple[JobView, ...]
    forecasts: tuple[ForecastView, ...]
    workers: tuple[WorkerView, ...]
    anytime: tuple[Incumbent, ...]
    winner: int | None
    test_value: float | None
    test_metrics: Mapping[str, float]
    time_s: float
    n_epochs: int
    n_ahead: int
    n_retrained: int
    n_differences: int
    max_difference: float
    n_resumes: int
    n_restarts: int | None
    retrained_s: float
    n_lines: int
    n_bytes: int
    sha256: str
    job_energy: tuple[Mapping[str, Any], ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wall_s(self) -> float:
        """Seconds from the run's begin to its last line, less those between a cut and a resume."""
        return self.time_s

    @property
    def mode(self) -> str:
        return str(self.header["target"]["mode"])

    @property
    def metric(self) -> str:
        return str(self.header["target"]["metric"])

    def value(self, objective: float) -> float:
        """An objective (minimised) in the metric's own direction."""
        return -objective if self.mode == "max" else objective

    @property
    def best(self) -> Incumbent | None:
        """The lowest objective of any epoch of any trial."""
        return self.anytime[-1] if self.anytime else None

    @property
    def began(self) -> datetime.datetime:
        """The header's date, which all `time_s` count from."""
        return start_date(self.header)

    @property
    def predictor_s(self) -> float:
        return sum(forecast.predictor_s for forecast in self.forecasts)

    @property
    def busy_s(self) -> float:
        return sum(worker.busy_s for worker in self.workers)

    @property
    def idle_share(self) -> float | None:
        """Share of the workers' time, joining to leaving, without a job; None where none joined."""
        total = sum(worker.left_s - worker.joined_s for worker in self.workers)
        return sum(worker.idle_s for worker in self.workers) / total if total > 0 else None

    @property
    def usage(self) -> Usage:
        return usage(self.workers, self.time_s)

    @property
    def energy(self) -> Energy:
        """What the workers' meters counted; else what the batch system says of the job."""
        found = energy(self.workers, self.time_s)
        said = [x for x in self.job_energy if x.get("joules") is not None]
        if found.joules is not None or not said:
            whys = [found.why, *(x.get("why") for x in self.job_energy)]
            return replace(found, why=_joined(whys)) if found.joules is None else found
        joules = sum(float(x["joules"]) for x in said)
        words = [_joined(x.get(key) for x in said) for key in ("source", "scope", "excludes")]
        return Energy(joules, words[0] or "slurm", words[1], words[2])

    @property
    def overhead(self) -> Overhead:
        done = [job for job in self.jobs if job.busy_s is not None]
        restore = sum(job.restore_s or 0.0 for job in done)
        checkpoint = sum(job.checkpoint_s or 0.0 for job in done)
        busy = sum(job.busy_s or 0.0 for job in done)
        seen = sum((job.end_s or 0.0) - job.start_s for job in done)
        other = busy - sum(job.train_s + job.eval_s for job in done) - restore - checkpoint
        return Overhead(
            restore, checkpoint, max(other, 0.0), max(seen - busy, 0.0), self.retrained_s
        )


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
        ranks = int(worker.facts.get("ranks", 1))  # of its group; the leader's device is known only
        gpus_known &= device is not None and (ranks == 1 or str(device) == "cpu")
        nodes.setdefault(str(node), []).append((start, end))
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


def start_date(header: Mapping[str, Any]) -> datetime.datetime:
    """The header's date_utc. Raises ValueError where it is none."""
    date = datetime.datetime.fromisoformat(str(header["date_utc"]))
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
