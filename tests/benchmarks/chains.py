"""Chains of qubits, on simulated devices: python tests/benchmarks/chains.py [--quick]

Prints three Markdown tables:
  1  seconds to find, to read and to use the chains of K120 on an ideal 16-Pegasus
  2  chain strength against energy and chain breaks, 120 variables, both encodings
  3  the largest clique of ideal and of thinned working graphs, and the samples that fit on it
Curves are drawn from SUITE_DATA's curves/mlpf_delphes.csv, if there, else made up. Table 2 anneals
by simulation: it says how much mending does, not what a QPU would answer. Where couplers are
missing, busclique takes seconds a size on a Pegasus; --limit-s bounds each search of table 3.
Not a test: figures depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dimod
import numpy as np
from dwave.embedding.chain_strength import uniform_torque_compensation
from dwave.samplers import SimulatedAnnealingSampler
from dwave.system.testing import MockDWaveSampler

from suite.annealing import chains
from suite.predictors import qubo

PEGASUS, ZEPHYR = ("pegasus", [16]), ("zephyr", [12, 4])
STRENGTHS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def spread(values: Sequence[float], form: str = ".3f") -> str:
    """Median (least to most)."""
    low, middle, high = (format(f(values), form) for f in (min, statistics.median, max))
    return f"{middle} ({low} to {high})"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def device(topology: str, shape: list[int], lost: float = 0.0, cut: float = 0.0) -> Any:
    """A simulated device without that share of its qubits and couplers, drawn with seed 0."""
    whole = MockDWaveSampler(topology_type=topology, topology_shape=shape)
    draw = random.Random(0)
    return MockDWaveSampler(
        topology_type=topology,
        topology_shape=shape,
        broken_nodes=draw.sample(whole.nodelist, round(lost * len(whole.nodelist))),
        broken_edges=draw.sample(whole.edgelist, round(cut * len(whole.edgelist))),
    )


def times(repeats: int) -> None:
    graph = chains.WorkingGraph.of(device(*PEGASUS))
    chains.clique(graph, 2)  # imports and the networkx graph: once a process
    rng = np.random.default_rng(0)
    spins = dimod.BQM.from_ising(rng.normal(size=120), np.triu(rng.normal(size=(120, 120)), 1))
    runs = [_one_time(graph, spins, rng) for _ in range(repeats)]
    lengths = [len(chain) for chain in chains.clique(graph, 120).values()]
    table(
        f"1. K120 on an ideal 16-Pegasus, n = {repeats}: median (least to most). Chains of "
        f"{min(lengths)} to {max(lengths)} qubits, {sum(lengths)} in all.",
        ("step", "seconds"),
        [(what, spread([run[what] for run in runs], ".4f")) for what in runs[0]],
    )


def _one_time(
    graph: chains.WorkingGraph, spins: dimod.BQM, rng: np.random.Generator
) -> dict[str, float]:
    run = {}
    new = dataclasses.replace(graph)  # without what it has worked out
    _, run["hash of the working graph"] = timed(lambda: new.digest)
    with tempfile.TemporaryDirectory() as folder:
        cache = chains.ChainCache(folder)
        found, run["chains, found and written"] = timed(lambda: cache.clique(graph, 120, "mock"))
        again, run["chains, read and checked"] = timed(lambda: cache.clique(graph, 120, "mock"))
        assert again == found
    structure, run["their couplers"] = timed(lambda: chains.structure(graph, found))
    one, run["embedding, first"] = timed(lambda: chains.Embedded(spins, structure, 1.0))
    _, run["embedding, later"] = timed(lambda: chains.Embedded(spins, structure, 1.0))
    reads = rng.choice(np.array([-1, 1], dtype=np.int8), (1000, one.bqm.num_variables))
    answer = dimod.SampleSet.from_samples_bqm((reads, list(one.bqm.variables)), one.bqm)
    _, run["unembedding 1000 reads, all broken"] = timed(lambda: one.unembed(answer))
    return run


def curves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n curves' first quarter, every other epoch, and their last value, scaled to [0, 1]."""
    rng = np.random.default_rng(seed)
    path = Path(os.environ.get("SUITE_DATA", "")) / "curves" / "mlpf_delphes.csv"
    if path.is_file():
        rows = list(csv.DictReader(path.open()))
        kept = [rows[k] for k in rng.choice(len(rows), n, replace=False)]
        losses = np.array([[float(row[f"loss_{k}"]) for k in range(100)] for row in kept])
    else:
        epochs = np.arange(1, 101)
        losses = rng.random((n, 1)) + rng.random((n, 1)) * epochs ** -rng.uniform(0.2, 1, (n, 1))
        losses += 0.01 * rng.normal(size=losses.shape)
    X, y = losses[:, :25:2], losses[:, -1]
    return (X - X.min(0)) / np.ptp(X, axis=0), (y - y.min()) / np.ptp(y)


def problem(encoding: str, seed: int) -> tuple[dimod.BQM, float]:
    """120 spins, and the published chain strength 10 ceil(max|Q|) in their units."""
    if encoding == "published":
        X, y = curves(20, seed)
        weights = qubo.bit_weights(3, 0.5, 0.005)
        Q = qubo.build(qubo.rbf_kernel(X, X, 0.1), y, weights, 0.02, 0.01)
        bits = dimod.BQM(np.diag(Q), np.triu(Q, 1), 0.0, "BINARY")
        return bits.change_vartype("SPIN", inplace=False), 10.0 * np.ceil(np.abs(Q).max())
    X, y = curves(60, seed)
    kernel = qubo.rbf_kernel(X, X, 0.05)
    h, J = qubo.build_ising(kernel, y - y.mean(), np.zeros(60), 4.0, 2, 0.02, 0.5)
    return dimod.BQM(h, J, 0.0, "SPIN"), 10.0 * np.ceil(np.abs(J).max())


