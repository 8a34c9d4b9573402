"""Runs that a harness may take figures from: completed, verified, and of a level by that level's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.check.findings import Asked
from suite.check.levels import Level, levels, runs_of
from suite.check.run import check_run
from suite.core.errors import ConfigError, SuiteError, unknown_name
from suite.core.printable import printable
from suite.results.find import common_parent, require_runs
from suite.results.run_view import RunView
from suite.verify.checks import examine

MOST = 5
"""Reasons that are said."""


class InvalidRunError(SuiteError):
    """A run that is not completed, or does not hold what it says: nothing is exported."""


@dataclass(frozen=True)
class ValidRun:
    """A run that passed. place: its folder, as it is named to people."""

    place: str
    view: RunView

    @property
    def remark(self) -> str:
        """What must be said above its numbers; empty: nothing."""
        header = self.view.header
        said = ["SIMULATED TIME"] if header.simulated else []
        if header.target.data not in (None, "real"):
            said.append(f"{header.target.data.upper()} DATA")
        return ", ".join(said)


def known_level(name: str) -> Level:
    """The level of this name. Raises ConfigError."""
    if name not in levels():
        raise unknown_name("level", name, levels())
    return levels()[name]


def valid_runs(folders: Sequence[Path], level: Level | None = None) -> list[ValidRun]:
    """Every run at or below `folders`, checked.

    Raises InvalidRunError: one of them is not valid; ConfigError: there is none, or several targets.

    Without a level: the checks of `swiftbench verify`. With one: the rules of `swiftbench check` in its
    closed division, and of each algorithm that is there every seed of the level, once. What could not be
    looked at here (a table that is absent, a target of a plug-in that is not admitted) is not valid.
    """
    found = require_runs(folders)
    top = common_parent(folders)
    runs: list[ValidRun] = []
    reasons: list[str] = []
    for folder in found:
        place = printable(folder.relative_to(top).as_posix() if folder != top else folder.name)
        view, wrong = _verified(folder) if level is None else _checked(folder, place, level)
        reasons += [f"{place}: {text}" for text in wrong]
        if view is not None and not wrong:
            if view.status == "completed":
                runs.append(ValidRun(place, view))
            else:
                why = f" ({view.reason})" if view.reason else ""
                reasons.append(printable(f"{place}: status={view.status}{why}: must be completed"))
    if not reasons and level is not None:
        reasons += _not_of_level(runs, level)
    elif not reasons:
        _one_target(runs)
    if reasons:
        more = f"\n  and {len(reasons) - MOST} more" if len(reasons) > MOST else ""
        said = "".join(f"\n  {reason}" for reason in reasons[:MOST])
        raise InvalidRunError(
            f"{len(found) - len(runs)} of {len(found)} runs are not valid:{said}{more}"
            if len(runs) < len(found)
            else f"these are not the runs of level {level.name if level else ''}:{said}{more}"
        )
    return runs


def _one_target(runs: Sequence[ValidRun]) -> None:
    """Medians are over runs of one target. Raises ConfigError, with both values."""
    told: dict[str, tuple[str, str]] = {}
    for run in runs:
        header = run.view.header
        metric = header.target.metric
        own = {"model": header.model, "data": header.target.data, "max_epochs": header.max_epochs,
               "metric": f"{metric.name} ({metric.mode})"}  # fmt: skip
        for field, value in own.items():
            first, place = told.setdefault(field, (str(value), run.place))
            if first != str(value):
                raise ConfigError(
                    f"{field}={printable(value)} ({run.place}), {printable(first)} ({place}): runs of one "
                    "export must have one target; name fewer folders."
                )


def _verified(folder: Path) -> tuple[RunView | None, list[str]]:
    examined = examine(folder)
    wrong = [
        f"{check.name}: {check.text}"
        for check in examined.checks
        if check.status == "fail" or (check.status == "skip" and check.name == "replay")
    ]
    # What a journal that cannot be read leaves unlooked at says nothing new.
    return examined.view, wrong[:1] if examined.view is None else wrong


def _checked(folder: Path, place: str, level: Level) -> tuple[RunView | None, list[str]]:
    checked = check_run(folder, place, Asked(), division="closed", level=level.name)
    bad = [one for one in checked.findings if one.status in ("fail", "skip")]
    wrong = [f"{one.rule}: {one.text}" for one in bad]
    return checked.view, wrong[:1] if checked.view is None else wrong


def _not_of_level(runs: Sequence[ValidRun], level: Level) -> Iterator[str]:
    """What is missing or too many, of the algorithms that are there."""
    have: Counter[tuple[str, int | None]] = Counter(
        (run.view.header.algorithm, run.view.header.seed) for run in runs
    )
    here = {algorithm for algorithm, _ in have}
    wanted = Counter({one: n for one, n in runs_of(level).items() if one[0] in here})
    for what, counted in (("missing", wanted - have), ("too many", have - wanted)):
        for algorithm, seed in counted:
            yield f"{algorithm}, seed {seed}: {what}"
