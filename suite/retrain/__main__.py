"""Did tuning help, and is the winner better than the runner-up, or was it lucky? They are trained again.

    swiftbench retrain runs/quickstart/TIME/0-hyperband-seed0 --n 10
    mpirun -n 3 swiftbench retrain runs/quickstart/TIME/0-hyperband-seed0      on two workers

Winner and runner-up of a completed run (lowest objective at max_epochs) are trained anew to
max_epochs, n times each, by the run's own target, worker and device settings; and so is the target's
default configuration where it states one: what people take who do not search. Under mpirun rank 0
hands the trainings to the other ranks, and one whose worker is lost goes to another; without it they
follow each other in this process. The values are the same.

No seed is used twice within one of them: repeat i of the winner has stream_seed(seed, "retrain", 2 i),
of the runner-up 2 i + 1, so these two samples are independent and a larger n keeps the first repeats;
the default has the winner's seeds. A table draws one of the configuration's recordings by that seed;
where it holds only one, there is no spread to see.

Printed, and written to retrain.json beside the run's journal, with a figure, retrain.png: mean, sample
standard deviation, least and greatest of validation and test values; whether the gap between the means
of winner and runner-up is more than the spread explains (Welch's t-test, two-sided); the gain by tuning
(the mean of default's and winner's difference, paired by seed, with Student's 95 % interval). The value
that the search saw stands beside them: the winner's is the best of many draws, and usually too good. A
training that fails is counted and left out. Where the data here are not those of the run (label, name,
digests, sizes) nothing is trained, unless --unlike-data is given; other code and versions are said, and
stand in the file. Numbers are {"value", "unit"} as in records (`values` for several).

Exit code: 0; 1: it could not be done, or too many trainings failed; 130: interrupted, nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from suite.backends import launcher, ranks
from suite.core.command import argument_parser, run_command
from suite.core.errors import DataError
from suite.core.extras import need
from suite.core.printable import printable
from suite.core.target import mark
from suite.report import retrained_figure
from suite.report.output import attempt
from suite.results.header import RunHeader, read_header
from suite.results.privacy import clean
from suite.results.retrained import read_retrained
from suite.retrain.variability import BACKENDS, retrain
from suite.retrain.words import lines
from suite.run import limit


def main(arguments: Sequence[str] | None = None) -> int:
    """Train again and print the comparison; returns the exit code. In a launch rank 0 alone does so."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if launcher.launched():
        limit.listen(worker=launcher.rank() > 0)
    return ranks.led(lambda let_go: _command(words, let_go), needs_workers=_needs_workers(words))


def _needs_workers(words: Sequence[str]) -> bool:
    """Whether the command line may train on other ranks; the same on every rank."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    chosen = [after for word, after in pairs if word == "--backend"]
    chosen += [word.removeprefix("--backend=") for word in words if word.startswith("--backend=")]
    return "inline" not in chosen and {"-h", "--help"}.isdisjoint(words)


def _command(words: Sequence[str], let_go: Callable[[], None]) -> int:
    parser = argument_parser("suite.retrain", __doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a completed run")
    parser.add_argument(
        "--n",
        type=int,
        default=10,
        metavar="N",
        help="trainings of each configuration (default: %(default)s)",
    )
    parser.add_argument(
        "--no-default",
        dest="default",
        action="store_false",
        help="leave out the target's default configuration",
    )
    parser.add_argument(
        "--unlike-data", action="store_true", help="train too on other data than the run's"
    )
    parser.add_argument(
        "--backend",
        default="auto",
        help=f"{', '.join(BACKENDS)}: on the other ranks of a launch (mpi), one after the other here "
        "(inline), or as it was started (default: %(default)s)",
    )
    given = parser.parse_args(words)
    return run_command("retrain", lambda: _retrain(given, let_go))


def _retrain(given: argparse.Namespace, let_go: Callable[[], None]) -> int:
    if launcher.launched():
        need("mpi4py")
    try:
        report = retrain(
            given.run, given.n, unlike_data=given.unlike_data, default=given.default,
            backend=given.backend, trained=let_go,
            say=lambda text: print(printable(text), flush=True),
        )  # fmt: skip
    except OSError as error:
        raise DataError(str(error)) from None
    print("\n".join(lines(report)))
    failures: list[str] = []
    if (path := attempt("the figure", lambda: figure(given.run), failures)) is not None:
        print(f"figure: {printable(path)}")
    for failure in failures:
        print(f"could not be made: {failure}", file=sys.stderr)
    return 0 if all(trial["n"]["value"] >= 2 for trial in report["trials"]) else 1


def figure(folder: Path) -> Path | None:
    """Draw what stands in the run folder's retrain.json; None where nothing can be drawn."""
    retrained = read_retrained(folder)
    if retrained is None:
        return None
    header = read_header(folder, clean)
    return retrained_figure.draw(retrained, _title(header), folder / retrained_figure.NAME)


def _title(header: RunHeader) -> str:
    names = [header.experiment, header.model]
    return " / ".join(name for name in names if name) + mark(header.target.data or "")


if __name__ == "__main__":
    sys.exit(main())
