"""How a search ends, by itself or by a budget of time: its winner, its reason, and whether it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from suite.core import types as t
from suite.core.scheduler import ranking
from suite.run.budget import Spending, fewer_epochs, goes_on, milliseconds, words_of_end
from suite.run.trials import GivenUp, TrialState, best_checkpointed


class Ending:
    """score: whether the winner is evaluated on the test split. max_epochs: R, the winner's epochs."""

    def __init__(self, spending: Spending, score: bool, max_epochs: int) -> None:
        self._spending, self._score, self._max_epochs = spending, score, max_epochs
        self.spent = ""
        """How the reason begins where a budget is used up, or somebody asked for the end; else empty."""
        self._limit = ""
        # As `spent`, where the scheduler has ended the search because of its budget.
        self._no_room = ""
        self.is_over = False
        """The scheduler said DONE."""
        self.winner: int | None = None
        self.scoring: int | None = None
        """The job that evaluates the winner."""
        self.is_scored = not score
        # Why it was not.
        self._unscored = ""

    @property
    def goes_on(self) -> bool:
        """Whether the search, where it has ended, goes on with a larger budget (or in another job)."""
        return bool(self.spent or self._no_room)

    def may_go_on(self, is_larger: bool, at_ms: int) -> bool:
        """Whether a resume at this time searches on. is_larger: it has raised a limit."""
        if self.spent:
            return (
                is_larger or self._spending.ends_with_job or self._spending.used_up(at_ms) is None
            )
        return bool(self._no_room) and (is_larger or self._spending.ends_with_job)

    def budget_used(self, event: t.BudgetUsed) -> None:
        self.spent, self._limit = self._spending.reached(event), event.limit

    def done(self, wants_time: bool) -> None:
        """The scheduler said DONE. wants_time: more time would let it go on."""
        self.is_over = True
        if wants_time and not self._no_room:
            self._no_room = self._spending.no_room()

    def resumed(self, event: t.Resumed, is_larger: bool) -> None:
        """After the event's settings have been taken over."""
        self.is_scored = not self._score
        if self.spent and self._spending.used_up(milliseconds(event.time_s)) is None:
            self.spent, self.winner = "", None
        if self._no_room and (is_larger or self._spending.ends_with_job):
            self._no_room, self.winner, self.is_over = "", None, False

    def choose(self, trials: Mapping[int, TrialState], curves: Mapping[int, t.Curve]) -> None:
        """The winner: the best at max_epochs; where a budget ended the run before, else the best so far.
        curves: those that count, of trials that were not given up.
        """
        self.winner = next(iter(ranking(curves, self._max_epochs)), None)
        if self.winner is None and self.goes_on:
            self.winner = best_checkpointed(trials, curves)

    def unscored(self, why: str) -> None:
        """The winner was to be evaluated, and cannot be."""
        self.is_scored, self._unscored = True, f"the winner could not be scored: {why}"

    def shutdown(
        self,
        curves: Mapping[int, t.Curve],
        given_up: Iterable[GivenUp],
        n_epochs: int,
        n_planned: int,
        n_cut: int,
        ended_by: str,
    ) -> t.Shutdown | None:
        """After `choose`: the run's last command; None: the winner is to be evaluated first.

        given_up: in order. n_epochs: that were trained, of n_planned. n_cut: trials that would go on.
        ended_by: what ended the search, as its scheduler says it; empty: its own rule.
        """
        if self.spent and (self.winner is None or self.is_scored):
            won = None if self.winner is None else len(curves[self.winner])
            left = (n_epochs, n_planned, n_cut, won, self._max_epochs)
            said = words_of_end(self.spent, goes_on(self._limit), *left)
            return _completed(said, self._unscored)
        if self.winner is None:
            why = f"no trial reached max_epochs={self._max_epochs}; nothing to score."
            # If all diverged, that is a result; if workers raised on every trial, the run failed.
            if raised := [why for why in given_up if why.reason != "diverged"]:
                return t.Shutdown("failed", f"{why} First: {raised[0]}")
            return _completed(self._no_room, why)
        if not self.is_scored:
            return None
        short = self._no_room and fewer_epochs(len(curves[self.winner]), self._max_epochs)
        return _completed(self._no_room, ended_by, short, self._unscored)


def _completed(*reasons: str) -> t.Shutdown:
    return t.Shutdown("completed", "; ".join(why for why in reasons if why))
