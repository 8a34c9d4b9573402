"""AlexNets on ImageNet (Baker et al. 2017, arXiv 1705.10823): one CSV with acc_0 .. acc_500.

Of 500 evaluations every fifth is kept; acc_0 is before training.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from models.data.converters import File, csv_text, number

N_EPOCHS, EVERY = 100, 5


def convert(table: str, files: Iterable[File]) -> str:
    ((_, content),) = files
    kept = [f"acc_{EVERY * epoch}" for epoch in range(1, N_EPOCHS + 1)]
    rows = [
        [number(float(row[name]), 7) for name in ("lr", "ss")]
        + [number(float(row[name]), 6) for name in kept]
        for row in csv.DictReader(io.StringIO(content.decode()))
    ]
    return csv_text(["lr", "ss"], rows, N_EPOCHS)
