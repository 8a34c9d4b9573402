"""Devices as samplers: the mock, and children whose answers are given. See test_sapi.py, too."""

import importlib
import json
import socket
import threading
import time
from itertools import combinations

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.annealing import qpu
from suite.annealing.errors import ChainsBroken, DeadlinePassed, ProblemTooLarge, SamplerError
from suite.core.errors import ConfigError


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))


def _bqm(n=8, seed=0, vartype="SPIN", labels=None):
    rng = np.random.default_rng(seed)
    labels = list(range(n)) if labels is None else labels
    pairs = {pair: rng.normal() for pair in combinations(labels, 2)}
    return dimod.BQM(dict(zip(labels, rng.normal(size=n), strict=True)), pairs, 0.5, vartype)


@pytest.fixture
def offline(monkeypatch):
    # First of all: PySocks, which requests imports, derives a class from socket.socket.
    importlib.import_module("requests")

    def refuse(*given, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def _mock(**options):
    return qpu.mock(**{"shape": (4,), **options})


def test_the_mock_needs_neither_network_nor_token_and_spends_nothing(offline):
    sampler = qpu.open_device("mock", {"shape": [4], "qpu_budget_s": 0.0}, lambda: 0.0)
    found = sampler.sample(_bqm(12), num_reads=4)
    assert found.info["simulated"] and found.info["qpu_access_time_s"] == 0.0
    assert set(found.info) == {
        "solver", "topology", "graph", "n_qubits", "max_chain_length", "chain_strength",
        "chain_break_fraction", "qpu_access_time_s", "problem_id", "simulated",
    }  # fmt: skip
    assert found.info["solver"] == "mock_pegasus_4" and found.info["max_chain_length"] >= 2
    assert json.loads(json.dumps(found.info, allow_nan=False)) == found.info


@pytest.mark.parametrize(("topology", "shape"), [("pegasus", (4,)), ("zephyr", (3, 4))])
def test_the_mock_finds_the_ground_state_of_small_problems(topology, shape):
    for n in (1, 2, 5, 10):
        bqm = _bqm(n, seed=n)
        found = qpu.mock(topology, shape).sample(bqm, num_reads=50)
        exact = dimod.ExactSolver().sample(bqm).first.energy
        assert found.first.energy == pytest.approx(exact)


def test_the_mock_is_a_function_of_its_seeds():
    bqm = _bqm(20)
    one = _mock(chain_strength=1.5, num_sweeps=2)
    two = _mock(chain_strength=1.5, num_sweeps=2)
    first = one.sample(bqm, num_reads=6)
    _mock(num_sweeps=300).sample(bqm, seed=9)  # shares the graph, not the seed and the sweeps
    second, addressed = one.sample(bqm, num_reads=6), one.sample(bqm, num_reads=6, seed=0)
    assert two.sample(bqm, num_reads=6) == first and two.sample(bqm, num_reads=6) == second
    assert first == addressed != second
    assert first.info == addressed.info


def test_broken_qubits_of_the_mock_are_drawn_by_its_seed():
    graphs = [_mock(broken=b, seed=s)._graph.digest for b, s in [(0, 0), (0.05, 0), (0.05, 1)]]
    assert len(set(graphs)) == 3
    sampler = _mock(broken=0.05)
    assert sampler._graph.digest == graphs[1]
    assert len(sampler.sample(_bqm(12))) == 1


@given(
    n=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    vartype=st.sampled_from(["SPIN", "BINARY"]),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_samples_have_the_problems_variables_vartype_and_energies(n, seed, vartype, order):
    labels = list(range(n))
    order.shuffle(labels)
    bqm = _bqm(n, seed, vartype, labels)
    kept = bqm.copy()
    found = _mock(num_sweeps=3).sample(bqm, num_reads=4, seed=seed)
    assert bqm == kept, "the problem is left as it was"
    assert set(found.variables) == set(labels) and found.vartype.name == vartype
    assert found.record.num_occurrences.sum() == 4
    assert found.record.energy == pytest.approx(bqm.energies(found), abs=1e-9)
    again = dimod.SampleSet.from_serializable(json.loads(json.dumps(found.to_serializable())))
    assert again == found, "it can be recorded"


def test_a_sampler_passes_dimods_own_conformance_checks():
    dimod.testing.assert_sampler_api(_mock())


class Child:
    """A device whose answer is given; `sample` is what the test makes of it."""

    def __init__(self, sample):
        whole = _mock()._child
        self.properties, self.parameters = whole.properties, {}
        self.nodelist, self.edgelist, self.sample = whole.nodelist, whole.edgelist, sample


def test_no_sample_is_chains_broken():
    child = Child(lambda bqm, num_reads: dimod.SampleSet.from_samples_bqm([], bqm))
    with pytest.raises(ChainsBroken, match="chain_strength=1: the device returned no sample on x"):
        qpu.CliqueSampler(child, solver="x").sample(_bqm())


def test_reads_whose_chains_all_broke_are_mended_with_a_warning():
    def split(bqm, num_reads):
        reads = np.random.default_rng(0).choice(np.array([-1, 1]), (num_reads, len(bqm)))
        return dimod.SampleSet.from_samples_bqm((reads, list(bqm.variables)), bqm)

    with pytest.warns(UserWarning, match=r"chain_break_fraction=0\.[5-9]\d on x"):
        found = qpu.CliqueSampler(Child(split), solver="x").sample(_bqm(20), num_reads=50)
    assert 0.5 < found.info["chain_break_fraction"] <= 1 and len(found) == 50


def test_a_child_that_hangs_does_not_outlive_the_deadline():
    release = threading.Event()
    child = Child(lambda bqm, num_reads: release.wait(20))
    start = time.monotonic()
    with pytest.raises(DeadlinePassed, match="deadline_s=0.3: no answer from solver=x"):
        qpu.CliqueSampler(child, solver="x", deadline_s=0.3).sample(_bqm())
    release.set()
    assert time.monotonic() - start < 2


def test_a_childs_own_error_is_one_of_ours():
    def fail(bqm, num_reads):
        raise RuntimeError("flux")

    with pytest.raises(SamplerError, match=r"solver=x: .* \(RuntimeError: flux\)"):
        qpu.CliqueSampler(Child(fail), solver="x").sample(_bqm())


def test_a_problem_that_is_too_large_is_not_sent_and_names_the_limit():
    with pytest.raises(ProblemTooLarge, match=r"n_variables=37: the largest clique .* has 36;"):
        _mock().sample(_bqm(37))


def test_options_out_of_range_or_unknown_are_said():
    for options, message in (
        ({"chain_strength": 0}, "chain_strength=0: must be greater than 0"),
        ({"deadline_s": -1}, "deadline_s=-1: must be greater than 0"),
        ({"topology": "pegassus"}, "topology=pegassus: unknown; .* Did you mean pegasus"),
        ({"broken": 1}, "broken=1: must be a share"),
        ({"brokn": 0.1}, "sampler_options=brokn: unknown; .* Did you mean broken"),
    ):
        with pytest.raises(ConfigError, match=message):
            qpu.open_device("mock", {"shape": [4]} | options)
    with pytest.raises(ConfigError, match="n_variables=0"):
        _mock().sample(dimod.BQM("SPIN"))
