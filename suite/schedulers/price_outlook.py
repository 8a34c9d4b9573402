"""What further training is worth, in units of the metric and node-hours: where a search by price may end."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.core.errors import ConfigError
from suite.core.machine import Machine
from suite.surrogates.beliefs import Beliefs, Candidates
from suite.surrogates.expected_gain import expected_gain
from suite.surrogates.ladder import Ladder
from suite.surrogates.price_table import PriceTable
from suite.surrogates.speeds import Speeds

_SAMPLES = 16
"""Outlooks in the record: one each sixteenth of the budget, and one at the end."""
_MOST_FRESH = 1000
"""New trials that are reckoned with, where no more is known of them."""
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class _Seen:
    """Beliefs at one moment. states, means: of trials that can go on. answers: the forest's for new ones."""

    best: float
    explained: Sequence[float]
    costs: Sequence[float]
    first: int
    states: NDArray[np.int_]
    means: NDArray[np.float64]
    answers: Sequence[float]
    trust: float
    n_left: int
    metric_per_standard: float | None

    @property
    def fresh(self) -> NDArray[np.float64]:
        """(n,) means of new trials: those that are known, and as many more as can begin."""
        known = self.trust * np.nan_to_num(np.array(self.answers))
        return np.concatenate([known, np.zeros(max(min(self.n_left, _MOST_FRESH) - len(known), 0))])


