"""Power and utilisation of a worker over time, a file beside the journal, if SUITE_POWER_TRACE_S asks for it.

    {"source": "nvml", "scope": "device", "why": null, "begun_utc": "2026-11-30T14:00:00Z"}
    {"time_s": 10.0, "watts": 212.4, "device_busy": 0.93, "processor_busy": 0.98}

time_s: seconds since the worker joined, at the sample's end; watts: mean since the sample before, of what the
worker's meter reads (suite.worker.energy), null where there is none; device_busy: share of the time in which
the accelerator had work, as its driver says; processor_busy: this process's processor time over the clock's.

The file is bounded: at MOST samples two neighbours become one, and from then on half as many are taken. It
decides nothing and stands in no record; a disk that refuses ends it and not the run.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from suite.core.errors import ConfigError, SuiteError
from suite.files import open_append, write_whole
from suite.worker.energy import Meter

VARIABLE = "SUITE_POWER_TRACE_S"
SHORTEST_S = 0.1
MOST = 4096
"""Samples of a file: some 400 kB."""
_MOST_FILES = 1000

Sample = tuple[float, float | None, float | None, float | None]
"""time_s, watts, device_busy, processor_busy."""


def period_s(environ: Mapping[str, str] | None = None) -> float | None:
    """Seconds between samples; None: no trace. Raises ConfigError for all but a number >= SHORTEST_S."""
    text = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not SHORTEST_S <= seconds < math.inf:
        raise ConfigError(
            f"{VARIABLE}={text[:40]}: must be seconds between samples, {SHORTEST_S:g} or more; "
            "unset it for no trace."
        )
    return seconds


class PowerTrace:
    """Samples a meter until it is closed.

    folder: the run folder; the file is power-WORKER.jsonl, and after a resume power-WORKER-2.jsonl. clock,
    processor: seconds; a test gives others, and `threaded=False`.
    """

    def __init__(
        self,
        meter: Meter,
        folder: Path,
        worker: int,
        period: float,
        *,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
        threaded: bool = True,
    ) -> None:
        self._meter, self._folder, self._period, self._most = meter, folder, period, most
        self._clock, self._processor = clock, processor
        self._over = threading.Event()
        self._samples: list[Sample] = []
        self._began = clock()
        self._last = (self._began, meter.joules(), processor())
        facts = meter.facts()
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._head = _line({
            "source": facts["source"], "scope": facts.get("scope"), "why": facts.get("why"), "begun_utc": now,
        })  # fmt: skip
        self.path = _free(folder, worker)
        self.failed: str | None = None
        self._guarded(lambda: write_whole(self.path, self._head, below=folder))
        if threaded and self.failed is None:
            threading.Thread(target=self._watch, daemon=True).start()

    def sample(self) -> None:
        """Take one sample and append it; at the bound the file is written anew with half of them."""
        now, joules, busy_s = self._clock(), self._meter.joules(), self._processor()
        then, before, busy_before = self._last
        if (passed := now - then) <= 0:
            return
        watts = None if joules is None or before is None else round((joules - before) / passed, 3)
        busy = round((busy_s - busy_before) / passed, 4)
        self._last = (now, joules, busy_s)
        self._samples.append((round(now - self._began, 3), watts, self._meter.busy(), busy))
        if len(self._samples) < self._most:
            self._guarded(lambda: self._append(self._samples[-1]))
            return
        self._samples = _halved(self._samples)
        self._period *= 2
        text = self._head + "".join(map(_of_sample, self._samples))
        self._guarded(lambda: write_whole(self.path, text, below=self._folder))

    def close(self) -> None:
        """Take a last sample, and end the thread."""
        if not self._over.is_set() and self.failed is None:
            self._over.set()
            self.sample()

    def _watch(self) -> None:
        while not self._over.wait(self._period) and self.failed is None:
            self.sample()

    def _append(self, sample: Sample) -> None:
        descriptor = open_append(self.path, below=self._folder)
        try:
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, _of_sample(sample).encode())
        finally:
            os.close(descriptor)

    def _guarded(self, write: Callable[[], object]) -> None:
        """What a disk or a link refuses ends the trace."""
        try:
            write()
        except (OSError, SuiteError) as error:
            self.failed = f"{type(error).__name__}: {error}"


def start(meter: Meter | None, folder: Path, worker: int) -> PowerTrace | None:
    """The trace of a worker, if SUITE_POWER_TRACE_S asks for one. Raises ConfigError."""
    seconds = period_s()
    return None if seconds is None or meter is None else PowerTrace(meter, folder, worker, seconds)


def _free(folder: Path, worker: int) -> Path:
    names = (f"power-{worker}{f'-{n}' if n > 1 else ''}.jsonl" for n in range(1, _MOST_FILES))
    free = (folder / name for name in names if not os.path.lexists(folder / name))
    return next(free, folder / f"power-{worker}.jsonl")


def _halved(samples: list[Sample]) -> list[Sample]:
    """Neighbours as one, weighted by their time; an odd last one stays."""
    halved: list[Sample] = []
    start_s = 0.0
    for i in range(0, len(samples), 2):
        one, *rest = samples[i : i + 2]
        if rest:
            weights = (one[0] - start_s, rest[0][0] - one[0])
            means = [_mean(pair, weights) for pair in zip(one[1:], rest[0][1:], strict=True)]
            one = (rest[0][0], means[0], means[1], means[2])
        halved.append(one)
        start_s = one[0]
    return halved


def _mean(pair: tuple[float | None, float | None], weights: tuple[float, float]) -> float | None:
    first, second = pair
    if first is None or second is None or sum(weights) <= 0:
        return first if second is None else second
    return round((first * weights[0] + second * weights[1]) / sum(weights), 4)


def _of_sample(sample: Sample) -> str:
    return _line(
        dict(zip(("time_s", "watts", "device_busy", "processor_busy"), sample, strict=True))
    )


def _line(values: Mapping[str, object]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"
