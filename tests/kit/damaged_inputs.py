"""Damaged inputs of every reader but those of journals (tests/results/mutate.py), and what the readers do.

    python tests/kit/damaged_inputs.py [--n 2000] [--seed 0] [--readers package,table]

Each reader must refuse a damaged input by name (a SuiteError, or a command's one line), or give what it says.
Exit code 0: no traceback, no hang, and no other result in silence. The tests run a sample of it
(tests/files/test_damaged_inputs.py).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from kit import damaged_cases as cases
from kit import mutations as m
from kit.damaged_cases import Case
from models.data.converters import FAULTS, converter
from suite.backends import launcher
from suite.core import catalogue, curve_table
from suite.core.csv_text import decode, read_rows
from suite.core.errors import SuiteError
from suite.curves import recorder
from suite.launch import cli, runs
from suite.launch.compose import Loader
from suite.results.retrained import NAME as RETRAINED
from suite.results.retrained import read_retrained
from suite.worker import devices


class Reader(NamedTuple):
    """damage: (folder, n, seed) -> damaged inputs. read: (folder, value) -> what a user would see."""

    damage: Callable[[Path, int, int], Iterator[Case]]
    read: Callable[[Path, Any], str]


READERS: dict[str, Reader] = {}


class SilentError(AssertionError):
    """A reader gave another result without a word."""


def reader(damage: Callable[[Path, int, int], Iterator[Case]]) -> Callable[[Any], Any]:
    def add(read: Callable[[Path, Any], str]) -> Callable[[Path, Any], str]:
        READERS[read.__name__] = Reader(damage, read)
        return read

    return add


# --- the readers ----------------------------------------------------------------------------------


@reader(cases.descriptions)
def description(folder: Path, data: bytes) -> str:
    try:
        document = json.loads(data)
    except RecursionError:
        # The readers of files (`model`, `package`) bound the depth; here it is Python's own.
        raise SuiteError("too deep for json") from None
    table = curve_table.parse(document, cases.TABLE.decode())
    return f"{table.configs} {table.parameters}"


@reader(cases.table_bytes)
def table(folder: Path, data: bytes) -> str:
    """Its own table: as many configurations and curves as a plain reader of CSV finds, with its numbers."""
    text = decode("t.csv", data)
    made = curve_table.parse({**cases.DESCRIPTION, "types": {}}, text)
    header, *rows = [row for row in read_rows("t.csv", text) if row]
    column = {name: header.index(name) for name in ("a", "b", "v1", "v2")}
    distinct = {(row[column["a"]], row[column["b"]]) for row in rows}
    curves = sorted(str(_until_failed(row[column["v1"]], row[column["v2"]])) for row in rows)
    read = sorted(str(list(r.values)) for some in made.recordings for r in some)
    if len(distinct) != len(made.configs) or curves != read:
        raise SilentError(f"{made.configs}, {read}; the file has {distinct}, {curves}")
    return f"{made.configs}"


def _until_failed(*cells: str) -> list[float]:
    found, failed = [], False
    for cell in cells:
        failed = failed or not math.isfinite(float(cell.strip() or "nan"))
        # -0 is 0.
        found.append(math.nan if failed else float(cell) + 0.0)
    return found


@reader(cases.model_yaml)
def model(folder: Path, data: bytes) -> str:
    (folder / "m.yaml").write_bytes(data)
    (folder / "t.csv").write_bytes(cases.TABLE)
    return recorder.summary(recorder.check(folder / "m.yaml"))


@reader(cases.model_yaml)
def config_dir(folder: Path, data: bytes) -> str:
    """The same file as a --config-dir's model, on a command line."""
    (folder / "conf" / "model").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "model" / "m.yaml").write_bytes(data)
    (folder / "t.csv").write_bytes(cases.TABLE)
    with contextlib.chdir(folder):
        return _command(
            lambda: cli.main(["plan", "--config-dir", "conf", "model=m", "max_epochs=2"])
        )


@reader(cases.packages)
def package(folder: Path, case: tuple[str, bytes]) -> str:
    """Its whole table, or refused: the descriptor states the table's size and digest."""
    whole, (name, data) = cases.package(folder), case
    before = (whole / name).read_bytes()
    expected = recorder.check(whole)
    (whole / name).write_bytes(data)
    try:
        read = recorder.check(whole)
    finally:
        (whole / name).write_bytes(before)
    if name == "t.csv" and data != before:
        raise SilentError("the table's bytes differ from those that the descriptor names")
    return "same" if read.configs == expected.configs else "other"


