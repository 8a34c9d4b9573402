"""TaskSet (Metz et al. 2020, arXiv 2002.11887) in the copy of DPL: one JSON list of trainings, each with its
hyperparameters (`hp`) and 51 validation losses. The first, before training, is left out. A training has
failed from the first loss on that is not finite or above 10^6.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from models.data.converters import File, csv_text, number

N_EPOCHS = 50
MOST = 1e6


def convert(table: str, files: Iterable[File]) -> str:
    ((_, content),) = files
    trainings = json.loads(content)
    rows = [
        [
            *(number(value, 7) for value in training["hp"].values()),
            *(number(value, 6) for value in _until_failure(training["valid"]["loss"][1:])),
        ]
        for training in trainings
    ]
    return csv_text(list(trainings[0]["hp"]), rows, N_EPOCHS)


def _until_failure(losses: Sequence[float]) -> list[float]:
    failed = (i for i, loss in enumerate(losses) if not (math.isfinite(loss) and loss <= MOST))
    n = next(failed, len(losses))
    return [*losses[:n], *[math.nan] * (len(losses) - n)]
