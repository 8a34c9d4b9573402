"""A workload as CERN's HEPscore runs them: copies of a fixed small MLPF search, events trained a second.

    python benchmark/hepscore/mlpf_hpo_bmk.py -c 2 -t 1 -e 200 -w results
    apptainer run -i -c -e -B results:/results hepscore.sif -W -c 2 -t 1 -e 200

Each of `-c` copies runs the same search in one process with `-t` threads: Hyperband over learning rate,
dropout and weight decay of a small graph network, each epoch on `-e` times `-t` events. The events are a
STAND-IN made by Pythia 8, the same for everybody: they lie in the image, or are made once.

Score: events trained a second, each epoch's events once, by the seconds from a copy's joining to its end,
summed over the copies. `<resultsdir>/mlpf-hpo_summary.json` holds it, in the layout of the HEP workloads
(summary.schema.json). A copy counts if `swiftbench export merits` calls its run valid, and all copies must
have found the same best value to the last bit, for they do the same work. Otherwise the summary's `log` says
why, there is no score, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NAME = "mlpf-hpo"
HERE = Path(__file__).resolve().parent
N_EVENTS = 600
"""Of the data set; four fifths of them train."""
MOST_EVENTS = N_EVENTS * 4 // 5
STAGED = Path("/opt/suite/data")
"""Where the events lie in an image."""
FOLDER = "delphes_standin_pu0"
SEARCH = (
    "model=mlpf", "model.data=stand_in", f"model.n_events={N_EVENTS}", "model.fixed.bin_size=32",
    "model.fixed.n_glayers_id=1", "model.fixed.n_glayers_reg=1", "model.fixed.output_dim=32",
    "algorithm=hyperband", "max_epochs=4", "eta=2", "seed=0", "backend=inline", "backend.device=cpu",
    "overlap=false", "report=false", "tracking=later", "score_test=false",
)  # fmt: skip
"""The fixed search: who changes a word of it measures another benchmark."""


class Failed(Exception):
    """Why there is no score."""


class Copy(NamedTuple):
    """What one copy did. best: its best validation value."""

    events_per_s: float
    best: float
    data_sha256: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the copies and write the summary; returns the exit code."""
    given = _parsed(arguments)
    if given.stage is not None:
        return _stage(given.stage)
    folder: Path = given.resultsdir
    if not given.W:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        folder /= f"{NAME}-c{given.copies}-t{given.threads}-e{given.events}-{stamp}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(
            f"{NAME}: resultsdir={folder}: {error.strerror}; name another with -w.", file=sys.stderr
        )
        return 1
    copies: list[Copy] = []
    log = "ok"
    try:
        copies = _run(given, folder)
    except Failed as failure:
        log = f"ERROR: {failure}"
    summary = _summary(given, copies, log)
    path = folder / f"{NAME}_summary.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    beside.rename(path)
    print(json.dumps(summary["report"]))
    if given.mop == "all" and log == "ok":
        for proc in folder.glob("proc_*"):
            shutil.rmtree(proc)
    return 0 if log == "ok" else 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"{NAME}-bmk",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--copies", type=_count, help="default: cores / threads")
    parser.add_argument("-t", "--threads", type=_count, default=1, help="of a copy (default: 1)")
    parser.add_argument(
        "-e", "--events", type=_count, default=200, help="a thread and epoch (default: 200)"
    )
    parser.add_argument(
        "-w", "--resultsdir", type=Path, default=Path("/results"), help="default: /results"
    )
    parser.add_argument("-W", action="store_true", help="write into resultsdir itself")
    parser.add_argument(
        "-m", "--mop", choices=("none", "all"), default="none", help="all: clean up"
    )
    parser.add_argument("-d", "--debug", action="store_true", help="show what the copies print")
    parser.add_argument("--stage", type=Path, metavar="DIR", help="only make the events, in DIR")
    given = parser.parse_args(arguments)
    if given.copies is None:
        given.copies = max(len(os.sched_getaffinity(0)) // given.threads, 1)
    if not 8 <= given.events * given.threads <= MOST_EVENTS:
        parser.error(
            f"events={given.events} x threads={given.threads}: must be 8 to {MOST_EVENTS} together."
        )
    return given


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be 1 or more")
    return number


def _swiftbench(*words: object) -> list[str]:
    return [sys.executable, "-m", "swiftbench", *map(str, words)]


def _data(folder: Path) -> Path:
    """The folder that holds the events: the image's, or one that is made here once."""
    if (STAGED / FOLDER).exists():
        return STAGED
    made = folder / "data"
    _make(made)
    return made


def _make(folder: Path) -> None:
    """The events in a folder; what is there is kept, what is missing is made. Raises Failed."""
    words = ("--to", folder, "--events", N_EVENTS, "--pileup", 0)
    done = subprocess.run(_swiftbench("pythia", *words), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"events could not be made: {_last(done.stderr)}")


def _stage(folder: Path) -> int:
    try:
        _make(folder)
    except Failed as failure:
        print(f"{NAME}: {failure}", file=sys.stderr)
        return 1
    return 0


def _run(given: argparse.Namespace, folder: Path) -> list[Copy]:
    """All copies at once; what each did. Raises Failed."""
    data = _data(folder)
    procs = [folder / f"proc_{n}" for n in range(1, given.copies + 1)]
    words = _swiftbench(
        "run", *SEARCH, f"model.limit={given.events * given.threads}", f"model.folder={data}",
        f"backend.threads={given.threads}", f"name={NAME}",
    )  # fmt: skip
    running = []
    for proc in procs:
        shutil.rmtree(proc, ignore_errors=True)
        proc.mkdir()
        environ = os.environ | {"SUITE_RUNS": str(proc / "runs"), "SUITE_PROGRESS": "plain"}
        with open(proc / "out.log", "w", encoding="utf-8") as log:
            running.append(subprocess.Popen(words, env=environ, stdout=log, stderr=log))
    codes = [process.wait() for process in running]
    for proc, code in zip(procs, codes, strict=True):
        said = (proc / "out.log").read_text(encoding="utf-8", errors="replace")
        if given.debug:
            print(said)
        if code != 0:
            raise Failed(f"{proc.name}: exit code {code}: {_last(said)}")
    checked = subprocess.run(
        _swiftbench("export", "merits", *procs), capture_output=True, text=True
    )
    if checked.returncode != 0:
        raise Failed(_last(checked.stderr, 3))
    copies = [_measured(proc) for proc in procs]
    if len({(copy.best, copy.data_sha256) for copy in copies}) != 1:
        values = ", ".join(f"{copy.best!r}" for copy in copies)
        raise Failed(f"copies of one search found different best values: {values}")
    return copies


def _measured(proc: Path) -> Copy:
    (path,) = proc.glob("runs/*/*/*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    (data_set,) = record["data_sets"]
    trained = record["epochs"]["used"]["value"] * data_set["n_train"]["value"]
    seconds = 3600 * record["cost"]["worker_hours"]["value"]
    best = record["result"]["best"]["validation"]["value"]
    return Copy(trained / seconds, best, data_set["sha256"])


def _summary(given: argparse.Namespace, copies: Sequence[Copy], log: str) -> Mapping[str, Any]:
    """In the layout of the HEP workloads."""
    report: dict[str, Any] = {"wl-scores": {}, "wl-stats": {}, "log": log}
    if copies:
        rates = [copy.events_per_s for copy in copies]
        report["wl-scores"] = {NAME: sum(rates)}
        report["wl-stats"] = {
            NAME: {
                "avg": statistics.fmean(rates), "median": statistics.median(rates),
                "min": min(rates), "max": max(rates), "count": len(rates),
            }
        }  # fmt: skip
    search = hashlib.sha256(" ".join(SEARCH).encode()).hexdigest()
    return {
        "run_info": {
            "copies": given.copies,
            "threads_per_copy": given.threads,
            "events_per_thread": given.events,
            "extra_arguments": "",
        },
        "report": report,
        "app": {
            "version": _version(),
            "description": f"{NAME}-bmk: Hyperband on a small MLPF, events trained a second, STAND-IN events",
            "bmkdata_checksum": copies[0].data_sha256 if copies else "",
            "bmk_checksum": search,
            "containment": _containment(),
        },
    }


def _version() -> str:
    done = subprocess.run(_swiftbench("--version"), capture_output=True, text=True)
    return done.stdout.strip().removeprefix("swiftbench ") or "unknown"


def _containment() -> str:
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        return "singularity"
    return "docker" if Path("/.dockerenv").exists() else "none"


def _last(text: str, n: int = 1) -> str:
    """The last lines of what a command said."""
    return " | ".join(text.strip().splitlines()[-n:]) or "nothing was said"


if __name__ == "__main__":
    sys.exit(main())
