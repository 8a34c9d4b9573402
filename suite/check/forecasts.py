"""Forecasts asked again: of predictors that are functions, or with the recorded answers of an annealer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from suite.annealing.recordings import FILE as SAMPLES
from suite.backends.forecasts import Forecaster
from suite.check.findings import Finding, Read, failed, passed, skipped, unprovable
from suite.core import types as t
from suite.run import journal as journals

RULE = "forecasts"
TOLERANCE = 1e-6
"""Relative: libraries and processors differ in the last digits."""
_REPEATABLE = ("simulated", "path_integral", "tabu", "steepest_descent", "exact", "random")
_MOST_SWEEPS = 10**9
"""Annealing steps of one fit that a checker pays for; the published one takes 1e6."""
_MOST_RECORDED = 2**26
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "dimod", "dwave-samplers")


def forecasts(read: Read) -> Finding:
    """The rule `forecasts`."""
    answers = [
        (number, line)
        for number, line in read.numbered()
        if line["event"] in (t.Forecast.kind, t.ForecastFailed.kind) and line["key"] in read.asks
    ]
    if not answers:
        return passed(RULE, "none was asked for")
    spec = dict(read.stated.predictor)
    sampler = spec.get("sampler")
    if sampler is not None and sampler not in _REPEATABLE:
        recording = read.folder / SAMPLES
        if not recording.is_file():
            return unprovable(
                RULE,
                f"sampler={sampler}: its answers cannot be had again, and no {SAMPLES} is there",
            )
        if recording.stat().st_size > _MOST_RECORDED:
            return skipped(RULE, f"{SAMPLES}: more than {_MOST_RECORDED} bytes; it is not read")
        spec |= {
            "sampler": "replay",
            "sampler_options": {"recording": str(recording)},
            "fallback": None,
        }
    elif spec.get("sampler_options"):
        return skipped(RULE, "predictor.sampler_options: not taken from a journal")
    work = math.prod(
        max(int(spec.get(key) or 1), 1) for key in ("rounds", "num_reads", "num_sweeps")
    )
    if work > _MOST_SWEEPS:
        return skipped(
            RULE, f"predictor: {work:g} annealing steps a fit; ask for them on a larger machine"
        )
    forecaster = Forecaster(spec, read.view.header.seed)
    for number, line in answers:
        asked_at, request = read.asks[line["key"]]
        if wrong := _difference(line, forecaster.answer(request)):
            return _differs(
                read, f"line {number}: {wrong}, to the question of line {asked_at}", number
            )
    how = "from the recorded sample sets" if sampler not in (None, *_REPEATABLE) else "again"
    return passed(RULE, f"{len(answers)} forecasts computed {how}, all alike")


def _difference(line: Mapping[str, Any], ours: t.Forecast | t.ForecastFailed) -> str:
    events = journals.decode(line)
    theirs = events[0]
    if isinstance(theirs, t.ForecastFailed):
        return (
            ""
            if isinstance(ours, t.ForecastFailed)
            else f"failed ({theirs.reason}), here it answers"
        )
    assert isinstance(theirs, t.Forecast)
    if isinstance(ours, t.ForecastFailed):
        return f"has values, here it fails: {ours.reason}: {ours.message}"
    for name, was, now in (
        ("values", theirs.values, ours.values),
        ("stds", theirs.stds, ours.stds),
    ):
        if (place := first_apart(was or (), now or ())) is not None:
            return f"{name}[{place}] is {(was or ())[place]}, computed again it is {(now or ())[place]}"
    return ""


def first_apart(was: Sequence[float | None], now: Sequence[float | None]) -> int | None:
    """Where two answers differ by more than TOLERANCE; None: nowhere."""
    known = [abs(value) for value in (*was, *now) if value is not None]
    scale = max(known, default=1.0) or 1.0
    for place, (one, other) in enumerate(zip(was, now, strict=True)):
        if (one is None) != (other is None):
            return place
        if one is not None and other is not None and abs(one - other) > TOLERANCE * scale:
            return place
    return None


def _differs(read: Read, text: str, number: int) -> Finding:
    from suite.worker import facts

    theirs, ours = read.stated.versions, facts.versions()
    other = [name for name in _LIBRARIES if theirs.get(name) not in (None, ours.get(name))]
    if other:
        named = ", ".join(f"{name}=={theirs[name]}" for name in other)
        return skipped(RULE, f"{text}; check again with the run's own {named}")
    return failed(RULE, text, number)
