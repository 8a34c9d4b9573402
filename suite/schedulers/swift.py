"""swift: Hyperband whose brackets learn from each other; with `save`, in fewer epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from suite.core.brackets import Plan, PlannedBracket, hyperband_plan, share_in_epochs
from suite.core.checked_rounds import CheckedRounds, octaves
from suite.core.errors import ConfigError, check_integer
from suite.core.scheduler import Round, best
from suite.core.types import Curve, Decision, Train
from suite.surrogates.comparable_objectives import comparable
from suite.surrogates.forest import Forest, MeasuredForest
from suite.surrogates.gate import Gate

N_LEAST = 8
"""Trials at a rung for a model of it."""
LEAST_SHARE = 0.25
"""Of max_epochs: the rung from which on there is one."""


class Swift(CheckedRounds):
    """Hyperband's brackets, each begun when a worker has nothing else to do; made for the searcher
    extra_trees, whose proposals then rest on the brackets before, and for a virtual cluster
    (overlap=logical), on which the outcome does not depend on arrival.

    save=False: exactly Hyperband's epochs. save=True: a bracket that begins when a model exists
    takes share·n_s trials; inside rounds a gate (suite.surrogates.gate, chance p) drops trials at
    epochs R·2^(-k/2) >= r_i/4, never one that the model (a forest, hyperparameters to objective)
    has in the best half of those launched. A model exists once 8 trials have reached R/4. Its
    out-of-bag rank correlation is measured at every refresh; below least_correlation Hyperband's
    own rule stands: all n_s trials begin, and no trial is dropped inside a round. gate_needs_model:
    no trial is dropped before there is a model either.

    max_epochs: R, eta: η; refresh_every: trials begun between two fits of the model.
    Source: none published; brackets of Li et al. 2018 (JMLR 18:6765), Algorithm 1.
    Raises ConfigError for a parameter outside its range.
    """

    def __init__(
        self,
        max_epochs: int,
        eta: int,
        save: bool = False,
        share: float = 0.8,
        p: float = 0.02,
        least_correlation: float = 0.3,
        refresh_every: int = 8,
        gate_needs_model: bool = False,
        overlap: bool = True,
    ) -> None:
        planned = hyperband_plan(max_epochs, eta)
        check_integer("refresh_every", refresh_every, 1)
        for name, value in (("share", share), ("least_correlation", least_correlation)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}={value}: must lie in [0, 1].")
        if not 0 <= p < 0.5:
            raise ConfigError(f"p={p}: must lie in [0, 0.5).")
        self._eta, self._save, self._share = eta, save, share
        self._trust = MeasuredForest(least_correlation, "hyperband")
        self._refresh_every = refresh_every
        rungs = sorted({r.to_epoch for b in planned.brackets for r in b.rungs})
        self._gate = Gate(tuple(rungs), p)
        self._curves: dict[int, Curve | None] = {}
        self._met: dict[int, Sequence[float]] = {}
        self._model: Forest | None = None
        # there could be a model, but it was measured and is not trusted
        self._poor = False
        # predictions at most so high are in the best half of the launched
        self._good = -math.inf
        self._gate_needs_model = gate_needs_model
        self._n_vetoes = 0
        plan = Plan(planned.brackets, upper_bound=save)
        super().__init__(plan, octaves(max_epochs) if save else (), overlap=overlap)

    @property
    def deterministic(self) -> bool:
        return not self._save

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        if not self._save:
            return {}
        model = self._trust.diagnostics | {"vetoes": self._n_vetoes}
        return {"gate": dict(self._gate.diagnostics), "model": model}

    def ask_continuing(self) -> Decision:
        # a bracket's size depends on what is known when it begins
        return self._ask(begin=False)

    def on_config(self, trial_id: int, x: Sequence[float]) -> None:
        self._met[trial_id] = x
        if self._save and len(self._met) % self._refresh_every == 0:
            self._refresh()

    def _bracket(self, bracket: PlannedBracket, trials: list[int]) -> Round:
        if self._save:
            self._refresh()
            if self._model is not None:
                n = math.ceil(Fraction(str(self._share)) * bracket.n_trials)
                trials = trials[: max(n, 2 if bracket.s else 1)]
        n = len(trials)
        for i, rung in enumerate(bracket.rungs):
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, max(n // self._eta ** (i + 1), 1), rung.to_epoch)

    def _keeps(self, trial_id: int, curve: Curve, count: bool) -> bool:
        if self._model is None and (self._gate_needs_model or self._poor):
            return True
        if not self._gate.drops(curve, count):
            return True
        if self._model is None or (x := self._met.get(trial_id)) is None:
            return False
        vetoed = bool(self._model.predict([x])[0] <= self._good)
        self._n_vetoes += vetoed and count
        return vetoed

    def _observe(self, trial_id: int, curve: Curve | None) -> None:
        self._gate.observe(trial_id, curve)
        self._curves[trial_id] = curve

    def _refresh(self) -> None:
        """Fit the model to what is known now; without one where it could not rank what it had not
        seen.
        """
        self._model, self._good, self._poor = None, -math.inf, False
        observed = comparable(self._curves, N_LEAST, share_in_epochs(LEAST_SHARE, self._max_epochs))
        if observed is None:
            return
        known = {i: y for i, y in observed[1].items() if len(self._met.get(i, ())) > 0}
        X, y = [self._met[i] for i in known], list(known.values())
        if len(known) < N_LEAST or min(y) == max(y):
            return
        self._model = self._trust.fitted(X, y)
        self._poor = self._model is None
        if self._model is None:
            return
        launched = self._model.predict(list(self._met.values()))
        self._good = float(sorted(launched)[(len(launched) - 1) // 2])
