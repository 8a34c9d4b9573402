"""What a journal's numbers can be compared with: a target's own recording, and the simulation run again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulate, Simulation
from suite.check.findings import Finding, Read, failed, passed, skipped, unprovable
from suite.check.stated import mapping
from suite.core import types as t
from suite.core.errors import SuiteError
from suite.core.plugins import make
from suite.core.printable import printable
from suite.core.target import Target
from suite.launch.assemble import conductor_of, search_of
from suite.run import journal as journals
from suite.run.agreement import Agreement
from suite.run.driver import Driver
from suite.run.journal import Journal
from suite.run.trials import Notes
from suite.verify.replay import parts_of
from suite.worker import facts

TOLERANCE = 1e-9
"""Relative: of values that are read from one file, or computed by one formula."""
ROUNDED_S = 2e-6
_MEASURED = ("fit_s", "predict_s", "sampler", "sampler_info", "energy")
"""Of a simulated run's lines: real seconds of the predictor, and what the batch system said."""


def values(read: Read) -> Finding:
    """The rule `values`."""
    if read.real:
        return unprovable("values", "of real trainings; see training")
    parts = read.replayed.parts
    if parts is None:
        return skipped("values", "the target cannot be made here: see replay")
    n, sign = 0, 1.0 if read.view.mode == "min" else -1.0
    line_of = _lines_of_epochs(read)
    for trial in read.view.trials.values():
        try:
            recording = parts.target.replay(dict(trial.config), trial.seed)
        except SuiteError as error:
            return skipped("values", error)
        for point in trial.epochs:
            n += 1
            known = (
                recording.values[point.epoch - 1]
                if point.epoch <= len(recording.values)
                else math.nan
            )
            if not _alike(sign * known, point.objective):
                at = f"trial {trial.trial_id}, epoch {point.epoch}"
                text = f"{at}: {sign * point.objective} in the journal, {known} by the target"
                return failed("values", text, line_of.get((point.job_id, point.epoch)))
    return _test_value(read, parts.target, n)


def _lines_of_epochs(read: Read) -> dict[tuple[int, int], int]:
    return {
        (event.job_id, event.epoch): number
        for number, line in read.numbered()
        if line["event"] == t.EpochReport.kind
        for event in journals.decode(line)
        if isinstance(event, t.EpochReport)
    }


def _test_value(read: Read, target: Target, n: int) -> Finding:
    winner, stated = read.view.winner, read.view.test_value
    sleeps = any(key.startswith("sleep") and value for key, value in (read.own or {}).items())
    # A simulation scores by the recording itself: see the rule `simulation`.
    if winner is None or stated is None or sleeps or read.simulated:
        return passed("values", f"{n} epochs, all as the target gives them")
    trial = read.view.trials[winner]
    try:
        training = target.start(dict(trial.config), trial.seed)
        for epoch in range(1, len(trial.epochs) + 1):
            training.train_epoch(epoch)
        known = training.test()[read.view.metric]
    except (SuiteError, KeyError) as error:
        return skipped("values", error)
    if not _alike(known, stated):
        number = next((n for n, line in read.numbered() if line["event"] == t.Scored.kind), None)
        return failed("values", f"test_value={stated}: {known} by the target", number)
    return passed("values", f"{n} epochs and the test value, all as the target gives them")


