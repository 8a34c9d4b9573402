"""The scheduler contract, and `Rounds`: how a generator that reads like a paper's pseudo-code
becomes ask and tell.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from suite.core.brackets import Plan
from suite.core.errors import unknown_name
from suite.core.types import DONE, WAIT, Curve, Decision, Predict, Train

Curves = Mapping[int, Curve | None]
"""trial_id -> curve, or None for a trial that diverged or was given up."""

Request = Sequence[Train] | Predict
Pair = tuple[float | None, float | None]
Answer = Curves | Sequence[float | None] | Sequence[Pair] | None
Round = Generator[Request, Any, Any]
"""`curves = yield [Train(t, epochs) for t in trials]`;  `values = yield Predict(...)`  (None: no
forecast);  `pairs = yield Predict(..., with_std=True)`: (value, standard deviation) of each row.

What is sent back (an Answer) depends on what was asked for, which a Generator's type cannot say.
"""


class Scheduler(ABC):
    """Chooses epochs. Knows integers, curves, and the encoded configurations it is given; no clock,
    no worker.

    `stopped` names the trials that a prediction stopped; `objectives` are minimised.
    """

    @abstractmethod
    def ask(self) -> Decision:
        """The next decision. Called only when something could be done with it; WAIT changes
        nothing.
        """

    @abstractmethod
    def tell(self, trial_id: int, curve: Curve | None) -> None:
        """The job of this trial is finished; None: it diverged or was given up, and ranks last for
        ever.
        """

    def tell_forecast(
        self,
        key: str,
        values: Sequence[float | None] | None,
        stds: Sequence[float | None] | None = None,
    ) -> None:
        """The answer to the Predict of this key; None: the predictor failed. stds: if asked for."""
        raise KeyError(key)

    def meet(self, trial_id: int, x: Sequence[float]) -> None:  # noqa: B027 (optional hook)
        """Told once a trial, before its first `tell`: its configuration encoded to [0, 1]^d, for
        predictors.
        """

    def go_on(self) -> Decision:
        """As `ask`, but begins nothing whose size depends on what is known by then.

        On a virtual cluster this is asked ahead of need; the default asks for everything ready.
        """
        return self.ask()

    def expect(self, trial_id: int, curve: Curve) -> int | None:
        """To which epoch this finished job's trial would go on, were it told now; None: who knows.

        Changes nothing. On a virtual cluster an idle worker may train so far ahead.
        """
        return None

    @property
    def seen(self) -> Mapping[int, int] | None:
        """trial_id -> epochs that decisions may rest on (-1: it failed); None: whatever came.

        A searcher is shown no more, and what was trained beyond does not count.
        """
        return None

    @property
    def measured(self) -> Mapping[str, Any]:
        """What a learned rule measured of itself, and how often it fell back, for the record."""
        return {}

    @property
    @abstractmethod
    def max_epochs(self) -> int:
        """R: the most epochs one trial can get."""

    @property
    def deterministic(self) -> bool:
        """Whether the order of arrival changes nothing; else a run's prefix is reproducible."""
        return True

    @property
    def needs_std(self) -> bool:
        """Whether it asks for standard deviations, which not every predictor gives."""
        return False

    @property
    def stopped(self) -> Mapping[int, int]:
        """trial_id -> epoch at which a prediction stopped it."""
        return {}

    @property
    def bracket_of(self) -> Mapping[int, int]:
        """trial_id -> bracket, for figures; empty where the algorithm has none."""
        return {}

    @abstractmethod
    def plan(self) -> Plan:
        """What will be trained before any prediction stops anything."""


def rank(curves: Curves, at_epoch: int | None = None) -> list[int]:
    """Trial ids, best first: by the objective after `at_epoch` (default: the last), ties by lower
    trial_id.

    Only finite values are ranked; a diverged trial, or one that was not trained so far, is left
    out.
    """
    values: list[tuple[float, int]] = []
    for trial_id, curve in curves.items():
        if curve and (at_epoch is None or len(curve) >= at_epoch):
            value = curve[-1] if at_epoch is None else curve[at_epoch - 1]
            if math.isfinite(value):
                values.append((value, trial_id))
    return [trial_id for _, trial_id in sorted(values)]


