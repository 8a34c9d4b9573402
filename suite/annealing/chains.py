"""Minor embedding of complete graphs: the chains of qubits that stand for variables, and back.

A QUBO of the dual couples every pair of variables, so it needs K_n as a minor of the working graph.
Chains come from busclique (Boothby et al. 2016, Quantum Inf. Process. 15:495, and its successors
for Pegasus and Zephyr), are kept in one small JSON file each, and are checked whenever read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from suite.annealing.errors import ProblemTooLarge
from suite.core.errors import unknown_name
from suite.files import UnsafeFileError, read_json, write_whole

Chains = dict[int, tuple[int, ...]]
Floats = NDArray[np.float64]

CHAIN_STRENGTH = 1.0
"""Default, in units of uniform torque compensation.

Not the strength of the lowest energies: those come, mended by energy, at strength 0, where no chain
binds and `mend` alone solves the problem (tests/benchmarks/chains.py, table 2). At 1 less than half
of 40 chains break, so that an answer is the annealer's.
"""

TOPOLOGIES = ("pegasus", "zephyr")

_FORMAT = 1
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class WorkingGraph:
    """The qubits and couplers that work, of one device at one time.

    topology: pegasus or zephyr. Shapes: qubits (q,), couplers (c, 2), sorted.
    """

    topology: str
    shape: tuple[int, ...]
    qubits: NDArray[np.int32]
    couplers: NDArray[np.int32]

    @classmethod
    def of(cls, device: Any) -> WorkingGraph:
        """Of anything with D-Wave's `properties`, `nodelist` and `edgelist`."""
        topology = device.properties["topology"]
        if topology["type"] not in TOPOLOGIES:
            raise unknown_name("topology", topology["type"], TOPOLOGIES)
        couplers = np.sort(np.asarray(device.edgelist, dtype=np.int32).reshape(-1, 2), axis=1)
        return cls(
            str(topology["type"]),
            tuple(int(side) for side in topology["shape"]),
            np.unique(np.asarray(device.nodelist, dtype=np.int32)),
            couplers[np.lexsort(couplers.T[::-1])],
        )

    @cached_property
    def digest(self) -> str:
        """sha256 of topology, qubits and couplers; 10 ms on a 16-Pegasus."""
        hasher = hashlib.sha256(f"{self.topology} {self.shape} {len(self.qubits)} ".encode())
        hasher.update(self.qubits.astype("<i4").tobytes())
        hasher.update(self.couplers.astype("<i4").tobytes())
        return hasher.hexdigest()

    @cached_property
    def networkx(self) -> Any:
        """As busclique wants it: a networkx graph with the topology's coordinates."""
        import dwave.graphs

        make = getattr(dwave.graphs, f"{self.topology}_graph")
        qubits, couplers = self.qubits.tolist(), list(map(tuple, self.couplers.tolist()))
        return make(*self.shape, node_list=qubits, edge_list=couplers)


def clique(graph: WorkingGraph, n: int) -> Chains | None:
    """Chains of K_n, the same ones each time; None if busclique finds none.

    0.05 s for K_120 on an ideal 16-Pegasus, some seconds where couplers are missing. Without
    busclique's own cache: that is a pickle in the home folder or the virtual environment, fails
    where that cannot be written, and wants the cliques of all sizes (minutes if couplers miss).
    """
    from minorminer.busclique import find_clique_embedding

    # minorminer 0.2.22 never returns for K_5 to K_8 on a Zephyr without its cache: K_9 has them.
    asked = 9 if graph.topology == "zephyr" and 5 <= n <= 8 else n
    embedding = find_clique_embedding(asked, graph.networkx, seed=0, use_cache=False)
    if len(embedding) < n:
        return None
    shortest = sorted(embedding.values(), key=len)[:n]
    return {v: tuple(int(q) for q in chain) for v, chain in enumerate(shortest)}


