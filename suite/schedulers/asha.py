"""ASHA: successive halving without waiting; a trial in a rung's top 1/eta is promoted at once."""

from __future__ import annotations

from collections.abc import Mapping

from suite.core.async_rung import AsyncRung
from suite.core.brackets import MAX_TRIALS, Plan, PlannedBracket, PlannedRung
from suite.core.errors import ConfigError, check_integer
from suite.core.scheduler import Scheduler
from suite.core.types import DONE, WAIT, Curve, Decision, Train


class Asha(Scheduler):
    """A free worker gets a promotion, from the highest rung that has one to give, else a new trial.

    max_epochs: R, eta: η, min_epochs: r, s: s, the early-stopping rate; rung k trains to r·η^(s+k)
    epochs, k = 0 ... floor(log_η(R/r)) - s. n_trials: the end; after that many no new trial begins,
    and promotions continue until there is none. n_epochs: an end besides; no job begins that would
    make more, once a trial is at R or on its way there. A diverged trial counts in its rung, as its
    last.

    Asynchronous: decisions depend on the order in which jobs finish, by definition. With one worker
    a run can be repeated; with more, only a prefix of it.
    Source: Li et al. 2020 (MLSys 2:230), Algorithm 2.
    Deviation: the last rung trains to R itself, also where R is no r·η^k, so that a winner has the
    epochs that every other scheduler's has; and there is an end.
    Raises ConfigError for a parameter outside its range, or n_trials that leave the last rung
    empty.

    >>> scheduler = Asha(max_epochs=4, n_trials=4, eta=2)
    >>> scheduler.ask(), scheduler.ask()
    (Train(trial_id=0, to_epoch=1), Train(trial_id=1, to_epoch=1))
    >>> scheduler.tell(0, (0.5,)); scheduler.tell(1, (0.3,))
    >>> scheduler.ask()
    Train(trial_id=1, to_epoch=2)
    """

    def __init__(
        self,
        max_epochs: int,
        n_trials: int,
        eta: int = 4,
        min_epochs: int = 1,
        s: int = 0,
        n_epochs: int | None = None,
    ) -> None:
        check_integer("max_epochs", max_epochs, 1)
        check_integer("eta", eta, 2, "(Li et al. 2020 use 4)")
        check_integer("n_trials", n_trials, 1, most=MAX_TRIALS)
        # eta^s must not exceed max_epochs anyway; more would not be reckoned in a lifetime.
        check_integer("s", s, 0, most=63)
        check_integer("min_epochs", min_epochs, 1)
        if n_epochs is not None:
            check_integer("n_epochs", n_epochs, 1, "or null (no such end)")
        if min_epochs * eta**s > max_epochs:
            raise ConfigError(
                f"min_epochs={min_epochs}, s={s}: the first rung, min_epochs·eta^s = "
                f"{min_epochs * eta**s} epochs, must be at most max_epochs={max_epochs}."
            )
        epochs = [min_epochs * eta**s]
        while epochs[-1] * eta <= max_epochs:
            epochs.append(epochs[-1] * eta)
        epochs[-1] = max_epochs
        if n_trials < (least := eta ** (len(epochs) - 1)):
            raise ConfigError(
                f"n_trials={n_trials}: must be at least eta^{len(epochs) - 1} = {least}, or no "
                f"trial comes to max_epochs={max_epochs}; or raise min_epochs or s."
            )
        self._rungs = [AsyncRung(r) for r in epochs]
        self._eta, self._n_trials, self._n_begun = eta, n_trials, 0
        self._n_epochs, self._handed_out = n_epochs, 0
        # trial -> rung for which it is being trained
        self._flying: dict[int, int] = {}
        self._bracket_of = dict.fromkeys(range(n_trials), s)

    @property
    def max_epochs(self) -> int:
        return self._rungs[-1].to_epoch

    @property
    def bracket_of(self) -> Mapping[int, int]:
        return self._bracket_of

    @property
    def deterministic(self) -> bool:
        # asynchronous by definition
        return False

    @property
    def takes_forecasts(self) -> bool:
        return True

    def plan(self) -> Plan:
        """An upper bound: what is trained if every trial is better than all before it.

        Each finished trial allows at most one promotion, the first eta - 1 of a rung none.
        """
        rungs, n = [], self._n_trials
        for rung in self._rungs:
            n_next = max(n - self._eta + 1, 1)
            rungs.append(PlannedRung(n, rung.to_epoch, n_next))
            n = n_next
        return Plan(
            (PlannedBracket(next(iter(self._bracket_of.values())), tuple(rungs)),), upper_bound=True
        )

    def ask(self) -> Decision:
        for k in reversed(range(len(self._rungs) - 1)):
            if not self._affords(self._rungs[k + 1].to_epoch - self._rungs[k].to_epoch):
                continue
            if (trial_id := self._rungs[k].promote(self._eta)) is not None:
                return self._train(trial_id, k + 1)
        if self._n_begun < self._n_trials and self._affords(self._rungs[0].to_epoch):
            self._n_begun += 1
            return self._train(self._n_begun - 1, 0)
        return WAIT if self._flying else DONE

    def _affords(self, n: int) -> bool:
        if self._n_epochs is None or self._handed_out + n <= self._n_epochs:
            return True
        # The budget is spent; but a run without a trial at R would have no result.
        return not self._rungs[-1].reached and len(self._rungs) - 1 not in self._flying.values()

    def _train(self, trial_id: int, k: int) -> Train:
        before = self._rungs[k - 1].to_epoch if k else 0
        self._handed_out += self._rungs[k].to_epoch - before
        self._flying[trial_id] = k
        return Train(trial_id, self._rungs[k].to_epoch)

    def tell(self, trial_id: int, curve: Curve | None) -> None:
        self._rungs[self._flying.pop(trial_id)].tell(trial_id, curve)

    def tell_stopped(self, trial_id: int, curve: Curve, forecast: float) -> None:
        """It counts in its rung, as its last; the epochs that were spared are n_epochs' again."""
        self._handed_out -= self._rungs[self._flying[trial_id]].to_epoch - len(curve)
        self.tell(trial_id, None)
