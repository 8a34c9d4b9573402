"""CNNs on CIFAR-10 (Klein et al. 2017, ICLR): a JSON file a training, with the error after each epoch
(`learning_curve`) and the seconds since the begin (`time_steps`). Rows stand in the order of the file names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from models.data.converters import File, csv_text, number, steps

N_EPOCHS = 40


def convert(table: str, files: Iterable[File]) -> str:
    rows, names = {}, None
    for path, content in files:
        run = json.loads(content)
        names = sorted(run["config"])
        rows[path] = [
            *(number(run["config"][name], 7) for name in names),
            *(number(value, 6) for value in run["learning_curve"]),
            *(number(value, 4) for value in steps(run["time_steps"])),
        ]
    return csv_text(names or [], [rows[path] for path in sorted(rows)], N_EPOCHS, seconds=True)
