"""NAS-Bench-NLP (Klyuchnikov et al. 2022, IEEE Access 10): a ZIP with a JSON file a training of a recurrent
cell. The cell (`recepie`, a JSON text) is told by its numbers of operations and of nodes of the next hidden
state; cells of equal numbers count as repeats. A training that ended early has failed from there on, and its
further epochs take the median of its seconds. Rows stand in the archive's order.
"""

from __future__ import annotations

import io
import json
import statistics
import zipfile
from collections import Counter
from collections.abc import Iterable

from models.data.converters import File, csv_text, number
from suite.core.errors import DataError

N_EPOCHS = 50
MAX_BYTES = 64 * 2**20
"""Of all that the archive unpacks to."""
OPERATIONS = {
    "n_linear": "linear",
    "n_blend": "blend",
    "n_prod": "elementwise_prod",
    "n_sum": "elementwise_sum",
    "n_tanh": "activation_tanh",
    "n_sigm": "activation_sigm",
    "n_leaky_relu": "activation_leaky_relu",
}


def convert(table: str, files: Iterable[File]) -> str:
    ((path, content),) = files
    rows = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
            raise DataError(f"{path}: unpacks to more than {MAX_BYTES} bytes; it is not read.")
        for name in archive.namelist():
            rows.append(_row(json.loads(archive.read(name))))
    return csv_text(["num_params", "n_hidden", *OPERATIONS], rows, N_EPOCHS, seconds=True)


def _row(run: dict[str, object]) -> list[str]:
    cell = json.loads(str(run["recepie"]))
    counts = Counter(node["op"] for node in cell.values())
    losses, seconds = list(run["val_losses"]), list(run["wall_times"])  # type: ignore[call-overload]
    n_missing = N_EPOCHS - len(losses)
    seconds += [statistics.median(seconds)] * n_missing
    return [
        number(float(run["num_params"]), 7),  # type: ignore[arg-type]
        str(sum(node.startswith("h_new") for node in cell)),
        *(str(counts[operation]) for operation in OPERATIONS.values()),
        *(number(loss, 6) for loss in losses),
        *[""] * n_missing,
        *(number(value, 4) for value in seconds),
    ]
