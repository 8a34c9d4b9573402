"""Looped: one search after the other, each begun as soon as a worker has nothing to do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from suite.core.brackets import (
    MAX_EPOCHS,
    MAX_TRIALS,
    Plan,
    PlannedBracket,
    PlannedRung,
)
from suite.core.errors import ConfigError, check_integer
from suite.core.plugins import make
from suite.core.scheduler import Scheduler
from suite.core.types import DONE, WAIT, Curve, Decision, Predict, Propose, Train

MOST_BEGUN = 10_000
"""Trials of a budget of hours, where no other number is given."""


class Looped(Scheduler):
    """A search that fills the machine: where `scheduler` has nothing for a free worker, another one of
    the same settings begins, and its trials are numbered on. Of those that have something to train the
    oldest is asked first. They share workers, and nothing else.

    scheduler: a leaf, `_target_` and the constructor's arguments. rounds: how many are begun in all.
    None: as many as there are trials for, and the budget ends the run; with neither n_trials nor hours,
    node_hours, all_epochs or end, one. n_trials (of a table its rows): no more begin; MOST_BEGUN of hours
    alone.
    Where they are too few for one more search, workers are kept busy all the same: trials that a search
    which is over has stopped go on to R = max_epochs, the farthest first, then the best; else trials
    that are left over are trained to R. Not those that a prediction stopped.

    A baseline of searches that fill the machine; it does not look at the end, and may begin what will not
    be finished. BOHB's own implementation loops its brackets likewise (Falkner et al. 2018, section 4.3).
    Asynchronous: what begins when, and what a searcher that learns has seen then, rests on the order in
    which jobs finish. Source: none published.
    Raises ConfigError for a scheduler that fills the machine itself (it reads the clock, or chooses among
    trials), and numbers below 1.
    """

    def __init__(
        self,
        scheduler: Mapping[str, Any],
        rounds: int | None = None,
        n_trials: int | None = None,
        hours: float | None = None,
        node_hours: float | None = None,
        all_epochs: int | None = None,
        end: str | None = None,
    ) -> None:
        for name, number in (("rounds", rounds), ("n_trials", n_trials)):
            if number is not None:
                check_integer(name, number, 1, "or null (until the budget ends)", most=MAX_TRIALS)
        self._leaf = scheduler
        first = self._made()
        if first.reads_clock or first.chooses_trials:
            raise ConfigError(
                f"scheduler.scheduler._target_={scheduler['_target_']}: keeps all workers busy until its end "
                "by itself; name it without the loop."
            )
        self._planned = first.plan()
        self._n_each, self._max_epochs = self._planned.n_trials, first.max_epochs
        self._fills = rounds is None and n_trials is not None
        ends = (hours, node_hours, all_epochs, end)
        self._rounds = self._most_rounds(rounds, n_trials, any(one is not None for one in ends))
        self._is_open = self._fills or (rounds is None and self._rounds > 1)
        self._n_trials = self._rounds * self._n_each
        if self._fills and n_trials is not None:
            self._n_trials = max(n_trials, self._n_trials)
        self._next_left = self._rounds * self._n_each
        # The first one is made, to be begun: by place, those that are not over.
        self._searches: list[Scheduler] = [first]
        self._open: list[int] = []
        self._needs_std = first.needs_std
        self._stopped: dict[int, int] = {}
        self._n_stopped: list[int] = []
        self._bracket_of: dict[int, int] = {}
        # trial -> epochs, objective after them; of those that did not fail
        self._reached: dict[int, tuple[int, float]] = {}
        # trained beyond what their search wanted
        self._beyond: set[int] = set()
        self._flying: set[int] = set()

    def _made(self) -> Scheduler:
        made: Scheduler = make(self._leaf, "scheduler.scheduler", Scheduler)
        return made

    def _most_rounds(self, rounds: int | None, n_trials: int | None, has_end: bool) -> int:
        most = n_trials
        if most is None and rounds is None:
            most = MOST_BEGUN if has_end else 1
        fit = [] if most is None else [most // self._n_each]
        if rounds is None:
            fit.append(MAX_EPOCHS // self._planned.n_epochs)
        else:
            fit.append(rounds)
        return max(min(fit), 1)

    # --- the contract ---------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def deterministic(self) -> bool:
        return False

    @property
    def needs_std(self) -> bool:
        return self._needs_std

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self._stopped

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    def plan(self) -> Plan:
        """Of `rounds` each one's brackets; else an upper bound: the trials that can begin, and of them as
        many at R as the epochs train.
        """
        if not self._is_open:
            return Plan(self._planned.brackets * self._rounds, self._planned.upper_bound)
        first, most, n = (
            self._planned.brackets[0].rungs[0].to_epoch,
            self._max_epochs,
            self._n_trials,
        )
        n_to_end = n
        if not self._fills:
            left = self._rounds * self._planned.n_epochs - n * first
            n_to_end = min(n, -(-max(left, 0) // max(most - first, 1)))
        rungs = (PlannedRung(n, first, n_to_end), PlannedRung(max(n_to_end, 1), most, 1))
        return Plan((PlannedBracket(0, rungs if first < most else rungs[1:]),), True)

    def ask(self) -> Decision:
        if (decision := self._of_begun()) is not None:
            return decision
        while len(self._n_stopped) < self._rounds:
            place = self._begin()
            if (decision := self._of(place, self._searches[place].ask())) is not None:
                return decision
            if place in self._open:
                # It waits, with nothing in flight: for no worker.
                break
        return self._beyond_searches() or (WAIT if self._open or self._flying else DONE)

    def ask_continuing(self) -> Decision:
        return self._of_begun() or WAIT

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._flying.remove(trial_id)
        if curve is None:
            self._reached.pop(trial_id, None)
        else:
            self._reached[trial_id] = len(curve), curve[-1]
        if trial_id in self._beyond:
            return
        place, own = divmod(trial_id, self._n_each)
        self._searches[place].tell(own, curve)
        self._note_stopped(place)

    def tell_forecast(
        self,
        key: str,
        values: Sequence[float | None] | None,
        stds: Sequence[float | None] | None = None,
    ) -> None:
        number, _, own = key.partition(":")
        place = int(number)
        self._searches[place].tell_forecast(own, values, stds)
        self._note_stopped(place)

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        place, own = divmod(trial_id, self._n_each)
        if place < self._rounds:
            self._searches[place].on_config(own, x)

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Searches that began, those of them that are over, and trials that were trained beyond them."""
        return {
            "searches": {
                "begun": len(self._n_stopped),
                "over": len(self._n_stopped) - len(self._open),
                "most": self._rounds,
            },
            "trained_beyond": len(self._beyond),
        }

    # --- the searches -----------------------------------------------------------------------------

    def _begin(self) -> int:
        place = len(self._n_stopped)
        if place == len(self._searches):
            self._searches.append(self._made())
        self._n_stopped.append(0)
        self._open.append(place)
        begins = place * self._n_each
        of = self._searches[place].bracket_of
        self._bracket_of.update((begins + own, s) for own, s in of.items())
        return place

    def _of_begun(self) -> Decision | None:
        for place in tuple(self._open):
            if (decision := self._of(place, self._searches[place].ask())) is not None:
                return decision
        return None

    def _of(self, place: int, decision: Decision) -> Decision | None:
        """The decision of one of them as that of the whole; None: it has nothing for a worker."""
        self._note_stopped(place)
        begins = place * self._n_each
        if isinstance(decision, Train):
            self._flying.add(begins + decision.trial_id)
            return Train(begins + decision.trial_id, decision.to_epoch)
        if isinstance(decision, Propose):
            return Propose(begins + decision.trial_id)
        if isinstance(decision, Predict):
            return dataclasses.replace(decision, key=f"{place}:{decision.key}")
        if decision == DONE:
            self._open.remove(place)
        return None

    def _note_stopped(self, place: int) -> None:
        """In the order in which they were stopped, whichever search they are of."""
        stopped = self._searches[place].stopped_at
        if len(stopped) > self._n_stopped[place]:
            more = list(stopped.items())[self._n_stopped[place] :]
            self._stopped.update((place * self._n_each + own, epoch) for own, epoch in more)
            self._n_stopped[place] = len(stopped)

    # --- beyond them ------------------------------------------------------------------------------

    def _beyond_searches(self) -> Train | None:
        if not self._fills:
            return None
        waiting = [
            (-epochs, value if math.isfinite(value) else math.inf, trial_id)
            for trial_id, (epochs, value) in self._reached.items()
            if epochs < self._max_epochs
            and trial_id not in self._flying
            and trial_id not in self._stopped
            and trial_id // self._n_each not in self._open
        ]
        if waiting:
            trial_id = min(waiting)[2]
        elif self._next_left < self._n_trials:
            trial_id = self._next_left
            self._next_left += 1
        else:
            return None
        self._flying.add(trial_id)
        self._beyond.add(trial_id)
        return Train(trial_id, self._max_epochs)
