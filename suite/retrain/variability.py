"""The variability check: winner and runner-up trained again, and Welch's t-test between them."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, check_integer
from suite.core.printable import printable
from suite.core.scheduler import best
from suite.core.seeds import stream_seed
from suite.core.target import Target, make_target
from suite.files import write_whole
from suite.results.fold import load_run
from suite.results.header import RunHeader, read_header
from suite.results.privacy import clean
from suite.results.run_view import RunView
from suite.run import journal as journals
from suite.run.agreement import Difference, data_differences, differences
from suite.worker import devices, facts
from suite.worker.worker import Worker

NAME = "retrain.json"
VERSION = "1.1.0"
ROLES = ("winner", "runner-up")
SPLITS = ("validation", "test")
ALPHA = 0.05


@dataclass(slots=True)
class Sample:
    """One trial, trained again and again. values: split -> one number a training that succeeded."""

    role: str
    trial_id: int
    config: Mapping[str, Any]
    searched: float
    seeds: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=lambda: {s: [] for s in SPLITS})
    failures: list[str] = field(default_factory=list)
    train_s: float = 0.0


def retrain(
    folder: Path,
    n: int,
    *,
    unlike_data: bool = False,
    say: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Train winner and runner-up n times each, write retrain.json, return it.

    unlike_data: train too where the data are not those of the run; what differs is in the file. say: is
    told of each training. Raises ConfigError (n, a run that has no two finalists, other data than the
    run's), JournalError (no such run), DataError (the target's data are missing).
    """
    check_integer("n", n, 2, "(a spread needs two)")
    view = load_run(folder)
    if say is not None:
        for doubt in view.doubts:
            say(f"warning: {doubt}")
    samples = _finalists(view)
    if not os.access(view.folder, os.W_OK):
        raise ConfigError(f"{view.folder.name}: must be writable, for {NAME}; copy the run.")
    # The view's header is cleaned of paths, which the target may need.
    header = read_header(view.folder)
    target, device = _target(header)
    differing = _differing(view, target)
    unlike = [one for one in differing if one.field.startswith("data")]
    if unlike and not unlike_data:
        raise ConfigError(
            f"{printable(unlike[0])}, as in the run {view.folder.name}: a training on other data says "
            "nothing of the run's; make the run's data visible here (SUITE_DATA), or train all the same with "
            "--unlike-data."
        )
    worker = Worker(target, None)
    configs = _configs(view.folder, [sample.trial_id for sample in samples])
    for repeat in range(n):
        for which, sample in enumerate(samples):
            number = 2 * repeat + which
            seed = stream_seed(header.seed, "retrain", number)
            job = t.Job(number, number, 0, header.max_epochs, configs[sample.trial_id], seed)
            outcome = _train(worker, job, sample)
            worker.forget()
            if say is not None:
                say(f"{sample.role} {repeat + 1}/{n}: {outcome}")
    report = _report(view, samples, n, device) | {
        "differences": [
            {"field": one.field, "here": one.value, "run": one.other} for one in differing
        ]
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


def _target(header: RunHeader) -> tuple[Target, str]:
    """The run's target, staged on the run's kind of device."""
    if header.model_settings is None:
        raise JournalError("config.model: missing in the journal's header; run it again.")
    target = make_target(header.model_settings)
    devices.limit_threads(header.backend.threads)
    device = devices.pin(header.backend.device, 0)
    target.stage(device)
    return target, device


def _differing(view: RunView, target: Target) -> list[Difference]:
    """In what data, code and versions here are not those that the run was trained with."""
    git = facts.git()
    here = {"data_set": clean(dict(target.provenance)), "versions": facts.versions()}
    differing = [
        one
        for life in view.workers
        for one in data_differences(here["data_set"] or None, life.facts.get("data_set") or None)
    ]
    label = view.header.target.data
    if label is not None and target.data != label:
        differing.insert(0, Difference("data", target.data, label))
    differing += differences({**here, "data_set": None}, {"versions": view.header.versions})
    for name, now in git.items():
        then = (view.header.git or {}).get(name)
        # Two checkouts with changes may hold the same revision and other code.
        if None not in (now, then) and (now != then or (name == "dirty" and now)):
            differing.append(Difference(f"git.{name}", now, then))
    return list({(one.field, str(one)): one for one in differing}.values())


def _configs(folder: Path, trial_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The trials' configurations as journaled; those of the view are cleaned."""
    configs: dict[int, dict[str, Any]] = {}
    for line in journals.read(folder / journals.NAME)[1]:
        for trial_id, trial in line.get("trials", {}).items():
            if int(trial_id) in trial_ids:
                configs[int(trial_id)] = dict(trial["config"])
    return configs


def _train(worker: Worker, job: t.Job, sample: Sample) -> str:
    """One training and its scoring, into the sample; what came out, in a word."""
    events: list[t.Event] = []
    worker.run(0, job, events.append)
    reports = [event for event in events if isinstance(event, t.EpochReport)]
    sample.train_s += sum(report.train_s + report.eval_s for report in reports)
    if isinstance(events[-1], t.JobFinished):
        trained = dataclasses.replace(job, from_epoch=job.to_epoch)
        worker.score(0, trained, events.append)
    last = events[-1]
    if not isinstance(last, t.Scored):
        assert isinstance(last, t.JobFailed)
        sample.failures.append(clean(f"{last.reason}: {last.message}"))
        return sample.failures[-1]
    sample.seeds.append(job.seed)
    sample.values["validation"].append(worker.target.goal.value(reports[-1].objective))
    sample.values["test"].append(last.test_value)
    return f"{sample.values['validation'][-1]:.6g}"


# --- numbers -------------------------------------------------------------------------------------


def _report(view: RunView, samples: Sequence[Sample], n: int, device: str) -> dict[str, Any]:
    unit = view.header.metric.unit
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
        "trials": [_trial(sample, unit) for sample in samples],
        "gap": {split: _gap(samples, split, unit) for split in SPLITS},
        "environment": {
            "versions": facts.versions(),
            "git": facts.git(),
            "host": facts.host(),
            "device": device,
        },
    }


def _trial(sample: Sample, unit: str) -> dict[str, Any]:
    return {
        "role": sample.role,
        "trial_id": sample.trial_id,
        "config": dict(sample.config),
        "searched": {"validation": {"value": sample.searched, "unit": unit}},
        "n": {"value": len(sample.seeds), "unit": "trainings"},
        "failures": sample.failures,
        "seeds": sample.seeds,
        "train": {"value": round(sample.train_s, 6), "unit": "s"},
        **{split: _summary(sample.values[split], unit) for split in SPLITS},
    }


def _summary(values: Sequence[float], unit: str) -> dict[str, Any]:
    numbers: dict[str, Any] = dict.fromkeys(("mean", "std", "min", "max"))
    if values:
        numbers = {
            "mean": _finite(statistics.fmean, values),
            "min": min(values),
            "max": max(values),
        }
        numbers["std"] = _finite(statistics.stdev, values) if len(values) > 1 else None
    named = {k: None if v is None else {"value": v, "unit": unit} for k, v in numbers.items()}
    return {**named, "values": {"values": list(values), "unit": unit}}


def _finite(function: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    """None where the result is beyond the range of a float."""
    try:
        value = function(values)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _gap(samples: Sequence[Sample], split: str, unit: str) -> dict[str, Any]:
    """Runner-up's mean minus winner's, the spread within both, and Welch's p.

    beyond_chance: p < 0.05. p is None where it is not defined: fewer than two values of one, or no
    spread in either.
    """
    winner, runner_up = (sample.values[split] for sample in samples)
    gap: dict[str, Any] = {"value": None, "spread": None, "p": None, "beyond_chance": None}
    gap |= {"unit": unit, "n": [len(winner), len(runner_up)]}
    if not winner or not runner_up:
        return gap
    of_winner, of_runner_up = (_finite(statistics.fmean, values) for values in (winner, runner_up))
    if of_winner is None or of_runner_up is None or math.isinf(of_runner_up - of_winner):
        return gap
    gap["value"] = of_runner_up - of_winner
    if min(len(winner), len(runner_up)) < 2:
        return gap
    within = [_finite(statistics.stdev, values) for values in (winner, runner_up)]
    if None in within:
        return gap
    gap["spread"] = _finite(
        lambda values: math.hypot(*values) / math.sqrt(2), [v or 0.0 for v in within]
    )
    if (gap["spread"] or 0.0) > 0:
        p = _welch_p(winner, runner_up)
        if math.isfinite(p):
            gap |= {"p": p, "beyond_chance": p < ALPHA}
    return gap


def _welch_p(one: Sequence[float], other: Sequence[float]) -> float:
    from scipy.stats import ttest_ind

    # One of the two may well have no spread: a table's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ttest_ind(one, other, equal_var=False).pvalue)


def lines(report: Mapping[str, Any]) -> list[str]:
    """For people: a table, and a sentence on each split."""
    page = [
        f"{report['algorithm']} seed {report['seed']} on {report['model']} ({report['data']} data), "
        f"{report['metric']} ({report['mode']}) after {report['max_epochs']['value']} epochs",
        f"{'':26}{'mean':>12}{'std':>12}{'min':>12}{'max':>12}   n",
    ]
    unlike = [
        f"WARNING: not as in the run: {one['field']}: {one['here']} here, {one['run']} in the run"
        for one in report["differences"]
    ]
    for trial in report["trials"]:
        for split in SPLITS:
            numbers = "".join(_n(trial[split][key]) for key in ("mean", "std", "min", "max"))
            name = f"{trial['role']} {trial['trial_id']}, {split}"
            page.append(f"{name:26}{numbers}   {trial['n']['value']}")
        searched = _n(trial["searched"]["validation"]).strip()
        failed = f"; {len(trial['failures'])} failed" if trial["failures"] else ""
        page.append(f"  in the search: validation {searched}{failed}")
    sentences = [_sentence(split, gap) for split, gap in report["gap"].items()]
    page += [sentence for sentence in sentences if sentence]
    return [printable(line) for line in (*page, *unlike)]


def _sentence(split: str, gap: Mapping[str, Any]) -> str:
    """What the gap between the means says; empty where there is none."""
    if gap["value"] is None:
        return ""
    n = " and ".join(map(str, gap["n"]))
    start = f"{split}: gap {gap['value']:+.4g} (runner-up less winner)"
    if gap["p"] is None:
        why = "too few" if gap["spread"] is None else "every repeat is equal"
        return f"{start}, no test (n = {n}): {why}"
    word = "more than chance" if gap["beyond_chance"] else "no more than chance"
    return (
        f"{start}, spread {gap['spread']:.4g}: {word} (Welch's t-test, n = {n}, p = {gap['p']:.3g})"
    )


def _n(number: Mapping[str, Any] | None) -> str:
    return f"{'-':>12}" if number is None else f"{number['value']:>12.6g}"
