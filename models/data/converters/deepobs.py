"""DeepOBS 1.0 baselines (Schneider, Balles and Hennig 2019, ICLR): a JSON file a training, with test values
before training and after each epoch; that version has no validation split. 50 equally spaced epochs are kept.
A training has failed from the first epoch on whose test loss is not finite. Rows stand in the order of the
file names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from models.data.converters import File, csv_text, number

N_EPOCHS = 50


def convert(table: str, files: Iterable[File]) -> str:
    rows = {}
    for path, content in files:
        run = json.loads(content)
        # Accuracies where there are some: an autoencoder has none.
        values = run.get("test_accuracies", run["test_losses"])[1:]
        losses = run["test_losses"][1:]
        n_alive = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
        every = run["num_epochs"] // N_EPOCHS
        kept = [every * epoch for epoch in range(1, N_EPOCHS + 1)]
        rows[path] = [
            run["optimizer"].removesuffix("Optimizer"),
            number(run["learning_rate"], 7),
            *(number(values[at - 1], 5) if at <= n_alive else "" for at in kept),
        ]
    return csv_text(["optimizer", "lr"], [rows[path] for path in sorted(rows)], N_EPOCHS)
