"""Runs into MLflow after the last run, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from suite.backends import launcher
from suite.track.address import (
    VARIABLE,
    address,
    check_folder,
    check_without_credentials,
    server_of_environment,
)
from suite.track.contract import Tracker, TrackingError

# Of one process: the system limits the length of its arguments.
_MOST_FOLDERS = 1000


@dataclass(frozen=True, kw_only=True)
class MLflow(Tracker):
    """An MLflow store: a folder of this machine, or a server.

    when: "after" the last run, or "later" (by `python -m suite.track`). store: the folder.
    uri: a server in the folder's place; None: the environment's MLFLOW_TRACKING_URI, else the folder.
    """

    when: Literal["after", "later"]
    store: str
    uri: str | None

    def check(self) -> None:
        """Raise ConfigError: store is no folder, uri or MLFLOW_TRACKING_URI is no server's address."""
        check_folder(self.store, "tracking.store")
        if self.uri is not None:
            check_without_credentials(self.uri, "tracking.uri")
            address(self.uri, "tracking.uri")
        elif (server := server_of_environment()) is not None:
            address(server, VARIABLE)

    def after(self, folders: Sequence[Path]) -> int:
        """Import the runs. This process never imports mlflow: it costs two seconds and 200 MiB.

        The address goes to the other process by its environment: arguments can be read by others.
        """
        if self.when == "later":
            return 0
        environment = launcher.child_environment()
        if launcher.owns_terminal():
            # The terminal may be the launcher's own, before a file.
            environment.setdefault("SUITE_PROGRESS", "plain")
        command = [sys.executable, "-m", "suite.track"]
        if self.uri is not None:
            environment[VARIABLE] = self.uri
        elif server_of_environment() is None and self.store:
            command += ["--store", self.store]
        codes = [
            _ended([*command, *map(str, folders[first : first + _MOST_FOLDERS])], environment)
            for first in range(0, len(folders), _MOST_FOLDERS)
        ]
        code = next(filter(None, codes), 0)
        if code:
            print(
                f"tracking: exit {code}; python -m suite.track RUN_FOLDERS imports again.",
                file=sys.stderr,
            )
        return code


def _ended(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code of a process. Raises TrackingError where it cannot be started."""
    try:
        return subprocess.run(command, env=environment, close_fds=False).returncode
    except OSError as error:
        raise TrackingError(
            f"{command[0]}: cannot be started ({error.strerror}); python -m suite.track RUN_FOLDERS imports "
            "the runs."
        ) from None
