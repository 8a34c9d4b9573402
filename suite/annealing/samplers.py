"""Samplers by name, and one fit's use of them: dimod's contract, `sample(bqm, num_reads=...)`.

The D-Wave libraries are imported when asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from suite.annealing.errors import ProblemTooLarge, SamplerError
from suite.annealing.recordings import Recordings, Replay
from suite.core.errors import ConfigError, unknown_name
from suite.core.extras import naming_extras
from suite.core.seeds import stream_seed

SamplerName = Literal[
    "simulated",
    "path_integral",
    "tabu",
    "steepest_descent",
    "exact",
    "random",
    "qpu",
    "mock",
    "replay",
]

SAMPLERS: dict[SamplerName, str] = {
    "simulated": "simulated annealing",
    "path_integral": "simulated quantum annealing (path-integral Monte Carlo)",
    "tabu": "tabu search",
    "steepest_descent": "steepest descent from random starts",
    "exact": "all bit strings, for at most 20 variables",
    "random": "uniform bits: the control, which anneals nothing",
    "qpu": "a D-Wave annealer; DWAVE_API_TOKEN, read when a fit begins",
    "mock": "a D-Wave annealer's graph and chains, simulated; no network",
    "replay": "recorded sample sets",
}
"""Name -> what it is. All but `qpu` run on this machine's processor."""

_DEVICES = ("qpu", "mock")
# variables: 2^20 states take about a second and 300 MiB
_EXACT = 20

_KEPT_INFO: dict[str, Any] = {
    "solver": str, "topology": str, "max_chain_length": int, "chain_strength": float,
}  # fmt: skip

Floats = NDArray[np.float64]


class Sampler(Protocol):
    """The one method of dimod.Sampler that is used."""

    def sample(self, bqm: Any, **options: Any) -> Any: ...


def check(sampler: Any, options: Mapping[str, Any] | None = None, what: str = "sampler") -> None:
    """Raise ConfigError for what is neither a sampler's name nor an object that samples."""
    if isinstance(sampler, str):
        if sampler not in SAMPLERS:
            raise unknown_name(what, sampler, SAMPLERS)
        if sampler == "replay" and set(options or {}) != {"recording"}:
            raise ConfigError(
                f"{what}=replay: needs sampler_options={{recording: RUN_FOLDER}}, and nothing else."
            )
    elif not callable(getattr(sampler, "sample", None)):
        raise ConfigError(
            f"{what}={sampler!r}: must be one of {', '.join(SAMPLERS)}, or have dimod's sample()."
        )


