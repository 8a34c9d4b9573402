"""Floor 4: is the winner better than the runner-up, or was it lucky? Both trained again.

    python -m suite.retrain RUN --n 10

Winner and runner-up of a completed run (lowest objective at max_epochs) are trained anew to
max_epochs, n times each, by the run's own target, worker and device settings, in this process. No
seed is used twice: repeat i of the winner has stream_seed(seed, "retrain", 2 i), of the runner-up
2 i + 1, so both samples are independent and a larger n keeps the first repeats. A table draws one
of the configuration's recordings by that seed; where it holds only one, there is no spread to see.

Printed, and written to retrain.json beside the run's journal: mean, sample standard deviation,
least and greatest of validation and test values, and whether the gap between the means is more than
the spread explains (Welch's t-test, two-sided). The value that the search saw stands beside them:
the winner's is the best of many draws, and usually too good. A training that fails is counted and
left out. Numbers are {"value", "unit"} as in records (`values` for several).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite import facts
from suite.backends import devices
from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, SuiteError, check_integer, unknown_name
from suite.core.plugins import make
from suite.core.scheduler import best
from suite.core.seeds import stream_seed
from suite.core.target import Target
from suite.datapackage import put
from suite.privacy import clean
from suite.projection import load_run
from suite.run import journal as journals
from suite.views import RunView
from suite.worker import Worker

NAME = "retrain.json"
VERSION = "1.0.0"
ROLES = ("winner", "runner-up")
SPLITS = ("validation", "test")
ALPHA = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1: it could not be done, or too many trainings failed; 130: interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m suite.retrain", description="Variability check.", allow_abbrev=False
    )
    parser.add_argument("run", type=Path, help="folder of a completed run")
    parser.add_argument(
        "--n", type=int, default=10, help="trainings of each (default: %(default)s)"
    )
    parser.add_argument("--backend", default="inline", help="inline: one after the other, here")
    given = parser.parse_args(arguments)
    try:
        if given.backend != "inline":
            raise unknown_name("backend", given.backend, ("inline",))
        done = retrain(given.run, given.n, say=lambda text: print(text, flush=True))
    except KeyboardInterrupt:
        print("retrain: interrupted; nothing was written.", file=sys.stderr)
        return 130
    except (SuiteError, OSError) as error:
        print(f"retrain: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines(done)))
    return 0 if all(trial["n"]["value"] >= 2 for trial in done["trials"]) else 1


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


def retrain(folder: Path, n: int, *, say: Any = None) -> dict[str, Any]:
    """Train winner and runner-up n times each, write retrain.json, return it.

    Raises ConfigError (n, or a run that has no two finalists), JournalError (no such run),
    DataError (the target's data are missing).
    """
    check_integer("n", n, 2, "(a spread needs two)")
    view = load_run(folder)
    if view.status != "completed":
        raise ConfigError(f"status={view.status}: must be completed; resume={view.folder.name}.")
    max_epochs = int(view.header["max_epochs"])
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
    if not os.access(view.folder, os.W_OK):
        raise ConfigError(f"{view.folder.name}: must be writable, for {NAME}; copy the run.")
    # The view's header is cleaned of paths, which the target may need.
    header = journals.read_header(view.folder / journals.NAME)
    target, device = _target(header)
    worker = Worker(target, None)
    samples = [
        Sample(role, i, view.trials[i].config, view.value(curves[i][max_epochs - 1]))
        for role, i in zip(ROLES, finalists, strict=True)
    ]
    raw = _configs(view.folder, finalists)
    for repeat in range(n):
        for which, sample in enumerate(samples):
            number = 2 * repeat + which
            seed = stream_seed(int(header["seed"]), "retrain", number)
            job = t.Job(number, number, 0, max_epochs, raw[sample.trial_id], seed)
            said = _train(worker, job, sample)
            worker.forget()
            if say is not None:
                say(f"{sample.role} {repeat + 1}/{n}: {said}")
    found = _report(view, samples, n, device)
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    put(view.folder / NAME, text + "\n")
    return found


def _target(header: Mapping[str, Any]) -> tuple[Target, str]:
    """The run's target, staged on the run's kind of device."""
    config = header.get("config") or {}
    settings = config.get("backend") or {}
    if not isinstance(config.get("model"), Mapping):
        raise JournalError("config.model: missing in the journal's header; run it again.")
    target = make(config["model"], "model")
    if not isinstance(target, Target):
        raise ConfigError(f"model._target_={config['model']['_target_']}: must be a Target.")
    devices.limit_threads(int(settings.get("threads", 1)))
    device = devices.pin(str(settings.get("device", "auto")), 0)
    target.stage(device)
    return target, device


def _configs(folder: Path, trial_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The trials' configurations as journaled; those of the view are cleaned."""
    found: dict[int, dict[str, Any]] = {}
    for line in journals.read(folder / journals.NAME)[1]:
        for trial_id, trial in line.get("trials", {}).items():
            if int(trial_id) in trial_ids:
                found[int(trial_id)] = dict(trial["config"])
    return found


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
    sign = -1.0 if worker.target.mode == "max" else 1.0
    sample.seeds.append(job.seed)
    sample.values["validation"].append(sign * reports[-1].objective)
    sample.values["test"].append(last.test_value)
    return f"{sample.values['validation'][-1]:.6g}"


# --- numbers -------------------------------------------------------------------------------------


def _report(view: RunView, samples: Sequence[Sample], n: int, device: str) -> dict[str, Any]:
    unit = str(view.header["target"].get("unit") or "1")
    return {
        "schema_version": VERSION,
        "run_id": view.header["run_id"],
        "algorithm": view.header["algorithm"],
        "model": view.header["model"],
        "data": view.header["target"].get("data"),
        "seed": view.header["seed"],
        "metric": view.metric,
        "mode": view.mode,
        "max_epochs": {"value": view.header["max_epochs"], "unit": "epochs"},
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
    found: dict[str, Any] = dict.fromkeys(("mean", "std", "min", "max"))
    if values:
        found = {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}
        found["std"] = statistics.stdev(values) if len(values) > 1 else None
    named = {k: None if v is None else {"value": v, "unit": unit} for k, v in found.items()}
    return {**named, "values": {"values": list(values), "unit": unit}}


def _gap(samples: Sequence[Sample], split: str, unit: str) -> dict[str, Any]:
    """Runner-up's mean minus winner's, the spread within both, and Welch's p.

    beyond_chance: p < 0.05. p is None where it is not defined: fewer than two values of one, or no
    spread in either.
    """
    one, other = (sample.values[split] for sample in samples)
    found: dict[str, Any] = {"value": None, "spread": None, "p": None, "beyond_chance": None}
    found |= {"unit": unit, "n": [len(one), len(other)]}
    if not one or not other:
        return found
    found["value"] = statistics.fmean(other) - statistics.fmean(one)
    if min(len(one), len(other)) < 2:
        return found
    found["spread"] = math.sqrt((statistics.variance(one) + statistics.variance(other)) / 2)
    if found["spread"] > 0:
        from scipy.stats import ttest_ind

        with warnings.catch_warnings():  # one of the two may well have no spread: a table's
            warnings.simplefilter("ignore", RuntimeWarning)
            p = float(ttest_ind(one, other, equal_var=False).pvalue)
        if math.isfinite(p):
            found |= {"p": p, "beyond_chance": p < ALPHA}
    return found


def lines(found: Mapping[str, Any]) -> list[str]:
    """For people: a table, and a sentence on each split."""
    said = [
        f"{found['algorithm']} seed {found['seed']} on {found['model']} ({found['data']} data), "
        f"{found['metric']} ({found['mode']}) after {found['max_epochs']['value']} epochs",
        f"{'':26}{'mean':>12}{'std':>12}{'min':>12}{'max':>12}   n",
    ]
    for trial in found["trials"]:
        for split in SPLITS:
            numbers = "".join(_n(trial[split][key]) for key in ("mean", "std", "min", "max"))
            name = f"{trial['role']} {trial['trial_id']}, {split}"
            said.append(f"{name:26}{numbers}   {trial['n']['value']}")
        searched = _n(trial["searched"]["validation"]).strip()
        failed = f"; {len(trial['failures'])} failed" if trial["failures"] else ""
        said.append(f"  in the search: validation {searched}{failed}")
    for split, gap in found["gap"].items():
        n = " and ".join(map(str, gap["n"]))
        if gap["p"] is not None:
            word = "more than chance" if gap["beyond_chance"] else "no more than chance"
            said.append(
                f"{split}: gap {gap['value']:+.4g} (runner-up less winner), spread "
                f"{gap['spread']:.4g}: {word} (Welch's t-test, n = {n}, p = {gap['p']:.3g})"
            )
        elif gap["value"] is not None:
            why = "too few" if gap["spread"] is None else "every repeat is equal"
            gap_said = f"{split}: gap {gap['value']:+.4g} (runner-up less winner)"
            said.append(f"{gap_said}, no test (n = {n}): {why}")
    return said


def _n(number: Mapping[str, Any] | None) -> str:
    return f"{'-':>12}" if number is None else f"{number['value']:>12.6g}"


if __name__ == "__main__":
    sys.exit(main())
