"""swiftbench COMMAND ...: one door to all commands of the suite; each is imported when it is called."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import NamedTuple


class Command(NamedTuple):
    """A command: the module whose `main` runs it, arguments put before the user's, and one line of help."""

    module: str
    text: str
    first: tuple[str, ...] = ()


COMMANDS = {
    "run": Command("suite.__main__", "a search, or a sweep of them with -m; under mpirun too"),
    "plan": Command(
        "suite.__main__",
        "what a run would train; --sbatch, --batch=SYSTEM: the line for a batch system",
        ("plan",),
    ),
    "report": Command("suite.report.__main__", "what runs say: one page, tables, figures"),
    "watch": Command("suite.watch.__main__", "runs on a terminal while they are trained"),
    "track": Command("suite.track.__main__", "runs into MLflow"),
    "ui": Command("suite.track.__main__", "MLflow's pages of the imported runs", ("--ui",)),
    "curves": Command("suite.curves.__main__", "record curve tables from runs, check them"),
    "compare": Command("suite.compare.__main__", "machine against machine: records side by side"),
    "retrain": Command("suite.retrain.__main__", "train a winner again: how much is chance"),
    "verify": Command("suite.verify.__main__", "is a run what its journal and record say"),
    "submit": Command("suite.submit.__main__", "runs packed for somebody who checks them"),
    "check": Command(
        "suite.check.__main__", "a submission, rule by rule; trained again on request"
    ),
    "export": Command("suite.export.__main__", "valid runs for harnesses: figures, MLPerf's log"),
    "leaderboard": Command(
        "suite.leaderboard.__main__", "submissions, checked again, as a static site"
    ),
    "doctor": Command("suite.doctor.__main__", "what would go wrong here, and the remedy"),
    "cluster": Command(
        "suite.cluster.__main__", "a practice cluster: a Slurm of this machine alone"
    ),
    "study": Command(
        "suite.predictor_study.__main__", "how well predictors extend recorded curves"
    ),
    "fetch": Command("models.data.fetch", "download a data set and check it"),
    "pythia": Command("models.data.pythia", "generate particle collisions with Pythia 8"),
    "check-target": Command(
        "suite.testing.__main__", "conformance of a model of yours", ("model",)
    ),
    "check-scheduler": Command(
        "suite.testing.__main__", "conformance of a scheduler", ("scheduler",)
    ),
    "check-predictor": Command(
        "suite.testing.__main__", "conformance of a predictor", ("predictor",)
    ),
    "check-searcher": Command("suite.testing.__main__", "conformance of a searcher", ("searcher",)),
    "check-joint": Command(
        "suite.testing.__main__", "conformance of a joint optimizer", ("algorithm",)
    ),
    "check-sampler": Command("suite.testing.__main__", "conformance of an annealer", ("sampler",)),
}


def usage() -> str:
    """The page that --help prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.text}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: swiftbench COMMAND [arguments]",
            "",
            *lines,
            "",
            "swiftbench COMMAND --help tells a command's arguments; swiftbench --version the version.",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns its exit code; 2 where the command is unknown or none is given.

    Arguments are sys.argv's where none are given.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0
    if name not in COMMANDS and name not in ("-V", "--version"):
        return _unknown(name)
    from swiftbench import _packages

    try:
        _packages.check("suite", "models")
    except ImportError as error:
        print(error, file=sys.stderr)
        return 1
    if name in ("-V", "--version"):
        from suite import __version__

        print(f"swiftbench {__version__}")
        return 0
    return _call(name, rest)


def _call(name: str, rest: list[str]) -> int:
    """The command's `main`, as `python -m` would call it."""
    from suite.core.extras import explain

    command = COMMANDS[name]
    sys.argv = [f"swiftbench {name}", *command.first, *rest]
    try:
        code = importlib.import_module(command.module).main()
    except ModuleNotFoundError as error:
        explained = explain(error)
        if explained is None:
            raise
        print(f"swiftbench {name}: {explained}", file=sys.stderr)
        return 1
    return int(code or 0)


def _unknown(name: str) -> int:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    print(
        f"swiftbench: {name}: unknown command; known are {', '.join(COMMANDS)}.{hint}"
        if name
        else usage(),
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
