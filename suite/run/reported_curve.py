"""The one rule for epochs that are reported again, and what is counted of them.

After a loss, a retry or a resume an epoch may be trained, and reported, a second time. The first report
stays where a decision rests on it; elsewhere the new one takes its place, so that the curve is that of
the checkpoint from which training continues.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ReportCounts:
    """Epochs reported first and again, of all trials of a run.

    n_differences: second reports with another objective. max_difference: the largest difference.
    """

    n_epochs: int = 0
    n_retrained: int = 0
    n_differences: int = 0
    max_difference: float = 0.0

    def counts(self, epoch: int, objective: float, before: float | None, decided: int) -> bool:
        """Count one report; True where it enters the curve, as a new epoch or in the old one's place.

        before: the objective that the curve holds for this epoch, None where it holds none.
        decided: epochs of this trial that a decision rests on.
        """
        if before is None:
            self.n_epochs += 1
            return True
        self.n_retrained += 1
        difference = abs(objective - before)
        if difference == 0:
            return False
        self.n_differences += 1
        self.max_difference = max(self.max_difference, difference)
        return epoch > decided
