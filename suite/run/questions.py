"""Questions to the predictor that are open, and whether an answer fits its question."""

from __future__ import annotations

from suite.core import types as t
from suite.core.errors import JournalError
from suite.core.printable import printable


class Questions:
    """Forecasts that were asked for and have not come, in the order in which they were asked."""

    def __init__(self) -> None:
        self._open: dict[str, t.Predict] = {}

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, request: t.Predict) -> t.Ask:
        self._open[request.key] = request
        return t.Ask(request)

    def ask_again(self) -> list[t.Command]:
        """All of them: whoever was asked is gone."""
        return [t.Ask(request) for request in self._open.values()]

    def close(self, answer: t.Forecast | t.ForecastFailed) -> bool:
        """Take the answer's question off the list; False where nobody waits for it.

        Raises JournalError for a forecast that has not a value, and a std if asked for, for each curve.
        """
        if (request := self._open.pop(answer.key, None)) is None:
            return False
        if isinstance(answer, t.Forecast):
            wanted = len(request.X_new)
            n_stds = 0 if answer.stds is None else len(answer.stds)
            if len(answer.values) != wanted or (request.with_std and n_stds != wanted):
                raise JournalError(
                    f"forecast {printable(answer.key, most=60)}: {len(answer.values)} values and {n_stds} "
                    f"stds for {wanted} curves; the predictor and the question do not agree."
                )
        return True
