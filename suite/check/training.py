"""Drawn trials trained again here: what a journal alone cannot show of its epochs.

The checker's own target trains, by the checker's own data, in this process; nothing is saved. Which trials is
drawn by the checker's seed after the submission was made, so a cheat cannot train those alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from suite.check.findings import Finding, Read, failed, passed, skipped, unprovable
from suite.check.stated import mapping
from suite.core import types as t
from suite.core.errors import SuiteError
from suite.core.extras import naming_extras
from suite.core.seeds import stream
from suite.core.target import Target
from suite.results.privacy import clean
from suite.results.run_view import TrialView
from suite.run.agreement import data_differences
from suite.worker import devices, facts
from suite.worker.worker import Worker

RULE = "training"
ON_GPU = 0.02
"""Relative difference of a value that is allowed where processors or versions differ, or on GPUs."""
_WITHOUT = (
    "no journal shows that its values, seconds and joules were measured and not made up: that needs drawn "
    "trials trained again (--retrain K), or the signature of somebody you trust"
)


@dataclass
class _Curve:
    objectives: list[float] = field(default_factory=list)
    test_value: float | None = None
    failure: str = ""

    def saw(self, event: t.Event) -> None:
        if isinstance(event, t.EpochReport):
            self.objectives.append(event.objective)
        elif isinstance(event, t.Scored):
            self.test_value = event.test_value
        elif isinstance(event, t.JobFailed):
            self.failure = f"{event.reason}: {event.message}"


def training(read: Read) -> Finding:
    """The rule `training`."""
    if not read.real:
        if read.simulated:
            return passed(
                RULE, "nothing was trained, and time is made up: see values and simulation"
            )
        return unprovable(RULE, "values are the target's own; seconds and joules no journal shows")
    if read.division == "closed" and (lost := _given_up(read)):
        trial = lost[0]
        return failed(
            RULE, f"trial {trial.trial_id}: given up ({trial.reason}), so epochs of it were not trained; the "
            "closed division is the same work", _line_given_up(read, trial.trial_id)
        )  # fmt: skip
    if not read.asked.retrain:
        n = len(_failed(read))
        said = f"; that {n} trial{'s' * (n != 1)} failed, too" if n else ""
        return unprovable(RULE, _WITHOUT + said)
    if read.replayed.parts is None or read.own is None:
        return skipped(RULE, "the target cannot be made here: see replay")
    try:
        with naming_extras():
            return _trained(read, read.replayed.parts.target)
    except SuiteError as error:
        return skipped(RULE, error)


def _failed(read: Read) -> list[TrialView]:
    """Trials that the run gave up, by its own word: each of them saved the epochs that it did not train."""
    return [trial for trial in read.view.trials.values() if trial.reason is not None]


def _given_up(read: Read) -> list[TrialView]:
    """Those that did not diverge: their work was left out."""
    return [trial for trial in _failed(read) if trial.status != "diverged"]


def _line_given_up(read: Read, trial_id: int) -> int | None:
    lines = read.numbered()
    return next((n for n, line in lines if str(trial_id) in line.get("given_up", {})), None)


def drawn(read: Read) -> list[TrialView]:
    """The trials that are trained again: `retrain` drawn ones of those with an epoch, and the winner."""
    trials = [trial for trial in read.view.trials.values() if trial.epochs]
    chosen = _chosen(read, trials, "check")
    return [trial for trial in trials if trial.trial_id in {*chosen, read.view.winner}]


def _chosen(read: Read, trials: Sequence[TrialView], name: str) -> set[int]:
    n = min(read.asked.retrain, len(trials))
    draw = stream(read.asked.draw, name, read.view.header.run_id)
    return {trials[i].trial_id for i in draw.choice(len(trials), n, replace=False)} if n else set()


def _trains_after_all(read: Read, worker: Worker) -> Finding | None:
    """Of the trials that were given up as many are drawn: the job that failed in the run must fail here."""
    lost = _failed(read)
    for trial in lost:
        if trial.trial_id not in _chosen(read, lost, "check failed"):
            continue
        until = max(
            (job.to_epoch for job in read.view.jobs if job.trial_id == trial.trial_id), default=1
        )
        curve = _Curve()
        job = t.Job(0, trial.trial_id, 0, until, dict(trial.config), trial.seed)
        worker.run(0, job, curve.saw)
        worker.forget()
        if not curve.failure and len(curve.objectives) >= until:
            return failed(
                RULE, f"trial {trial.trial_id}: given up in the run ({trial.reason}); trained again it has "
                f"its {until} epochs", _line_given_up(read, trial.trial_id)
            )  # fmt: skip
    return None


def _trained(read: Read, target: Target) -> Finding:
    backend = read.view.header.backend
    devices.limit_threads(backend.threads)
    device = devices.pin("auto" if _on_gpu(read) else "cpu", 0)
    target.stage(device)
    for life in read.view.workers:
        if found := data_differences(
            clean(dict(target.provenance)), life.facts.get("data_set") or None
        ):
            return failed(
                RULE, f"{found[0]}, as the run's workers say: other data are here, or were there"
            )
    tolerance, kind = _tolerance(read, device)
    worker = Worker(target, None)
    n, largest, seconds = 0, 0.0, 0.0
    for trial in drawn(read):
        curve = _Curve()
        most = max(math.ceil(len(trial.epochs) * read.asked.share), 1)
        job = t.Job(0, trial.trial_id, 0, most, dict(trial.config), trial.seed)
        worker.run(0, job, curve.saw)
        if trial.trial_id == read.view.winner and most == len(trial.epochs):
            worker.score(0, dataclasses.replace(job, from_epoch=most), curve.saw)
        worker.forget()
        theirs = trial.curve[:most]
        if len(curve.objectives) < most:
            here = f"{len(curve.objectives)} epochs here ({curve.failure})"
            return failed(RULE, f"trial {trial.trial_id}: {here}, {most} in the journal")
        if (at := _apart(theirs, curve.objectives, tolerance)) is not None:
            return failed(
                RULE, f"trial {trial.trial_id}, epoch {at + 1}: {theirs[at]!r} in the journal, "
                f"{curve.objectives[at]!r} trained again ({kind})", _line(read, trial, at)
            )  # fmt: skip
        if (wrong := _other_test_value(read, curve.test_value, tolerance)) is not None:
            return wrong
        n += most
        largest = max(
            largest, *(_difference(a, b) for a, b in zip(theirs, curve.objectives, strict=True))
        )
        seconds += sum(point.train_s + point.eval_s for point in trial.epochs[:most])
    if (wrong := _trains_after_all(read, worker)) is not None:
        return wrong
    ids = ", ".join(str(trial.trial_id) for trial in drawn(read))
    alike = "bit by bit" if largest == 0 else f"largest relative difference {largest:.2g}"
    return passed(
        RULE,
        f"trials {ids}: {n} epochs trained again, {alike} ({kind}); {seconds:.1f} s in the run",
    )


def _other_test_value(read: Read, ours: float | None, tolerance: float) -> Finding | None:
    theirs = read.view.test_value
    if ours is None or theirs is None or _difference(theirs, ours) <= tolerance:
        return None
    number = next(n for n, line in read.numbered() if line["event"] == t.Scored.kind)
    return failed(RULE, f"test_value={theirs!r}: trained again and scored it is {ours!r}", number)


def _on_gpu(read: Read) -> bool:
    return any(str(life.facts.get("device", "")).startswith("cuda") for life in read.view.workers)


def _tolerance(read: Read, device: str) -> tuple[float, str]:
    """(relative difference that is allowed, why)."""
    if read.asked.tolerance is not None:
        return read.asked.tolerance, f"tolerance {read.asked.tolerance:g}, the checker's"
    theirs, ours = read.stated.versions, facts.training_versions()
    same = all(theirs.get(name) == version for name, version in ours.items())
    processors = {life.facts.get("device_name") for life in read.view.workers}
    alike = processors == {clean(facts.host()["cpu"])} and device == "cpu"
    if same and alike and mapping(read.view.header.backend.settings).get("ranks_per_trial", 1) == 1:
        return 0.0, "one kind of processor and the same versions: equal to the last bit"
    return ON_GPU, f"another processor, GPU or version: tolerance {ON_GPU:g}"


def _difference(one: float, other: float) -> float:
    return abs(one - other) / (max(abs(one), abs(other)) or 1.0)


def _apart(theirs: Sequence[float], ours: Sequence[float], tolerance: float) -> int | None:
    pairs = enumerate(zip(theirs, ours, strict=True))
    return next((at for at, (one, other) in pairs if _difference(one, other) > tolerance), None)


def _line(read: Read, trial: TrialView, at: int) -> int | None:
    """The line of the journal that holds this epoch."""
    point = trial.epochs[at]
    for number, line in read.numbered():
        if line["event"] == t.EpochReport.kind and line["job_id"] == point.job_id:
            epochs = line["epoch"] if isinstance(line["epoch"], list) else [line["epoch"]]
            if point.epoch in epochs:
                return number
    return None
