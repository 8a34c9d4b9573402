"""HPO-RL-Bench (Shala et al. 2024, AutoML): a JSON file a training, 100 evaluations with their seconds since
the begin; every second one is kept. Rows stand in the order of the file names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from models.data.converters import File, csv_text, number, steps

N_EPOCHS = 50
NAMES = {"log10_lr": "learning_rate", "gamma": "gamma", "clip": "clip"}


def convert(table: str, files: Iterable[File]) -> str:
    rows = {}
    for path, content in files:
        run = json.loads(content)
        rows[path] = [
            *(number(run[name], 7) for name in NAMES.values()),
            *(number(value, 6) for value in run["returns_eval"][1::2]),
            *(number(value, 4) for value in steps(run["timestamps_eval"][1::2])),
        ]
    return csv_text([*NAMES], [rows[path] for path in sorted(rows)], N_EPOCHS, seconds=True)