@reader(cases.retrained)
def retrained(folder: Path, data: bytes) -> str:
    (folder / RETRAINED).write_bytes(data)
    try:
        return str(read_retrained(folder))
    except ValueError as error:
        # The one reader whose caller goes on without the file.
        raise SuiteError(str(error)) from None


@reader(cases.catalogues)
def tables(folder: Path, data: bytes) -> str:
    text = data.decode(errors="replace")
    return str([entry.leaf("data") for entry in catalogue.parse(text).values()])


@reader(cases.published)
def published(folder: Path, case: tuple[str, str, dict[str, bytes]]) -> str:
    """A family's converter; its CSV's digest is compared afterwards, so that no other one becomes a table."""
    family, name, files = case
    try:
        return converter(family)(name, iter(files.items()))
    except FAULTS as error:
        # As models.data.fetch_tables names them.
        raise SuiteError(f"{type(error).__name__}: {str(error)[:200]}") from None


@functools.cache
def _shipped() -> Loader:
    """The loader of conf/ alone, which reads each of its files once and not once a case."""
    return Loader(None)


def _loader(config_dir: Any = None) -> Loader:
    return _shipped() if config_dir is None else Loader(config_dir)


@reader(cases.words)
def overrides(folder: Path, words: list[str]) -> str:
    with contextlib.chdir(folder):
        return _command(lambda: cli.main(words))


@reader(cases.environments)
def environment(folder: Path, variables: dict[str, str]) -> str:
    """What reads variables, called with them; the command line; and a fourth of the time the doctor."""
    with contextlib.chdir(folder), mock.patch.dict(os.environ, variables):
        launcher.launched(), launcher.rank(), launcher.world_size()
        devices.visible_gpus()
        words = ["plan", "model=table_target", "backend=simulate", "max_epochs=3"]
        text = _command(lambda: cli.main(words))
        if len(variables) == 4:
            # A process of its own: among the ranks of a launch it leaves by os._exit.
            run = subprocess.run(
                [sys.executable, "-m", "suite.doctor", "model=table_target", "backend=inline"],
                capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip
            text += run.stdout + run.stderr
            if not (run.stdout + run.stderr).strip() or run.returncode not in (0, 1, 2):
                raise SilentError(f"the doctor ended {run.returncode}: {run.stderr[-200:]!r}")
    return text


def _command(call: Callable[[], Any]) -> str:
    """What a command prints; it ends by a code, and its error has one line of ours."""
    try:
        with mock.patch.object(runs, "Loader", _loader):
            code, text = m.said(call)
    except SystemExit as error:
        # argparse's and Hydra's own way to end.
        code, text = error.code, ""
    if m.has_control(text):
        raise SilentError(f"a terminal would obey: {text[:200]!r}")
    return f"exit {code} {text}"


# --- counting -------------------------------------------------------------------------------------


def outcome(name: str, folder: Path, case: Case, seconds: int = 120) -> tuple[str, str]:
    """(works, refused, traceback, hang or SILENT; the words)."""
    try:
        with m.bounded(seconds):
            text = READERS[name].read(folder, case.value)
    except SuiteError as error:
        words = str(error)
        kind = "refused" if words.strip() and len(words) < 4000 else "wordless"
        return ("traceback" if "Traceback" in words else kind), words
    except m.HangError as error:
        return "hang", str(error)
    except SilentError as error:
        return "SILENT", str(error)
    except BaseException as error:
        return "traceback", repr(error)
    if "Traceback (most recent call last)" in text or re.search(r"^suite: \w+Error: ", text, re.M):
        return "traceback", text
    return ("refused" if re.match(r"exit [1-9]", text) else "works"), text


def counted(name: str, folder: Path, n: int, seed: int) -> tuple[Counter[str], list[str]]:
    """How often each outcome came, and what must not be."""
    counts: Counter[str] = Counter()
    bad = []
    for case in READERS[name].damage(folder, n, seed):
        kind, words = outcome(name, folder, case)
        counts[kind] += 1
        if kind not in ("works", "refused"):
            bad.append(f"{kind}: {name}: {case.what or case.value}: {words[-400:]}")
    return counts, bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", default=",".join(READERS))
    given = parser.parse_args()
    n_bad = 0
    for name in given.readers.split(","):
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            counts, bad = counted(name, Path(folder), given.n, given.seed)
        n_bad += len(bad)
        print(
            f"{name:12} n={counts.total():6} {dict(counts)} {time.monotonic() - begun:.0f} s",
            flush=True,
        )
        print(*bad[:15], sep="\n", flush=True)
    return 1 if n_bad else 0


if __name__ == "__main__":
    sys.exit(main())
