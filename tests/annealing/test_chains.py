"""Chains of cliques: they are embeddings, they are kept, and nothing unchecked is believed."""

import json
import warnings
from itertools import combinations

import dimod
import numpy as np
import pytest
from dwave.embedding import MinimizeEnergy, is_valid_embedding, unembed_sampleset
from dwave.system.testing import MockDWaveSampler
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.annealing import chains
from suite.annealing.errors import ProblemTooLarge
from suite.core.errors import ConfigError

SHAPES = {"pegasus": [4], "zephyr": [3, 4]}


def _device(topology, **options):
    return MockDWaveSampler(topology_type=topology, topology_shape=SHAPES[topology], **options)


@pytest.fixture(scope="module")
def graphs():
    return {name: chains.WorkingGraph.of(_device(name)) for name in SHAPES}


@pytest.fixture(scope="module")
def graph(graphs):
    return graphs["pegasus"]


@pytest.fixture(scope="module")
def k12(graph):
    return chains.clique(graph, 12)


@given(topology=st.sampled_from(sorted(SHAPES)), n=st.integers(1, 36))
@settings(max_examples=60, deadline=None)
def test_the_chains_of_a_clique_are_an_embedding_by_our_check_and_by_dwaves(graphs, topology, n):
    graph = graphs[topology]
    found = chains.clique(graph, n)
    if found is None:
        assert n > chains.largest_clique(graph)
        return
    assert chains.check(graph, found, n) is None
    assert is_valid_embedding(found, list(combinations(range(n), 2)), graph.networkx)
    assert chains.clique(graph, n) == found, "the same ones each time"


def test_no_size_of_clique_hangs_on_a_zephyr(graphs):
    """minorminer 0.2.22 never returns for 5 to 8, asked without its cache."""
    for n in range(1, 12):
        assert len(chains.clique(graphs["zephyr"], n)) == n


@given(
    seed=st.integers(0, 2**32), harm=st.sampled_from(["drop", "steal", "foreign", "empty", "cut"])
)
@settings(max_examples=60, deadline=None)
def test_our_check_and_dwaves_agree_on_damaged_chains(graph, k12, seed, harm):
    rng = np.random.default_rng(seed)
    damaged = dict(k12)
    a, b = rng.choice(12, 2, replace=False).tolist()
    if harm == "drop":
        damaged[a] = damaged[a][1:]
    elif harm == "steal":
        damaged[a] = (*damaged[a], damaged[b][0])
    elif harm == "foreign":
        damaged[a] = (*damaged[a], int(graph.qubits[-1]) + 1)
    elif harm == "empty":
        damaged[a] = ()
    else:
        damaged[a] = (int(rng.choice(graph.qubits)),)
    try:
        pairs = list(combinations(range(12), 2))
        theirs = is_valid_embedding(damaged, pairs, graph.networkx)
    except Exception:
        theirs = False
    assert (chains.check(graph, damaged, 12) is None) == theirs


def test_a_chain_in_two_pieces_is_refused(graph, k12):
    used = {q for chain in k12.values() for q in chain}
    apart = next(
        int(q)
        for q in graph.qubits
        if q not in used and not set(graph.networkx[int(q)]) & set(k12[0])
    )
    assert chains.check(graph, k12 | {0: (*k12[0], apart)}, 12) == "a chain is not connected"


def test_two_chains_that_do_not_touch_are_refused(graph, k12):
    assert chains.check(graph, {0: k12[0], 1: k12[1]}, 2) is None
    far = next(
        int(q)
        for q in graph.qubits
        if int(q) not in k12[0] and not set(graph.networkx[int(q)]) & set(k12[0])
    )
    assert chains.check(graph, {0: k12[0], 1: (far,)}, 2) == "two chains are not coupled"


def test_the_largest_clique_is_found_by_bisection_and_the_next_is_not(graphs):
    for topology, most in (("pegasus", 36), ("zephyr", 40)):
        assert chains.largest_clique(graphs[topology]) == most
        assert chains.largest_clique(graphs[topology], below=10) == 9


def test_a_topology_without_cliques_of_ours_is_refused():
    device = MockDWaveSampler(topology_type="chimera", topology_shape=[2, 2, 4])
    with pytest.raises(ConfigError, match="topology=chimera: unknown; known are pegasus, zephyr"):
        chains.WorkingGraph.of(device)


