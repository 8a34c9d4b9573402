"""Events a second of the Pythia stand-in: python tests/benchmarks/pythia_events.py [--events 100]

For each pile-up: one process and two, two whole files of --events each (a fifth from pile-up 100
on), the generator's start for each file and the pool included in "cold", left out of the split; per
event: hard process, pile-up from the pool, detector, writing. Not a test: figures depend on the
machine and its load.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from models.data import delphes, detector, pythia


def split(pileup: float, n: int) -> tuple[list[float], float, float]:
    """Median seconds an event of (hard, pile-up, detector), seconds of writing, elements."""
    hard, rng = pythia.Generator("ttbar", 1), np.random.default_rng(1)
    soft = pythia.Generator("minbias", 2) if pileup else None
    pool = [soft() for _ in range(pythia.POOL)] if soft else []
    steps, events = [], []
    for _ in range(n):
        at = [time.perf_counter()]
        collisions = [hard()]
        at.append(time.perf_counter())
        for pick in rng.integers(pythia.POOL, size=rng.poisson(pileup)):
            collisions.append(pool[pick].rotated(rng.uniform(0, 6.28)))
        whole = detector.Particles.joined(collisions)
        at.append(time.perf_counter())
        events.append(tuple(a.astype(np.float32) for a in detector.detect(whole, rng)))
        at.append(time.perf_counter())
        steps.append(np.diff(at))
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        delphes.write(Path(folder) / "x.pkl.bz2", events)
    written = (time.perf_counter() - begun) / n
    elements = statistics.fmean(len(X) for X, _ in events)
    return np.median(steps, axis=0).tolist(), written, elements


def whole(pileup: float, n: int, processes: int) -> float:
    pythia._pools.clear()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        pythia.write(Path(folder), 2 * n, pileup=pileup, processes=processes, per_file=n)
    return 2 * n / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--pileup", type=float, nargs="+", default=[0, 20, 140])
    options = parser.parse_args()
    print(
        "| pile-up | elements | ms an event: hard | pile-up | detector | writing | events/s warm",
        end="",
    )
    print(" | events/s cold, 1 process | 2 processes |\n|---|---|---|---|---|---|---|---|---|")
    for pileup in options.pileup:
        n = options.events if pileup < 100 else max(10, options.events // 5)
        steps, written, elements = split(pileup, n)
        ms = " | ".join(f"{1e3 * s:.1f}" for s in (*steps, written))
        cold = " | ".join(f"{whole(pileup, n, k):.1f}" for k in (1, 2))
        print(f"| {pileup:g} | {elements:.0f} | {ms} | {1 / (sum(steps) + written):.0f} | {cold} |")


if __name__ == "__main__":
    main()
