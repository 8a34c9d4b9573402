"""Noise of the figures of merit: one search of one seed, repeated: curves are equal, the machine varies.

    python tests/benchmarks/noise.py --to runs/noise           20 repeats of a small search, and the table
    python tests/benchmarks/noise.py --to runs/noise --show    the table of the repeats that are there
    python tests/benchmarks/noise.py --to runs/noise model=digits_cnn algorithm=hyperband max_epochs=9
    python tests/benchmarks/noise.py --to runs/noise-test --level test algorithm=swift_svr
                             20 repeats of one seed of a level (seed=0, one worker), with the level's target

Each repeat is a process of its own. Beside the run's figures stand the processor seconds of that process and
the machine's load when it began: on a machine that others use, the wall clock measures them too.

Printed for each figure, of n repeats: median, range, the width of the middle half in per cent of the median;

- band of 3: the middle 95 % of the ratio of two medians of three repeats, drawn with replacement from these:
  what a score (the median of three) differs by although nothing differs;
- needed with 5, 10, 20: the smallest ratio that two machines must differ by for so many repeats on each to be
  told apart: a two-sided Mann-Whitney test at 5 % finds it in 80 % of draws (values of one machine drawn with
  replacement from these, the other's too and multiplied by the ratio). With three repeats on each side that
  test cannot reach 5 %.

Drift of the load makes repeats that follow each other more alike than the draws are: on a loaded machine
alternate the two that are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from suite.check.levels import levels
from suite.compare.figures_of_merit import UNITS, Measured, figures
from suite.results import record as records
from suite.results.fold import load_run

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "model=digits_cnn", "model.fixed.num_layers=1", "model.fixed.num_filters=8", "model.fixed.batch_size=64",
    "algorithm=swift_svr", "scheduler.n_curves=3", "max_epochs=9", "overlap=false", "backend=inline",
    "seed=0",
)  # fmt: skip
"""Seconds of training; forecasts stop trials in it."""
OF_A_LEVEL = ("backend=inline", "seed=0")
SHOWN = (
    "seconds_to_target", "seconds", "trials_per_hour", "not_training_share", "predictor_seconds",
    "joules_to_target", "processor_seconds", "training_seconds",
)  # fmt: skip
SIZES = (5, 10, 20)
N_DRAWS = 1000


def main() -> None:
    """Repeat, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="of the search (default: a small one on digits)")
    parser.add_argument("--to", type=Path, default=Path("runs/noise"), help="folder of the runs")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--target", type=float, help="default: the median of the best values")
    parser.add_argument("--level", choices=sorted(levels()), help="words are added to its command")
    parser.add_argument("--show", action="store_true", help="train nothing")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    rows = given.to / "repeats.jsonl"
    search, target = given.words or SMALL, given.target
    if given.level is not None:
        level = levels()[given.level]
        search, target = (*level.command, *OF_A_LEVEL, *given.words), given.target or level.target
    if not given.show:
        done = len(rows.read_text().splitlines()) if rows.exists() else 0
        for number in range(done, given.repeats):
            row = _repeat(given.to, number, search)
            with rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"repeat {number + 1}: {row['processor_seconds']:.1f} s of the processor, "
                f"load {row['load']:.1f}"
            )
    _show(given.to, [json.loads(line) for line in rows.read_text().splitlines()], target)


def _repeat(to: Path, number: int, words: Sequence[str]) -> dict[str, Any]:
    load, began = os.getloadavg()[0], time.monotonic()
    # What was begun before an interruption is not that repeat.
    shutil.rmtree(to / str(number), ignore_errors=True)
    more = ("report=false", "tracking=later")
    process = subprocess.Popen(
        [sys.executable, "-m", "suite", *words, *more], cwd=ROOT, stdout=subprocess.DEVNULL,
        env=os.environ | {"SUITE_RUNS": str((to / str(number)).resolve())},
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(
            f"repeat {number}: the search ended with {os.waitstatus_to_exitcode(status)}"
        )
    return {
        "repeat": number,
        "load": load,
        "process_wall_seconds": time.monotonic() - began,
        "processor_seconds": used.ru_utime + used.ru_stime,
    }


def _show(to: Path, rows: Sequence[dict[str, Any]], target: float | None) -> None:
    runs = []
    for row in rows:
        (journal,) = (to / str(row["repeat"])).rglob("journal.jsonl")
        view = load_run(journal.parent)
        runs.append(Measured(records.of(view), view))
    best = {run.best for run in runs}
    aim = target if target is not None else statistics.median([run.best or 0.0 for run in runs])
    values: dict[str, list[float]] = {}
    for run, row in zip(runs, rows, strict=True):
        time_s = run.record["time"]
        found = {
            **figures(run, aim),
            "processor_seconds": row["processor_seconds"],
            "training_seconds": time_s["train"]["value"] + time_s["evaluate"]["value"],
        }
        for name in SHOWN:
            if found.get(name) is not None:
                values.setdefault(name, []).append(float(found[name]))
    loads = [row["load"] for row in rows]
    first = runs[0].record
    print(f"{len(runs)} repeats of {first['algorithm']} seed {first['seed']} on {first['model']}, "
          f"{first['epochs']['used']['value']} epochs, target {aim:g}; load {min(loads):.1f} to "
          f"{max(loads):.1f} on {os.cpu_count()} cores; best values: "
          f"{'all equal' if len(best) == 1 else sorted(best)}")  # fmt: skip
    head = [
        "figure",
        "n",
        "median",
        "range",
        "middle half",
        "band of 3",
        *(f"needed, {n}" for n in SIZES),
    ]
    lines = [head, ["---"] * len(head)]
    lines += [[name, *_cells(name, values[name])] for name in SHOWN if name in values]
    lines += [[name, "0", "not measured here"] for name in SHOWN if name not in values]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cells(name: str, values: Sequence[float]) -> list[str]:
    array = np.asarray(values)
    low, middle, high = np.quantile(array, [0.25, 0.5, 0.75])
    unit = UNITS.get(name, "s")
    cells = [
        str(len(array)),
        f"{middle:.4g} {unit}",
        f"{array.min():.4g} to {array.max():.4g}",
        f"{100 * (high - low) / middle:.1f} %" if middle else "-",
    ]
    if not middle or array.min() <= 0:
        return [*cells, "-", *("-" for _ in SIZES)]
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(array, (2, 20_000, 3)), axis=2)
    band = np.quantile(medians[0] / medians[1], [0.025, 0.975])
    cells.append(f"{band[0]:.2f} to {band[1]:.2f}")
    return [*cells, *(_needed(array, n) for n in SIZES)]


def _needed(array: np.ndarray, n: int) -> str:
    """The smallest ratio that is found in 80 % of draws, to a hundredth."""
    low, high = 1.0, 8.0
    if _power(array, n, high) < 0.8:
        return f"> {high:g}"
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (low, middle) if _power(array, n, middle) >= 0.8 else (middle, high)
    return f"{high:.2f}"


def _power(array: np.ndarray, n: int, ratio: float) -> float:
    # One draw for all ratios: the search for the smallest one is monotone.
    rng = np.random.default_rng(n)
    one, other = rng.choice(array, (2, N_DRAWS, n))
    # Values of one machine that are drawn twice are ties within a side, which the statistic does not see.
    p = mannwhitneyu(one, other * ratio, axis=1, method="exact").pvalue
    return float(np.mean(p < 0.05))


if __name__ == "__main__":
    main()