def best(curves: Curves, n: int, at_epoch: int | None = None) -> list[int]:
    """The n best of `rank`; fewer where fewer are finite."""
    return rank(curves, at_epoch)[:n]


ORDERS = ("oldest", "longest_path")


class Rounds(Scheduler):
    """Runs bracket generators. With `overlap`, brackets share idle workers; else one at a time.

    order, of overlapping brackets: `oldest` first; or `longest_path`, the trial that is farthest
    from max_epochs, ties to the older bracket: it ends sooner, because no long path begins late.

    Trial ids are fixed by the plan, not by the order of events, so that overlapping changes time
    and nothing else.
    """

    def __init__(self, brackets: Iterable[Round], *, overlap: bool, order: str = "oldest") -> None:
        if order not in ORDERS:
            raise unknown_name("order", order, ORDERS)
        self._brackets = [Bracket(round_) for round_ in brackets]
        self._overlap, self._longest_path = overlap, order == "longest_path"
        self._trained: dict[int, int] = {}  # trial -> epochs it has
        self._owner: dict[int, Bracket] = {}  # trial in flight -> bracket
        self._asked: dict[str, tuple[Bracket, bool]] = {}  # prediction in flight: whose, with_std

    def ask(self) -> Decision:
        return self._ask(begin=True)

    def _ask(self, begin: bool) -> Decision:
        """begin: a bracket that has not begun may; a scheduler whose brackets' sizes depend on what
        is known by then says no in `go_on`.
        """
        # A prediction holds a whole rung back: it goes out before any training does.
        for bracket in self._brackets:
            if bracket.predict is not None:
                return self._hand_out(bracket)
        for bracket in self._brackets:
            if not bracket.begun:
                if not begin:
                    continue
                bracket.advance(None)
            if bracket.predict is not None or (bracket.todo and not self._longest_path):
                return self._hand_out(bracket)
            if not self._overlap and not bracket.over:
                break
        if self._longest_path and (waiting := [b for b in self._brackets if b.todo]):
            # All paths end at max_epochs: the fewer epochs a trial has, the longer is its own.
            return self._hand_out(min(waiting, key=self._epochs_of_next))
        return DONE if all(bracket.over for bracket in self._brackets) else WAIT

    def _epochs_of_next(self, bracket: Bracket) -> int:
        return self._trained.get(bracket.todo[0].trial_id, 0)

    def _hand_out(self, bracket: Bracket) -> Decision:
        if (predict := bracket.predict) is not None:
            bracket.predict = None
            self._asked[predict.key] = bracket, predict.with_std
            return predict
        train = bracket.todo.popleft()
        self._owner[train.trial_id] = bracket
        return train

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._observe(trial_id, curve)
        self._trained[trial_id] = len(curve or ())
        self._owner.pop(trial_id).tell(trial_id, curve)

    def tell_forecast(
        self,
        key: str,
        values: Sequence[float | None] | None,
        stds: Sequence[float | None] | None = None,
    ) -> None:
        bracket, with_std = self._asked.pop(key)
        if with_std and values is not None:  # a value whose error was asked for is none without it
            bracket.advance(None if stds is None else list(zip(values, stds, strict=True)))
        else:
            bracket.advance(values)

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        """For schedulers that learn from every finished curve, whichever bracket it is of."""


class Bracket:
    """One generator with what it asked for: trials to hand out, answers so far, a prediction to
    hand out.
    """

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._open: set[int] = set()  # requested and not told
        self._told: dict[int, Curve | None] = {}
        self.todo: deque[Train] = deque()
        self.predict: Predict | None = None
        self.begun = False
        self.over = False

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._open.discard(trial_id)
        self._told[trial_id] = curve
        if not self._open:
            told, self._told = self._told, {}
            self.advance(told)

    def advance(self, answer: Answer) -> None:
        """Send the answer in, keep the next request; a request for nothing is answered at once."""
        self.begun = True
        try:
            request = self._round.send(answer)
            while not isinstance(request, Predict) and not request:
                request = self._round.send({})
        except StopIteration:
            self.over = True
            return
        if isinstance(request, Predict):
            self.predict = request
        else:
            self.todo.extend(request)
            self._open = {train.trial_id for train in request}
