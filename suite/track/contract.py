"""The contract of a tracker: one file with a subclass, and one YAML in conf/tracking, make one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core import moved
from suite.core.errors import SuiteError
from suite.core.plugins import make


class TrackingError(SuiteError):
    """This run could not be tracked. Its folder is whole: mend the reason and track it again."""


class StoreError(TrackingError):
    """Nothing can be tracked: the store cannot be read or written, or the server does not answer."""


class Tracker(ABC):
    """Where finished runs are shown besides the suite's own reports.

    The constructor takes the YAML's settings. `suite.results.fold.load_run` reads a run folder;
    `suite.track.rows` gives its names, tags, parameters and metric rows in a neutral form.
    """

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError where the settings cannot be right. Called before any folder is made."""

    @abstractmethod
    def after(self, folders: Sequence[Path]) -> int:
        """Called once, after the last run, with the folders of all runs that have a journal.

        Returns an exit code: 0, or another where something was not tracked; the reason is printed
        here. It does not change how the runs ended. Raises TrackingError where nothing could be
        tracked; a run that fails alone is said and keeps no other out.
        """


def make_tracker(leaf: Mapping[str, Any]) -> Tracker:
    """The tracker of a YAML file of conf/tracking. Raises ConfigError where its settings are wrong."""
    tracker: Tracker = make(moved.tracking(leaf), "tracking", Tracker)
    tracker.check()
    return tracker
