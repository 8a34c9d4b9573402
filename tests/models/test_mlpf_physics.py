"""Jets and missing transverse energy of predictions, on events whose answer is known."""

import numpy as np
import pytest

from models.mlpf import physics

fastjet = pytest.importorskip("fastjet", reason="extra hep")


def particle(pt, eta, phi, kind=1):
    return [kind, pt, eta, np.sin(phi), np.cos(phi), pt * np.cosh(eta)]


def spray(rng, pt, eta, phi, n=12):
    """A jet: n particles within 0.1 of an axis."""
    share = rng.dirichlet(np.ones(n)) * pt
    return [
        particle(p, eta + a, phi + b)
        for p, a, b in zip(share, *rng.normal(0, 0.03, (2, n)), strict=True)
    ]


def event(rng):
    rows = spray(rng, 80, 0.5, 1.0) + spray(rng, 60, -1.0, 3.1) + spray(rng, 35, 1.8, -2.0)
    return np.array([*rows, particle(1.0, 2.0, 0.3), [0, 50, 0, 0, 1, 50]])


def scaled(rows, factor):
    rows = rows.copy()
    rows[:, [1, 5]] *= factor
    return rows


def test_a_perfect_prediction_has_response_one_and_no_width():
    rng = np.random.default_rng(1)
    truth = [event(rng) for _ in range(5)]
    found = physics.event_view(truth, truth)
    assert found["n_jets"] == found["n_jets_matched"] == 15 and found["jets_matched"] == 1
    assert found["jet_response_median"] == pytest.approx(1) == found["met_response_median"]
    assert found["jet_response_width"] == pytest.approx(0, abs=1e-12)
    assert found["met_response_width"] == pytest.approx(0, abs=1e-12)


def test_a_known_resolution_is_found_again():
    """Every event's energies are off by one Gaussian factor: median 0.9, relative width 0.1."""
    rng = np.random.default_rng(2)
    truth = [event(rng) for _ in range(300)]
    guess = [scaled(rows, 0.9 * (1 + 0.1 * rng.normal())) for rows in truth]
    found = physics.event_view(truth, guess)
    for name in ("jet_response", "met_response"):
        assert found[f"{name}_median"] == pytest.approx(0.9, abs=0.02)
        assert found[f"{name}_width"] == pytest.approx(0.1, abs=0.015)


def test_jets_are_those_of_anti_kt_in_a_plain_loop():
    """Against fastjet's own clustering of one event, given particle by particle."""
    rng = np.random.default_rng(3)
    rows = np.concatenate([event(rng), [particle(25.0, 0.5, 1.7)]])  # 0.7 from a jet's axis
    jets = physics.clustered([rows], 20.0)[0]
    inputs = [
        fastjet.PseudoJet(x, y, z, float(np.sqrt(x * x + y * y + z * z)))
        for x, y, z in zip(*physics.momenta(rows), strict=True)
    ]
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
    sequence = fastjet.ClusterSequence(inputs, definition)
    expected = sorted((j.pt() for j in sequence.inclusive_jets(20.0)), reverse=True)
    np.testing.assert_allclose(jets[:, 0], expected, rtol=1e-6)
    assert len(jets) == 4


def test_each_jet_is_matched_once_to_the_nearest_across_the_seam_of_phi():
    true = np.array([[50.0, 0.0, np.pi - 0.01], [40.0, 1.0, 0.0]])
    found = np.array([[10.0, 0.0, np.pi - 0.06], [45.0, 0.0, -np.pi + 0.01], [40.0, 1.3, 0.0]])
    np.testing.assert_allclose(physics.match(true, found), [0.9])
    assert len(physics.match(true, found[:0])) == 0 == len(physics.match(true[:0], found))


def test_slots_that_are_no_particle_count_nowhere():
    rng = np.random.default_rng(4)
    truth = [event(rng) for _ in range(3)]
    guess = [np.concatenate([rows, [[0, 500, 0.1, 0.0, 1.0, 500]]]) for rows in truth]
    assert physics.event_view(truth, guess) == physics.event_view(truth, truth)


def test_events_without_particles_and_predictions_out_of_bounds_give_finite_figures():
    rng = np.random.default_rng(5)
    truth = [event(rng) for _ in range(3)]
    wild = [event(rng) for _ in range(3)]
    for rows in wild:
        rows[0, 1:] = [1e4, 1e4, 0.0, 0.0, 1.0]
        rows[1, 1] = -5.0
    for guess in (wild, [np.zeros((0, 6))] * 3, [np.zeros((4, 6))] * 3):
        found = physics.event_view(truth, guess)
        assert all(np.isfinite(value) for value in found.values())
        assert found["n_jets"] == 9
    assert physics.event_view([np.zeros((0, 6))], [np.zeros((0, 6))])["n_jets"] == 0


def test_few_events_give_no_width():
    assert physics.summary("x", np.array([1.0])) == {}
    assert set(physics.summary("x", np.array([1.0, 2.0]))) == {"x_median", "x_width"}


def test_what_is_not_installed_is_said(monkeypatch):
    import importlib.util

    assert physics.missing() is None
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fastjet" else found(name)
    )
    assert "fastjet not installed (extra `hep`)" in physics.missing()