class Annealer:
    """One fit's sampler: its calls are counted, seeded, sorted, recorded, and fall back if asked.

    sampler: a name of SAMPLERS, or an object with dimod's `sample(bqm, ...)`. options: for `qpu`
    and `mock` arguments of their constructor, for `replay` {"recording": folder or file}, else
    further arguments of each call. The k-th call's seed is addressed by (seed, k). fallback: a name
    that takes over, for the rest of the fit, when the sampler fails; None: the failure is raised.
    recordings: where the sample sets of samplers that cannot be repeated are kept (devices,
    objects).
    """

    def __init__(
        self, sampler: str | Sampler, options: Mapping[str, Any] | None, *, num_reads: int,
        num_sweeps: int, seed: int, fallback: str | None = None,
        recordings: Recordings | None = None,
    ) -> None:  # fmt: skip
        check(sampler, options)
        if fallback is not None:
            check(fallback, None, "fallback")
        self._sampler, self._options = sampler, dict(options or {})
        self._num_reads, self._num_sweeps, self._seed = num_reads, num_sweeps, seed
        self._fallback, self._recordings = fallback, recordings
        self._opened: Sampler | None = None
        self.name = sampler if isinstance(sampler, str) else type(sampler).__name__
        self.info: dict[str, Any] = {"sampler": self.name, "n_calls": 0, "n_reads": 0}

    def ising(self, h: Floats, J: Floats) -> NDArray[np.int8]:
        """Different spins of low energy h's + s'Js (J upper triangular), best first.

        Shapes: h (v,), J (v, v) -> (<= num_reads, v).
        """
        return self._reads(_model(h, J, "SPIN"))[0]

    def qubo(self, Q: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Different bits of low energy x'Qx (Q upper triangular), best first, and the energies.

        Shapes: Q (v, v) -> (<= num_reads, v), (<= num_reads,).
        """
        return self._reads(_model(np.diag(Q).copy(), np.triu(Q, 1), "BINARY"))

    def _reads(self, bqm: Any) -> tuple[NDArray[np.int8], Floats]:
        try:
            sampleset = self._sample(bqm)
        except SamplerError as error:
            if self._fallback is None:
                raise
            self.info |= {"fallback": self._fallback, "fallback_from": self.name}
            self.info["fallback_why"] = f"{type(error).__name__}: {error}"
            self.name = f"{self._fallback} (for {self.name}: {type(error).__name__})"
            self._sampler, self._options, self._opened = self._fallback, {}, None
            self._fallback = None
            sampleset = self._sample(bqm)
        return _lowest(sampleset)

    def _sample(self, bqm: Any) -> Any:
        if self._opened is None:
            self._opened = self._open()
        options = self._call_options(bqm.num_variables)
        sampleset = self._opened.sample(bqm, **options)
        self._count(sampleset)
        repeatable = isinstance(self._sampler, str) and self._sampler not in _DEVICES
        if self._recordings is not None and not repeatable:
            self._recordings.add(bqm, sampleset)
        return sampleset

    def _open(self) -> Sampler:
        name = self._sampler
        if not isinstance(name, str):
            return name
        if name in _DEVICES:
            kept = self._recordings
            with naming_extras():
                from suite.annealing import qpu

                return qpu.open_device(name, self._options, lambda: kept.qpu_s if kept else 0.0)
        if name == "replay":
            return Replay(**self._options)
        with naming_extras():
            import dimod
            import dwave.samplers as local

        makers: dict[str, Any] = {
            "simulated": local.SimulatedAnnealingSampler,
            "path_integral": local.PathIntegralAnnealingSampler,
            "tabu": local.TabuSampler,
            "steepest_descent": local.SteepestDescentSampler,
            "exact": dimod.ExactSolver,
            "random": dimod.RandomSampler,
        }
        made: Sampler = makers[name]()
        return made

    def _call_options(self, n_variables: int) -> dict[str, Any]:
        """What this call passes beside the problem."""
        name, reads = self._sampler, {"num_reads": self._num_reads}
        if not isinstance(name, str):
            return {**reads, **self._options}
        if name == "exact":
            if n_variables > _EXACT:
                raise ProblemTooLarge(
                    f"n_variables={n_variables}: sampler=exact tries all 2^n bit strings, at most "
                    f"n = {_EXACT}; take sampler=simulated, fewer samples or fewer bits."
                )
            return self._options
        seed = stream_seed(self._seed, "anneal", self.info["n_calls"]) % 2**31
        options: dict[str, Any] = {**reads, "seed": seed}
        if name in _DEVICES or name == "replay":
            return options
        if name in ("simulated", "path_integral"):
            options["num_sweeps"] = self._num_sweeps
        elif name == "tabu":
            # By updates, not by the default's milliseconds: those depend on the machine's load.
            options |= {"timeout": None, "num_restarts": 0, "coefficient_z_first": 0}
            options["lower_bound_z"] = self._num_sweeps * n_variables
        assert self._opened is not None
        known = inspect.signature(self._opened.sample).parameters
        for option in self._options:
            if option not in known:
                raise unknown_name(f"sampler_options of {name}", option, known)
        return options | self._options

    def _count(self, sampleset: Any) -> None:
        info = sampleset.info
        self.info["n_calls"] += 1
        self.info["n_reads"] += int(sampleset.record.num_occurrences.sum())
        # plain JSON: a device may say it in numpy's numbers
        for name, kind in _KEPT_INFO.items():
            if name in info:
                self.info[name] = kind(info[name])
        # the mean over calls
        if "chain_break_fraction" in info:
            so_far, n = self.info.get("chain_break_fraction", 0.0), self.info["n_calls"]
            mean = so_far + (float(info["chain_break_fraction"]) - so_far) / n
            self.info["chain_break_fraction"] = mean
        if "qpu_access_time_s" in info:
            spent = self.info.get("qpu_access_time_s", 0.0) + float(info["qpu_access_time_s"])
            self.info["qpu_access_time_s"] = spent


def _model(linear: Floats, upper: Floats, vartype: str) -> Any:
    import dimod

    i, j = np.triu_indices(len(linear), 1)
    make: Any = dimod.BinaryQuadraticModel.from_numpy_vectors
    return make(linear, (i, j, upper[i, j]), 0.0, vartype)


def _lowest(sampleset: Any) -> tuple[NDArray[np.int8], Floats]:
    """The different samples, columns in the variables' order, sorted by energy (stable)."""
    variables = np.asarray(sampleset.variables)
    samples = np.asarray(sampleset.record.sample[:, np.argsort(variables)], dtype=np.int8)
    _, first = np.unique(samples, axis=0, return_index=True)
    first = np.sort(first)
    energies = np.asarray(sampleset.record.energy, dtype=float)[first]
    order = np.argsort(energies, kind="stable")
    return samples[first][order], energies[order]
