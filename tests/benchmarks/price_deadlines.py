"""Regret at deadlines: `price` and `price_rank` against looped Hyperband, ASHA, BOHB and random search.

    SUITE_DATA=... python tests/benchmarks/price_deadlines.py --out runs/deadlines.jsonl [--seeds 6]

Deadlines: 1.25, 1.5 and 2 mean trainings of the table, and the makespan that one Hyperband of the seed
takes on these workers. Price is run once for each. Baselines do not look at the deadline: each is run
once to the longest and read at every one; what ends before begins again with another seed ("looped")
when its last job is over: on many workers Hyperband still leaves most of them idle. ASHA has eta = 2 and
every row of the table to begin. Regret: of the best trial trained to max_epochs by the deadline, (value -
best) / (median - best) of the table; 1.5 where there is none. A ratio: of mean regrets over seeds, each
at least FLOOR; Hyperband has often finished nothing at a short deadline, which flatters all others:
random search and ASHA stand beside it.

Declared before the runs were read (but for one: Pong, 8 workers, seed 600000), for the choice of the
default policy: 6 seeds from 600000 on the families of the
first half; the policy with the smaller geometric mean of ratios over both numbers of workers, all
deadlines and tables, families weighted equally; within .02 `rank`, the simpler one.

Families of the first half, by default; the others are kept for judging. Every run is appended to --out
and not run again. SIMULATED TIME: where a table has no seconds, speeds are drawn without regard to
quality, which flatters searches that stop slow trials.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import json
import math
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.driving import compose
from suite.backends.forecasts import Forecaster
from suite.backends.simulate import Simulation
from suite.core import types as t
from suite.core.plugins import make
from suite.core.run_settings import RunSettings
from suite.files import published_tables
from suite.launch.assemble import assemble
from suite.launch.epoch_seconds import epoch_s
from suite.report.problems import geometric
from suite.run.conductor import Conductor
from suite.run.driver import Driver

FIRST_HALF = ("lcbench", "deepobs", "rl", "authors")
DEADLINES = (1.25, 1.5, 2.0, "HB")
FLOOR = 0.01
NOTHING = 1.5
BASELINE = "hyperband"
BASELINES: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    "random_search_filling": ("scheduler.per_worker=4",),
    "asha": ("scheduler.eta=2", "scheduler.n_trials=${budget.n_trials}"),
    "bohb": (),
}
OURS = ("price", "price_rank")

Finished = list[tuple[float, float]]
"""(seconds, objective) of each trial that came to max_epochs."""


class DeadlinePassedError(Exception):
    """Ends a simulation whose later events are of no interest."""


@functools.cache
def composed(task: str, algorithm: str) -> dict[str, Any]:
    words = (f"task={task}", f"algorithm={algorithm}", *BASELINES.get(algorithm, ()))
    words = (*words, "eta=2", "budget.allow_short=true")
    return compose("backend=simulate", "score_test=false", "tracking=later", *words)


def simulated(
    task: str, algorithm: str, workers: int, seed: int, end_s: float, hours: float | None = None
) -> tuple[Finished, float, float]:
    """What one search has finished by end_s, when it ended, and the seconds that workers were busy."""
    config = copy.deepcopy(composed(task, algorithm))
    config["seed"], config["backend"]["workers"] = seed, workers
    if hours is not None:
        config["budget"]["hours"] = config["scheduler"]["hours"] = hours
    settings = RunSettings.of(config)
    parts = assemble(settings)
    most, busy_s, finished = parts.scheduler.max_epochs, [0.0], []

    def watch(event: t.Event, conductor: Conductor) -> None:
        if event.time_s > end_s:
            raise DeadlinePassedError
        if isinstance(event, t.EpochBatch) and event.epoch + len(event.objectives) - 1 == most:
            finished.append((event.time_s, event.objectives[-1]))
        elif isinstance(event, t.JobFinished):
            busy_s[0] += event.busy_s

    driver = Driver(parts.conductor, None, [watch])
    backend = make(config["backend"], "backend")
    forecaster = Forecaster(config["predictor"], seed)
    try:
        Simulation(parts.target, backend, forecaster, seed, most).run(driver)
    except DeadlinePassedError:
        return finished, end_s, busy_s[0]
    return finished, driver.time_s, busy_s[0]


def looped(
    task: str, algorithm: str, workers: int, seed: int, end_s: float
) -> tuple[Finished, float]:
    """As `simulated`, again with other seeds until end_s."""
    finished: Finished = []
    begin_s = busy_s = 0.0
    for n in range(1000):
        more, took_s, busy = simulated(task, algorithm, workers, seed + 1000 * n, end_s - begin_s)
        finished += [(begin_s + at, value) for at, value in more]
        begin_s, busy_s = begin_s + took_s, busy_s + busy
        if begin_s >= end_s:
            break
    return finished, busy_s


@functools.cache
def table(task: str) -> tuple[float, Any, Any]:
    """Seconds of a mean training; what knows the goal; best and median of the table."""
    parts = assemble(RunSettings.of(composed(task, BASELINE)))
    most = parts.scheduler.max_epochs
    return (
        most * epoch_s(parts.target, parts.backend)[0],
        parts.target,
        parts.target.reference(most),
    )


def regret(task: str, finished: Finished, end_s: float) -> float:
    _, target, known = table(task)
    in_time = [value for at, value in finished if at <= end_s]
    if not in_time:
        return NOTHING
    value = target.goal.value(min(in_time))
    return float((value - known["best"]) / (known["median"] - known["best"]))


def measured(task: str, workers: int, seed: int) -> dict[str, list[list[float]]]:
    """Of each algorithm and deadline: regret, and the share of the node time that was busy."""
    training_s = table(task)[0]
    makespan_s = simulated(task, BASELINE, workers, seed, math.inf)[1]
    ends = [makespan_s if d == "HB" else float(d) * training_s for d in DEADLINES]
    result: dict[str, list[list[float]]] = {}
    for algorithm in BASELINES:
        finished, busy_s = looped(task, algorithm, workers, seed, max(ends))
        share = busy_s / (workers * max(ends))
        result[algorithm] = [[regret(task, finished, end_s), share] for end_s in ends]
    for algorithm in OURS:
        result[algorithm] = []
        for end_s in ends:
            finished, _, busy_s = simulated(
                task, algorithm, workers, seed, math.inf, hours=end_s / 3600
            )
            share = busy_s / (workers * end_s)
            result[algorithm].append([regret(task, finished, end_s), share])
    return result


Rows = dict[tuple[str, int, int], dict[str, list[list[float]]]]


def show(rows: Rows, of: dict[str, str], workers: int, seeds: range) -> None:
    """Ratios to looped Hyperband by deadline; families apart; tables better and worse."""
    for algorithm in (*BASELINES, *OURS):
        cells = []
        for i, deadline in enumerate(DEADLINES):
            logs: dict[str, list[float]] = defaultdict(list)
            for task, family in of.items():
                logs[family].append(_log_ratio(rows, algorithm, task, workers, seeds, i))
            ratio, ends = geometric(logs)
            every = [value for family in logs.values() for value in family]
            better, worse = sum(v < 0 for v in every), sum(v > 0 for v in every)
            between = f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else ""
            families = ", ".join(
                f"{k} {math.exp(statistics.fmean(v)):.2f}" for k, v in logs.items()
            )
            cells.append(
                f"  {deadline!s:5s} {ratio:.2f}{between} {better}/{worse} "
                f"worst {math.exp(max(every)):.1f} ({families})"
            )
        shares = [rows[task, workers, seed][algorithm][1][1] for task in of for seed in seeds]
        print(
            f"{algorithm}, busy {statistics.fmean(shares):.2f} of the node time at {DEADLINES[1]}"
        )
        print("\n".join(cells))


def overall(rows: Rows, of: dict[str, str], workers: list[int], seeds: range) -> None:
    """The criterion: each algorithm's ratio over numbers of workers, deadlines and tables, families equal."""
    for algorithm in (*BASELINES, *OURS):
        logs: dict[str, list[float]] = defaultdict(list)
        for task, family in of.items():
            for n, i in itertools.product(workers, range(len(DEADLINES))):
                logs[family].append(_log_ratio(rows, algorithm, task, n, seeds, i))
        by_family = {family: statistics.fmean(values) for family, values in logs.items()}
        print(
            f"{algorithm:22s} {math.exp(statistics.fmean(by_family.values())):.3f}  "
            + ", ".join(f"{family} {math.exp(value):.2f}" for family, value in by_family.items())
        )


