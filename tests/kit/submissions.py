"""Small submissions for the tests: made once, copied, and put right again as a cheat would do it."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.driving import compose
from suite.core.errors import SuiteError
from suite.core.run_settings import RunSettings
from suite.launch import execute
from suite.results import record as records
from suite.run import journal as journals
from suite.submit import package
from suite.submit.submitting import Wanted, submit

SYSTEM = """\
name: Test machine
nodes: 1
node:
  processors: [{model: any, count: 1, cores: 2}]
"""
REAL = (
    "model=digits_cnn", "model.fixed.num_layers=1", "model.fixed.num_filters=4", "model.fixed.batch_size=128",
    "algorithm=swift_svr", "max_epochs=8", "common.n_curves=2", "backend=inline", "overlap=false",
    "name=small", "report=false", "tracking=later",
)  # fmt: skip
SIMULATED = (
    "model=table_target", "algorithm=swift_svr", "max_epochs=16", "common.n_curves=3", "backend=simulate",
    "backend.workers=2", "overlap=false", "name=small", "report=false", "tracking=later",
)  # fmt: skip


def run(folder: Path, words: Sequence[str]) -> Path:
    """A completed run of these words, with the command in its header."""
    words = ["+" + word if word.startswith("common.") else word for word in words]
    outcome = execute.run(RunSettings.of(compose(*words)), folder, command=words)
    assert outcome.status == "completed", outcome.reason
    return folder


def submission(folder: Path, runs: Sequence[Path], **words: Any) -> Path:
    """The folder of a submission of these runs; its archive lies beside it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    system = folder.parent / "system.yaml"
    system.write_text(SYSTEM)
    return submit(runs, Wanted(system, folder, **words)).folder


class Cheat:
    """A copy of a submission with one run, whose lines can be changed; `finish` makes the rest fit."""

    def __init__(self, whole: Path, folder: Path) -> None:
        self.folder = Path(shutil.copytree(whole, folder))
        (self.run,) = (self.folder / "runs").iterdir()
        self.path = self.run / journals.NAME
        self.lines: list[dict[str, Any]] = [
            json.loads(row) for row in self.path.read_text().splitlines()
        ]
        self.record: dict[str, Any] | None = None
        """Written as it stands, where it is set."""
        self.keeps_record = False

    @property
    def header(self) -> dict[str, Any]:
        return self.lines[0]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines[1:] if line["event"] == kind]

    def built(self) -> dict[str, Any]:
        """The record of the lines as they are now."""
        self.write()
        return records.build(self.run)

    def write(self) -> None:
        rows = [json.dumps(line, separators=(",", ":")) for line in self.lines]
        self.path.write_text("\n".join(rows) + "\n")

    def finish(self) -> Path:
        """What a cheat does at the end: the record by the journal, and every digest."""
        self.write()
        record = self.run / records.NAME
        if self.record is not None:
            record.write_text(records.dumps(self.record))
        elif not self.keeps_record:
            # Of lines that do not fit each other no record can be made: the old one stays.
            with contextlib.suppress(SuiteError, ValueError, OverflowError):
                record.write_text(records.dumps(records.build(self.run)))
        again(self.folder)
        return self.folder


def again(folder: Path) -> None:
    """submission.json with the digests of the files that are there."""
    first = json.loads((folder / package.NAME).read_text())
    there = package.files_of(folder)
    for apart in (package.NAME, package.SIGNATURE):
        there.pop(apart, None)
    first["files"] = [
        {"path": path, "bytes": size, "sha256": package.digest_of(folder / path, folder)}
        for path, size in there.items()
    ]
    digests = {one["path"]: one["sha256"] for one in first["files"]}
    for one in first["runs"]:
        path = folder / one["folder"] / journals.NAME
        if path.is_file():
            one["journal_sha256"] = digests[f"{one['folder']}/{journals.NAME}"]
            one["run_id"] = json.loads(path.read_text().splitlines()[0])["run_id"]
    (folder / package.NAME).write_text(package.dumps(first))


def scaled(lines: list[dict[str, Any]], factor: float, keys: Sequence[str] | None = None) -> None:
    """Every second of a journal times `factor`. keys: which ones, None: all that are seconds."""
    for line in lines[1:]:
        for key, value in line.items():
            if key.endswith("_s") and (keys is None or key in keys):
                line[key] = (
                    [v * factor for v in value] if isinstance(value, list) else value * factor
                )


def lasting(folder: Path, seconds: float) -> Cheat:
    """A copy whose run lasts so long: what is caught must not depend on how fast this machine is."""
    cheat = Cheat(folder, folder.with_name(folder.name + "-copy"))
    scaled(cheat.lines, seconds / cheat.lines[-1]["time_s"])
    return cheat


def replaced(folder: Path, cheat: Cheat) -> None:
    """Put the finished copy where the submission was."""
    cheat.finish()
    shutil.rmtree(folder)
    cheat.folder.rename(folder)


def metered(folder: Path, seconds: float) -> None:
    """Make a submission's run one whose worker has a meter, 50 W, and that lasts so many seconds."""
    cheat = lasting(folder, seconds)
    meter = {"source": "rapl", "scope": "package", "excludes": "memory", "meter": ""}
    cheat.of("joined")[0]["facts"]["energy"] = meter
    for line in cheat.of("finished"):
        line["energy_j"] = round(50.0 * line["time_s"], 3)
    replaced(folder, cheat)


def accounting(folder: Path, seconds: float, nodes: int, joules: int = 0) -> None:
    """slurm/accounting.txt of one job."""
    (folder / "slurm").mkdir(exist_ok=True)
    (folder / package.ACCOUNTING).write_text(f"1|{math.ceil(seconds)}|{nodes}|{joules}\n")
    again(folder)
