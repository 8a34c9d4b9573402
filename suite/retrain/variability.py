"""The variability check: winner, runner-up and the default configuration trained again, and compared."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from suite.backends import launcher
from suite.backends.contract import RunContext
from suite.backends.forecasts import Forecaster
from suite.backends.inline import Inline
from suite.backends.mpi.backend import MPI
from suite.core.errors import (
    ConfigError,
    JournalError,
    PausedError,
    StoppedError,
    check_integer,
    unknown_name,
)
from suite.core.printable import printable
from suite.core.scheduler import best
from suite.core.seeds import stream_seed
from suite.core.target import Target, make_target
from suite.files import write_whole
from suite.results.fold import load_run
from suite.results.header import RunHeader, read_header
from suite.results.privacy import clean
from suite.results.retrained import NAME
from suite.results.run_view import RunView
from suite.retrain import numbers
from suite.retrain.numbers import DEFAULT, RUNNER_UP, SPLITS, WINNER, Sample
from suite.retrain.repeats import Repeat, Repeats
from suite.run import journal as journals
from suite.run.agreement import Agreement, Difference, data_differences, differences
from suite.worker import facts
from suite.worker.settings import WorkerSettings

VERSION = "1.3.0"
ROLES = (WINNER, RUNNER_UP)
BACKENDS = ("auto", "inline", "mpi")


def retrain(
    folder: Path,
    n: int,
    *,
    unlike_data: bool = False,
    default: bool = True,
    backend: str = "auto",
    say: Callable[[str], object] = lambda text: None,
    trained: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Train winner, runner-up and the target's default n times each, write retrain.json, return it.

    unlike_data: train too where the data are not those of the run; what differs is in the file. default:
    whether the target's default configuration is trained, where it states one. backend: inline, mpi, or auto:
    mpi where a launcher started several ranks. say: is told of each training. trained: is called when the
    last one is over.

    Raises ConfigError (n, a run that has no two finalists, other data than the run's, a default outside of
    the space), JournalError (no such run), DataError (the target's data are missing), StoppedError (no worker
    is left, or the job's time ends).
    """
    check_integer("n", n, 2, "(a spread needs two)")
    view = load_run(folder)
    for doubt in view.doubts:
        say(f"warning: {doubt}")
    finalists = _finalists(view)
    if not os.access(view.folder, os.W_OK):
        raise ConfigError(f"{view.folder.name}: must be writable, for {NAME}; copy the run.")
    # The view's header is cleaned of paths, which the target may need.
    header = read_header(view.folder)
    if header.model_settings is None:
        raise JournalError("config.model: missing in the journal's header; run it again.")
    target = make_target(header.model_settings)
    samples = [*finalists, *(_default(target) if default else ())]
    _plan(samples, n, header.seed, _configs(view.folder, finalists))
    work = _Work(view, header, target, unlike_data, n, say)
    began = time.monotonic()
    repeats = work.done(_in_order(samples, n), backend)
    wall_s = time.monotonic() - began
    trained()
    report = _report(view, samples, n) | {
        "default_source": target.default_source,
        "workers": {"value": repeats.n_workers, "unit": "workers"},
        "wall": {"value": round(wall_s, 3), "unit": "s"},
        "environment": {
            "versions": facts.versions(),
            "git": facts.git(),
            "host": facts.host(),
            "device": work.device,
        },
        "differences": [
            {"field": one.field, "here": one.value, "run": one.other} for one in work.differing
        ],
    }
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        write_whole(view.folder / NAME, text + "\n")
    except OSError as error:
        raise ConfigError(
            f"{view.folder.name}/{NAME}: cannot be written ({error.strerror or error}); the numbers "
            "are above. Free the disk, or copy the run to a folder that can be written."
        ) from None
    return report


# --- what is trained ------------------------------------------------------------------------------