def _alike(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= TOLERANCE * max(abs(one), abs(other))


# --- the simulation again -------------------------------------------------------------------------


class _Recorded(Forecaster):
    """Answers with the journal's own forecasts, which the rule `forecasts` has looked at."""

    def __init__(self, lines: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(None, 0)
        kinds = (t.Forecast.kind, t.ForecastFailed.kind)
        self._lines = {line["key"]: line for line in lines if line["event"] in kinds}

    def answer(self, request: t.Predict) -> t.Forecast | t.ForecastFailed:
        if (line := self._lines.get(request.key)) is None:
            return t.ForecastFailed(request.key, "Missing", "the journal has no answer")
        (event,) = journals.decode(line)
        assert isinstance(event, t.Forecast | t.ForecastFailed)
        return event


class _Over(Exception):
    """The simulation has caused more lines than the journal has."""


class _Compared:
    """In a Journal's place: each line is compared with the stranger's, and the first difference ends it."""

    def __init__(self, lines: Sequence[Mapping[str, Any]]) -> None:
        self._lines, self.n = lines, 0
        self.difference: tuple[int, str] | None = None

    def append(
        self, events: Sequence[t.Event], commands: Sequence[t.Command], notes: Notes
    ) -> None:
        ours = json.loads(json.dumps(journals.encode(events, commands, notes)))
        number = self.n + 2
        if self.n >= len(self._lines):
            self.difference = (number, "the simulation goes on, the journal does not")
        elif (wrong := _line_difference(self._lines[self.n], ours)) is not None:
            self.difference = (number, wrong)
        self.n += 1
        if self.difference is not None:
            raise _Over

    def tick(self) -> None:
        """Nothing is written."""


def simulation(read: Read) -> Finding:
    """The rule `simulation`."""
    rule = "simulation"
    if not read.simulated:
        return passed(rule, "the run was not simulated")
    if read.view.counts.n_resumes and (read.level is not None or read.division == "closed"):
        number = next(n for n, line in read.numbered() if line["event"] == t.Resumed.kind)
        return failed(
            rule, "the run was interrupted and resumed: its seconds cannot be simulated again. Runs of a "
            "level, and of the closed division, are simulated in one go", number
        )  # fmt: skip
    if read.view.counts.n_resumes:
        return unprovable(
            rule, "the run was interrupted and resumed: where it was cut, no simulation knows"
        )
    if read.replayed.parts is None:
        return skipped(rule, "its parts cannot be made here: see replay")
    compared = _Compared(read.journal.lines)
    try:
        _simulate(read, compared)
    except _Over:
        pass
    except SuiteError as error:
        return skipped(rule, error)
    if compared.difference is not None:
        number, text = compared.difference
        return failed(rule, f"line {number}: {text}", number)
    last = read.journal.lines[-1]
    left = len(read.journal.lines) - compared.n - (last["event"] == "closed")
    if left:
        return failed(rule, f"{left} lines more than the simulation", compared.n + 2)
    before_s = read.journal.lines[-2]["time_s"] if len(read.journal.lines) > 1 else 0.0
    ends = max(before_s) if isinstance(before_s, list) else before_s
    if last["event"] == "closed" and abs(last["time_s"] - ends) > ROUNDED_S * max(1.0, abs(ends)):
        return failed(
            rule, f"closed at {last['time_s']} s, the simulation ended at {ends} s", compared.n + 2
        )
    return passed(rule, f"{compared.n} lines simulated again, all alike")


def _simulate(read: Read, compared: _Compared) -> None:
    """Raises SuiteError where the backend cannot be made, _Over at the first difference."""
    settings = parts_of(read.journal.header, read.own).settings
    spec = mapping(settings.backend)
    backend: Simulate = make(spec, "backend", Simulate)
    if read.stated.n_workers != backend.workers:
        compared.difference = (
            1,
            f"n_workers={read.stated.n_workers}, backend.workers={backend.workers}",
        )
        return
    search = search_of(settings)
    conductor = conductor_of(settings, search, resident_trials=backend.resident_trials)
    target = search.target
    agreement = Agreement(facts.agreed(target), target.data, "record")
    driver = Driver(conductor, cast(Journal, compared), (), agreement)
    forecaster = _Recorded(read.journal.lines)
    Simulation(target, backend, forecaster, settings.seed, search.scheduler.max_epochs).run(driver)


def _line_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    for key in dict.fromkeys((*theirs, *ours)):
        if key in _MEASURED:
            continue
        was, now = theirs.get(key), ours.get(key)
        if not _same(was, now):
            return f"{key}={printable(was, most=80)}, simulated again {printable(now, most=80)}"
    return None


def _same(was: Any, now: Any) -> bool:
    if isinstance(was, bool) or isinstance(now, bool):
        return was is now
    if isinstance(was, int | float) and isinstance(now, int | float):
        return _alike(was, now) or abs(was - now) <= ROUNDED_S
    if isinstance(was, list) and isinstance(now, list):
        return len(was) == len(now) and all(map(_same, was, now))
    if isinstance(was, dict) and isinstance(now, dict):
        return was.keys() == now.keys() and all(_same(was[key], now[key]) for key in was)
    return bool(was == now)
