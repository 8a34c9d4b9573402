"""Why does Swift-Hyperband sometimes win? Its stops against as many trials stopped at random.

    SUITE_DATA=... python tests/benchmarks/swift_stops.py --out runs/stops.jsonl [--tasks ...] [--seeds 3]
    SUITE_DATA=... python tests/benchmarks/swift_stops.py --out runs/stops.jsonl --show
    ... --out runs/pair.jsonl --rows hyperband swift_qsvr swift_epsilon_svr        annealed against exact

Swift-Hyperband (overlap=false, the published order) trains part of a rung, forecasts the rest and finishes
those whose forecast is good. The control, `stops at random`, gets the same forecasts of the same SVR, dealt
anew among the trials that were asked about: as many lie below the threshold and as many trials are finished
as the forecasts say, but which ones is drawn (by the question's key and the seed). So at a decision equal
questions stop equally many; after the first the two searches may go apart, which the columns of stopped
trials and epochs show. `swift_constant` knows nothing either, and breaks ties by the rung's order.

Per run: regret of the winner, 0 the table's best and 1 its median; epochs over Hyperband's; trials stopped.
SIMULATED; no time is compared. Intervals: 95 % by bootstrap over tables' means. A line a run is appended to
--out; what stands there is not run again.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.driving import compose
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core import types as t
from suite.core.plugins import make
from suite.core.run_settings import RunSettings
from suite.core.seeds import stream
from suite.launch import assemble
from suite.run.driver import Driver

TASKS = (
    "mlpf", "ptb", "resnet_cifar10", "mnist", "lcbench_126026", "lcbench_167104", "lcbench_167149",
    "lcbench_167161", "deepobs_cifar10_3c3d", "deepobs_fmnist_2c2d", "rl_ppo_pong",
)  # fmt: skip
"""Of the first half of the tables of experiment=beyond."""
BASELINE, RANDOM = "hyperband", "stops at random"
ALGORITHMS = {
    BASELINE: "hyperband", "swift_svr": "swift_svr", RANDOM: "swift_svr",
    "swift_constant": "swift_constant", "swift_qsvr": "swift_qsvr",
    "swift_epsilon_svr": "swift_epsilon_svr",
}  # fmt: skip
"""Row -> algorithm."""
ROWS = (BASELINE, "swift_svr", RANDOM, "swift_constant")
"""Of the question above. The second is compared with the third."""


class Dealt(Forecaster):
    """The predictor's own forecasts, dealt at random among the trials that were asked about."""

    def answer(self, request: t.Predict) -> t.Forecast | t.ForecastFailed:
        answer = super().answer(request)
        if isinstance(answer, t.ForecastFailed):
            return answer
        order = stream(self._seed, "dealt", request.key).permutation(len(answer.values))
        return dataclasses.replace(answer, values=tuple(answer.values[i] for i in order))


@functools.cache
def composed(task: str, algorithm: str) -> dict[str, Any]:
    words = (
        "backend=simulate",
        "score_test=false",
        "tracking=later",
        "overlap=false",
        "+common.n_curves=15",
    )
    if algorithm == "hyperband":
        words = words[:-1]
    return compose(*words, f"task={task}", f"algorithm={algorithm}")


def run(task: str, row: str, seed: int) -> dict[str, Any]:
    config = copy.deepcopy(composed(task, ALGORITHMS[row]))
    config["seed"], config["backend"]["workers"] = seed, 50
    parts = assemble.assemble(RunSettings.of(config))
    scheduler, target, conductor = parts.scheduler, parts.target, parts.conductor
    forecaster = (Dealt if row == RANDOM else Forecaster)(config["predictor"], seed)
    backend = make(config["backend"], "backend")
    Simulation(target, backend, forecaster, seed, scheduler.max_epochs).run(Driver(conductor, None))
    ends = target.reference(scheduler.max_epochs)
    assert ends is not None and conductor.winner is not None
    value = target.goal.value(conductor.trials[conductor.winner].curve[-1])
    return {
        "task": task, "row": row, "seed": seed, "n_epochs": conductor.n_epochs,
        "regret": (value - ends["best"]) / (ends["median"] - ends["best"]),
        "stopped": len(scheduler.stopped_at), "config": str(conductor.trials[conductor.winner].config),
    }  # fmt: skip


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def measure(out: Path, names: list[str], tasks: list[str], seeds: range) -> None:
    done = {(row["task"], row["row"], row["seed"]) for row in read(out)}
    for seed in seeds:
        for task in tasks:
            for row in names:
                if (task, row, seed) not in done:
                    line = json.dumps(run(task, row, seed))
                    with out.open("a") as file:
                        file.write(line + "\n")
        print(f"seed {seed}", file=sys.stderr, flush=True)


