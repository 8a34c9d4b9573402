"""Predictions beside the loop: fit and predict in a thread while the backend serves its workers."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from suite.annealing.annealed import Annealed
from suite.annealing.recordings import Recordings
from suite.core import types as t
from suite.core.plugins import make
from suite.core.predictor import Predictor
from suite.core.seeds import stream_seed
from suite.run.secrets import redact

# Models kept: a rung's questions to one training set come close together.
_FITTED = 8


class Forecaster:
    """Answers Predict requests with one kind of predictor; each (X, y) is fitted once.

    `spec` is the predictor's YAML leaf; its random_state is addressed by (seed, digest of X and y).
    folder: the run's, where sample sets of annealing devices are kept.
    """

    def __init__(
        self,
        spec: Mapping[str, Any] | None,
        seed: int,
        clock: Callable[[], float] = time.perf_counter,
        folder: Path | None = None,
    ) -> None:
        self._spec = {k: v for k, v in (spec or {}).items() if k != "features"}
        self._seed, self._clock = seed, clock
        self._recordings = None if folder is None else Recordings(folder, redact)
        self._fitted: OrderedDict[str, Predictor] = OrderedDict()

    def warm_up(self) -> None:
        """Import what the predictor needs, by a question whose answer is thrown away.

        Otherwise the run's first prediction, and all workers, would wait for the import (a second for
        scikit-learn). Errors are raised again by the first real question.
        """
        if self._spec.get("_target_"):
            with contextlib.suppress(Exception):
                make(self._spec, "predictor", Predictor, random_state=0).warm_up()

    def answer(self, request: t.Predict) -> t.Forecast | t.ForecastFailed:
        start = self._clock()
        try:
            X, y = np.asarray(request.X), np.asarray(request.y)
            # Reported once: a model that is asked again anneals nothing.
            info = None
            digest = hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest()
            model = self._fitted.get(digest)
            if model is None:
                # A model without random choices takes no random_state: make() leaves it out.
                random_state = stream_seed(self._seed, "predictor", digest)
                model = make(self._spec, "predictor", Predictor, random_state=random_state)
                if isinstance(model, Annealed):
                    model.recordings = self._recordings
                model.fit(X, y)
                info = model.sampler_info_ if isinstance(model, Annealed) else None
                self._fitted[digest] = model
                if len(self._fitted) > _FITTED:
                    self._fitted.popitem(last=False)
            fitted = self._clock()
            answer = _predict(model, np.asarray(request.X_new), request.with_std)
        except Exception as error:
            # The run continues without a prediction: the rung's trials are trained instead.
            return t.ForecastFailed(request.key, type(error).__name__, redact(str(error))[:500])
        values, stds = (
            tuple(float(v) if math.isfinite(v) else None for v in column) for column in answer
        )
        return t.Forecast(
            request.key,
            values,
            round(fitted - start, 6),
            round(self._clock() - fitted, 6),
            model.sampler_used_ if isinstance(model, Annealed) else None,
            stds=stds if request.with_std else None,
            sampler_info=_redacted(info),
        )


def _redacted(info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A device's messages go into the journal: never with a secret in them."""
    if info is None:
        return None
    return {key: redact(v) if isinstance(v, str) else v for key, v in info.items()}


def _predict(model: Any, X_new: Any, with_std: bool) -> list[Any]:
    """[values, stds], the latter empty unless asked for. Raises ValueError for other shapes."""
    answer = [*model.predict(X_new, return_std=True)] if with_std else [model.predict(X_new), []]
    answer = [np.asarray(column, dtype=float) for column in answer]
    for column in answer[: 1 + with_std]:
        if column.shape != (len(X_new),):
            raise ValueError(f"predict gave shape {column.shape}, must be ({len(X_new)},)")
    return answer


class AskThread:
    """A Forecaster in one thread.

    NuSVR and dwave-samplers release the GIL, so rank 0's loop keeps running.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predictor")
        self._asked: list[Future[t.Forecast | t.ForecastFailed]] = []
        self._warming = self._pool.submit(forecaster.warm_up)

    @property
    def is_warm(self) -> bool:
        """Whether the predictor's first call, which imports what it needs, is over."""
        return self._warming.done()

    def submit(self, request: t.Predict) -> None:
        self._asked.append(self._pool.submit(self._forecaster.answer, request))

    def answers(self) -> list[t.Forecast | t.ForecastFailed]:
        """What is ready, in the order it was asked for; never waits."""
        if not self._asked:
            return []
        ready = [asked.result() for asked in self._asked if asked.done()]
        self._asked = [asked for asked in self._asked if not asked.done()] if ready else self._asked
        return ready

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
