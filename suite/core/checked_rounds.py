"""Rounds with check points inside a rung."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from suite.core.brackets import Plan
from suite.core.rounds import Bracket, Order, Rounds
from suite.core.types import Curve, Decision, Train


def octaves(max_epochs: int, per_octave: int = 2) -> tuple[int, ...]:
    """round(R 2^(-k / per_octave)), k = 1, 2, ..., down to 1; rising."""
    points = {max_epochs}
    k = 1
    while (t := round(max_epochs * 2 ** (-k / per_octave))) >= 1:
        points.add(t)
        k += 1
    return tuple(sorted(points - {max_epochs}))


class CheckedRounds(Rounds):
    """Splits each rung's training at check points. At each one `_keeps` decides whether the trial
    continues; at a rung's end the bracket's own rule decides.

    check_points: epochs, rising. least_share: of a rung's epochs, before which there is no check.
    Decisions depend on arrival order, except on a virtual cluster.
    """

    def __init__(
        self,
        plan: Plan,
        check_points: Sequence[int],
        *,
        overlap: bool,
        least_share: float = 0.25,
        order: Order = "oldest",
    ) -> None:
        self._points, self._least_share = tuple(check_points), least_share
        # trial -> last epoch of the rung it is in
        self._goal: dict[int, int] = {}
        self._dropped: dict[int, int] = {}
        super().__init__(plan, overlap=overlap, order=order)

    @abstractmethod
    def _keeps(self, trial_id: int, curve: Curve, count: bool) -> bool:
        """Whether the trial continues; count: the decision is made now, else it is only asked for."""

    @property
    def stopped_at(self) -> Mapping[int, int]:
        return self._dropped

    @property
    def deterministic(self) -> bool:
        return False

    def next_epoch_if_told(self, trial_id: int, curve: Curve) -> int | None:
        goal = self._goal[trial_id]
        if len(curve) < goal and self._keeps(trial_id, curve, False):
            return self._next(len(curve), goal)
        return None

    def _hand_out(self, bracket: Bracket) -> Decision:
        decision = super()._hand_out(bracket)
        if isinstance(decision, Train):
            trial_id, goal = decision.trial_id, decision.to_epoch
            self._goal[trial_id] = goal
            return Train(trial_id, self._next(self._trained.get(trial_id, 0), goal))
        return decision

    def _next(self, trained: int, goal: int) -> int:
        least = max(self._least_share * goal, trained + 1)
        return next((t for t in self._points if least <= t < goal), goal)

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        if curve is not None and len(curve) < (goal := self._goal[trial_id]):
            # The rule judges by what it knew before: a trial is no evidence against itself.
            keeps = self._keeps(trial_id, curve, True)
            if keeps:
                self._observe(trial_id, curve)
                self._trained[trial_id] = len(curve)
                self._owner.pop(trial_id).todo.appendleft(Train(trial_id, goal))
                return
            self._dropped[trial_id] = len(curve)
        super().tell(trial_id, curve)
