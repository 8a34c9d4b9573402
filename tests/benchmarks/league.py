"""The league's runs, whole seeds first, and the processor seconds that each of them takes.

    SUITE_DATA=... python tests/benchmarks/league.py --out runs/league
    ... --out runs/league-hours --experiment league_hours      # until the same node-hours
    ... --out runs/forecasts --experiment asha_forecasts       # any experiment over tables, algorithms, seeds
    ... --tables first --algorithms hyperband,syne_tune_cqr    # one table of each family
    ... --show                                                 # seconds a run of what is there

The runs are those of `swiftbench run experiment=league`: the same settings, decisions, records; that command
composes all 2,340 before the first, and takes table by table. What is there is not run again. Judged by
`swiftbench report FOLDER`. Seconds are of this process (time.process_time), with its threads.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import re
import shutil
import statistics
import sys
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

import yaml  # noqa: E402

from kit.driving import CONF  # noqa: E402
from suite.core.run_settings import RunSettings  # noqa: E402
from suite.files import published_tables  # noqa: E402
from suite.launch.execute import run  # noqa: E402
from suite.launch.runs import Runs  # noqa: E402

SECONDS = "seconds.jsonl"


@functools.cache
def _settings(
    experiment: str, task: str, algorithms: tuple[str, ...], *words: str
) -> dict[str, RunSettings]:
    """Algorithm -> its settings on a table. As a sweep has them: composing each anew takes half a second."""
    axes = (f"task={task}", f"algorithm={','.join(algorithms)}", "seed=0")
    runs = Runs([f"experiment={experiment}", "report=false", *words, *axes])
    found = [RunSettings.of(each.config) for each in runs.combinations]
    return {settings.choices.algorithm: settings for settings in found}


def swept(experiment: str, key: str) -> list[str]:
    """The values of one axis of an experiment's YAML file."""
    given = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    return [word.strip() for word in str(given["hydra"]["sweeper"]["params"][key]).split(",")]


def seeds(experiment: str) -> range:
    """range(a,b) of an experiment's YAML file."""
    bounds = re.fullmatch(r"range\((\d+), *(\d+)\)", ",".join(swept(experiment, "seed")))
    assert bounds is not None, f"seed of experiment={experiment}: must be range(a,b)"
    return range(*map(int, bounds.groups()))


def tables(which: str, experiment: str) -> list[str]:
    """which: all, or `first` of each family in the catalogue, or names."""
    every = swept(experiment, "task")
    if which == "all":
        return every
    if which == "first":
        first = {e.family: e.name for e in reversed(published_tables().values()) if e.name in every}
        return [name for name in every if name in first.values()]
    return which.split(",")


def measure(options: argparse.Namespace) -> None:
    """Run what is missing, until `--until`."""
    names = tuple((options.algorithms or "").split(",")) if options.algorithms else ()
    names = names or tuple(swept(options.experiment, "algorithm"))
    given = seeds(options.experiment)
    first = given[0] if options.first_seed is None else options.first_seed
    for seed in range(first, first + (options.seeds or len(given))):
        for task in tables(options.tables, options.experiment):
            folders = {name: options.out / f"{seed}" / f"{task}-{name}" for name in names}
            for name, folder in folders.items():
                if (folder / "record.json").exists():
                    continue
                if options.until and datetime.now().strftime("%H:%M") >= options.until:
                    return
                settings = _settings(options.experiment, task, names, *options.words)[name]
                if seed >= (settings.n_seeds or {}).get(name, math.inf):
                    continue
                began = time.process_time()
                seeded = dataclasses.replace(settings, seed=seed)
                shutil.rmtree(folder, ignore_errors=True)
                outcome = run(seeded, folder)
                row = {
                    "seed": seed, "task": task, "algorithm": name, "status": outcome.status,
                    "reason": outcome.reason, "seconds": round(time.process_time() - began, 2),
                }  # fmt: skip
                if outcome.status in ("interrupted", "paused"):
                    # It is begun anew: a resumed run may decide otherwise than one that was not cut.
                    shutil.rmtree(folder)
                    return
                with (options.out / SECONDS).open("a") as out:
                    out.write(json.dumps(row) + "\n")


def show(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / SECONDS).read_text().splitlines()]
    of: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        of[row["algorithm"]].append(row["seconds"])
    print("| algorithm | runs | seconds a run: median | most | hours |\n|---|---|---|---|---|")
    for name, found in of.items():
        middle, most = statistics.median(found), max(found)
        print(f"| `{name}` | {len(found)} | {middle:.2f} | {most:.1f} | {sum(found) / 3600:.3f} |")
    ends = [row for row in rows if row["status"] != "completed"]
    print(
        f"\n{len(rows)} runs, {sum(map(sum, of.values())) / 3600:.2f} h; {len(ends)} not completed"
    )
    for row in ends:
        print(json.dumps(row))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--experiment", default="league")
    parser.add_argument("--tables", default="all", help="all, first (of each family), or names")
    parser.add_argument("--algorithms", help="names; default: those of the experiment")
    parser.add_argument("--seeds", type=int, help="how many; default: the experiment's")
    parser.add_argument("--first-seed", type=int, help="default: the experiment's")
    parser.add_argument("--until", metavar="HH:MM", help="no run begins after this time today")
    parser.add_argument("--show", action="store_true", help="seconds of what is there; run nothing")
    parser.add_argument("words", nargs="*", help="settings, e.g. backend.workers=50")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.show:
        measure(options)
    show(options.out)


if __name__ == "__main__":
    main()
