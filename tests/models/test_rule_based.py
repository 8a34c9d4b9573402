"""The rule-based particle flow of the stand-ins, element by element and on whole events."""

import numpy as np
import pytest

from kit import toy_events
from models.data import delphes, detector, rule_based
from models.mlpf import events

HADRON, ELECTRON, MUON = (0, 0), (0, 1), (1, 0)


def tower(energy, eta, phi, hadronic=False):
    row = np.zeros(12)
    row[:6] = 1, energy / np.cosh(eta), eta, np.sin(phi), np.cos(phi), energy
    row[7 if hadronic else 6] = energy
    return row


def track(pt, eta, phi, kind=HADRON, charge=-1):
    p = pt * np.cosh(eta)
    direction = [eta, np.sin(phi), np.cos(phi)]
    return np.array([2, pt, *direction, p, *direction, charge, *kind], float)


def flow(*rows):
    return rule_based.candidates(np.array(rows).reshape(-1, 12))


def test_a_track_is_a_charged_particle_as_measured():
    for kind, name in ((HADRON, 1), (ELECTRON, 4), (MUON, 5)):
        (found,) = flow(track(20.0, 0.5, 1.0, kind))
        expected = [name, -1, 20, 0.5, np.sin(1), np.cos(1), 20 * np.cosh(0.5)]
        np.testing.assert_allclose(found, expected)


def test_a_tower_alone_is_a_photon_or_a_neutral_hadron():
    found = flow(tower(30.0, 1.0, -2.0), tower(40.0, 1.0, -2.0, hadronic=True))
    np.testing.assert_allclose(found[:, [0, 1, 6]], [[3, 0, 30], [2, 0, 40]])
    np.testing.assert_allclose(found[:, 2] * np.cosh(1.0), [30, 40])


def test_what_a_track_brought_into_its_cell_is_not_counted_twice():
    """sigma of the HCAL tower of 60 GeV is 12 GeV: 10 GeV of it are noise, 40 are a neutral hadron."""
    eta, phi = 0.04, 0.04
    found = flow(track(50.0, eta, phi), tower(60.0, eta, phi, hadronic=True))
    assert found[:, 0].tolist() == [1, 0]
    found = flow(track(20.0, eta, phi), tower(60.0, eta, phi, hadronic=True))
    assert found[:, 0].tolist() == [1, 2]
    np.testing.assert_allclose(found[1, 6], 60 - 20 * np.cosh(eta))


def test_hadrons_leave_nothing_in_ecal_electrons_nothing_in_hcal_muons_nothing_at_all():
    eta, phi = 0.04, 0.04
    ecal, hcal = tower(60.0, eta, phi), tower(60.0, eta, phi, hadronic=True)
    for kind, left in ((HADRON, [60, 0]), (ELECTRON, [0, 60]), (MUON, [60, 60])):
        found = flow(track(60.0, eta, phi, kind), ecal, hcal)
        np.testing.assert_allclose(found[1:, 6], left, atol=1e-9)


def test_a_track_into_another_cell_takes_nothing():
    found = flow(track(60.0, 0.04, 0.04), tower(60.0, 0.04, 0.04 + 0.3, hadronic=True))
    assert found[:, 0].tolist() == [1, 2]


def test_each_direction_lies_in_the_cell_that_the_detector_put_it_in():
    """A single particle's tower and track share a cell, also where phi closes and at the last ring."""
    rng = np.random.default_rng(0)
    n = 400
    eta, phi = (
        rng.uniform(-2.4, 2.4, n),
        np.concatenate([rng.uniform(-np.pi, np.pi, n - 2), [np.pi, -np.pi]]),
    )
    pt = np.full(n, 90.0)
    for i in range(n):
        E = pt[i] * np.cosh(eta[i])
        one = detector.Particles(
            np.array([211]), np.array([1.0]), *(np.array([v]) for v in (
                pt[i] * np.cos(phi[i]), pt[i] * np.sin(phi[i]), pt[i] * np.sinh(eta[i]), E))
        )  # fmt: skip
        X, _ = detector.detect(one, rng)
        if {1.0, 2.0} == set(X[:, 0]):
            is_tower = X[:, 0] == 1
            of = [rule_based._cells(detector.HCAL, *X[rows][:, columns].T)
                  for rows, columns in ((is_tower, [2, 3, 4]), (~is_tower, [6, 7, 8]))]  # fmt: skip
            assert of[0] == of[1] >= 0


def test_empty_events_padding_and_the_edge_of_the_calorimeter_give_no_candidate():
    assert flow().shape == (0, 7)
    assert not flow(np.zeros(12)).any()
    assert rule_based._cells(
        detector.HCAL, np.array([5.1, -5.1]), np.zeros(2), np.ones(2)
    ).tolist() == [-1, -1]


# --- candidates of a staged set -------------------------------------------------------------------


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))


def files_of(root, n_files, given=True):
    """Each element's candidate is a photon of its own ET; without `given`: zeros, as in earlier revisions."""
    for k in range(n_files):
        made = toy_events.toy_events(6, seed=k, n=(10, 30))
        theirs = [np.concatenate([np.full((len(X), 2), 3), X[:, 1:6]], axis=1) for X, _ in made]
        path = root / f"tev14_pythia8_ttbar_0_{k}.pkl.bz2"
        path.parent.mkdir(parents=True, exist_ok=True)
        delphes.write(path, made, theirs if given else None)


@pytest.mark.parametrize(
    "settings", [{}, {"limit": 20}, {"split": "published"}, {"pad": 128}, {"n_files": 3}]
)
def test_a_sets_own_candidates_reach_its_test_events_element_by_element(tmp_path, settings):
    files_of(tmp_path / "delphes", settings.get("n_files", 12))
    source = events.find("real", str(tmp_path), 0)
    staged = events.stage(
        source, settings.get("split", "fixed"), settings.get("limit"), 0, settings.get("pad")
    )
    found = staged.test.candidates()
    assert staged.provenance["rule_based"] == "ycand of the set"
    assert [len(rows) for rows in found] == staged.test.n.tolist() != []
    for rows, first, n in zip(found, staged.test.first, staged.test.n, strict=True):
        np.testing.assert_array_equal(rows[:, 1], staged.test.X[first : first + n, 1])
    assert staged.train.candidates() is None


def test_a_real_set_without_candidates_has_none_and_a_stand_in_has_ours(tmp_path):
    files_of(tmp_path / "delphes", 3, given=False)
    real = events.stage(events.find("real", str(tmp_path), 0), "fixed", None, 0, None)
    assert real.test.candidates() is None and real.provenance["rule_based"] == "none"
    files_of(tmp_path / "delphes_standin_pu0", 3, given=False)
    ours = events.stage(events.find("stand_in", str(tmp_path), 0), "fixed", None, 0, None)
    assert ours.provenance["rule_based"].startswith("ours, simple")
    first, n = ours.test.first[0], ours.test.n[0]
    expected = rule_based.candidates(ours.test.X[first : first + n])
    np.testing.assert_allclose(ours.test.candidates()[0], expected[:, events.PARTICLE], rtol=1e-6)
