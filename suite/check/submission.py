"""A submission, opened and checked: its files first, then every run, then what the runs are together."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.check.accounting import accounting
from suite.check.findings import Asked, Finding, failed, passed, skipped, unprovable
from suite.check.levels import levels, runs_of, score
from suite.check.run import CheckedRun, check_run, worst
from suite.check.stated import Stated
from suite.core import types as t
from suite.core.errors import ConfigError, DataError, SuiteError
from suite.core.printable import printable
from suite.files import read_bytes
from suite.results import record as records
from suite.run import journal as journals
from suite.submit import package
from suite.submit import signature as signatures
from suite.submit.archive import unpack
from suite.submit.schemas import check_document
from suite.submit.system import SCHEMA as SYSTEM_SCHEMA


@dataclass
class Checked:
    """A submission with its findings. first, system: submission.json and system.json, as they were read
    (empty: they are not valid). score: of its level. same_as: numbers of the submissions, from 1, that hold a
    run of it.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    runs: list[CheckedRun] = field(default_factory=list)
    first: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    score: float | None = None
    same_as: list[int] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """pass, fail, or open: nothing failed, and something could not be looked at here."""
        everything = [*self.findings, *(one for run in self.runs for one in run.findings)]
        return {"fail": "fail", "skip": "open"}.get(worst(everything), "pass")


_Known = dict[str, tuple[int, str, str]]
"""Mark of a run -> number and name of its submission, its place there."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The submission's folder: the path itself, or an archive unpacked beside nothing of it, for a while.

    Raises DataError, UnsafeFileError: what is wrong with it.
    """
    if path.is_dir():
        yield path
        return
    if not path.exists():
        raise ConfigError(f"submission={printable(path)}: not found; name a folder or an archive.")
    with tempfile.TemporaryDirectory(prefix="swiftbench-check-") as folder:
        yield unpack(path, Path(folder))


def check(paths: Sequence[Path], asked: Asked, signers: Path | None = None) -> list[Checked]:
    """Check submissions, each by itself and all of them for runs that stand twice."""
    known: _Known = {}
    return [_check(number, path, asked, signers, known) for number, path in enumerate(paths, 1)]


def _check(number: int, path: Path, asked: Asked, signers: Path | None, known: _Known) -> Checked:
    checked = Checked(printable(path.name))
    try:
        with opened(path) as folder:
            _look(folder, checked, asked, signers)
            checked.findings += _together(number, folder, checked, known)
    except OSError as error:
        checked.findings.append(failed("package", error.strerror or error))
    except SuiteError as error:
        checked.findings.append(failed("package", error))
    return checked


def _look(folder: Path, checked: Checked, asked: Asked, signers: Path | None) -> None:
    checked.first = package.read_first(folder)
    checked.findings.append(_package(folder, checked.first))
    checked.findings.append(_signature(folder, signers))
    finding, system = _system(folder)
    checked.findings.append(finding)
    checked.system = system
    first = checked.first
    for run in first["runs"]:
        checked.runs.append(
            check_run(
                folder / run["folder"], run["folder"], asked, division=first["division"],
                level=first["level"], system=system,
            )
        )  # fmt: skip


def _together(number: int, folder: Path, checked: Checked, known: _Known) -> list[Finding]:
    """What a submission's runs are together, and beside those of the submissions before it."""
    distinct = _distinct(number, folder, checked, known)
    return [distinct, accounting(folder, checked.runs), _level(checked)]


def _package(folder: Path, first: dict[str, Any]) -> Finding:
    there = package.files_of(folder)
    for apart in (package.NAME, package.SIGNATURE):
        there.pop(apart, None)
    named = {one["path"]: one for one in first["files"]}
    if len(named) < len(first["files"]):
        return failed("package", "files: a path stands twice")
    for path in dict.fromkeys((*named, *there)):
        if path not in there:
            return failed("package", f"{path}: missing")
        if path not in named:
            return failed("package", f"{path}: is not named in {package.NAME}")
        if (
            there[path] != named[path]["bytes"]
            or package.digest_of(folder / path, folder) != named[path]["sha256"]
        ):
            return failed("package", f"{path}: is not the file that was submitted (SHA-256)")
    for run in first["runs"]:
        for name in (journals.NAME, records.NAME):
            if f"{run['folder']}/{name}" not in named:
                return failed("package", f"{run['folder']}/{name}: missing")
        if named[f"{run['folder']}/{journals.NAME}"]["sha256"] != run["journal_sha256"]:
            return failed("package", f"{run['folder']}: journal_sha256 is not that of its journal")
    return passed(
        "package", f"{len(named)} files, {sum(there.values()):,} bytes, {len(first['runs'])} runs"
    )


