"""Floor 1: Rounds and Bracket, the machinery on which synchronous schedulers run; the contract is in
`scheduler`."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from suite.core.brackets import Plan, PlannedBracket
from suite.core.errors import unknown_name
from suite.core.scheduler import Answer, Round, Scheduler
from suite.core.types import DONE, WAIT, Curve, Decision, Predict, Train

Order = Literal["oldest", "longest_path"]
ORDERS: tuple[Order, ...] = get_args(Order)


class Rounds(Scheduler):
    """Runs the brackets of a plan, each a generator `_bracket` that reads like a paper's pseudo-code.

    plan: brackets and rungs; max_epochs and bracket_of follow from it. overlap: brackets share idle
    workers; else one bracket runs after the other.
    order, of overlapping brackets: `oldest` first; or `longest_path`, the trial that is farthest
    from max_epochs, ties to the older bracket: it ends sooner, because no long path begins late.

    Trial ids are fixed by the plan, not by the order of events, so that overlapping changes time
    and nothing else.
    Raises ConfigError for an unknown order.
    """

    def __init__(self, plan: Plan, *, overlap: bool, order: Order = "oldest") -> None:
        if order not in ORDERS:
            raise unknown_name("order", order, ORDERS)
        self._plan, self._max_epochs = plan, plan.max_epochs
        self._overlap, self._longest_path = overlap, order == "longest_path"
        assigned = plan.assigned()
        self._bracket_of = {t: bracket.s for bracket, trials in assigned for t in trials}
        self._brackets = [Bracket(self._bracket(bracket, trials)) for bracket, trials in assigned]
        # trial -> epochs it has
        self._trained: dict[int, int] = {}
        # trial in flight -> its bracket
        self._owner: dict[int, Bracket] = {}
        # key of a prediction in flight -> (its bracket, with_std)
        self._asked: dict[str, tuple[Bracket, bool]] = {}

    @abstractmethod
    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        """The rounds of one planned bracket, of these trials: a generator, begun when its turn comes."""

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    def plan(self) -> Plan:
        return self._plan

    def ask(self) -> Decision:
        return self._ask(begin=True)

    def _ask(self, begin: bool) -> Decision:
        """begin: whether a bracket may begin. False in `ask_continuing` of schedulers whose brackets'
        sizes depend on results still to come.
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
        # A value without the standard deviation that was asked for is no answer.
        if with_std and values is not None:
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
        # trials that are still being trained
        self._open: set[int] = set()
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
