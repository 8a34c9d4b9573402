"""Import runs into MLflow, or look at them.

    swiftbench track runs/...             import every run at or below these folders
    swiftbench track --follow runs/...    and continue while they grow
    swiftbench ui                         look at them (takes the arguments of `mlflow ui`)

The store is an MLflow server (--uri) or a folder (--store). Where neither is named, it is the server of
the environment's MLFLOW_TRACKING_URI, else the folder SUITE_STORE, else ./store. Importing again
changes nothing; of a journal that has grown, the rest is added.

Exit code: 0; 1: something could not be imported; 130: interrupted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, command_name, run_command
from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.run.paths import checkout
from suite.track.address import (
    VARIABLE,
    address,
    check_folder,
    check_without_credentials,
    run_table,
    server_of_environment,
)
from suite.track.database import experiments_of_runs
from suite.track.environment import FIXED
from suite.track.importer import QUIET_S, follow, import_all
from suite.track.mlflow_store import Store

_UI = "http://127.0.0.1:5000"


def main(arguments: Sequence[str] | None = None) -> int:
    """Import, follow, or show; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    common = argument_parser("suite.track", __doc__, add_help=False)
    common.add_argument(
        "--store", metavar="DIR", help="folder of the store (default: SUITE_STORE, else ./store)"
    )
    common.add_argument(
        "--ui",
        action="store_true",
        help="show the store instead; further arguments are those of `mlflow ui`",
    )
    given, rest = common.parse_known_args(arguments)
    if given.ui:
        return run_command("track", lambda: _show(_folder_store(given.store), rest))
    parser = argument_parser("suite.track", __doc__, parents=[common])
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, or folders above them"
    )
    parser.add_argument(
        "--follow", action="store_true", help="continue while the runs are trained, to their end"
    )
    parser.add_argument(
        "--uri", metavar="URL", help="an MLflow server in the store's place, http://..."
    )
    parser.add_argument(
        "--quiet-s", type=float, default=QUIET_S, metavar="S",
        help="--follow gives up a journal that has not grown for S seconds (default: %(default)g)",
    )  # fmt: skip
    given = parser.parse_args(arguments)

    def body() -> int:
        store = _store(given.uri, given.store)
        if given.follow:
            tally = follow(given.folders, store, quiet_s=given.quiet_s)
        else:
            tally = import_all(given.folders, store)
        if tally.n_held:
            _say_where(store)
        return 1 if tally.n_failed else 0

    try:
        return run_command("track", body)
    except KeyboardInterrupt:
        return 130


def _store(uri: str | None, named: str | None) -> Store:
    """The server or the folder that the arguments and the environment name."""
    if uri is not None:
        check_without_credentials(uri, "uri")
        return Store(None, uri)
    if named is None and (server := server_of_environment()):
        address(server, VARIABLE)
        store = Store(None, server)
        print(f"store {store.name}: of the environment's {VARIABLE}", flush=True)
        return store
    return _folder_store(named)


def _folder_store(named: str | None) -> Store:
    """The folder of --store (None: not given), SUITE_STORE or ./store. Raises ConfigError for no name."""
    folder = _usual() if named is None else named
    check_folder(folder, "store")
    if not folder:
        raise ConfigError("store=: must be a folder; name one, or leave --store out.")
    return Store(_resolved(folder))


def _usual() -> str:
    return os.environ.get("SUITE_STORE") or "store"


def _resolved(folder: str) -> Path:
    try:
        return Path(folder).expanduser().resolve()
    except (RuntimeError, OSError):
        raise ConfigError(
            f"store={folder}: there is no such user or folder; name another folder."
        ) from None


def _say_where(store: Store) -> None:
    """The command that serves a folder, or the server; below it the address of each table of runs."""
    print(f"look at it: {store.uri or _ui_command(store)}", flush=True)
    for name, experiment in store.experiments.items():
        table = run_table(store.uri or _UI, experiment)
        print(f"  {printable(name)}: {table}", flush=True)


def _ui_command(store: Store) -> str:
    """The line that shows the store, as it is typed in this folder."""
    here = Path.cwd()
    in_checkout = here == checkout().resolve() and (here / "bench").is_file()
    called = command_name("suite.track")
    command = "swiftbench ui" if called.startswith("swiftbench") else f"{called} --ui"
    command = "./bench ui" if in_checkout else command
    with contextlib.suppress(ConfigError):
        if store.folder == _resolved(_usual()):
            return command
    return f"{command} --store {shlex.quote(store.name)}"


def _show(store: Store, arguments: Sequence[str]) -> int:
    """Become MLflow's UI. On a shared machine any user who can reach the port can read it."""
    if store.folder is None:
        raise ConfigError(
            f"uri={store.uri}: --ui is for local stores; open the server's address in a browser."
        )
    with store.lock():
        store.prepare()
    environment = {**os.environ, **FIXED}
    named = [b for a, b in itertools.pairwise(arguments) if a in ("--port", "-p")]
    port = named[-1] if named else "5000"
    here = f"http://127.0.0.1:{port}"
    print(f"store {store.name}: {here} (Ctrl-C ends it)", flush=True)
    for name, experiment in experiments_of_runs(store.folder).items():
        print(f"  {printable(name)}: {run_table(here, experiment)}", flush=True)
    command = [sys.executable, "-m", "mlflow", *store.ui_command(arguments)]
    # MLflow is given names in this folder: an address of a folder called `a?b` would be another's.
    os.chdir(store.folder)
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    sys.exit(main())