def _finalists(view: RunView) -> list[Sample]:
    """Winner and runner-up of a completed run, still without trainings. Raises ConfigError."""
    if view.status != "completed":
        raise ConfigError(f"status={view.status}: must be completed; resume={view.folder.name}.")
    max_epochs = view.header.max_epochs
    curves = {
        trial_id: trial.curve
        for trial_id, trial in view.trials.items()
        if trial.status not in ("diverged", "given up")
    }
    finalists = best(curves, 2, max_epochs)
    if len(finalists) < 2:
        raise ConfigError(
            f"finalists={len(finalists)}: must be 2 trials or more that were trained for "
            f"max_epochs={max_epochs}; take a run with several brackets."
        )
    return [
        Sample(role, i, view.trials[i].config, view.value(curves[i][max_epochs - 1]))
        for role, i in zip(ROLES, finalists, strict=True)
    ]


def _default(target: Target) -> list[Sample]:
    """The target's default configuration, where it states one."""
    return [] if target.default is None else [Sample(DEFAULT, None, target.default, None)]


def _plan(
    samples: Sequence[Sample], n: int, seed: int, configs: Mapping[int, dict[str, Any]]
) -> None:
    """Give each sample its repeats.

    Repeat i of the winner has stream_seed(seed, "retrain", 2 i), of the runner-up 2 i + 1. The default has
    the winner's seeds: those two are compared in pairs.
    """
    for sample in samples:
        offset = int(sample.role == RUNNER_UP)
        config = dict(sample.config) if sample.trial_id is None else configs[sample.trial_id]
        sample.repeats = [
            Repeat(sample.role, i, config, stream_seed(seed, "retrain", 2 * i + offset))
            for i in range(n)
        ]


def _in_order(samples: Sequence[Sample], n: int) -> list[Repeat]:
    """One of each configuration, then the next: an interruption leaves none behind."""
    return [sample.repeats[i] for i in range(n) for sample in samples]


def _configs(folder: Path, finalists: Sequence[Sample]) -> dict[int, dict[str, Any]]:
    """The trials' configurations as journaled; those of the view are cleaned."""
    wanted = {sample.trial_id for sample in finalists}
    configs: dict[int, dict[str, Any]] = {}
    for line in journals.read(folder / journals.NAME)[1]:
        for trial_id, trial in line.get("trials", {}).items():
            if int(trial_id) in wanted:
                configs[int(trial_id)] = dict(trial["config"])
    return configs


# --- training -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """The trainings on a backend. device, differing: of the worker that joined first."""

    view: RunView
    header: RunHeader
    target: Target
    unlike_data: bool
    n: int
    say: Callable[[str], object]
    device: str | None = None
    differing: list[Difference] = field(default_factory=list)

    def done(self, todo: Sequence[Repeat], backend: str) -> Repeats:
        """Train and score all of them. Raises what `retrain` raises."""
        chosen = _backend(backend, self.header)
        chosen.check(self.target)
        repeats = Repeats(
            todo, self.header.max_epochs,
            Agreement(facts.agreed(self.target), self.target.data, chosen.agreement),
            value=self.view.value, joined=self._joined, said=self._said,
        )  # fmt: skip
        assert self.header.model_settings is not None
        context = RunContext(
            model=self.header.model_settings,
            target=self.target,
            checkpoints=chosen.checkpoint_place(self.view.folder, self.header.run_id),
            forecaster=Forecaster(None, self.header.seed),
            seed=self.header.seed,
            max_epochs=self.header.max_epochs,
        )
        try:
            chosen.open(context).run(repeats)
        except PausedError as error:
            raise StoppedError(f"{error}; {_LEFT}") from None
        if repeats.shutdown is None or repeats.shutdown.status != "completed":
            why = repeats.shutdown.reason if repeats.shutdown is not None else "it did not end"
            n_scored = sum(repeat.is_scored for repeat in todo)
            raise StoppedError(f"{why} after {n_scored} of {len(todo)} trainings; {_LEFT}")
        return repeats

    def _joined(self, stated: Mapping[str, Any]) -> None:
        """Refuse to train on other data than the run's, by what the first worker has staged."""
        if self.device is not None:
            return
        device, data_set = (stated.get(name) for name in ("device", "data_set"))
        self.device = str(device)
        self.differing = _differing(self.view, self.target, data_set)
        unlike = [one for one in self.differing if one.field.startswith("data")]
        if unlike and not self.unlike_data:
            raise ConfigError(
                f"{printable(unlike[0])}, as in the run {self.view.folder.name}: a training on other data "
                "says nothing of the run's; make the run's data visible here (SUITE_DATA), or train all the "
                "same with --unlike-data."
            )

    def _said(self, repeat: Repeat) -> None:
        outcome = repeat.failure or f"{repeat.validation:.6g}"
        self.say(f"{repeat.role} {repeat.number + 1}/{self.n}: {outcome}")


