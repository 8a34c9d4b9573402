"""Sample sets on disk: what a paid annealer answered is kept, and can be answered again without it.

One file of JSON lines beside a run's journal, appended and synced before a sample set is used. A
line holds the problem's digest, its size and dimod's own serialisation of the sample set, so
`dimod.SampleSet.from_serializable(line["samples"])` reads it without this suite.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from suite.annealing.errors import SamplerError
from suite.core.errors import DataError
from suite.files import open_append, parse_json, read_bytes

FILE = "samples.jsonl"
MAX_BYTES = 2 << 30
"""A thousand reads of 120 variables are some 30 kB, and a run asks a few hundred times."""
_BLOCK = 1 << 20


class RecordingMissing(SamplerError):
    """The recording holds no sample set of this problem: replay the run that was recorded."""


def problem_digest(bqm: Any) -> str:
    """Sixteen hex digits that name a problem, equal where coefficients agree to about 6 digits.

    So a recording outlives the last bits by which two machines' linear algebra differ.
    """
    order = sorted(bqm.variables)
    linear, (rows, columns, quadratic), offset = bqm.to_numpy_vectors(variable_order=order)
    place = np.lexsort((np.maximum(rows, columns), np.minimum(rows, columns)))
    values = np.concatenate([linear, quadratic[place], [offset]])
    scale = float(np.abs(values).max()) or 1.0
    # Shifted, for round coefficients such as 1/128 lie just where rounding turns.
    rounded = np.floor(values / scale * 1e6 + 0.3183)
    named = f"{bqm.vartype.name} {len(order)} {scale:.5e} ".encode()
    return hashlib.sha256(named + rounded.astype("<f8").tobytes()).hexdigest()[:16]


class Recordings:
    """Appends sample sets to `folder`/samples.jsonl; made with the first one.

    clean: takes secrets out of a line.
    qpu_s: annealer seconds of everything in the file, those of a run's earlier part included.
    """

    def __init__(self, folder: Path, clean: Callable[[str], str] = str) -> None:
        self._path, self._clean = folder / FILE, clean
        _cut_torn_line(self._path)
        self.qpu_s = sum(float(line["qpu_access_time_s"]) for line in _lines(self._path))

    def add(self, bqm: Any, sampleset: Any) -> None:
        spent_s = float(sampleset.info.get("qpu_access_time_s", 0.0))
        line = {
            "problem": problem_digest(bqm),
            "n_variables": int(bqm.num_variables),
            "qpu_access_time_s": spent_s,
            "samples": sampleset.to_serializable(),
        }
        text = self._clean(json.dumps(line, separators=(",", ":"), default=str)) + "\n"
        with os.fdopen(open_append(self._path), "r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        self.qpu_s += spent_s


class Replay:
    """A sampler that answers from a recording: of equal problems first the first answer, then the
    next, the last one again and again.

    recording: a run folder or its samples.jsonl. Raises DataError if there is none, and
    RecordingMissing for a problem that it does not hold.
    """

    def __init__(self, recording: str | Path) -> None:
        path = Path(recording)
        self._path = path / FILE if path.is_dir() else path
        if not self._path.is_file():
            raise DataError(f"recording={recording}: no {FILE} there; name the recorded run.")
        self._answers: dict[str, list[Any]] = {}
        for line in _lines(self._path):
            self._answers.setdefault(str(line["problem"]), []).append(line["samples"])
        self._asked: dict[str, int] = {}

    def sample(self, bqm: Any, **options: Any) -> Any:
        import dimod

        problem = problem_digest(bqm)
        answers = self._answers.get(problem)
        if answers is None:
            raise RecordingMissing(
                f"problem={problem} ({bqm.num_variables} variables): {self._path} holds no answer "
                "to it; replay with the recorded run's own settings and seed."
            )
        turn = self._asked.get(problem, 0)
        self._asked[problem] = turn + 1
        # dimod leaves it untyped
        read: Any = dimod.SampleSet.from_serializable
        sampleset = read(answers[min(turn, len(answers) - 1)])
        # nothing was spent now
        sampleset.info["qpu_access_time_s"] = 0.0
        return sampleset


def _cut_torn_line(path: Path) -> None:
    """Half a line at the end, of a killed run, goes: the next one must not be glued to it."""
    if not os.path.lexists(path):
        return
    with os.fdopen(open_append(path), "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        # From the end, a block at a time: the file may be large, a line is not.
        while end > 0:
            start = max(end - _BLOCK, 0)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                start += newline + 1
                break
            end = start
        else:
            start = 0
        file.truncate(start)


def _lines(path: Path) -> list[Any]:
    """The file's whole lines; a torn last one, of a killed run, is left out.

    Raises DataError for a line that is broken elsewhere, UnsafeFileError for a link or a pipe.
    """
    try:
        texts = read_bytes(path, max_bytes=MAX_BYTES).decode(errors="replace").split("\n")
    except FileNotFoundError:
        return []
    lines = []
    for number, text in enumerate(texts[:-1], 1):
        try:
            line = parse_json(text)
            line["problem"], line["samples"], float(line["qpu_access_time_s"])
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}, line {number}: no sample set; restore the file.") from None
        lines.append(line)
    return lines
