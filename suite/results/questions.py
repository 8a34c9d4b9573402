"""The questions that a search has put to its predictor, and what came of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suite.core import types as t
from suite.results.run_view import ForecastView
from suite.results.workers import check_sampler


class Questions:
    """clean: what is done to text of other people's code before it is shown."""

    def __init__(self, clean: Callable[[Any], Any]) -> None:
        self._clean = clean
        # key -> rows that it learns from, rows that it predicts, when
        self._open: dict[str, tuple[int, int, float]] = {}
        self.forecasts: list[ForecastView] = []
        """In the order in which answers came."""

    def ask(self, key: str, n: int, m: int, time_s: float) -> None:
        self._open[key] = (n, m, time_s)

    def close(self, event: t.Forecast | t.ForecastFailed) -> None:
        """An answer; one to no open question is dropped. Raises ValueError for another number of values."""
        if (question := self._open.pop(event.key, None)) is None:
            return
        n, m, asked_s = question
        answered = event if isinstance(event, t.Forecast) else None
        if answered is not None:
            if len(answered.values) != m:
                raise ValueError(
                    f"values: {len(answered.values)} values, must be {m}, as was asked"
                )
            check_sampler(answered.sampler_info)
        self.forecasts.append(
            ForecastView(
                key=event.key,
                n=n,
                m=m,
                asked_s=asked_s,
                time_s=event.time_s,
                fit_s=answered.fit_s if answered else 0.0,
                predict_s=answered.predict_s if answered else 0.0,
                sampler=answered.sampler if answered else None,
                sampler_info=self._clean(answered.sampler_info) if answered else None,
                values=answered.values if answered else None,
                message=self._clean(f"{event.reason}: {event.message}")
                if isinstance(event, t.ForecastFailed)
                else None,
            )
        )
