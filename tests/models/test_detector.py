"""The detector against the card it was written from."""

from dataclasses import replace

import numpy as np
import pytest

from models.data import detector
from models.data.detector import (
    CHARGED_HADRON,
    ECAL,
    ELECTRON,
    HCAL,
    MUON,
    NEUTRAL_HADRON,
    PHOTON,
    Particles,
)


def gun(n, pid, charge, pt, eta=0.3, seed=0, mass=0.14):
    """n equal particles at random phi, one an event's worth apart."""
    phi = np.random.default_rng(seed).uniform(-np.pi, np.pi, n)
    pt, eta = np.broadcast_to(pt, n), np.broadcast_to(eta, n)
    pz = pt * np.sinh(eta)
    E = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    return Particles(
        np.full(n, pid), np.full(n, float(charge)), pt * np.cos(phi), pt * np.sin(phi), pz, E
    )


def one_by_one(particles, seed=1, **options):
    """Each particle is an event of its own, so that nothing overlaps."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(len(particles.pid)):
        names = ("pid", "charge", "px", "py", "pz", "E")
        alone = Particles(*(getattr(particles, name)[i : i + 1] for name in names))
        found.append(detector.detect(alone, rng, **options))
    return found


@pytest.mark.parametrize(("grid", "n_cells"), [(ECAL, None), (HCAL, None)])
def test_cells_cover_the_calorimeter_without_gaps(grid, n_cells):
    assert (np.diff(grid.eta_edges) > 0).all() and len(grid.n_phi) == len(grid.eta_edges) - 1
    assert grid.eta_edges[0] == -5.0 and grid.eta_edges[-1] == 5.0
    assert np.allclose(grid.eta_edges, -grid.eta_edges[::-1])
    assert np.array_equal(grid.n_phi, grid.n_phi[::-1])


@pytest.mark.parametrize(
    ("pid", "kind", "pt", "eta", "expected"),
    [
        (211, CHARGED_HADRON, 5.0, 0.5, 0.95),
        (211, CHARGED_HADRON, 0.5, 0.5, 0.70),
        (211, CHARGED_HADRON, 5.0, 2.0, 0.85),
        (211, CHARGED_HADRON, 0.5, 2.0, 0.60),
        (211, CHARGED_HADRON, 5.0, 2.7, 0.0),
        (211, CHARGED_HADRON, 0.05, 0.5, 0.0),
        (11, ELECTRON, 5.0, 0.5, 0.95),
        (11, ELECTRON, 200.0, 0.5, 0.99),
        (11, ELECTRON, 200.0, 2.0, 0.90),
        (13, MUON, 5.0, 0.5, 0.99),
        (13, MUON, 0.5, 2.0, 0.70),
    ],
)
def test_tracks_are_found_as_often_as_the_card_says(pid, kind, pt, eta, expected):
    assert detector.efficiency(np.array([kind]), np.array([pt]), np.array([eta]))[0] == expected
    n = 400
    found = one_by_one(gun(n, pid, 1, pt, eta))
    share = np.mean([(X[:, 0] == 2).any() for X, _ in found])
    assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / n) + 1e-9


@pytest.mark.parametrize(
    ("eta", "pt", "sigma"), [(0.2, 10.0, 0.0614), (1.0, 10.0, 0.1014), (2.0, 10.0, 0.2519)]
)
def test_a_hadrons_momentum_is_smeared_as_the_card_says(eta, pt, sigma):
    X, y = detector.detect(gun(40_000, 211, 1, pt, eta), np.random.default_rng(3))
    ratio = X[X[:, 0] == 2, 1] / y[X[:, 0] == 2, 2]
    assert ratio.mean() == pytest.approx(1, abs=0.01) and ratio.std() == pytest.approx(
        sigma, rel=0.05
    )


@pytest.mark.parametrize(("pid", "column", "E"), [(22, 6, 50.0), (2112, 7, 50.0)])
def test_a_neutral_particle_leaves_its_energy_in_the_right_calorimeter(pid, column, E):
    found = one_by_one(gun(600, pid, 0, E / np.cosh(0.3), 0.3, mass=0.0))
    X = np.concatenate([X for X, _ in found])
    assert (X[:, 0] == 1).all() and (X[:, column] > 0).all() and not X[:, 13 - column].any()
    sigma = (detector.ecal_sigma if column == 6 else detector.hcal_sigma)(E, 0.3)
    assert X[:, 5].mean() == pytest.approx(E, abs=5 * sigma / np.sqrt(600))
    assert X[:, 5].std() == pytest.approx(sigma, rel=0.15)
    assert np.allclose(X[:, 1], X[:, 5] / np.cosh(X[:, 2]))


def test_a_kaon_shares_and_a_muon_and_a_neutrino_leave_nothing():
    for pid, expected in ((310, [False, True]), (-3122, [False, True]), (130, [False])):
        neutral = detector.detect(gun(1, pid, 0, 100.0), np.random.default_rng(1))[0]
        assert sorted((neutral[:, 6] > 0).tolist()) == expected
    for pid, charge in ((13, -1), (14, 0)):
        X, _ = detector.detect(gun(50, pid, charge, 40.0), np.random.default_rng(1))
        assert not (X[:, 0] == 1).any()


def test_a_particle_bends_by_its_charge_and_less_with_more_momentum():
    eta, phi = np.zeros(4), np.zeros(4)
    charge, pt = np.array([1.0, -1.0, 1.0, 0.0]), np.array([2.0, 2.0, 20.0, 2.0])
    eta_out, phi_out = detector.at_calorimeter(charge, pt, eta, phi)
    rho = 2.0 / (0.2998 * 3.8)
    assert phi_out[0] == pytest.approx(-np.arcsin(1.29 / (2 * rho)))
    assert phi_out[1] == -phi_out[0] and abs(phi_out[2]) < abs(phi_out[0]) / 9 and phi_out[3] == 0
    assert not eta_out.any()


def test_a_looper_ends_at_an_endcap():
    """2 rho < R: it cannot reach the barrel."""
    eta_out, _ = detector.at_calorimeter(
        np.array([1.0]), np.array([0.3]), np.array([0.5]), np.array([0.0])
    )
    assert abs(eta_out[0]) > 0.5


def test_a_particle_meets_the_endcap_where_stepping_along_its_circle_leads():
    """At every turn, loopers included: 3 m / |sinh eta| of arc, in 20,000 steps."""
    for pt, eta, phi, charge in ((0.3, 0.5, 1.0, 1), (0.25, 0.9, -2.0, -1), (0.6, 2.2, 3.0, 1)):
        rho, arc = pt / (0.2998 * 3.8), 3.0 / np.sinh(eta)
        s = (np.arange(20_000) + 0.5) / 20_000 * arc
        turned = phi - charge * s / rho
        x, y = (f(turned).mean() * arc for f in (np.cos, np.sin))
        found = detector.at_calorimeter(*(np.array([v]) for v in (float(charge), pt, eta, phi)))
        assert found[0][0] == pytest.approx(np.arcsinh(3.0 / np.hypot(x, y)), rel=1e-4)
        assert np.cos(found[1][0] - np.arctan2(y, x)) == pytest.approx(1, abs=1e-6)


def test_what_feeds_both_calorimeters_counts_once_or_as_published_twice():
    kaon = gun(1, 310, 0, 100.0, mass=0.5)
    X, y = detector.detect(kaon, np.random.default_rng(1))
    assert len(X) == 2
    assert not y[X[:, 6] > 0].any() and y[X[:, 7] > 0, 6] == pytest.approx(kaon.E)
    X, y = detector.detect(kaon, np.random.default_rng(1), published=True)
    assert y[:, 6] == pytest.approx([kaon.E[0]] * 2)


def test_where_its_hadronic_tower_was_dropped_the_electromagnetic_one_has_the_particle():
    found = [(X, y) for X, y in one_by_one(gun(300, 310, 0, 12.0, mass=0.5)) if len(X) == 1]
    alone = [y[0, 0] for X, y in found if X[0, 6] > 0]
    assert len(alone) >= 3 and set(alone) == {NEUTRAL_HADRON}


def test_the_target_of_a_tower():
    far = one_by_one(gun(60, 211, 1, 20.0, 3.0))
    assert {int(c) for _, y in far for c in y[:, 0]} == {NEUTRAL_HADRON}, "no tracks out there"
    soft = one_by_one(gun(60, 2112, 0, 6.0, 0.1, mass=0.94))
    assert not any(y.any() for _, y in soft), "a neutral hadron below 9 GeV is no target"
    light = one_by_one(gun(20, 22, 0, 6.0, 0.1, mass=0.0))
    assert {int(c) for _, y in light for c in y[:, 0]} == {PHOTON}
    assert all(y[0, 6] == pytest.approx(6.0 * np.cosh(0.1)) for _, y in light if len(y))


def test_what_has_a_track_is_no_towers_target():
    found = [X_y for X_y in one_by_one(gun(60, 211, 1, 40.0)) if len(X_y[0]) == 2]
    assert len(found) > 40, "a track and its HCAL tower"
    assert all(y[0].any() and not y[1].any() for _, y in found)


def test_a_towers_class_is_the_kind_with_most_energy_and_its_charge_that_of_the_hardest(
    monkeypatch,
):
    """Five soft positive hadrons and a hard negative one go straight into one tower, untracked."""
    blind = replace(detector.CMS, efficiency=lambda kind, pt, eta: 0.0 * pt)
    monkeypatch.setattr(detector, "at_calorimeter", lambda charge, pt, eta, phi, card: (eta, phi))

    def along_x(pid, charge, energy):
        one = np.array([float(energy)])
        return Particles(
            np.array([pid]), np.array([charge]), one, 0 * one, 0.02 * one, 1.0002 * one
        )

    soft, hard = [along_x(211, 1.0, 4)] * 5, along_x(-211, -1.0, 60)
    neutrals = [along_x(2112, 0.0, 5)] * 8
    rng = np.random.default_rng(1)
    _, y = detector.detect(Particles.joined([*soft, *neutrals, hard]), rng, card=blind)
    assert y[:, :2].tolist() == [[CHARGED_HADRON, -1.0]] and y[0, 2] == pytest.approx(120)
    _, y = detector.detect(
        Particles.joined([*soft, *neutrals, hard]), rng, published=True, card=blind
    )
    assert y[:, :2].tolist() == [[CHARGED_HADRON, 1.0]]
    _, y = detector.detect(Particles.joined([*neutrals, *soft]), rng, card=blind)
    assert y[:, :2].tolist() == [[NEUTRAL_HADRON, 0.0]]
    _, y = detector.detect(Particles.joined([*soft, along_x(2112, 0.0, 30)]), rng, card=blind)
    assert y[:, :2].tolist() == [[NEUTRAL_HADRON, 0.0]], "most energy, not most particles"


def test_the_truths_charge_is_the_particles_or_as_published_the_sign_of_its_number():
    electron = gun(200, 11, -1, 30.0)
    for published, expected in ((False, -1.0), (True, 1.0)):
        X, y = detector.detect(electron, np.random.default_rng(2), published=published)
        assert set(y[X[:, 0] == 2, 1].tolist()) == {expected}


def test_one_seed_gives_one_event():
    shower = Particles.joined([gun(80, 211, 1, 3.0, 0.7), gun(50, 22, 0, 2.0, -1.2, mass=0.0)])
    one, two, other = (detector.detect(shower, np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
    assert not np.array_equal(one[0], other[0])
    X, y = one
    assert np.isfinite(X).all() and np.isfinite(y).all() and len(X) == len(y)
    assert np.allclose(X[:, 3] ** 2 + X[:, 4] ** 2, 1)
