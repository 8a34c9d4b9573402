"""The e+e- stand-in: in CLIC's format, a function of its seed, with a collision's energies."""

import hashlib
import json

import numpy as np
import pytest

from models.data import clic, clic_detector, detector, pythia, pythia_ee
from models.data.generated import MANIFEST
from models.mlpf import clic_events, physics
from models.mlpf.mlpf_clic import MLPFClic
from suite.core.errors import ConfigError, DataError

pytest.importorskip("pythia8mc", reason="the extra `hep` is not installed")
pytest.importorskip("pyarrow", reason="the extra `hep` is not installed")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.parquet")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    folder = root / pythia_ee.FOLDER
    return folder, pythia_ee.write(folder, 30, per_file=8, seed=3)


def test_each_process_has_its_files_and_the_manifest_says_stand_in(made):
    folder, manifest = made
    assert manifest["stand_in"] is True and "not the published" in manifest["what"]
    assert json.loads((folder / MANIFEST).read_text()) == manifest
    n = {p: [] for p in pythia_ee.PROCESSES}
    for name, facts in manifest["files"].items():
        n[name.split("_")[2]].append(facts["n_events"])
        assert len(clic.read(folder / name)) == facts["n_events"]
    assert n == {"tt": [8], "qq": [8], "zh": [7], "ww": [7]}
    assert digests(folder) == {k: v["sha256"] for k, v in manifest["files"].items()}


def test_a_file_is_a_function_of_seed_and_number_alone(made, tmp_path):
    pythia_ee.write(tmp_path, 4, per_file=8, seed=3, process="zh")
    (name,) = digests(tmp_path)
    assert name == "p8_ee_zh_ecm380_0.parquet"
    more = {**digests(made[0])}
    events = clic.read(tmp_path / name)
    for (X, y, cand), (X_, y_, cand_) in zip(events, clic.read(made[0] / name), strict=False):
        assert all(np.array_equal(a, b) for a, b in ((X, X_), (y, y_), (cand, cand_)))
    with pytest.raises(ConfigError, match=r"other settings \(stand_in.json: process"):
        pythia_ee.write(tmp_path, 6, per_file=8, seed=3)
    assert digests(made[0]) == more


def test_the_events_have_the_energy_of_the_collision_and_no_charged_cluster(made):
    events = [event for path in sorted(made[0].glob("*.parquet")) for event in clic.read(path)]
    for X, y, _ in events:
        assert 0 < len(X) < 400 and np.isfinite(X).all() and np.isfinite(y).all()
        assert y[:, 6].sum() < 381, "no more than there is"
        is_track = X[:, 0] == clic.IS_TRACK
        assert np.isin(y[is_track, 0], (0, 1, 4, 5)).all() and not y[~is_track, 1].any()
        assert np.isin(y[~is_track, 0], (0, 2, 3)).all()
    pt, omega = (np.concatenate([X[X[:, 0] == 1, k] for X, _, _ in events]) for k in (1, 13))
    np.testing.assert_allclose(pt, 3e-4 * 4.0 / np.abs(omega), rtol=1e-5)
    seen = [physics.visible_energy(y[:, [0, 2, 3, 4, 5, 6]]) for _, y, _ in events]
    assert 150 < np.median(seen) < 381


def test_clusters_stand_where_their_direction_says(made):
    X = np.concatenate([X for X, _, _ in clic.read(made[0] / "p8_ee_tt_ecm380_0.parquet")])
    clusters = X[X[:, 0] == clic.IS_CLUSTER]
    x, y, z = clusters[:, 6:9].T
    np.testing.assert_allclose(np.arcsinh(z / np.hypot(x, y)), clusters[:, 2], atol=1e-4)
    np.testing.assert_allclose(
        np.arctan2(y, x), np.arctan2(clusters[:, 3], clusters[:, 4]), atol=1e-4
    )
    assert ((clusters[:, 10] > 0) ^ (clusters[:, 11] > 0)).all()


@pytest.mark.parametrize(
    ("eta", "E", "ecal", "hcal"),
    [
        (0.1, 10.0, np.sqrt(0.1**2 + 0.156**2 * 10), np.sqrt(1.38**2 + 0.308**2 * 10 + 0.5**2)),
        (-0.8, 4.0, np.sqrt(0.04**2 + 0.175**2 * 4), np.sqrt(1.159**2 + 0.341**2 * 4 + 0.196**2)),
        (2.0, 50.0, np.sqrt(0.5**2 + 0.151**2 * 50), np.sqrt(1.09**2 + 0.319**2 * 50 + 2.6**2)),
    ],
)
def test_resolutions_are_the_cards(eta, E, ecal, hcal):
    assert clic_detector.ecal_sigma(E, eta) == pytest.approx(ecal)
    assert clic_detector.hcal_sigma(E, eta) == pytest.approx(hcal)


def test_a_tracks_resolution_is_the_cards_and_doubles_forward():
    kind = np.full(3, detector.CHARGED_HADRON)
    found = clic_detector.pt_resolution(kind, np.full(3, 50.0), np.array([0.1, -1.5, 2.0]))
    barrel, endcap = np.hypot(1.32845e-5 * 50, 0.00209325), np.hypot(8.56036e-5 * 50, 0.0148987)
    np.testing.assert_allclose(found, [barrel, endcap, 2 * endcap])
    assert (clic_detector.CARD.ecal.n_phi < detector.RING).all(), "cells have numbers of their own"


def test_the_command_writes_the_set_that_the_target_finds(tmp_path, capsys):
    order = ["--to", str(tmp_path), "--collider", "ee", "--events", "2", "--process", "ww",
             "--processes", "1"]  # fmt: skip
    assert pythia.main(order) == 0
    said = capsys.readouterr().out
    assert "2 events of " in said and "STAND-IN" in said
    assert "use it: swiftbench run model=mlpf_clic model.data=stand_in model.folder=" in said
    target = MLPFClic(data="stand_in", folder=str(tmp_path), schedule_epochs=1)
    assert [file.name for file in target.source.files] == ["p8_ee_ww_ecm380_0.parquet"]
    assert (
        target.data == "stand-in"
        and clic_events.CLIC.kind(target.source.files[0]) == "p8_ee_ww_ecm380"
    )
    with pytest.raises(SystemExit):
        pythia.main([*order, "--pileup", "20"])
    assert "--pileup=20: only protons" in capsys.readouterr().err
    assert pythia.main([*order, "--process", "ttbar"]) == 1
    assert "process=ttbar: unknown; known are" in capsys.readouterr().err


def test_generated_files_in_the_place_of_real_ones_are_no_real_ones(tmp_path):
    real = tmp_path / "clic"
    pythia_ee.write(real, 1, seed=1, process="ww")
    with pytest.raises(DataError, match="data=real"):
        clic_events.find("real", str(tmp_path))
    assert clic_events.find("auto", str(tmp_path)).data == "stand-in"