def interval(by_task: dict[str, list[float]]) -> str:
    """Mean over tables of means over seeds, and 95 % by bootstrap over tables."""
    means = np.array([statistics.fmean(values) for values in by_task.values()])
    draws = np.random.default_rng(0).integers(len(means), size=(10_000, len(means)))
    low, high = np.quantile(means[draws].mean(axis=1), (0.025, 0.975))
    return f"{means.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def show(rows: list[dict[str, Any]], names: list[str]) -> None:
    cells = {(r["task"], r["seed"], r["row"]): r for r in rows}
    keys = [
        key for key in dict.fromkeys((r["task"], r["seed"]) for r in rows)
        if all((*key, row) in cells for row in names)
    ]  # fmt: skip
    tasks = list(dict.fromkeys(task for task, _ in keys))
    print(f"{len(tasks)} tables, {len(keys)} runs a row; SIMULATED\n")
    columns = (
        "", "runs that end below / level with / above Hyperband",
        "regret less Hyperband's, mean [95 % CI over tables]", "trials stopped",
        "epochs, times Hyperband's",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---:|---:|")
    for row in names[1:]:
        apart = {key: cells[*key, row]["regret"] - cells[*key, names[0]]["regret"] for key in keys}
        signs = [sum(a < 0 for a in apart.values()), sum(a == 0 for a in apart.values())]
        signs.append(len(keys) - sum(signs))
        by_task = {task: [a for key, a in apart.items() if key[0] == task] for task in tasks}
        stopped = statistics.fmean(cells[*key, row]["stopped"] for key in keys)
        epochs = statistics.fmean(
            cells[*key, row]["n_epochs"] / cells[*key, names[0]]["n_epochs"] for key in keys
        )
        print(
            f"| {row} | {' / '.join(map(str, signs))} | {interval(by_task)} | {stopped:.1f} | {epochs:.2f} |"
        )
    one, other = names[1:3]
    apart = {key: cells[*key, one]["regret"] - cells[*key, other]["regret"] for key in keys}
    by_task = {task: [a for key, a in apart.items() if key[0] == task] for task in tasks}
    n_below, n_level = (
        sum(map(sign, apart.values())) for sign in (lambda a: a < 0, lambda a: a == 0)
    )
    print(
        f"\n{one} less {other}: {interval(by_task)}; below in {n_below}, level in {n_level}, above in "
        f"{len(apart) - n_below - n_level}"
    )
    for task in tasks:
        mine = [f"{row} {statistics.fmean(cells[*key, row]['regret'] for key in keys if key[0] == task):.3f}"
                for row in names]  # fmt: skip
        print(f"  {task}: {', '.join(mine)} (n = {sum(key[0] == task for key in keys)})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--rows", nargs="+", choices=ALGORITHMS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=700_000)
    parser.add_argument("--show", action="store_true", help="the table of what was measured")
    options = parser.parse_args()
    if len(options.rows) < 3:
        parser.error("--rows: name a baseline and two or more others")
    if not options.show:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        measure(
            options.out,
            options.rows,
            options.tasks,
            range(options.first_seed, options.first_seed + options.seeds),
        )
    show(read(options.out), options.rows)


if __name__ == "__main__":
    main()