def largest_clique(graph: WorkingGraph, below: int | None = None) -> int:
    """Largest n < `below` for which `clique` finds chains, by bisection.

    About ten calls of `clique`, where busclique's own search tries every chain length. A larger
    clique may exist: busclique is a heuristic where couplers are missing.
    """
    low, high = 0, 1 if below is None else below
    while below is None and high <= len(graph.qubits) and clique(graph, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if clique(graph, middle) else (low, middle)
    return low


def check(graph: WorkingGraph, chains: Chains, n: int) -> str | None:
    """Why `chains` are no embedding of K_n in the graph; None if they are one.

    Every qubit works and is used once, every chain is connected, every pair of chains is coupled.
    """
    if list(chains) != list(range(n)) or not all(chains.values()):
        return f"not {n} chains"
    lengths = [len(chain) for chain in chains.values()]
    used = np.concatenate([np.asarray(chain) for chain in chains.values()])
    if len(np.unique(used)) != len(used):
        return "two chains share a qubit"
    place = np.searchsorted(graph.qubits, used)
    if (place >= len(graph.qubits)).any() or (graph.qubits[place] != used).any():
        return "a qubit is not in the working graph"
    owner = np.full(int(graph.qubits[-1]) + 1, -1)
    owner[used] = np.repeat(np.arange(n), lengths)
    ends = owner[graph.couplers]
    inner = graph.couplers[(ends[:, 0] == ends[:, 1]) & (ends[:, 0] >= 0)]
    joined = coo_array((np.ones(len(inner)), inner.T), shape=(len(owner), len(owner)))
    parts = connected_components(joined, directed=False)[1][used]
    if len(np.unique(parts)) != n:
        return "a chain is not connected"
    between = np.sort(ends[(ends[:, 0] != ends[:, 1]) & (ends >= 0).all(axis=1)], axis=1)
    if len(np.unique(between[:, 0] * n + between[:, 1])) != n * (n - 1) // 2:
        return "two chains are not coupled"
    return None


def default_folder() -> Path:
    """$SUITE_CACHE, else $XDG_CACHE_HOME/swiftbench, else ~/.cache/swiftbench.

    Raises FileNotFoundError where there is no home folder.
    """
    if own := os.environ.get("SUITE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path("~/.cache").expanduser()) / "swiftbench"
    except RuntimeError:
        raise FileNotFoundError(errno.ENOENT, "there is no home folder", "HOME") from None


class ChainCache:
    """Chains by solver, working graph and size: one JSON file each, written whole or not at all.

    folder: None means `default_folder()`. A file that is torn, tampered with or of another graph is
    ignored with a warning and replaced; a folder that cannot be written means that nothing is
    cached, with one warning.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = folder
        self._warned = False

    def clique(self, graph: WorkingGraph, n: int, solver: str) -> Chains:
        """Chains of K_n, read or found. Raises ProblemTooLarge with the largest clique there is."""
        path: Path | None = None
        try:
            path = self._path(graph, n, solver)
        except FileNotFoundError as error:
            self._warn(str(error.filename), error)
        chains = None if path is None else self._read(path, graph, n)
        if chains is None:
            chains = clique(graph, n)
            if chains is None:
                raise too_large(graph, n, solver)
            if path is not None:
                self._write(path, {"format": _FORMAT, "solver": solver, "graph": graph.digest},
                            chains)  # fmt: skip
        return chains

    def _path(self, graph: WorkingGraph, n: int, solver: str) -> Path:
        folder = default_folder() if self._folder is None else Path(self._folder)
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in solver)[:80]
        return folder / "chains" / f"{name}-{graph.digest[:16]}-{n}.json"

    def _read(self, path: Path, graph: WorkingGraph, n: int) -> Chains | None:
        try:
            kept = read_json(path, max_bytes=_MAX_BYTES, below=path.parents[1])
            chains = {v: tuple(map(int, chain)) for v, chain in enumerate(kept["chains"])}
            wrong = "of another format" if kept["format"] != _FORMAT else None
            wrong = wrong or ("of another graph" if kept["graph"] != graph.digest else None)
            wrong = wrong or check(graph, chains, n)
        except OSError:
            return None
        except UnsafeFileError as error:
            wrong = str(error)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            wrong = f"unreadable ({type(error).__name__})"
        if wrong is None:
            return chains
        warnings.warn(f"{path}: {wrong}; the chains are found anew.", stacklevel=4)
        return None

    def _write(self, path: Path, head: dict[str, Any], chains: Chains) -> None:
        content = json.dumps(head | {"chains": list(chains.values())})
        try:
            write_whole(path, content, below=path.parents[1])
        except (OSError, UnsafeFileError) as error:
            self._warn(str(path.parent), error)

    def _warn(self, place: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            why = error.strerror if isinstance(error, OSError) else error
            warnings.warn(f"{place}: {why}; chains are not cached. Set SUITE_CACHE.", stacklevel=5)


def too_large(graph: WorkingGraph, n: int, solver: str) -> ProblemTooLarge:
    """The error for K_n, with the measured limit."""
    most = largest_clique(graph, below=n)
    return ProblemTooLarge(
        f"n_variables={n}: the largest clique found on {solver} ({graph.topology}, "
        f"{len(graph.qubits)} qubits) has {most}; at most {most} variables, so {most // 2} samples "
        "of 2 bits (zoom) or "
        f"{most // 6} of 3 (published). Lower max_samples or bits."
    )


def structure(graph: WorkingGraph, chains: Chains) -> Any:
    """The chains with the couplers between them, as dwave.embedding wants them."""
    from dwave.embedding import EmbeddedStructure

    used = np.concatenate([np.asarray(chain) for chain in chains.values()])
    ends = graph.couplers[np.isin(graph.couplers, used).all(axis=1)]
    return EmbeddedStructure(list(map(tuple, ends.tolist())), chains)


class Embedded:
    """One Ising problem on the chains of a clique: embed, and unembed what the device answers.

    spins: a dimod BQM of vartype SPIN over 0 .. n-1. chains: a `structure`. chain_strength: in
    units of uniform torque compensation, sqrt(2 mean degree) rms(J) (Raymond et al. 2020), taken in
    spins: dwave's own default, given a QUBO, takes it of the bits' coefficients, four times as
    much.
    """

    def __init__(self, spins: Any, chains: Any, chain_strength: float) -> None:
        from dwave.embedding.chain_strength import uniform_torque_compensation

        self._spins, self._chains = spins, chains
        self.chain_strength = float(chain_strength) * float(uniform_torque_compensation(spins))
        self.bqm = chains.embed_bqm(spins, chain_strength=self.chain_strength)

    def unembed(self, answer: Any) -> Any:
        """The answer as samples of the variables, each with its chain_break_fraction."""
        from dwave.embedding import unembed_sampleset

        return unembed_sampleset(
            answer, self._chains, self._spins,
            chain_break_method=self._lowest, chain_break_fraction=True,
        )  # fmt: skip

    def _lowest(self, answer: Any, chains: Any) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        import dimod

        order = list(self._spins.variables)
        h, (rows, columns, values), _ = self._spins.to_numpy_vectors(variable_order=order)
        J = np.zeros((len(order), len(order)))
        J[rows, columns] = values
        reads, labels = dimod.as_samples(answer)
        place = {qubit: k for k, qubit in enumerate(labels)}
        parts = [reads[:, [place[q] for q in chain]] for chain in chains]
        sums = np.stack([part.sum(axis=1, dtype=int) for part in parts], axis=1)
        whole = np.abs(sums) == [part.shape[1] for part in parts]
        kept = np.where(whole, np.sign(sums), 0).astype(np.int8)
        return mend(kept, np.asarray(h), J + J.T), np.arange(len(reads))


def mend(spins: NDArray[np.int8], h: Floats, J: Floats) -> NDArray[np.int8]:
    """Spins with each 0, a broken chain, set by energy, the most strongly bound one first.

    What dwave.embedding.MinimizeEnergy does, for all reads at once: 1000 reads of 120 chains take
    0.1 s where that takes 15 s. Shapes: spins (reads, n), h (n,), J (n, n) symmetric, diagonal 0.
    """
    spins = spins.copy()
    open_ = spins == 0
    field = h + spins @ J
    for _ in range(int(open_.sum(axis=1).max(initial=0))):
        reads = np.flatnonzero(open_.any(axis=1))
        strongest = np.where(open_[reads], np.abs(field[reads]), -1.0).argmax(axis=1)
        value = np.where(field[reads, strongest] > 0, -1, 1)
        spins[reads, strongest] = value
        open_[reads, strongest] = False
        field[reads] += value[:, None] * J[strongest]
    return spins