class Outlook:
    """Knows what the next epochs are expected to gain over the best trial at R, by the beliefs of
    `suite.schedulers.price` and on the run's clock.

    Its unit is that of the metric. Beliefs are in standard normal units of final values; one is as much of
    the metric as from the best tenth to the median of the values at the highest rung that n_least trials have
    come to, by their scores there: the slope of the good end, for that is who comes so far. A training is R
    epochs of mean length on one worker, with its share of the nodes: overhead and idle workers cost nothing.

    price: in units of the metric a node-hour; the search ends where no trial is worth it (`is_worth`).
    node_hours: of the next so many the expected gain is measured (`suite.surrogates.expected_gain`), None:
    of none. Its calibration, on three tables, ten seeds each, SIMULATED time: expected over what came 3.4,
    1.5 and 1.2, Kendall's tau over moments .24 to .38 (docs/beyond.md): an order of magnitude, too high.
    Raises ConfigError for numbers that are not above 0.
    """

    def __init__(
        self, max_epochs: int, n_least: int, price: float | None, node_hours: float | None
    ) -> None:
        for name, number in (("stop_price", price), ("outlook_node_hours", node_hours)):
            if number is not None and not 0 < number < math.inf:
                raise ConfigError(f"{name}={number}: must be a finite number > 0, or null.")
        self._max_epochs, self._n_least = max_epochs, n_least
        self.price, self._node_hours = price, node_hours
        self.is_on = price is not None or node_hours is not None
        self.is_over = False
        """Whether none was worth the stated price when last a trial could be trained."""
        self._machine: Machine | None = None
        self._speeds = Speeds(min(2, max_epochs))
        self._seen: _Seen | None = None
        self._table: PriceTable | None = None
        # (share of the budget, node-hours, best objective at R, expected gain)
        self._samples: list[tuple[float, float, float, float]] = []
        self._best: float | None = None

    def on_machine(self, machine: Machine) -> None:
        self._machine = machine

    def told(self, trial_id: int) -> None:
        if self.is_on and self._machine is not None:
            self._speeds.saw(trial_id, self._machine.epochs_ms(trial_id))

    def refreshed(
        self, ladder: Ladder, beliefs: Beliefs, candidates: Candidates, failed: Collection[int],
        *, costs: Sequence[float], first: int, n_left: int,
    ) -> None:  # fmt: skip
        """After the beliefs are. n_left: trials that can still begin."""
        if not self.is_on:
            return
        last = len(ladder.rungs) - 1
        finished = [i for i in ladder.at(last) if i not in failed]
        if not finished:
            self._seen = None
            return
        highest = ladder.highest
        can = (highest >= 0) & (highest < last)
        can[list(failed)] = False
        best = min(finished, key=lambda i: float(beliefs.mean[i]))
        self._best = dict(zip(ladder.at(last), ladder.values_at(last), strict=True))[best]
        self._seen = _Seen(
            float(beliefs.mean[best]), tuple(beliefs.explained), tuple(costs), first,
            highest[can] + 1, beliefs.mean[can], candidates.answers[:n_left], beliefs.trust, n_left,
            _slope(ladder, self._n_least),
        )  # fmt: skip

    @property
    def node_hours_a_training(self) -> float | None:
        """None: no speed is known, or no worker is there."""
        machine = self._machine
        if machine is None or not machine.n_workers or not machine.n_nodes or not len(self._speeds):
            return None
        nodes = machine.n_nodes / machine.n_workers
        return self._max_epochs * self._speeds.mean_ms * nodes / _HOUR_MS

    def is_worth(
        self, states: NDArray[np.int_], means: NDArray[np.float64], has_fresh: bool
    ) -> bool:
        """Whether a trial is worth the stated price, of these paused ones (their states in the price table,
        and means) and of new ones. True where none can be trained, where there is no price, and where its
        units are not known yet.

        Its price is the highest cost at which going on pays against the best trial so far (Weitzman's
        reservation value, of `PriceTable` with the best in place of the aim).
        """
        if self.price is None or not (len(states) or has_fresh):
            return True
        self.is_over = False
        seen, hours = self._seen, self.node_hours_a_training
        if seen is None or not seen.metric_per_standard or not hours:
            return True
        stated = self.price * hours / seen.metric_per_standard
        self.is_over = self._highest(seen, means, states, has_fresh) < stated
        return not self.is_over

    def _highest(
        self, seen: _Seen, means: NDArray[np.float64], states: NDArray[np.int_], has_fresh: bool
    ) -> float:
        """The highest price of these trials, in standard units an R of epochs."""
        table, given = self._table, (seen.best, seen.explained, seen.costs, seen.first)
        if table is None or not table.stands_for(*given):
            table = self._table = PriceTable(*given)
        prices = [float(table.price(k, means[states == k]).max()) for k in set(states.tolist())]
        if has_fresh and len(fresh := seen.fresh):
            prices.append(float(table.price(0, fresh.min())))
        return max(prices, default=0.0)

    def _gain(self) -> float | None:
        """Expected of the next `node_hours`, in units of the metric."""
        seen, hours = self._seen, self.node_hours_a_training
        if self._node_hours is None or seen is None or not seen.metric_per_standard or not hours:
            return None
        boxes = [seen.fresh]
        boxes += [seen.means[seen.states == k] for k in range(1, len(seen.explained))]
        gain = expected_gain(
            seen.best, seen.explained, seen.costs, seen.first, boxes, self._node_hours / hours
        )
        return gain * seen.metric_per_standard

    def sample(self, used: float) -> None:
        """Keep an outlook, where a sixteenth of the budget is over since the last one."""
        if self._samples and used < self._samples[-1][0] + 1 / _SAMPLES:
            return
        if (gain := self._gain()) is not None:
            assert self._machine is not None and self._best is not None
            self._samples.append((used, self._machine.node_ms / _HOUR_MS, self._best, gain))

    @property
    def expected(self) -> tuple[float, float] | None:
        """(node-hours, gain) of the latest outlook; None: there is none."""
        if self._node_hours is None or not self._samples:
            return None
        return self._node_hours, self._samples[-1][3]

    @property
    def diagnostics(self) -> dict[str, Any]:
        """expected_gain: of the next node_hours, in units of the metric; highest_price: what the best trial
        is worth, in these units a node-hour. samples: share of the budget, node-hours used, objective of the
        best at R, expected gain. Null where they are not known.
        """
        if not self.is_on:
            return {}
        seen, hours, gain = self._seen, self.node_hours_a_training, self._gain()
        slope = None if seen is None else seen.metric_per_standard
        highest = None
        if seen is not None and slope and hours:
            highest = self._highest(seen, seen.means, seen.states, True) * slope / hours
        return {
            "outlook": {
                "node_hours": self._node_hours,
                "expected_gain": _rounded(gain),
                "highest_price": _rounded(highest),
                "stop_price": self.price,
                "metric_per_standard": _rounded(slope),
                "node_hours_a_training": _rounded(hours),
                "samples": [[_rounded(x) for x in sample] for sample in self._samples],
            }
        }


def _slope(ladder: Ladder, n_least: int) -> float | None:
    """Of the metric by a standard unit: of the better half at the highest rung with enough trials."""
    for k in reversed(range(len(ladder.rungs))):
        values, z = np.array(ladder.values_at(k)), ladder.scores_at(k)
        came = np.isfinite(values)
        if came.sum() >= n_least:
            n = int(came.sum()) - 1
            of_half = [np.sort(x[came])[[n // 2, n // 10]] for x in (values, z)]
            rise, run = (float(high - low) for high, low in of_half)
            return rise / run if min(rise, run) > 0 else None
    return None


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")
