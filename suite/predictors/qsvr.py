"""An annealed support vector regressor, as a scikit-learn estimator that stands on its own.

from suite.predictors.qsvr import QSVR
QSVR(random_state=0).fit(X, y).predict(X_new)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from suite.annealing import samplers
from suite.annealing.annealed import Annealed
from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.predictor import Predictor, subset
from suite.predictors import qsvr_published, qsvr_zoom, svr_dual

Floats = NDArray[np.float64]
Encoding = Literal["zoom", "published"]


class QSVR(RegressorMixin, BaseEstimator, Annealed, Predictor):  # type: ignore[misc]  # sklearn is untyped
    """epsilon-SVR with an RBF kernel whose dual is minimised by an annealer.

    encoding "zoom" (default): K = `bits` spins a sample, at most `rounds` small Ising problems
    around the last answer (suite.predictors.qsvr_zoom): 20 samples are 40 variables. "published": one
    QUBO of 2 K bits a sample, 120 for 20 samples (suite.predictors.qsvr_published names its defects);
    `QSVR.published()` has its parameters.
    C: largest |beta_n| (zoom; the published bits end at 1.756); gamma: of exp(-gamma |x - x'|^2), or
    "scale": 1 / (n_features * variance of the scaled X), as scikit-learn's SVR has it (the default suits
    learning curves, many columns that are much alike; for other data search both); epsilon: half the
    tube; xi: weight of (sum beta)^2, in place of the constraint sum beta = 0; all of them in scaled
    units (`scale`: "minmax", scalers fitted on the training rows, or None).
    num_reads, num_sweeps: of one call of the annealer; sweeps are of simulated samplers alone.
    sampler: a name of suite.annealing.samplers, any object with dimod's `sample(bqm, ...)`, or a YAML
    leaf of one (`_target_` and arguments; conf/sampler, docs/your-sampler.md). sampler_options: for
    `qpu` and `mock` how to reach the device, else arguments of each call. sampler_deadline_s: most
    seconds of one call of an object or leaf; None: no limit.
    refine: also try the reads' mean, and search each way for its lowest point (zoom).
    combine: one of the published ways of combining reads, "all" for their mean (published).
    fallback: a sampler that takes over when the first one fails; None (default): it raises.
    max_samples: most training rows, drawn by `random_state`; None: all. A device's limit is its
    largest clique: K a sample (zoom) or 2 K (published) variables; suite.predictors.ensemble has
    the estimator for more.
    random_state: int, RandomState or None (then no two fits need agree).

    Attributes: beta_ (n_used,), intercept_, support_vectors_ (n_used, n_features; scaled),
    gamma_ (the number used), dual_energy_, dual_gap_ (a certificate: at most so far above the
    minimum), sampler_info_ (what sampled: calls, reads, solver, chain_break_fraction,
    qpu_access_time_s, fallback), n_variables_, n_features_in_.
    Shapes: fit X (n, n_features), y (n,), n >= 2; predict X (m, n_features) -> (m,).
    A constant y is predicted as it is; nothing is sampled.
    Raises ConfigError for parameters out of range, ValueError for other shapes and non-finite
    numbers, SamplerError (suite.annealing.errors) where the annealer fails.
    Source: Pasetto et al. 2022 (IEEE QCE); Wulff et al. 2024 (Quantum Mach. Intell. 6:59); Smola
    and Schölkopf 2004. Deviation: the zoom encoding is ours; it is a hybrid, and its classical part
    is strong: see `refine` and sampler="random" for what the annealer contributes.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0]
    >>> model = QSVR(random_state=0).fit(X, y)
    >>> model.predict([[1.5]]).round(1).tolist(), model.n_variables_
    ([1.5], 8)
    """

    def __init__(
        self,
        C: float = 5.0,
        gamma: float | Literal["scale"] = 0.05,
        epsilon: float = 0.02,
        xi: float = 0.5,
        bits: int = 2,
        encoding: Encoding = "zoom",
        rounds: int = 60,
        num_reads: int = 8,
        num_sweeps: int = 50,
        sampler: samplers.SamplerLike = "simulated",
        sampler_options: Mapping[str, Any] | None = None,
        refine: bool = True,
        combine: Literal["all"] | qsvr_published.Way = "all",
        fallback: samplers.SamplerName | None = None,
        max_samples: int | None = None,
        scale: Literal["minmax"] | None = "minmax",
        random_state: int | np.random.RandomState | None = None,
        sampler_deadline_s: float | None = samplers.DEADLINE_S,
    ) -> None:
        self.C, self.gamma, self.epsilon, self.xi = C, gamma, epsilon, xi
        self.bits, self.encoding, self.rounds = bits, encoding, rounds
        self.num_reads, self.num_sweeps = num_reads, num_sweeps
        self.sampler, self.sampler_options = sampler, sampler_options
        self.refine, self.combine, self.fallback = refine, combine, fallback
        self.max_samples, self.scale, self.random_state = max_samples, scale, random_state
        self.sampler_deadline_s = sampler_deadline_s

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """The estimator with the published driver's parameters, but for `changes`."""
        parameters: dict[str, Any] = {
            "C": 67.61, "gamma": 0.1, "epsilon": 0.02, "xi": 0.01, "bits": 3,
            "encoding": "published", "num_reads": 1000, "num_sweeps": 1000, "max_samples": 20,
        }  # fmt: skip
        return cls(**parameters | changes)

    def check(self) -> None:
        for name in ("C", "gamma", "epsilon", "xi"):
            number = getattr(self, name)
            if name == "gamma" and isinstance(number, str):
                if number != "scale":
                    raise ConfigError(f"gamma={number}: must be a number greater than 0, or scale.")
                continue
            positive = name in ("C", "gamma")
            number = float(number) if isinstance(number, Real) else math.nan
            if not 0 <= number < math.inf or (positive and number == 0):
                rule = "greater than 0" if positive else "0 or greater"
                raise ConfigError(f"{name}={getattr(self, name)}: must be {rule} and finite.")
        if self.sampler_deadline_s is not None and not 0 < self.sampler_deadline_s < math.inf:
            raise ConfigError(
                f"sampler_deadline_s={self.sampler_deadline_s}: must be greater than 0 and finite, or null."
            )
        for name in ("bits", "rounds", "num_reads", "num_sweeps"):
            check_integer(name, getattr(self, name), 1)
        if self.max_samples is not None:
            check_integer("max_samples", self.max_samples, 2, "(published: 20; null: all)")
        for name, value, known in (
            ("encoding", self.encoding, get_args(Encoding)),
            ("combine", self.combine, ("all", *qsvr_published.WAYS)),
            ("scale", self.scale, ("minmax", None)),
        ):
            if value not in known:
                raise unknown_name(name, value, known)
        samplers.check(self.sampler, self.sampler_options)
        if self.fallback is not None:
            samplers.check(self.fallback, None, "fallback")

    def warm_up(self) -> None:
        """On this machine's processor, whatever the sampler is: a device charges for questions."""
        here = {"sampler": "simulated", "sampler_options": None, "num_reads": 1, "rounds": 1}
        Predictor.warm_up(type(self)(**self.get_params(deep=False) | here))

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        self.check()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        seed = self.random_state
        if seed is None or not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        rows, y = subset(np.asarray(X), np.asarray(y, dtype=float), self.max_samples, int(seed))
        scaled = self._scale(rows, y)
        annealer = samplers.Annealer(
            self.sampler, self.sampler_options, num_reads=self.num_reads,
            num_sweeps=self.num_sweeps, seed=int(seed), fallback=self.fallback,
            recordings=self.recordings, deadline_s=self.sampler_deadline_s,
        )  # fmt: skip
        self.gamma_ = _gamma(self.gamma, self.support_vectors_)
        kernel = svr_dual.rbf_kernel(self.support_vectors_, self.support_vectors_, self.gamma_)
        # y is centred for the zoom: beta weighs deviations, the offset has the level.
        target = scaled - scaled.mean() if self.encoding == "zoom" else scaled
        self.n_variables_ = len(y) * self.bits * (1 if self.encoding == "zoom" else 2)
        if np.ptp(scaled) == 0:
            self.beta_, self.intercept_ = np.zeros(len(y)), float(scaled[0])
        elif self.encoding == "zoom":
            problem = qsvr_zoom.Problem(kernel, target, self.C, self.epsilon, self.xi)
            self.beta_ = qsvr_zoom.minimise(
                problem, annealer.ising, self.bits, self.rounds, self.refine
            )
            self.intercept_ = svr_dual.intercept(scaled - kernel @ self.beta_, self.epsilon)
        else:
            Q = qsvr_published.build(kernel, scaled, self.bits, self.epsilon, self.xi)
            reads = annealer.qubo(Q)[0][: qsvr_published.KEEP]
            self.beta_, self.intercept_ = qsvr_published.solve(
                reads, kernel, scaled, self.bits, self.epsilon, self.C, self.combine
            )
        given = (kernel, target, self.epsilon, self.xi)
        self.dual_energy_ = float(svr_dual.dual_energy(self.beta_, *given))
        self.dual_gap_ = svr_dual.duality_gap(
            self.beta_, *given, max(self.C, abs(self.beta_).max())
        )
        self.sampler_used_, self.sampler_info_ = annealer.name, annealer.info
        return self

    def _scale(self, X: Floats, y: Floats) -> Floats:
        """Learn the scales of X and y; sets support_vectors_ and returns y scaled.

        A constant y is scaled whatever `scale` says, so that it comes back exactly.
        """
        low, span = X.min(axis=0), np.ptp(X, axis=0)
        level, unit = float(y.min()), float(np.ptp(y))
        if self.scale is None and unit > 0:
            low, span, level, unit = np.zeros_like(low), np.ones_like(span), 0.0, 1.0
        self._low, self._span = low, np.where(span == 0, 1.0, span)
        self._level, self._unit = level, unit or 1.0
        self.support_vectors_ = (X - self._low) / self._span
        return (y - self._level) / self._unit

    def predict(self, X: ArrayLike) -> Floats:
        check_is_fitted(self, "beta_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        rows = (X - self._low) / self._span
        scaled = svr_dual.rbf_kernel(rows, self.support_vectors_, self.gamma_) @ self.beta_
        return np.asarray(self._level + self._unit * (scaled + self.intercept_))


def _gamma(given: float | Literal["scale"], X: Floats) -> float:
    """The number that `gamma` stands for on the scaled training rows X (n, n_features)."""
    if given != "scale":
        return float(given)
    spread = X.shape[1] * float(X.var())
    return 1.0 / spread if spread > 0 else 1.0