def _at_zero(encoding: str, spins: dimod.BQM) -> float:
    """The energy of beta = 0, from which the lowest energy is measured."""
    if encoding == "zoom":  # the offset is left out there, and with it the energy at centre 0
        return 0.0
    return float(spins.energy(dict.fromkeys(spins.variables, -1)))


def strengths(n_instances: int, reads: int, sweeps: int) -> None:
    from dwave.embedding import unembed_sampleset

    graph = chains.WorkingGraph.of(device(*PEGASUS))
    structure = chains.structure(graph, chains.clique(graph, 120))
    anneal = SimulatedAnnealingSampler().sample
    for encoding in ("published", "zoom"):
        rows: dict[str, list[list[float]]] = {}
        for seed in range(n_instances):
            spins, published = problem(encoding, seed)
            unit = float(uniform_torque_compensation(spins))
            best = anneal(spins, num_reads=1000, num_sweeps=1000, seed=seed)
            lowest = best.first.energy
            scale = abs(lowest - _at_zero(encoding, spins))

            def gap(energies: np.ndarray, low: float = lowest, unit: float = scale) -> list[float]:
                return [100 * (float(e) - low) / unit for e in (energies.min(), energies.mean())]

            direct = anneal(spins, num_reads=reads, num_sweeps=sweeps, seed=seed + 1)
            rows.setdefault("no chains: annealed as it is", []).append(
                [0.0, *gap(direct.record.energy), *gap(direct.record.energy)]
            )
            for factor in (*STRENGTHS, published / unit):
                embedded = chains.Embedded(spins, structure, factor)
                answer = anneal(embedded.bqm, num_reads=reads, num_sweeps=sweeps, seed=seed)
                mended, voted = (
                    embedded.unembed(answer),
                    unembed_sampleset(answer, structure, spins),
                )
                name = f"{factor:g}" if factor in STRENGTHS else "10 ceil(max abs Q), as published"
                rows.setdefault(name, []).append(
                    [
                        100 * float(mended.record.chain_break_fraction.mean()),
                        *gap(voted.record.energy),
                        *gap(mended.record.energy),
                    ]
                )
        table(
            f"2. Chain strength, {encoding} encoding, {n_instances} instances x {reads} reads x "
            f"{sweeps} sweeps: median (least to most). Energies: per cent above the lowest of 1000 "
            "unembedded reads x 1000 sweeps. Strength 0 is the control: unbound qubits, mended.",
            (
                "strength / uniform torque compensation", "broken chains, %",
                "majority vote: best", "mean", "mended by energy: best", "mean",
            ),
            [
                (name, *(spread([run[k] for run in runs], ".1f") for k in range(5)))
                for name, runs in rows.items()
            ],
        )  # fmt: skip


def cliques(limit_s: float, thinned: Sequence[tuple[float, float]]) -> None:
    rows = []
    for name, (topology, shape) in (("P16", PEGASUS), ("Z12", ZEPHYR)):
        for lost, cut in thinned:
            graph = chains.WorkingGraph.of(device(topology, shape, lost, cut))
            answer, seconds = timed(lambda: _bounded(graph, limit_s))  # noqa: B023
            graph_name = f"{name}, {100 * lost:g}% of qubits, {100 * cut:g}% of couplers missing"
            if answer is None:
                rows.append((graph_name, f"not within {limit_s:g} s", "", "", f"> {limit_s:g}"))
                continue
            pairs = "/".join(str(answer // (2 * k)) for k in range(1, 5))
            signed = "/".join(str(answer // k) for k in range(1, 5))
            rows.append((graph_name, answer, pairs, signed, f"{seconds:.1f}"))
    table(
        "3. Largest clique found by bisection (seed 0, n = 1), and the samples that fit.",
        (
            "working graph", "clique", "samples, published (2 K bits each), K = 1/2/3/4",
            "samples, zoom (K bits each), K = 1/2/3/4", "seconds",
        ),
        rows,
    )  # fmt: skip


def _bounded(graph: chains.WorkingGraph, limit_s: float) -> int | None:
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=lambda: send.send(chains.largest_clique(graph)))
    process.start()
    answer = receive.recv() if receive.poll(limit_s) else None
    process.terminate()
    process.join()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=8)
    parser.add_argument("--limit-s", type=float, default=120.0)
    parser.add_argument("--quick", action="store_true", help="little of each: does it run?")
    options = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python ", end="")
    print(f"{platform.python_version()}, NumPy {np.__version__}, dimod {dimod.__version__}")
    if options.quick:
        times(2)
        strengths(1, 10, 20)
        cliques(options.limit_s, [(0.0, 0.0)])
    else:
        times(20)
        strengths(options.instances, 100, 1000)
        thin = [(0, 0), (0.01, 0), (0.03, 0), (0, 0.001), (0.01, 0.002), (0.03, 0.005)]
        cliques(options.limit_s, thin)


if __name__ == "__main__":
    main()
