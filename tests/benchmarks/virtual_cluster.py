"""What the virtual cluster costs in time, and what learning gains by fewer nominal workers.

    SUITE_DATA=... python tests/benchmarks/virtual_cluster.py [--seeds 12] [--workers 50 20]

For each table and number of simulated workers, a row an algorithm and number of nominal workers:
makespan over that of the same algorithm with free overlap, over Hyperband's with free overlap, and
over the published wave loop (Hyperband, one bracket after the other, nobody gets work before all
have answered); epochs over Hyperband's, counted and really trained; regret (of the winner,
normalised by the table: best 0, median 1) less Hyperband's of the same seed. Means over seeds with
standard deviations. Durations are the simulator's defaults: SIMULATED TIME.
"""

from __future__ import annotations

import argparse
import copy
import functools
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.driving import compose
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core.plugins import make
from suite.core.run_settings import RunSettings
from suite.launch import assemble
from suite.run.driver import Driver

TASKS = ("mlpf", "ptb", "resnet_cifar10", "mnist")
HYPERBAND = ("algorithm=hyperband", "overlap=true")
WAVES = ("algorithm=hyperband", "overlap=false", "backend.dispatch=waves")
ROWS: tuple[tuple[str, tuple[str, ...], tuple[int | None, ...]], ...] = (
    ("swift_svr", ("algorithm=swift_svr",), (8, 16, 32)),
    ("calibrated_gate", ("algorithm=calibrated_gate",), (16,)),
    (
        "calibrated_gate, speculating",
        ("algorithm=calibrated_gate", "virtual_cluster.speculate=true"),
        (16,),
    ),
    ("swift", ("algorithm=swift",), (1, 4, None, 16, 32)),
    ("swift_save", ("algorithm=swift_save",), (1, 4, None, 16, 32)),
)


@functools.cache
def composed(*overrides: str) -> dict[str, Any]:
    return compose("backend=simulate", "score_test=false", "tracking=later", *overrides)


@functools.cache
def run(task: str, seed: int, workers: int, *overrides: str) -> tuple[float, int, int, float]:
    """Makespan [s], epochs counted, epochs trained, normalised regret."""
    config = copy.deepcopy(composed(f"task={task}", *overrides))
    config["seed"], config["backend"]["workers"] = seed, workers
    parts = assemble.assemble(RunSettings.of(config))
    scheduler, target, conductor = parts.scheduler, parts.target, parts.conductor
    backend = Simulation(
        target, make(config["backend"], "backend"), Forecaster(config["predictor"], seed), seed,
        scheduler.max_epochs,
    )  # fmt: skip
    backend.run(Driver(conductor, None))
    ends = target.reference(scheduler.max_epochs)
    assert ends is not None and conductor.winner is not None
    value = target.goal.value(conductor.trials[conductor.winner].curve[-1])
    regret = (value - ends["best"]) / (ends["median"] - ends["best"])
    counted = sum(len(trial.curve) for trial in conductor.trials.values())
    return backend.now_s, counted, conductor.n_epochs, regret


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, nargs="+", default=[50, 20])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print("SIMULATED TIME; mean ± standard deviation over n =", options.seeds, "seeds")
    columns = ("over itself, free", "over Hyperband", "over waves", "counted / E", "trained / E")
    print(f"{'':46s}" + "".join(f"{c:>18s}" for c in columns) + f"{'regret - its':>18s}")
    for task in options.tasks:
        for workers in options.workers:
            print(f"{task}, {workers} workers")
            base = [run(task, seed, workers, *HYPERBAND) for seed in seeds]
            waves = [run(task, seed, workers, *WAVES) for seed in seeds]
            rows = [(label, over, n) for label, over, ns in ROWS for n in ns]
            for label, over, n in (("hyperband", HYPERBAND[:1], 32), *rows):
                name = f"{label}, nominal {n or 'default'}"
                free = [run(task, seed, workers, *over, "overlap=true") for seed in seeds]
                nominal = f"virtual_cluster.nominal_workers={'null' if n is None else n}"
                found = [run(task, s, workers, *over, "overlap=logical", nominal) for s in seeds]
                cells = [
                    spread([x[0] / y[0] for x, y in zip(found, other, strict=True)])
                    for other in (free, base, waves)
                ]
                for i in (1, 2):
                    cells.append(spread([x[i] / y[1] for x, y in zip(found, base, strict=True)]))
                cells.append(spread([x[3] - y[3] for x, y in zip(found, base, strict=True)]))
                print(f"  {name:44s}" + "".join(f"{cell:>18s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