def _log_ratio(rows: Rows, algorithm: str, task: str, workers: int, seeds: range, i: int) -> float:
    """Of mean regrets over seeds, to looped Hyperband's, at the i-th deadline."""
    runs = [rows[task, workers, seed] for seed in seeds]
    mine, theirs = (
        max(statistics.fmean(run[name][i][0] for run in runs), FLOOR)
        for name in (algorithm, BASELINE)
    )
    return math.log(mine / theirs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--families", nargs="+", default=FIRST_HALF)
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 50])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=600_000)
    options = parser.parse_args()
    entries = published_tables().values()
    of = {e.name: e.family for e in entries if e.family in options.families}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    rows: Rows = {}
    if options.out.exists():
        for row in map(json.loads, options.out.read_text().splitlines()):
            rows[row[0], row[1], row[2]] = row[3]
    with options.out.open("a") as out:
        for workers in options.workers:
            for seed in seeds:
                for task in of:
                    if (task, workers, seed) not in rows:
                        rows[task, workers, seed] = measured(task, workers, seed)
                        out.write(
                            json.dumps([task, workers, seed, rows[task, workers, seed]]) + "\n"
                        )
                        out.flush()
    for workers in options.workers:
        print(
            f"SIMULATED TIME; {workers} workers, {len(of)} tables, n = {len(seeds)} seeds from {seeds[0]}"
        )
        print(
            f"regret over looped Hyperband's, at least {FLOOR} each: ratio, tables better / worse"
        )
        show(rows, of, workers, seeds)
    print("all deadlines and numbers of workers, families weighted equally")
    overall(rows, of, options.workers, seeds)


if __name__ == "__main__":
    main()