def _signature(folder: Path, allowed: Path | None) -> Finding:
    rule = "signature"
    try:
        signed = read_bytes(
            folder / package.SIGNATURE, max_bytes=signatures.MAX_BYTES, below=folder
        )
    except FileNotFoundError:
        if allowed is not None:
            return failed(rule, "is not signed; --allowed-signers asks for it")
        return unprovable(rule, "is not signed: who made it, nobody vouches for")
    if allowed is None:
        return unprovable(rule, "is signed; --allowed-signers FILE names whose signature counts")
    text = read_bytes(folder / package.NAME, max_bytes=package.MAX_FIRST, below=folder)
    who, said = signatures.signers(text, signed, allowed)
    if who is None:
        return failed(rule, f"no signature of an allowed signer: {said}")
    return passed(rule, f"signed by {who}")


def _system(folder: Path) -> tuple[Finding, dict[str, Any]]:
    try:
        system = package.read_document(folder / package.SYSTEM, folder)
        check_document(system, SYSTEM_SCHEMA, package.SYSTEM)
    except (ConfigError, DataError) as error:
        return failed("system", error), {}
    return passed("system", str(system["name"])), system


def _distinct(number: int, folder: Path, checked: Checked, known: _Known) -> Finding:
    """No run twice: by its id, and by its events, under whatever name."""
    for run, stated in zip(checked.runs, checked.first["runs"], strict=True):
        if run.view is None:
            continue
        if run.run_id != stated["run_id"]:
            return failed(
                "distinct",
                f"{run.place}: run_id={stated['run_id']}, but {run.run_id} in its journal",
            )
        here = (number, checked.name, run.place)
        for mark in (f"id {run.run_id}", *_events(folder / run.place, run)):
            if (other := known.setdefault(mark, here)) != here:
                where = "" if other[0] == number else f" of submission {other[0]} ({other[1]})"
                checked.same_as += [other[0]] if where else []
                return failed("distinct", f"{run.place} is the same run as {other[2]}{where}")
    return passed("distinct", f"{len(checked.runs)} different runs")


def _events(folder: Path, run: CheckedRun) -> list[str]:
    """Digests by which a run is known again, whatever it calls itself, its node and its processor. Two real
    runs never have the same times, nor the same seconds of training; two simulated ones may, so their events
    and what was asked for count there, but for names.
    """
    journal = journals.read_journal(folder / journals.NAME)
    if run.view is not None and run.view.header.simulated:
        config = {k: v for k, v in Stated.of(journal.header).plain.items() if k != "name"}
        events = [{k: v for k, v in line.items() if k != "facts"} for line in journal.lines]
        return [f"events {_digest([events, config])}"]
    times = [line["time_s"] for line in journal.lines]
    trained = [line["train_s"] for line in journal.lines if line["event"] == t.EpochReport.kind]
    return [f"times {_digest(times)}", *([f"seconds {_digest(trained)}"] if trained else [])]


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _level(checked: Checked) -> Finding:
    name = checked.first["level"]
    if name is None:
        return passed("level", "none is stated; figures to a target need one")
    level = levels().get(name)
    if level is None:
        return failed("level", f"level={name}: unknown here; known are {', '.join(levels())}")
    runs = Counter((run.algorithm, run.seed) for run in checked.runs)
    try:
        wanted = runs_of(level)
    except SuiteError as error:
        return skipped("level", error)
    if checked.first["division"] == "closed":
        missing, more = wanted - runs, runs - wanted
        for (algorithm, seed), what in (
            *((one, "missing") for one in missing),
            *((one, "too many") for one in more),
        ):
            return failed(
                "level",
                f"{algorithm}, seed {seed}: {what}; level {name} is all of its runs, each once",
            )
        for run in checked.runs:
            if run.cut_short:
                return failed(
                    "level",
                    f"{run.place}: status={run.cut_short}: must be completed in the closed "
                    "division; continue it with resume=<run folder>, then submit it",
                )
    for (algorithm, seed), n in runs.items():
        if n > 1:
            return failed(
                "level", f"{algorithm}, seed {seed}: {n} runs; repeats have different seeds"
            )
    seconds: dict[str, list[float | None]] = {}
    for run in checked.runs:
        seconds.setdefault(run.algorithm, []).append(
            run.figures.get("seconds_to_target", (None, "s"))[0]
        )
    checked.score = score(level, seconds)
    said = "no score: see docs/rules.md" if checked.score is None else f"score {checked.score:.3f}"
    aim = "no target value is fixed" if level.target is None else f"target {level.target:g}"
    return passed("level", f"{name}: {len(checked.runs)} runs, {aim}; {said}")
