"""Milliseconds of a proposal and of a decision, by the number of finished trials.

    python tests/benchmarks/proposals.py [--repeats 30]

Processor time of this process, one thread: median (smallest..largest). A proposal: one more trial
became known since the last. A decision: the gate's, and swift's with its model. The conductor meets
events one by one, so rank 0 keeps up with W workers where a proposal takes less than a job's
length / W.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.driving import compose
from suite.core.plugins import make
from suite.core.seeds import stream
from suite.core.space import Choice, Float, Int, Space
from suite.core.types import Trial
from suite.schedulers.swift import Swift

SPACE = Space(
    {
        "rate": Float(1e-5, 1.0, log=True), "momentum": Float(0.0, 0.99), "decay": Float(0.0, 0.1),
        "dropout": Float(0.0, 0.6), "width": Int(8, 512, log=True), "kind": Choice("a", "b", "c"),
    }
)  # fmt: skip
R = 32


def trials(n: int) -> dict[int, Trial]:
    found = {}
    for i in range(n):
        rng = stream(1, "benchmark", i)
        config = SPACE.sample(rng)
        level = abs(config["rate"] - 0.01) + config["dropout"] + 0.1 * rng.standard_normal() + 1.0
        found[i] = Trial(i, config, 0, tuple(level + 1 / (e + 1) for e in range(R)))
    return found


def clock(act: Callable[[int], object], repeats: int) -> str:
    taken = []
    for i in range(repeats):
        begin = time.process_time()
        act(i)
        taken.append(1000 * (time.process_time() - begin))
    return f"{statistics.median(taken):6.1f} ({min(taken):.1f}..{max(taken):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    print(f"{'[ms]':28s}" + "".join(f"{n:>24d}" for n in (50, 200, 800)))
    for name in ("random", "evolution", "tpe", "extra_trees", "gp"):
        leaf = compose(f"searcher={name}", f"max_epochs={R}")["searcher"]
        cells = []
        for n in (50, 200, 800):
            known = trials(n + repeats)
            searcher = make(leaf, "searcher")
            searcher.begin(SPACE, 0)
            searcher.propose(n, {i: known[i] for i in range(n)})  # imports
            some = [{i: known[i] for i in range(n + k)} for k in range(1, repeats + 1)]
            cells.append(clock(lambda k, s=some, x=searcher: x.propose(len(s[k]), s[k]), repeats))
        print(f"{'a proposal of ' + name:28s}" + "".join(f"{cell:>24s}" for cell in cells))
    gate, model = [], []
    for n in (50, 200, 800):
        scheduler = Swift(R, 2, save=True)
        for i, trial in trials(n).items():
            scheduler._met[i] = SPACE.encode(trial.config)
            scheduler._observe(i, trial.curve)
        scheduler._refresh()
        poor = tuple(5.0 for _ in range(R // 2))
        gate.append(clock(lambda _, s=scheduler, c=poor: s._keeps(0, c, False), repeats))
        model.append(clock(lambda _, s=scheduler: s._refresh(), repeats))
    print(f"{'a decision of the gate':28s}" + "".join(f"{cell:>24s}" for cell in gate))
    print(f"{'a refresh of its model':28s}" + "".join(f"{cell:>24s}" for cell in model))


if __name__ == "__main__":
    main()
