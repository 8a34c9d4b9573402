"""The golden journals as runs: their lines with the header that such a run would have."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from suite.core.predictor import Predictor
from suite.core.run_settings import NOT_KEPT, RunSettings
from suite.launch.assemble import assemble
from suite.launch.execute import header
from suite.results import record as records

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


class LastSeen(Predictor):
    """What answers the golden runs' questions: the last value that is known, +- 0.01."""

    def fit(self, X: Any, y: Any) -> LastSeen:
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        values = np.asarray(X, dtype=float)[:, -1]
        return (values, np.full(len(values), 0.01)) if return_std else values


def settings_of() -> ModuleType:
    """tests/golden/test_golden.py, which says what each golden run was asked."""
    spec = importlib.util.spec_from_file_location("golden_settings", GOLDEN / "test_golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_run(name: str, folder: Path) -> Path:
    """A run folder with the golden journal's lines. Needs SUITE_PLUGINS=kit."""
    golden = settings_of()
    config = golden.composed(name, "model=table_target", "model.diverge_below=6",
                             "seed=5", "backend=inline", "name=golden")  # fmt: skip
    if name not in golden.AROUND:
        config["forecast"] = None
    config["predictor"] = {
        "_target_": "kit.golden_runs.LastSeen",
        "features": config["predictor"].get("features"),
    }
    config["choices"] |= {"predictor": None, "algorithm": "golden"}
    settings = RunSettings.of(config)
    first = {"journal": 1, **header(settings, assemble(settings))}
    first["config"] = {key: value for key, value in first["config"].items() if key not in NOT_KEPT}
    lines = [json.loads(row) for row in (GOLDEN / f"{name}.jsonl").read_text().splitlines()][1:]
    for line in lines:
        if line["event"] == "joined":
            line["facts"] = {"node": "node0", "device": "cpu", "n_threads": 1}
    folder.mkdir(parents=True)
    rows = [json.dumps(line, separators=(",", ":")) for line in (first, *lines)]
    (folder / "journal.jsonl").write_text("\n".join(rows) + "\n")
    records.write(folder)
    return folder
