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


# --- bins, and the rule-based particle flow -------------------------------------------------------


def test_bins_hold_what_was_put_into_them():
    """Jets of 25 GeV are measured at 0.8, those of 100 GeV at 1.1; the candidates measure all at 0.5."""
    rng = np.random.default_rng(6)

    def low(factor):
        return [particle(25.0 * factor, 0.5, 1.0)]

    def high(factor):
        return [particle(100.0 * factor, -1.0, -2.0)]

    noise = rng.normal(1, 0.05, (2, 200))
    truth = [np.array(low(1) + high(1))] * 200
    guess = [np.array(low(0.8 * a) + high(1.1 * b)) for a, b in noise.T]
    found = physics.event_view(truth, guess, [np.array(low(0.5) + high(0.5))] * 200)
    assert found["n_jets/pt 20..30 GeV"] == found["n_jets/pt 80..120 GeV"] == 200
    assert found["jet_response_median/pt 20..30 GeV"] == pytest.approx(0.8, abs=0.01)
    assert found["jet_response_median/pt 80..120 GeV"] == pytest.approx(1.1, abs=0.01)
    # Quartiles of a Gaussian lie 1.349 deviations apart.
    assert found["jet_response_iqr/pt 20..30 GeV"] == pytest.approx(1.349 * 0.05, abs=0.015)
    assert found["jet_response_median:rule_based/pt 20..30 GeV"] == pytest.approx(0.5)
    assert found["jet_response_iqr:rule_based/pt 80..120 GeV"] == pytest.approx(0, abs=1e-9)
    assert found["jets_matched/pt 20..30 GeV"] == found["jets_matched:rule_based"] == 1
    assert found["met_response_median:rule_based/met 40..80 GeV"] == pytest.approx(0.5)


def test_a_bin_without_jets_says_zero_and_nothing_else():
    truth = [np.array([particle(25.0, 0.5, 1.0), particle(25.0, 0.5, -2.0)])] * 10
    found = physics.event_view(truth, [rows[:1] for rows in truth])
    empty = [name for name in found if "pt 40..60 GeV" in name]
    assert empty == ["n_jets/pt 40..60 GeV"] and found[empty[0]] == 0
    assert found["jets_matched/pt 20..30 GeV"] == 0.5


def test_few_jets_of_a_bin_have_no_quartiles():
    truth = [np.array([particle(25.0, 0.5, 1.0)])] * (physics.FEWEST - 1)
    found = physics.event_view(truth, truth)
    assert found["n_jets/pt 20..30 GeV"] == physics.FEWEST - 1
    assert not [name for name in found if name.startswith("jet_response") and "/" in name]


def test_no_jets_at_all_and_no_reconstructed_jets_give_finite_figures():
    soft = [np.array([particle(1.0, 0.5, 1.0)])] * 3
    found = physics.event_view(soft, soft, soft)
    assert (
        found["n_jets"] == found["n_jets_matched:rule_based"] == 0 and "jets_matched" not in found
    )
    hard = [np.array([particle(50.0, 0.5, 1.0)])] * 6
    found = physics.event_view(hard, soft + soft, soft + soft)
    assert found["jets_matched"] == found["jets_matched:rule_based/pt 40..60 GeV"] == 0
    assert all(np.isfinite(value) for value in found.values())


def test_particles_of_nan_or_infinity_are_left_out_and_counted():
    rng = np.random.default_rng(7)
    truth = [event(rng) for _ in range(4)]
    wild = [
        np.concatenate([rows, np.full((2, 6), np.nan), [[1, np.inf, 0, 0, 1, 5]]]) for rows in truth
    ]
    found = physics.event_view(truth, wild, wild[:2] + truth[2:])
    plain = physics.event_view(truth, truth, truth)
    assert (found["n_not_finite"], found["n_not_finite:rule_based"]) == (12, 6)
    same = {name: value for name, value in found.items() if "n_not_finite" not in name}
    assert same == {name: value for name, value in plain.items() if "n_not_finite" not in name}
