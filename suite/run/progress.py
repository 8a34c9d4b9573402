"""Whether a run that pauses and is requeued makes progress: by its journal, whoever starts it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.core import types as t
from suite.run.conductor import Conductor
from suite.run.limit import is_pause

MOST_IDLE_PAUSES = 2
"""Jobs in a row that may pause without a new epoch; then the run ends as failed."""


class ProgressMeter:
    """Counts pauses in a row without progress, and measures epochs, over all processes of a run.

    n_idle_pauses: jobs in a row that paused as they had begun. epoch_s: the shortest epoch so far, in
    seconds; None: none was reported.
    """

    def __init__(self) -> None:
        self.n_idle_pauses = 0
        self.epoch_s: float | None = None
        self._begun = (0, 0)

    def epoch(self, event: t.EpochReport) -> None:
        seconds = event.train_s + event.eval_s
        if self.epoch_s is None or seconds < self.epoch_s:
            self.epoch_s = seconds

    def begin(self, conductor: Conductor) -> None:
        """A process takes the run over."""
        self._begun = _made(conductor)

    def closed(self, line: Mapping[str, Any], conductor: Conductor) -> None:
        """A closing line of the journal."""
        if line.get("status") == "interrupted" and is_pause(str(line.get("reason", ""))):
            self.n_idle_pauses = self.with_pause(conductor)
        else:
            self.n_idle_pauses = 0

    def with_pause(self, conductor: Conductor) -> int:
        """`n_idle_pauses`, if the run pauses now."""
        return self.n_idle_pauses + 1 if _made(conductor) == self._begun else 0

    def stalled(self, conductor: Conductor) -> str:
        """Why the run, which pauses now, must not be requeued; empty while it makes progress."""
        if (n := self.with_pause(conductor)) < MOST_IDLE_PAUSES:
            return ""
        return (
            f"{n} jobs in a row have ended without a new epoch: one epoch takes longer than the job has "
            "time to train. Ask for more time (--time), lower backend.pause_before_s, or make an epoch "
            "shorter; then continue with resume=auto"
        )


def _made(conductor: Conductor) -> tuple[int, int]:
    """What a run has got to: epochs reported for the first time, trials given up."""
    return conductor.n_epochs, len(conductor.given_up)