_LEFT = "nothing was written. Start it again, with more time or a smaller --n."
# Of journals that are older than the setting (revision 0e27403).
_AS_EVER = {"agreement": "refuse"}


def _backend(name: str, header: RunHeader) -> Inline | MPI:
    """The backend of this launch, with the worker's settings of the run; nothing is saved."""
    if name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    launched = launcher.launched()
    if name == "mpi" and not launched:
        raise ConfigError(
            "backend=mpi: one rank; needs 2 or more (rank 0 decides, the others train): "
            "mpirun -n 3 swiftbench retrain ..., or --backend inline."
        )
    cls = MPI if launched and name != "inline" else Inline
    settings = {**_AS_EVER, **header.backend.settings}
    settings |= {"threads": header.backend.threads, "device": header.backend.device}
    settings |= {"resident_trials": 1, "checkpoint": "none", "checkpoints": None}
    if cls is Inline:
        settings |= {"ranks_per_trial": 1}
    names = [one.name for one in fields(WorkerSettings)]
    if missing := [one for one in names if one not in settings]:
        raise JournalError(
            f"config.backend.{missing[0]}: missing in the journal's header; run it again."
        )
    return cls(**{one: settings[one] for one in names})


def _differing(view: RunView, target: Target, data_set: Any) -> list[Difference]:
    """In what data, code and versions here are not those that the run was trained with."""
    staged, versions = clean(data_set) or None, facts.versions()
    differing = [
        one
        for life in view.workers
        for one in data_differences(staged, life.facts.get("data_set") or None)
    ]
    label = view.header.target.data
    if label is not None and target.data != label:
        differing.insert(0, Difference("data", target.data, label))
    differing += differences({"versions": versions}, {"versions": view.header.versions})
    for name, now in facts.git().items():
        then = (view.header.git or {}).get(name)
        # Two checkouts with changes may hold the same revision and other code.
        if None not in (now, then) and (now != then or (name == "dirty" and now)):
            differing.append(Difference(f"git.{name}", now, then))
    return list({(one.field, str(one)): one for one in differing}.values())


# --- the file -------------------------------------------------------------------------------------


def _report(view: RunView, samples: Sequence[Sample], n: int) -> dict[str, Any]:
    unit = view.header.metric.unit
    by_role = {sample.role: sample for sample in samples}
    winner, runner_up, default = (by_role.get(role) for role in (WINNER, RUNNER_UP, DEFAULT))
    assert winner is not None and runner_up is not None
    return {
        "schema_version": VERSION,
        "run_id": view.header.run_id,
        "algorithm": view.header.algorithm,
        "model": view.header.model,
        "data": view.header.target.data,
        "seed": view.header.seed,
        "metric": view.metric,
        "mode": view.mode,
        "max_epochs": {"value": view.header.max_epochs, "unit": "epochs"},
        "asked": {"value": n, "unit": "trainings"},
        "trials": [numbers.of_sample(sample, unit, view.value) for sample in samples],
        "gap": {
            split: numbers.gap(winner.values(split), runner_up.values(split), unit)
            for split in SPLITS
        },
        "gain": {
            split: numbers.gain(winner, default, split, unit, view.mode)
            for split in SPLITS
            if default is not None
        },
    }
