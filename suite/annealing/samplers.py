"""Samplers by name, by YAML leaf or as objects, and one fit's use of them: dimod's contract,
`sample(bqm, num_reads=...)`.

The D-Wave libraries are imported when asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from suite.annealing import answers
from suite.annealing.errors import ProblemTooLarge, SamplerError
from suite.annealing.recordings import Recordings, Replay
from suite.core.errors import ConfigError, unknown_name
from suite.core.extras import naming_extras
from suite.core.plugins import find, make
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

_SUMMED = ("chain_break_fraction", "qpu_access_time_s")
DEADLINE_S = 300.0

Floats = NDArray[np.float64]


class Sampler(Protocol):
    """The one method of dimod.Sampler that is used."""

    def sample(self, bqm: Any, **options: Any) -> Any: ...


SamplerLike = SamplerName | Sampler | Mapping[str, Any]
"""A name, an object that samples, or a YAML leaf: `_target_`, a class with sample(), and its arguments."""


def made(leaf: Mapping[str, Any], what: str = "sampler") -> Sampler:
    """The sampler of a YAML leaf. Raises ConfigError for a class that does not sample; it is not called."""
    cls = find(str(leaf.get("_target_")), what)
    if not callable(getattr(cls, "sample", None)):
        raise ConfigError(
            f"{what}._target_={leaf['_target_']}: must have dimod's sample(bqm, num_reads=...); see "
            "docs/your-sampler.md."
        )
    sampler: Sampler = make(leaf, what)
    return sampler


def check(sampler: Any, options: Mapping[str, Any] | None = None, what: str = "sampler") -> None:
    """Raise ConfigError for what is no sampler's name, no leaf of a sampler and no object that samples."""
    if isinstance(sampler, Mapping):
        made(sampler, what)
    elif isinstance(sampler, str):
        if sampler not in SAMPLERS:
            raise unknown_name(what, sampler, SAMPLERS)
        if sampler == "replay" and set(options or {}) != {"recording"}:
            raise ConfigError(
                f"{what}=replay: needs sampler_options={{recording: RUN_FOLDER}}, and nothing else."
            )
    elif not callable(getattr(sampler, "sample", None)):
        raise ConfigError(
            f"{what}={sampler!r}: must be one of {', '.join(SAMPLERS)}, a leaf (_target_ and arguments), or "
            "have dimod's sample()."
        )