def test_a_problem_that_is_too_large_names_the_measured_limit(graph, tmp_path):
    with pytest.raises(
        ProblemTooLarge,
        match=r"n_variables=200: the largest clique found on P4 .* has 36; at most 36 variables",
    ) as error:
        chains.ChainCache(tmp_path).clique(graph, 200, "P4")
    assert isinstance(error.value, ValueError)


def test_the_digest_tells_graphs_apart_and_not_the_order_of_their_lists(graph):
    device = _device("pegasus")
    device.edgelist = [(b, a) for a, b in device.edgelist][::-1]
    device.nodelist = device.nodelist[::-1]
    assert chains.WorkingGraph.of(device).digest == graph.digest
    for harm in ({"broken_nodes": [30]}, {"broken_edges": [tuple(graph.couplers[5].tolist())]}):
        assert chains.WorkingGraph.of(_device("pegasus", **harm)).digest != graph.digest


@pytest.fixture
def cached(graph, tmp_path, monkeypatch):
    """A folder with the chains of K12, after which finding chains is counted."""
    chains.ChainCache(tmp_path).clique(graph, 12, "P4")
    (path,) = (tmp_path / "chains").iterdir()
    calls, find = [], chains.clique
    monkeypatch.setattr(chains, "clique", lambda *given: calls.append(given) or find(*given))
    return tmp_path, path, calls


def test_kept_chains_are_read_again(graph, k12, cached):
    folder, _, calls = cached
    with warnings.catch_warnings(action="error"):
        assert chains.ChainCache(folder).clique(graph, 12, "P4") == k12
    assert not calls


def test_another_graph_size_or_solver_has_its_own_chains(graph, cached):
    folder, _, calls = cached
    other = chains.WorkingGraph.of(_device("pegasus", broken_nodes=[int(graph.qubits[40])]))
    for asked in ((other, 12, "P4"), (graph, 11, "P4"), (graph, 12, "../P5")):
        found = chains.ChainCache(folder).clique(*asked)
        assert chains.check(asked[0], found, asked[1]) is None
    assert len(calls) == 3
    assert len(list((folder / "chains").iterdir())) == 4 and len(list(folder.iterdir())) == 1


def _tampered(text, what):
    kept = json.loads(text)
    if what == "another graph's":
        kept["graph"] = "0" * 64
    elif what == "an overlap":
        kept["chains"][0] = kept["chains"][1]
    elif what == "a missing chain":
        kept["chains"].pop()
    elif what == "a string":
        kept["chains"][0] = "__import__('os')"
    elif what == "a huge number":
        kept["chains"][0][0] = 10**30
    elif what == "a negative number":
        kept["chains"][0][0] = -1
    elif what == "a later format":
        kept["format"] = 99
    elif what == "a list":
        kept = [kept]
    return json.dumps(kept)


