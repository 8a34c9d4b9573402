"""The virtual cluster: any scheduler on a logical clock, so that no arrival changes a decision."""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Any

from suite.core.brackets import Plan
from suite.core.errors import check_integer
from suite.core.scheduler import Scheduler
from suite.core.types import DONE, WAIT, Curve, Decision, Predict, Propose, Train

_Ready = tuple[bool, int, int, Train]
"""(is fresh, bracket's place, number of creation, what to train): the order of starting."""


class VirtualCluster(Scheduler):
    """Runs `scheduler` on `nominal_workers` logical workers, one unit of time an epoch.

    The scheduler meets this simulation alone: a decision at logical time t rests on what was
    finished by then, and ready jobs start in the order (continuation before fresh, bracket, number
    of creation). Where the simulation comes to a job whose curve is not here yet, it waits. So what
    comes out is a function of (seed, settings, nominal_workers), whatever the number of real
    workers, their speed, and the order in which they answer.

    Real workers train, in this order: what has started; what is ready and so certain to be trained
    (a fresh trial only where `ahead`: its configuration must not depend on what is still to come);
    and, with `speculate`, what the scheduler would train next (`next_epoch_if_told`). Epochs trained
    beyond what it decided are no part of `visible_epochs`: they do not count, and are reported apart.

    nominal_workers: None takes ceil(E/R), the workers that E planned epochs keep busy for the
    length of one full training; a quarter of it where a searcher learns (not `ahead`), because
    with ceil(E/R) nearly all trials have begun before there is anything to learn from. A prediction
    takes no logical time.
    Raises ConfigError for nominal_workers < 1.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        nominal_workers: int | None = None,
        ahead: bool = True,
        speculate: bool = False,
    ) -> None:
        if nominal_workers is None:
            per_worker = scheduler.max_epochs * (1 if ahead else 4)
            nominal_workers = max(-(-scheduler.plan().n_epochs // per_worker), 1)
        check_integer("nominal_workers", nominal_workers, 1, "or null (by the planned epochs)")
        self.scheduler, self.nominal_workers = scheduler, nominal_workers
        self._ahead, self._speculate = ahead, speculate
        places = sorted(set(scheduler.bracket_of.values()), reverse=True)
        self._place = {s: i for i, s in enumerate(places)}
        # The simulation.
        self._clock = 0
        self._free = nominal_workers
        # sorted
        self._ready: list[_Ready] = []
        # heap of (end, number of start, job)
        self._running: list[tuple[int, int, Train]] = []
        self._n_created = self._n_started = 0
        # asked, and not handed out
        self._question: Predict | None = None
        # the simulation stands until a forecast comes
        self._answering = False
        self._inner_done = False
        # trial -> epochs told, -1: failed; launched trials alone
        self._seen: dict[int, int] = {}
        # trial -> encoded configuration
        self._points: dict[int, Sequence[float]] = {}
        # The real workers.
        # trial -> epochs the simulation waits for, oldest first
        self._wanted: dict[int, int] = {}
        # trial -> epochs it is being trained to
        self._flying: dict[int, int] = {}
        # trial -> the longest curve that came
        self._curves: dict[int, Curve] = {}
        # trials with nothing more to come
        self._failed: set[int] = set()

    # --- the contract ------------------------------------------------------------------

    def ask(self) -> Decision:
        if (decision := self._advance()) is not None:
            return decision
        if (train := self._next_wanted() or self._next_ready() or self._next_guess()) is not None:
            self._flying[train.trial_id] = train.to_epoch
            return train
        return DONE if self._inner_done and not self._running else WAIT

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._flying.pop(trial_id, None)
        if curve is None:
            self._failed.add(trial_id)
        else:
            self._curves[trial_id] = curve

    def tell_forecast(
        self,
        key: str,
        values: Sequence[float | None] | None,
        stds: Sequence[float | None] | None = None,
    ) -> None:
        self._answering = False
        self.scheduler.tell_forecast(key, values, stds)
        self._gather()

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._points[trial_id] = x
        # A trial that is trained ahead is announced when it starts in the simulation.
        if trial_id in self._seen:
            self.scheduler.on_config(trial_id, x)

    @property
    def visible_epochs(self) -> Mapping[int, int]:
        return self._seen

    @property
    def clock_epochs(self) -> int:
        """The logical time: epochs since the begin."""
        return self._clock

    @property
    def max_epochs(self) -> int:
        return self.scheduler.max_epochs

    @property
    def deterministic(self) -> bool:
        return True

    @property
    def needs_std(self) -> bool:
        return self.scheduler.needs_std

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self.scheduler.stopped_at

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self.scheduler.bracket_of

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        return self.scheduler.diagnostics

    def plan(self) -> Plan:
        return self.scheduler.plan()

    # --- the simulation ---------------------------------------------------------------------------

    def _advance(self) -> Propose | Predict | None:
        """Simulate as far as the curves at hand allow; return a configuration to draw or a question."""
        while True:
            if self._question is not None:
                question, self._question = self._question, None
                return question
            if self._answering:
                return None
            if self._n_created == 0:
                self._gather()
                if self._answering:
                    continue
            if self._free and (self._ready or self._begin()):
                if (propose := self._launch()) is not None:
                    return propose
                continue
            if self._answering:
                # The bracket that began has a question; it goes first.
                continue
            if not self._running or not self._here(self._running[0][2]):
                return None
            self._clock, _, train = heapq.heappop(self._running)
            self._free += 1
            self._finish(train)

    def _launch(self) -> Propose | None:
        """The first of the ready jobs starts; a fresh trial's configuration is drawn now."""
        fresh, _, _, train = self._ready.pop(0)
        trial_id, to_epoch = train.trial_id, train.to_epoch
        self._free -= 1
        self._n_started += 1
        end = self._clock + to_epoch - max(self._seen.get(trial_id, 0), 0)
        heapq.heappush(self._running, (end, self._n_started, train))
        if not self._here(train):
            self._wanted[trial_id] = to_epoch
        if not fresh:
            return None
        self._seen[trial_id] = 0
        if (x := self._points.get(trial_id)) is None:
            return Propose(trial_id)
        self.scheduler.on_config(trial_id, x)
        return None

    def _finish(self, train: Train) -> None:
        curve = self._curves.get(train.trial_id, ())
        if len(curve) >= train.to_epoch:
            self._seen[train.trial_id] = train.to_epoch
            self.scheduler.tell(train.trial_id, curve[: train.to_epoch])
        else:
            self._seen[train.trial_id] = -1
            self.scheduler.tell(train.trial_id, None)
        self._gather()

    def _gather(self) -> None:
        """Take every decision that the scheduler has ready."""
        while not self._answering and self._take(self.scheduler.ask_continuing()):
            pass

    def _begin(self) -> bool:
        """A logical worker is idle: the scheduler may begin a bracket."""
        if self._inner_done or not self._take(self.scheduler.ask()):
            return False
        self._gather()
        return bool(self._ready)

    def _take(self, decision: Decision) -> bool:
        """Keep what the scheduler decided; whether it may have more."""
        if isinstance(decision, Train):
            fresh = decision.trial_id not in self._seen
            place = self._place.get(self.scheduler.bracket_of.get(decision.trial_id, 0), 0)
            insort(self._ready, (fresh, place, self._n_created, decision))
            self._n_created += 1
            return True
        if isinstance(decision, Predict):
            self._question, self._answering = decision, True
            return True
        self._inner_done = decision == DONE
        return False

    # --- the real workers -------------------------------------------------------------------------

    def _here(self, train: Train) -> bool:
        """Whether this job's curve is complete, or its trial has failed."""
        trial_id = train.trial_id
        return len(self._curves.get(trial_id, ())) >= train.to_epoch or trial_id in self._failed

    def _next_wanted(self) -> Train | None:
        for trial_id, to_epoch in self._wanted.items():
            if trial_id in self._flying:
                # it is being trained, perhaps not as far
                continue
            del self._wanted[trial_id]
            train = Train(trial_id, to_epoch)
            # Nothing behind it was looked at: the next call continues from here.
            return self._next_wanted() if self._here(train) else train
        return None

    def _next_ready(self) -> Train | None:
        for fresh, _, _, train in self._ready:
            if fresh and not self._ahead:
                # fresh ones come last
                return None
            if train.trial_id not in self._flying and not self._here(train):
                return train
        return None

    def _next_guess(self) -> Train | None:
        if not self._speculate:
            return None
        for _, _, train in sorted(self._running):
            trial_id = train.trial_id
            if trial_id in self._flying or trial_id in self._failed or not self._here(train):
                continue
            to_epoch = self.scheduler.next_epoch_if_told(
                trial_id, self._curves[trial_id][: train.to_epoch]
            )
            if to_epoch is not None and to_epoch > len(self._curves[trial_id]):
                return Train(trial_id, to_epoch)
        return None