class Annealer:
    """One fit's sampler: its calls are counted, seeded, sorted, recorded, and fall back if asked.

    sampler: a name of SAMPLERS, an object with dimod's `sample(bqm, ...)`, or a YAML leaf of one.
    options: for `qpu` and `mock` arguments of their constructor, for `replay` {"recording": folder
    or file}, else further arguments of each call. The k-th call's seed is addressed by (seed, k);
    objects and leaves are given `seed` and `num_sweeps` where their `sample` names them. fallback: a
    name that takes over, for the rest of the fit, when the sampler fails; None: the failure is raised.
    recordings: where the sample sets of samplers that are not known to repeat themselves are kept
    (devices, objects, leaves). deadline_s: most seconds of a call of an object or leaf; None: no limit.
    The answers of all but our own samplers are checked (suite.annealing.answers).
    """

    def __init__(
        self, sampler: SamplerLike | str, options: Mapping[str, Any] | None, *, num_reads: int,
        num_sweeps: int, seed: int, fallback: str | None = None,
        recordings: Recordings | None = None, deadline_s: float | None = DEADLINE_S,
    ) -> None:  # fmt: skip
        check(sampler, options)
        if fallback is not None:
            check(fallback, None, "fallback")
        self._sampler, self._options = sampler, dict(options or {})
        self._num_reads, self._num_sweeps, self._seed = num_reads, num_sweeps, seed
        self._fallback, self._recordings, self._deadline_s = fallback, recordings, deadline_s
        self._opened: Sampler | None = None
        self.name = _name(sampler)
        self.info: dict[str, Any] = {"sampler": self.name, "n_calls": 0, "n_reads": 0}

    def ising(self, h: Floats, J: Floats) -> NDArray[np.int8]:
        """Different spins of low energy h's + s'Js (J upper triangular), best first.

        Shapes: h (v,), J (v, v) -> (<= num_reads, v).
        """
        return self._reads(model(h, J, "SPIN"))[0]

    def qubo(self, Q: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Different bits of low energy x'Qx (Q upper triangular), best first, and the energies.

        Shapes: Q (v, v) -> (<= num_reads, v), (<= num_reads,).
        """
        return self._reads(model(np.diag(Q).copy(), np.triu(Q, 1), "BINARY"))

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
        sampleset = self._answer(self._opened, bqm, options)
        self._count(sampleset)
        repeatable = isinstance(self._sampler, str) and self._sampler not in _DEVICES
        if self._recordings is not None and not repeatable:
            self._recordings.add(bqm, sampleset)
        return sampleset

    def _answer(self, opened: Sampler, bqm: Any, options: Mapping[str, Any]) -> Any:
        """The sample set, checked where it is not of a sampler of ours."""
        if isinstance(self._sampler, str):
            sampleset = opened.sample(bqm, **options)
            if self._sampler in (*_DEVICES, "replay"):
                answers.check(bqm, sampleset, self._sampler)
            return sampleset
        name = _name(self._sampler)

        def call() -> Any:
            # Its own copy, which it may change. dimod's sample sets may wait until they are looked at.
            sampleset = opened.sample(bqm.copy(), **options)
            answers.check(bqm, sampleset, name)
            return answers.plain(bqm, sampleset, name)

        return answers.guarded(call, name, self._deadline_s)

    def _open(self) -> Sampler:
        name = self._sampler
        if isinstance(name, Mapping):
            return made(name)
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
        opened: Sampler = makers[name]()
        return opened

    def _call_options(self, n_variables: int) -> dict[str, Any]:
        """What this call passes beside the problem."""
        name, reads = self._sampler, {"num_reads": self._num_reads}
        seed = stream_seed(self._seed, "anneal", self.info["n_calls"]) % 2**31
        assert self._opened is not None
        if not isinstance(name, str):
            further = {"seed": seed, "num_sweeps": self._num_sweeps}
            named = inspect.signature(self._opened.sample).parameters
            return reads | {k: v for k, v in further.items() if k in named} | self._options
        if name == "exact":
            if n_variables > _EXACT:
                raise ProblemTooLarge(
                    f"n_variables={n_variables}: sampler=exact tries all 2^n bit strings, at most "
                    f"n = {_EXACT}; take sampler=simulated, fewer samples or fewer bits."
                )
            return self._options
        options: dict[str, Any] = {**reads, "seed": seed}
        if name in _DEVICES or name == "replay":
            return options
        if name in ("simulated", "path_integral"):
            options["num_sweeps"] = self._num_sweeps
        elif name == "tabu":
            # By updates, not by the default's milliseconds: those depend on the machine's load.
            options |= {"timeout": None, "num_restarts": 0, "coefficient_z_first": 0}
            options["lower_bound_z"] = self._num_sweeps * n_variables
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
        for name, kind in answers.KEPT_INFO.items():
            if name in info and name not in _SUMMED:
                self.info[name] = kind(info[name])
        # the mean over calls
        if "chain_break_fraction" in info:
            so_far, n = self.info.get("chain_break_fraction", 0.0), self.info["n_calls"]
            mean = so_far + (float(info["chain_break_fraction"]) - so_far) / n
            self.info["chain_break_fraction"] = mean
        if "qpu_access_time_s" in info:
            spent = self.info.get("qpu_access_time_s", 0.0) + float(info["qpu_access_time_s"])
            self.info["qpu_access_time_s"] = spent


def _name(sampler: SamplerLike | str) -> str:
    if isinstance(sampler, Mapping):
        return str(sampler.get("_target_")).rpartition(".")[2]
    return sampler if isinstance(sampler, str) else type(sampler).__name__


def model(linear: Floats, upper: Floats, vartype: str) -> Any:
    """dimod's model of a problem. linear (v,), upper (v, v; upper triangle), vartype "SPIN" or "BINARY"."""
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
