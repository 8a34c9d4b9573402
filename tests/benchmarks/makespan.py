"""How soon Hyperband ends: brackets overlapped against the published waves, and against the bound.

    SUITE_DATA=... python tests/benchmarks/makespan.py [--seeds 30]

For each table, number of workers and order of starting: makespan over that of the wave loop, and
over max(total work / workers, longest trial), means over seeds with their standard deviations. All
runs of a seed must find the same curves and winner; it stops where they do not. Durations are the
simulator's defaults (lognormal trials 0.3, noise 10 %, 1 % stragglers x5): SIMULATED TIME.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path
from typing import Any

import yaml

from kit.clusters import cluster as cluster_of
from models.recorded_curves import Table
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.run.conductor import Conductor
from suite.run.driver import Driver
from suite.schedulers.hyperband import Hyperband
from suite.searchers.random import Random

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"
TABLES = {"mlpf_table": 100, "ptb_table": 60, "resnet_cifar10_table": 49, "mnist_table": 12}


def run(table: Table, max_epochs: int, seed: int, overlap: bool, order: str, **cluster: Any) -> Any:
    scheduler = Hyperband(max_epochs, 2, overlap, order)
    conductor = Conductor(scheduler, Random(), table.space, seed=seed, max_attempts=2, score=False)
    backend = Simulation(table, cluster_of(**cluster), Forecaster(None, seed), seed, max_epochs)
    backend.run(Driver(conductor, None))
    curves = {i: trial.curve for i, trial in conductor.trials.items()}
    ends = backend._durations._ends
    each = [ends[i][len(curve)] for i, curve in curves.items()]
    bound = max(sum(each) / cluster["workers"], max(each))
    return backend.now_s, bound, (curves, conductor.winner)


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--workers", type=int, nargs="+", default=[50, 20])
    options = parser.parse_args()
    folder = f"{os.environ.get('SUITE_DATA', 'data')}/curves"
    print(f"{'table':22s}{'workers':>8s}  {'order':14s}{'over waves':>16s}{'over bound':>16s}")
    for name, max_epochs in TABLES.items():
        spec = yaml.safe_load((CONF / f"{name}.yaml").read_text())
        table = Table(spec["description"], folder)
        for workers in options.workers:
            ratios: dict[str, list[float]] = {"oldest": [], "longest_path": []}
            bounds: dict[str, list[float]] = {"oldest": [], "longest_path": []}
            for seed in range(options.seeds):
                waves, _, found = run(
                    table, max_epochs, seed, False, "oldest", workers=workers, dispatch="waves"
                )
                for order in ratios:
                    span, bound, again = run(table, max_epochs, seed, True, order, workers=workers)
                    if again != found:
                        raise SystemExit(f"{name}, seed {seed}, {order}: another result")
                    ratios[order].append(span / waves)
                    bounds[order].append(span / bound)
            for order in ratios:
                print(
                    f"{name:22s}{workers:8d}  {order:14s}{spread(ratios[order]):>16s}"
                    f"{spread(bounds[order]):>16s}  n = {options.seeds}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
