"""What a scheduler may know of the machine: only what the journal holds, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Machine(Protocol):
    """Workers and times of a run, as its events say them: a replay shows the same numbers.

    Times are integer milliseconds. Asked in `Scheduler.ask`; between two events nothing changes but what
    the scheduler itself hands out.
    """

    @property
    def now_ms(self) -> int:
        """Since the run's begin, at the latest event; it never goes back."""

    @property
    def has_end(self) -> bool:
        """Whether the run has a budget of time; it never changes."""

    @property
    def end_ms(self) -> int | None:
        """When the first budget of time is used up, since the run's begin, if no worker comes or goes; None:
        not by what is known now. A worker that comes or goes moves that of node-hours, a resume any.
        """

    @property
    def n_workers(self) -> int:
        """Workers that are there, those that were released too."""

    @property
    def n_nodes(self) -> int:
        """Nodes of all these workers; one that names no node (a simulated one) is a node of its own."""

    @property
    def node_ms(self) -> int:
        """Time of all nodes so far, while a worker of them was there, busy or idle."""

    @property
    def overhead_ms(self) -> int:
        """Median over jobs of what a job takes besides its epochs (restore, checkpoint); 0: none is over."""

    @property
    def last_busy_ms(self) -> Sequence[int]:
        """Of each worker that is there: when its last job ended, or it joined."""

    def epochs_ms(self, trial_id: int) -> Sequence[int]:
        """Duration of each epoch of a trial so far, training and validation; at least 1 each."""

    def is_resident(self, trial_id: int) -> bool:
        """Whether an idle worker still holds the trial in memory, so that it goes on without a restart."""
