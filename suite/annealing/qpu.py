"""D-Wave annealers, real and simulated, as dimod samplers of problems that couple all variables.

This module imports dimod; it is itself imported when a device is asked for.
"""

from __future__ import annotations

import copy
import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from dimod.core.sampler import Sampler

from suite.annealing import sapi
from suite.annealing.chains import CHAIN_STRENGTH, ChainCache, Embedded, WorkingGraph, structure
from suite.annealing.errors import BudgetSpent, ChainsBroken, SolverUnavailable
from suite.annealing.sapi import connect
from suite.core.errors import ConfigError, unknown_name

SHAPES = {"pegasus": (16,), "zephyr": (12, 4)}
"""Of the simulated devices: Advantage and Advantage2."""


class CliqueSampler(Sampler):
    """Samples dense problems on a device: chains of a clique, one submission a call.

    child: the device, a sampler with `properties`, `nodelist` and `edgelist` (see `connect`,
    `mock`). solver: its name, for messages, records and the cache of chains.
    chain_strength: in units of uniform torque compensation, see suite.annealing.chains.Embedded.
    cache: folder of the chains, None for the default one, or a ChainCache.
    deadline_s: most seconds a call waits before it cancels and raises DeadlinePassed.
    qpu_budget_s: most QPU seconds that may be spent, with what `spent_s()` says was spent before;
    None: no limit. Each submission is first estimated by the solver, and held back if it would
    exceed the limit; until its answer tells the true time, and where no answer comes, the estimate
    counts as spent.
    parameters: further solver parameters of each submission, such as {"annealing_time": 50}.
    seed: of simulated devices: the first call's, counted up; a call's own `seed` goes first.
    """

    def __init__(
        self,
        child: Any,
        *,
        solver: str,
        chain_strength: float = CHAIN_STRENGTH,
        cache: ChainCache | str | None = None,
        deadline_s: float = 60.0,
        qpu_budget_s: float | None = None,
        spent_s: Callable[[], float] | None = None,
        parameters: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        for name, value in (("chain_strength", chain_strength), ("deadline_s", deadline_s)):
            if not value > 0:
                raise ConfigError(f"{name}={value}: must be greater than 0.")
        self._child, self._solver = child, solver
        self._chain_strength, self._deadline_s = float(chain_strength), float(deadline_s)
        self._cache = cache if isinstance(cache, ChainCache) else ChainCache(cache)
        self._budget_s, self.spent_s = qpu_budget_s, spent_s() if spent_s is not None else 0.0
        self._fixed = dict(parameters or {})
        self._seed, self._n_calls, self._warned = int(seed), 0, False
        self._simulated = hasattr(child, "substitute_kwargs")
        self._graph = WorkingGraph.of(child)
        self._chains: dict[int, Any] = {}

    def __repr__(self) -> str:
        return f"CliqueSampler(solver={self._solver!r})"

    @property
    def properties(self) -> dict[str, Any]:
        return {"solver": self._solver, "child_properties": self._child.properties}

    @property
    def parameters(self) -> dict[str, Any]:
        return {**self._child.parameters, "seed": [], "num_reads": []}

    def sample(
        self, bqm: Any, num_reads: int = 1, seed: int | None = None, **parameters: Any
    ) -> Any:
        """Samples of `bqm`, broken chains set by energy (suite.annealing.chains.mend).

        seed: of a simulated device; a real one has none. The sample set's `info` is plain JSON:
        solver, topology, graph (digest), n_qubits, max_chain_length, chain_strength,
        chain_break_fraction (the mean over reads), qpu_access_time_s, problem_id, simulated.
        Warns where more than half of the chains broke. Raises SamplerError and its kinds.
        """
        if not bqm.num_variables:
            raise ConfigError("n_variables=0: there is nothing to sample.")
        variables = list(bqm.variables)
        spins = bqm.change_vartype("SPIN", inplace=False)
        spins.relabel_variables({v: k for k, v in enumerate(variables)})
        chains = self._chain(len(variables))
        problem = Embedded(spins, chains, self._chain_strength)
        options = self._fixed | parameters | {"num_reads": int(num_reads)}
        answer = self._submit(problem.bqm, options, seed)
        if not len(answer):
            raise self._broken("the device returned no sample")
        sampleset = problem.unembed(answer)
        weights = sampleset.record.num_occurrences
        broken = float(np.average(sampleset.record.chain_break_fraction, weights=weights))
        if broken > 0.5 and not self._warned:
            # once a fit, which makes many calls
            self._warned = True
            warnings.warn(
                f"chain_break_fraction={broken:.2f} on {self._solver}: the reads owe more to how "
                "broken chains are mended than to the annealer; raise chain_strength "
                f"(here {self._chain_strength:g}).",
                stacklevel=2,
            )
        sampleset = sampleset.relabel_variables(dict(enumerate(variables)), inplace=False)
        sampleset = sampleset.change_vartype(bqm.vartype, inplace=False)
        lengths = [len(chain) for chain in chains.values()]
        sampleset.info.clear()
        sampleset.info.update(
            solver=self._solver,
            topology=self._graph.topology,
            graph=self._graph.digest[:16],
            n_qubits=sum(lengths),
            max_chain_length=max(lengths),
            chain_strength=problem.chain_strength,
            chain_break_fraction=broken,
            qpu_access_time_s=0.0 if self._simulated else _access_time_s(answer),
            problem_id="" if self._simulated else str(answer.info.get("problem_id", "")),
            simulated=self._simulated,
        )
        return sampleset

    def _chain(self, n: int) -> Any:
        if n not in self._chains:
            self._chains[n] = structure(
                self._graph, self._cache.clique(self._graph, n, self._solver)
            )
        return self._chains[n]

    def _submit(self, bqm: Any, options: dict[str, Any], seed: int | None) -> Any:
        if self._simulated:
            number = self._seed + self._n_calls if seed is None else int(seed)
            self._child.substitute_kwargs["seed"] = number % 2**31
        self._n_calls += 1
        estimate_s = self._estimate_s(bqm.num_variables, options)

        def before() -> None:
            if self._budget_s is not None and self.spent_s + estimate_s > self._budget_s:
                raise BudgetSpent(
                    f"qpu_budget_s={self._budget_s:g}: {self.spent_s:.3f} s are spent and this "
                    f"call takes about {estimate_s:.3f} s more; nothing was sent. Raise it, or "
                    "take fewer reads, rounds or curves."
                )
            self.spent_s += estimate_s

        def refused() -> None:
            self.spent_s -= estimate_s

        try:
            answer = sapi.submit(
                self._child, bqm, options, deadline_s=self._deadline_s, where=self._where(),
                before=before, refused=refused,
            )  # fmt: skip
        except SolverUnavailable:
            # the next fit looks again at what there is
            connection.cache_clear()
            raise
        if not self._simulated:
            self.spent_s += _access_time_s(answer, default=estimate_s) - estimate_s
        return answer

    def _where(self) -> str:
        client = getattr(self._child, "client", None)
        at = "" if client is None else f"region={client.config.endpoint} "
        return f"{at}solver={self._solver}"

    def _estimate_s(self, n_qubits: int, options: Mapping[str, Any]) -> float:
        """Seconds of QPU access time, by the solver's published model."""
        device = getattr(self._child, "solver", None)
        if device is None:
            return 0.0
        try:
            return float(device.estimate_qpu_access_time(n_qubits, **options)) / 1e6
        except (KeyError, ValueError) as error:
            if self._budget_s is None:
                return 0.0
            raise BudgetSpent(
                f"qpu_budget_s={self._budget_s:g}: {self._solver} cannot estimate a call's time "
                f"({error}), so the limit cannot be kept; nothing was sent. Leave it out."
            ) from None

    def _broken(self, why: str) -> ChainsBroken:
        return ChainsBroken(
            f"chain_strength={self._chain_strength:g}: {why} on {self._solver}. Raise "
            "chain_strength, or take fewer variables."
        )


def _access_time_s(answer: Any, default: float = 0.0) -> float:
    timing = answer.info.get("timing") or {}
    return float(timing["qpu_access_time"]) / 1e6 if "qpu_access_time" in timing else default


def mock(
    topology: str = "pegasus",
    shape: tuple[int, ...] | list[int] | None = None,
    *,
    broken: float = 0.0,
    num_sweeps: int = 100,
    seed: int = 0,
    **options: Any,
) -> CliqueSampler:
    """A device simulated on this machine: real graph and chains, simulated annealing, no network.

    topology: pegasus (default shape 16, as Advantage) or zephyr (12, as Advantage2). broken: the
    share of its qubits that do not work, drawn by `seed`, which also seeds the calls. options: of
    CliqueSampler. Its chain breaks are not a QPU's: simulated annealing is no quantum dynamics.
    """
    if topology not in SHAPES:
        raise unknown_name("topology", topology, SHAPES)
    if not 0 <= broken < 1:
        raise ConfigError(f"broken={broken}: must be a share of the qubits, 0 <= broken < 1.")
    sides = tuple(shape or SHAPES[topology])
    # own seed, options
    child = copy.copy(_mock_device(topology, sides, float(broken), int(seed)))
    child.substitute_kwargs = {"num_sweeps": int(num_sweeps)}
    name = f"mock_{topology}_{'x'.join(map(str, sides))}"
    return CliqueSampler(child, solver=name, seed=seed, **options)


# 0.3 s and 50 MiB each
@lru_cache(maxsize=4)
def _mock_device(topology: str, shape: tuple[int, ...], broken: float, seed: int) -> Any:
    from dwave.samplers import SimulatedAnnealingSampler
    from dwave.system.testing import MockDWaveSampler

    options: dict[str, Any] = {"topology_type": topology, "topology_shape": list(shape)}
    options["substitute_sampler"] = SimulatedAnnealingSampler()  # type: ignore[no-untyped-call]
    device = MockDWaveSampler(**options)
    if broken:
        lost = np.random.default_rng(seed).random(len(device.nodelist)) < broken
        options["broken_nodes"] = np.asarray(device.nodelist)[lost].tolist()
        device = MockDWaveSampler(**options)
    device.adjacency  # noqa: B018  # made once, here, for all copies
    return device


# sixteen threads and two requests each; a run opens its device at each fit
@lru_cache(maxsize=2)
def connection(region: str | None, solver: str | None, deadline_s: float, settings: int) -> Any:
    return connect(region, solver, deadline_s)


def open_device(
    name: str, options: Mapping[str, Any], spent_s: Callable[[], float] | None = None
) -> CliqueSampler:
    """The sampler called `qpu` or `mock`, with the options of its constructor.

    qpu: region, solver and the options of CliqueSampler. mock: arguments of `mock`.
    """
    own = {"qpu": ("region", "solver"), "mock": tuple(inspect.signature(mock).parameters)[:-1]}
    common = ("chain_strength", "cache", "deadline_s", "qpu_budget_s", "parameters")
    for key in options:
        if key not in (*own[name], *common):
            raise unknown_name("sampler_options", key, (*own[name], *common))
    if name == "mock":
        return mock(**options, spent_s=spent_s)
    rest = dict(options)
    region, solver = rest.pop("region", None), rest.pop("solver", None)
    settings = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("DWAVE_")))
    child = connection(region, solver, float(rest.get("deadline_s", 60.0)), hash(settings))
    return CliqueSampler(child, solver=child.solver.name, spent_s=spent_s, **rest)
