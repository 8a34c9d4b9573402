"""AlgoPerf v0.5, external tuning (Kasimbeg et al. 2025, ICLR): of each training a CSV of evaluations, equally
spaced by the clock, and its hyperparameters in JSON.

A training's epoch is a fifteenth of T, the median number of evaluations after the first. One that ended
before T carries its last value to the end where that reaches the workload's target (within .1 %), or where it
came to .9 T; else it has failed from there on. Longer ones are cut. Missing seconds are the median of a
training's own, 1 where it has none. Training algorithms without a learning rate are left out, and those of
which most trainings stopped after five evaluations. Rows stand in the order of the file names.

beta1 = 0 (one_minus_beta1 = 1) and beta2 = 0: the algorithm has none.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.data.converters import File, csv_text, number

N_EPOCHS = 15
FEWEST = 5
TOLERANCE = 0.001
NAMES = ("optimizer", "learning_rate", "one_minus_beta1", "beta2", "weight_decay", "warmup",
         "dropout_rate", "label_smoothing")  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """metric: its column behind `validation/`. target: of the benchmark, on the validation split."""

    metric: str
    sign: float
    target: float

    def is_reached(self, value: float) -> bool:
        return self.sign * value <= self.sign * self.target * (1 + self.sign * TOLERANCE)


WORKLOADS = {
    "algoperf_criteo1tb": Workload("loss", 1.0, 0.123735),
    "algoperf_fastmri": Workload("ssim", -1.0, 0.723653),
    "algoperf_imagenet_resnet": Workload("accuracy", -1.0, 0.77185),
    "algoperf_librispeech_conformer": Workload("wer", 1.0, 0.085884),
    "algoperf_ogbg": Workload("mean_average_precision", -1.0, 0.28098),
    "algoperf_wmt": Workload("bleu", -1.0, 30.8491),
}


@dataclass(frozen=True)
class Training:
    """values: of the evaluations after the first, while there are some. ended: seconds at each evaluation."""

    algorithm: str
    settings: Mapping[str, Any]
    values: list[float]
    ended: list[float]


def convert(table: str, files: Iterable[File]) -> str:
    workload = WORKLOADS[table]
    trainings = _enough(_trainings(files, workload.metric))
    n_values = [len(one.ended) - 1 for one in trainings if len(one.ended) > 1]
    n_steps = int(statistics.median(n_values))
    rows = [_row(one, workload, n_steps) for one in trainings]
    return csv_text(NAMES, rows, N_EPOCHS, seconds=True)


def _trainings(files: Iterable[File], metric: str) -> list[Training]:
    evaluations, settings = {}, {}
    for path, content in files:
        folder, _, name = path.rpartition("/")
        if name == "hparams.json":
            settings[folder] = json.loads(content)
        else:
            evaluations[folder] = list(csv.DictReader(io.StringIO(content.decode())))
    made = []
    for folder in sorted(evaluations):
        # .../ALGORITHM/study_N/WORKLOAD_FRAMEWORK/trial_N
        algorithm = folder.split("/")[-4].removesuffix("_submission")
        rows = evaluations[folder]
        values = [float(row[f"validation/{metric}"]) for row in rows if row[f"validation/{metric}"]]
        ended = [float(row["accumulated_submission_time"]) for row in rows]
        made.append(Training(algorithm, settings[folder], values[1:], ended))
    return made


def _enough(trainings: list[Training]) -> list[Training]:
    """Those with a learning rate, of algorithms whose trainings went on."""
    tuned = [one for one in trainings if "learning_rate" in one.settings]
    lengths: dict[str, list[int]] = {}
    for one in tuned:
        lengths.setdefault(one.algorithm, []).append(len(one.ended))
    return [one for one in tuned if statistics.median(lengths[one.algorithm]) > FEWEST]


def _row(training: Training, workload: Workload, n_steps: int) -> list[str]:
    values, n = list(training.values), len(training.values)
    is_over = n >= 0.9 * n_steps or bool(values and workload.is_reached(values[-1]))
    values += [values[-1] if values and is_over else math.nan] * (n_steps - n)
    ended = training.ended
    # The first evaluation comes after one step: its seconds belong to the second one's.
    seconds = ended[1:2] + [b - a for a, b in itertools.pairwise(ended[1:])]
    seconds += [statistics.median(seconds) if seconds else 1.0] * (n_steps - len(seconds))
    points = [round(epoch * n_steps / N_EPOCHS) for epoch in range(N_EPOCHS + 1)]
    spans = itertools.pairwise(points)
    return [
        training.algorithm,
        *(number(value, 7) for value in _hyperparameters(training.settings)),
        *(number(values[point - 1], 6) for point in points[1:]),
        *(number(sum(seconds[a:b]), 4) for a, b in spans),
    ]


def _hyperparameters(settings: Mapping[str, Any]) -> list[float]:
    """In the order of NAMES; algorithms name some of them otherwise."""
    own = dict(settings)
    own.setdefault("one_minus_beta1", 1 - own.get("beta1", math.nan))
    own.setdefault("beta2", 1 - own.get("one_minus_beta2", math.nan))
    own["warmup"] = own.get("warmup_factor", own.get("warmup_steps_fraction"))
    return [own[name] for name in NAMES[1:]]
