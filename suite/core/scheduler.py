"""The scheduler contract, and `Rounds`: how a generator that reads like a paper's pseudo-code
becomes ask and tell.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from suite.core.brackets import Plan
from suite.core.machine import Machine
from suite.core.types import Curve, Decision, Predict, Train

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
    """Chooses epochs. Knows integers, curves, and the encoded configurations it is given; no clock and
    no worker, but for what the journal holds of them (`on_machine`).

    `stopped_at` names the trials that a prediction stopped; `objectives` are minimised.
    """

    @abstractmethod
    def ask(self) -> Decision:
        """The next decision. Called only when a worker is free; WAIT changes nothing."""

    @abstractmethod
    def tell(self, trial_id: int, curve: Curve | None) -> None:
        """This trial's job is finished. None: the trial diverged or was given up; it ranks last."""

    def tell_forecast(
        self,
        key: str,
        values: Sequence[float | None] | None,
        stds: Sequence[float | None] | None = None,
    ) -> None:
        """The answer to the Predict of this key; None: the predictor failed. stds: if asked for."""
        raise KeyError(key)

    def tell_stopped(self, trial_id: int, curve: Curve, forecast: float) -> None:
        """Of one that `takes_forecasts`: this trial's job was stopped with the last epoch of `curve`, since
        its objective at the job's end is forecast to be no good. It never goes on. Default: told as one that
        failed.
        """
        self.tell(trial_id, None)

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:  # noqa: B027 (optional hook)
        """Called once a trial, before its first `tell`. x: its configuration, encoded to [0, 1]^d."""

    def on_candidates(  # noqa: B027 (optional hook)
        self, n: int | None, points: Callable[[Sequence[int]], Sequence[Sequence[float]]]
    ) -> None:
        """Called once, before the first `ask`, where configurations do not depend on what was seen.

        points: trial ids -> their encoded configurations, in [0, 1]^d, before any of them begins. n: ids
        are below it (a table's rows, say); None: any. A scheduler that uses it `chooses_trials`.
        """

    def on_machine(self, machine: Machine) -> None:  # noqa: B027 (optional hook)
        """Called once, before the first `ask`, of a scheduler that `reads_clock`."""

    def ask_continuing(self) -> Decision:
        """Like `ask`, but never starts a bracket whose size depends on results still to come.

        A virtual cluster calls it ahead of need. Default: `ask`.
        """
        return self.ask()

    def next_epoch_if_told(self, trial_id: int, curve: Curve) -> int | None:
        """Epoch to which this trial would train next if its finished job were reported now; None if
        unknown.

        Changes nothing. On a virtual cluster an idle worker may train that far ahead.
        """
        return None

    @property
    def visible_epochs(self) -> Mapping[int, int] | None:
        """trial_id -> epochs that decisions may rest on (-1: it failed); None: all that were trained.

        A searcher sees no more than these, and epochs beyond them do not count.
        """
        return None

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Self-measurements of a learned rule, and how often it fell back; for the record."""
        return {}

    @property
    @abstractmethod
    def max_epochs(self) -> int:
        """R: the most epochs one trial can get."""

    @property
    def deterministic(self) -> bool:
        """True: the order of arrival changes nothing. False: only a prefix of a run is reproducible."""
        return True

    @property
    def reads_clock(self) -> bool:
        """Whether decisions rest on times and workers, as the journal holds them, where the run has a budget
        of time (`Machine.has_end`).
        """
        return False

    @property
    def wants_time(self) -> bool:
        """After DONE: whether it would go on if the run ended later; a resume that says so asks it again."""
        return False

    def may_train(self) -> Sequence[int] | None:
        """After WAIT: trials that are not being trained now, and that an idle worker may still have to train
        before the search ends, however it goes on. None: any, or it does not know. Idle workers that are more
        than these are released. Trials that are being trained have their own workers.
        """
        return None

    @property
    def knows_prices(self) -> bool:
        """Whether it knows what its trials are worth, so that it can end by budget.price."""
        return False

    @property
    def ended_by(self) -> str:
        """After DONE: a limit of its own that ended the search, for the run's reason; empty: its own rule."""
        return ""

    @property
    def expected_gain(self) -> tuple[float, float] | None:
        """(node-hours, gain): what the next so many are expected to gain, in units of the metric. None: not
        known.
        """
        return None

    @property
    def chooses_trials(self) -> bool:
        """Whether which trials begin, and how many, is decided as the run goes: at most those of `plan`,
        and by any id.
        """
        return False

    @property
    def takes_forecasts(self) -> bool:
        """Whether a predictor may stop its jobs half-way (suite.schedulers.forecasting). It asks for none
        itself.
        """
        return False

    @property
    def needs_std(self) -> bool:
        """Whether it asks predictors for standard deviations; not every predictor has them."""
        return False

    @property
    def stopped_at(self) -> Mapping[int, int]:
        """trial_id -> epoch at which a prediction stopped it."""
        return {}

    @property
    def bracket_of(self) -> Mapping[int, int]:
        """trial_id -> bracket, for figures; empty where the algorithm has none."""
        return {}

    @abstractmethod
    def plan(self) -> Plan:
        """What will be trained before any prediction stops anything."""


def ranking(curves: Curves, at_epoch: int | None = None) -> list[int]:
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
    """The first n of `ranking`; fewer where fewer are finite.

    >>> best({0: (0.5, 0.4), 1: (0.3, 0.2), 2: None}, n=1)
    [1]
    """
    return ranking(curves, at_epoch)[:n]
