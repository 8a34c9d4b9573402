"""Every adapter of another optimizer: a worker that is killed over MPI, and journals that are cut.

    tests/optimizers/environment FOLDER
    SUITE_DATA=... FOLDER/bin/python tests/optimizers/league_checks.py
    ... --only optuna dehb --checks inline mpi

    tests/optimizers/environment OTHER neps
    SUITE_DATA=... OTHER/bin/python tests/optimizers/league_checks.py --only neps_priorband neps_ifbo

A line for each adapter and check, as it ends:

mpi        digits_cnn on three workers, one of which gets SIGKILL in an epoch. The run must complete, with
           a worker lost; `verify` must take every decision of its journal again; no trial is left open or
           given up; epochs that were trained twice are equal.
inline     one worker on synthetic curves; the journal cut at a third and at two thirds, and resumed: equal
           to the run that was not cut, in winner, curves and failed trials.
one        the same on the first table of each of eight families, one simulated worker.
logical    the same with 8 simulated workers of a virtual cluster (overlap=logical).
eight      the same with 8 workers and overlap=true. A resumed run begins those jobs again that were in
           flight: they end later, in another order, and what depends on the order differs. This line says
           how many of the 16 are equal all the same, and fails for none.

--epochs N makes the searches that are cut smaller, for packages that fit a model for seconds.

Exit code 1 where one fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from kit import ftpfn  # noqa: E402
from kit.driving import compose  # noqa: E402
from kit.mpi_runs import Launcher, curves  # noqa: E402
from suite.core.run_settings import RunSettings  # noqa: E402
from suite.files import published_tables  # noqa: E402
from suite.launch.execute import run  # noqa: E402
from suite.run import journal as journals  # noqa: E402
from suite.verify.checks import verify  # noqa: E402

ADAPTERS = (
    "optuna",
    "hyperband_optuna",
    "dehb",
    "blackboxopt_bohb",
    "syne_tune_asha",
    "syne_tune_cqr",
    "smac",
)
APART = ("neps_priorband", "neps_ifbo")
"""What has an environment of its own."""
N_EPOCHS = 120
"""Of a search that is cut, on tables and synthetic curves: for equality, not for quality."""
N_FAMILIES = 8


def tables() -> list[str]:
    first = {e.family: e.name for e in reversed(published_tables().values()) if e.family != "baker"}
    return list(first.values())[:N_FAMILIES]


def algorithm(name: str, folder: Path) -> tuple[str, ...]:
    """What a command line says of it. ifBO has a STAND-IN of random weights for its network."""
    if name != "neps_ifbo":
        return (f"algorithm={name}",)
    archive, _, sha256 = ftpfn.write(folder / "network")
    optimizer = "scheduler.optimizer"
    return (
        f"algorithm={name}", f"{optimizer}.weights={archive}", f"{optimizer}.weights_sha256={sha256}",
        f"{optimizer}.objective_range=[0,3]",
    )  # fmt: skip


def mpi(name: str, folder: Path, _: int) -> str:
    """Nothing where all is as it must be, else what is not."""
    marker = folder / "struck"
    done = Launcher(folder)(
        4, "model=fault_digits", "max_epochs=4", *algorithm(name, folder), "budget.n_epochs=32",
        "+model.fault=kill", "+model.fault_rank=2", "+model.fault_epoch=1", f"+model.marker={marker}",
    )  # fmt: skip
    if not marker.exists():
        return "nobody was killed"
    if done.code or done.folder is None or done.status != "completed":
        return f"exit code {done.code}: {done.out[-400:]}"
    record = json.loads((done.folder / "record.json").read_text())
    doubts = {
        "no worker lost": not any(line["event"] == "lost" for line in done.lines),
        "trials open": record["trials"]["open"]["value"],
        "trials given up": record["trials"]["given_up"]["value"],
        "epochs trained twice that differ": record["epochs"]["differing"]["value"],
        "the journal is not replayed": not verify(done.folder, "run").holds,
    }
    return ", ".join(what for what, is_so in doubts.items() if is_so)


def cut(folder: Path, n_epochs: int, *words: str) -> int:
    """How many of two cuts end as the whole run."""
    small = ("max_epochs=9", f"budget.n_epochs={n_epochs}")
    quiet = ("report=false", "tracking=later", "score_test=false", "seed=7")
    settings = RunSettings.of(compose(*words, *small, *quiet))
    ended = run(settings, folder / "whole")
    assert ended.status == "completed", ended.reason
    rows = (folder / "whole" / journals.NAME).read_bytes().splitlines(keepends=True)
    whole, n_equal = curves(folder / "whole"), 0
    for n_rows in (len(rows) // 3, 2 * len(rows) // 3):
        again = folder / f"cut-{n_rows}"
        shutil.copytree(folder / "whole", again)
        (again / journals.NAME).write_bytes(b"".join(rows[:n_rows]))
        ended = run(settings, again, resume=True)
        assert ended.status == "completed", ended.reason
        n_equal += curves(again) == whole
    return n_equal


def inline(name: str, folder: Path, n_epochs: int) -> str:
    words = algorithm(name, folder)
    n_equal = cut(folder, n_epochs, *words, "model=table_target", "backend=inline")
    return "" if n_equal == 2 else f"{n_equal} of 2 equal"


def simulated(*words: str, must: bool = True) -> Callable[[str, Path, int], str]:
    def check(name: str, folder: Path, n_epochs: int) -> str:
        found, own = {}, algorithm(name, folder)
        for task in tables():
            table = (f"task={task}", *own, "backend=simulate")
            found[task] = cut(folder / task, n_epochs, *table, *words)
        n_equal = sum(found.values())
        if not must:
            print(f"  {name}: {n_equal} of {2 * len(found)} equal", flush=True)
            return ""
        return ", ".join(f"{task}: {n} of 2 equal" for task, n in found.items() if n < 2)

    return check


CHECKS: dict[str, Callable[[str, Path, int], str]] = {
    "mpi": mpi,
    "inline": inline,
    "one": simulated("backend.workers=1"),
    "logical": simulated("backend.workers=8", "overlap=logical"),
    "eight": simulated("backend.workers=8", must=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=ADAPTERS, choices=(*ADAPTERS, *APART))
    parser.add_argument("--checks", nargs="+", default=tuple(CHECKS), choices=CHECKS)
    parser.add_argument(
        "--epochs",
        type=int,
        default=N_EPOCHS,
        help="budget of a search that is cut (default: %(default)s)",
    )
    options = parser.parse_args()
    failed: list[Any] = []
    for check in options.checks:
        for name in options.only:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                try:
                    doubt = CHECKS[check](name, Path(folder), options.epochs)
                except Exception as error:
                    doubt = f"{type(error).__name__}: {error}"
            failed += [doubt] if doubt else []
            print(
                f"{check:8} {name:18} {doubt or 'ok'}; {time.monotonic() - began:.0f} s", flush=True
            )
    print(f"{len(failed)} of {len(options.checks) * len(options.only)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