@pytest.mark.parametrize(
    "what",
    ["another graph's", "an overlap", "a missing chain", "a string", "a huge number",
     "a negative number", "a later format", "a list", "half a file", "no text", "nothing"],
)  # fmt: skip
def test_a_tampered_or_torn_file_is_not_believed_but_replaced(graph, k12, cached, what):
    folder, path, calls = cached
    good = path.read_bytes()
    harmed = {"half a file": good[: len(good) // 2], "no text": b"\xff\xfe\x80", "nothing": b""}
    path.write_bytes(harmed.get(what) if what in harmed else _tampered(good, what).encode())
    with pytest.warns(UserWarning, match="the chains are found anew"):
        assert chains.ChainCache(folder).clique(graph, 12, "P4") == k12
    assert len(calls) == 1
    assert path.read_bytes() == good, "and replaced"


def test_a_folder_that_cannot_be_written_is_named_once(graph, k12, tmp_path):
    (tmp_path / "file").write_text("")
    cache = chains.ChainCache(tmp_path / "file" / "below")  # not by mode: root may write anywhere
    with pytest.warns(UserWarning, match=r"chains are not cached\. Set SUITE_CACHE\.") as said:
        assert cache.clique(graph, 12, "P4") == k12
        assert cache.clique(graph, 12, "P4") == k12
    assert len(said) == 1


def test_a_full_disk_leaves_no_half_file(graph, k12, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chains.os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert chains.ChainCache(tmp_path).clique(graph, 12, "P4") == k12
    assert list((tmp_path / "chains").iterdir()) == []


def test_the_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("SUITE_CACHE", raising=False)
    assert chains.default_folder() == tmp_path / ".cache" / "swiftbench"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert chains.default_folder() == tmp_path / "xdg" / "swiftbench"
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "own"))
    assert chains.default_folder() == tmp_path / "own"


def test_busclique_keeps_nothing_of_its_own(graph, monkeypatch):
    """Its cache is a pickle of all sizes, in the home folder or the virtual environment."""
    monkeypatch.setattr("minorminer.busclique.busgraph_cache", None)
    assert len(chains.clique(graph, 13)) == 13


def _spins(n, seed):
    rng = np.random.default_rng(seed)
    pairs = {(i, j): rng.normal() for i, j in combinations(range(n), 2)}
    return dimod.BQM.from_ising(dict(enumerate(rng.normal(size=n))), pairs, float(rng.normal()))


@given(seed=st.integers(0, 2**32), n=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_whole_chains_keep_their_spins_and_their_energy(graph, k12, seed, n):
    spins, rng = _spins(n, seed), np.random.default_rng(seed)
    embedded = chains.Embedded(spins, chains.structure(graph, chains.clique(graph, n)), 1.0)
    wanted = rng.choice(np.array([-1, 1], dtype=np.int8), (6, n))
    owner = {q: v for v, chain in chains.clique(graph, n).items() for q in chain}
    qubits = list(embedded.bqm.variables)
    reads = wanted[:, [owner[q] for q in qubits]]
    answer = dimod.SampleSet.from_samples_bqm((reads, qubits), embedded.bqm)
    found = embedded.unembed(answer)
    columns = np.argsort(np.asarray(found.variables))
    assert np.array_equal(found.record.sample[:, columns], wanted)
    assert found.record.chain_break_fraction == pytest.approx(0)
    assert found.record.energy == pytest.approx(answer.record.energy, abs=1e-9)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_broken_chains_are_mended_as_minimize_energy_does(graph, seed, n):
    spins, rng = _spins(n, seed), np.random.default_rng(seed)
    structure = chains.structure(graph, chains.clique(graph, n))
    embedded = chains.Embedded(spins, structure, 1.0)
    qubits = list(embedded.bqm.variables)
    reads = rng.choice(np.array([-1, 1], dtype=np.int8), (12, len(qubits)))
    answer = dimod.SampleSet.from_samples_bqm((reads, qubits), embedded.bqm)
    ours, theirs = embedded.unembed(answer), unembed_sampleset(
        answer, structure, spins,
        chain_break_method=MinimizeEnergy(spins, structure), chain_break_fraction=True,
    )  # fmt: skip
    assert np.array_equal(ours.record.sample, theirs.record.sample)
    assert ours.record.chain_break_fraction == pytest.approx(theirs.record.chain_break_fraction)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_mending_leaves_no_spin_open_and_no_whole_one_changed(seed, n):
    rng = np.random.default_rng(seed)
    J = np.triu(rng.normal(size=(n, n)), 1)
    given = rng.choice(np.array([-1, 0, 1], dtype=np.int8), (9, n))
    mended = chains.mend(given, rng.normal(size=n), J + J.T)
    assert set(np.unique(mended)) <= {-1, 1}
    assert np.array_equal(mended[given != 0], given[given != 0])


def test_the_unit_of_chain_strength_does_not_depend_on_the_problems_vartype(graph, k12):
    from dwave.embedding.chain_strength import uniform_torque_compensation

    spins = _spins(12, 1)
    bits = spins.change_vartype("BINARY", inplace=False)
    assert uniform_torque_compensation(bits) == pytest.approx(
        4 * uniform_torque_compensation(spins)
    ), "the pitfall: of a QUBO, dwave's default is four times as strong"
    embedded = chains.Embedded(spins, chains.structure(graph, k12), 0.5)
    assert embedded.chain_strength == pytest.approx(0.5 * uniform_torque_compensation(spins))
    inner = next(iter(embedded._chains.chain_edges(0)))
    assert embedded.bqm.quadratic[inner] == pytest.approx(-embedded.chain_strength)
