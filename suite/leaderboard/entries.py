"""Submissions of a folder, checked again here, as a board shows them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.check.findings import Asked, Finding
from suite.check.run import CheckedRun
from suite.check.submission import Checked, check
from suite.core.errors import ConfigError, SuiteError
from suite.core.printable import printable
from suite.results.find import natural
from suite.results.spread import Spread, spread_of_all
from suite.submit import package
from suite.submit.archive import READABLE, SUFFIX, write_archive

MOST = 1000
"""Submissions of one board."""


SIMULATED = "simulated time"
"""A label of runs."""


@dataclass(frozen=True)
class Result:
    """The runs of one algorithm in a submission. figures: name -> (spread over runs, unit); a spread is None
    where some run does not have the figure. scope: what joules are of.
    """

    algorithm: str
    n: int
    figures: Mapping[str, tuple[Spread | None, str]]
    scope: str | None

    def median(self, figure: str) -> float | None:
        """Of a figure; inf: half of the runs did not reach the target; None: not known."""
        spread, _ = self.figures.get(figure, (None, ""))
        return None if spread is None else spread.median


@dataclass(frozen=True)
class Entry:
    """A submission on the board. status: counted; open: something could not be looked at here; broken: a rule
    is; disputed: a run of it stands in another submission too. labels: what its runs are of (real data,
    simulated time, ...). nodes, workers: the most that a run had; nodes None: of simulated workers.
    """

    number: int
    checked: Checked
    status: str
    labels: Sequence[str]
    results: Sequence[Result]
    nodes: int | None
    workers: int
    also: Sequence[str] = field(default_factory=tuple)

    @property
    def page(self) -> str:
        """Its file; no name of a stranger is one of a file."""
        return f"submission-{self.number}.html"

    @property
    def title(self) -> str:
        """The machine's name, as its owner has it; else the submission's."""
        return str(self.checked.system.get("name") or self.checked.name)

    @property
    def level(self) -> str | None:
        return self.checked.first.get("level")

    @property
    def division(self) -> str:
        return str(self.checked.first.get("division") or "open")

    @property
    def findings(self) -> list[Finding]:
        """Of the submission and of all runs."""
        runs = (one for run in self.checked.runs for one in run.findings)
        return [*self.checked.findings, *runs]


@dataclass(frozen=True)
class Board:
    """All entries. passed_over: names in the folder that are no submission, or links."""

    entries: Sequence[Entry]
    passed_over: Sequence[str]


def read(folder: Path, asked: Asked, signers: Path | None = None) -> Board:
    """Every submission of a folder, checked here and now; what another checker said of it does not count.

    An archive beside the folder that gives it is one submission. Raises ConfigError: no folder, no
    submission, more than MOST.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"folder={printable(folder)}: no such folder; name one that holds submissions."
        )
    names = sorted(folder.iterdir(), key=lambda path: natural(path.name))
    found = [path for path in names if _is_submission(path)]
    if not found or len(found) > MOST:
        raise ConfigError(
            f"folder={printable(folder)}: holds {len(found)} submissions; must be 1 to {MOST}: archives "
            f"({', '.join(READABLE)}) or folders with {package.NAME}, as `swiftbench submit` makes them."
        )
    also = _once(found)
    checked = check(list(also), asked, signers)
    disputed = {number for one in checked for number in one.same_as}
    disputed |= {number for number, one in enumerate(checked, 1) if one.same_as}
    return Board(
        [
            entry(number, one, disputed=number in disputed, also=same)
            for number, (one, same) in enumerate(zip(checked, also.values(), strict=True), 1)
        ],
        [printable(path.name) for path in names if path not in found],
    )


def _is_submission(path: Path) -> bool:
    if path.is_symlink():
        return False
    return path.is_file() if path.name.endswith(READABLE) else (path / package.NAME).is_file()


def _once(paths: Sequence[Path]) -> dict[Path, list[str]]:
    """Each submission once, with the name of the archive beside its folder. Only a pair that `submit` leaves
    is one: others are checked, and named by the rule `distinct`.
    """
    also: dict[Path, list[str]] = {}
    for path in paths:
        folder = path.with_suffix("")
        if path.suffix == SUFFIX and folder in also and _gives(folder, path):
            also[folder].append(printable(path.name))
        else:
            also[path] = []
    return also


def _gives(folder: Path, archive: Path) -> bool:
    """Whether packing the folder gives this archive, to the last byte."""
    with tempfile.TemporaryDirectory(prefix="swiftbench-board-") as beside:
        again = Path(beside) / "again.tar"
        try:
            write_archive(folder, again)
            return digest_of(again) == digest_of(archive)
        except (OSError, SuiteError):
            return False


def digest_of(path: Path) -> str:
    """SHA-256 of a regular file."""
    return package.digest_of(path, path.parent)


def entry(
    number: int, checked: Checked, *, disputed: bool = False, also: Sequence[str] = ()
) -> Entry:
    """A checked submission as an entry."""
    status = {"pass": "counted", "fail": "broken"}.get(checked.verdict, "open")
    status = "disputed" if disputed else status
    views = [run.view for run in checked.runs if run.view is not None]
    nodes = [
        {node for worker in view.workers if (node := worker.facts.get("node")) is not None}
        for view in views
    ]
    return Entry(
        number, checked, status, _labels(checked), _results(checked.runs),
        max((len(one) for one in nodes), default=0) or None,
        max((len({worker.worker for worker in view.workers}) for view in views), default=0), tuple(also),
    )  # fmt: skip


def _labels(checked: Checked) -> list[str]:
    """What the runs are of. A stand-in or simulated time is never left unsaid."""
    labels: dict[str, None] = {}
    for run in checked.runs:
        if run.view is None:
            labels["not readable"] = None
            continue
        header = run.view.header
        labels[f"{header.target.data or 'unknown'} data"] = None
        if header.simulated:
            labels[SIMULATED] = None
    return sorted(labels)


def _results(runs: Sequence[CheckedRun]) -> list[Result]:
    by_algorithm: dict[str, list[CheckedRun]] = {}
    for run in runs:
        if run.figures:
            by_algorithm.setdefault(run.algorithm, []).append(run)
    return [_result(name, of) for name, of in sorted(by_algorithm.items())]


def _result(name: str, runs: Sequence[CheckedRun]) -> Result:
    figures: dict[str, tuple[Spread | None, str]] = {}
    for figure, (_, unit) in runs[0].figures.items():
        values: list[Any] = [run.figures.get(figure, (None, ""))[0] for run in runs]
        figures[figure] = spread_of_all(values), unit
    scopes = {
        run.view.energy.scope if run.view and run.view.energy.joules is not None else None
        for run in runs
    }
    return Result(name, len(runs), figures, scopes.pop() if len(scopes) == 1 else None)
