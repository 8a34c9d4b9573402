"""The Pythia stand-in: reproducible by seed, whatever the processes or interruptions."""

import hashlib
import json
import os
import sys

import numpy as np
import pytest

from models.data import delphes, detector, pythia, rule_based
from models.mlpf import MLPF
from suite.core.errors import ConfigError, DataError

pytest.importorskip("pythia8mc", reason="the extra `hep` is not installed")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.pkl.bz2")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, pythia.write(folder, 25, per_file=10, seed=3)


def test_the_files_are_in_the_published_format_and_the_manifest_says_stand_in(made):
    folder, manifest = made
    assert manifest["stand_in"] is True and "not the published" in manifest["what"]
    names = [f"tev14_pythia8_ttbar_0_{k}.pkl.bz2" for k in range(3)]
    assert sorted(manifest["files"]) == names == sorted(digests(folder))
    assert [len(delphes.read(folder / name)) for name in names] == [10, 10, 5]
    assert {name: said["sha256"] for name, said in manifest["files"].items()} == digests(folder)
    assert json.loads((folder / pythia.MANIFEST).read_text()) == manifest


def test_the_events_look_like_top_quarks(made):
    events = [event for path in sorted(made[0].glob("*.bz2")) for event in delphes.read(path)]
    X, y = (np.concatenate([event[k] for event in events]) for k in (0, 1))
    assert np.isfinite(X).all() and np.isfinite(y).all()
    assert 120 < len(X) / len(events) < 250
    share = np.bincount(y[:, 0].astype(int), minlength=6) / len(y)
    assert share == pytest.approx([0.08, 0.55, 0.12, 0.24, 0.01, 0.004], abs=0.04)
    assert ((X[:, 6] > 0) + (X[:, 7] > 0) <= 1).all(), "a tower is electromagnetic or hadronic"


def test_candidates_of_the_rules_stand_beside_the_truth(made):
    ((X, _, cand), *_) = delphes.read_whole(made[0] / "tev14_pythia8_ttbar_0_0.pkl.bz2")
    np.testing.assert_allclose(cand, rule_based.candidates(X), rtol=1e-5, atol=1e-5)
    assert 0.5 < (cand[:, 0] > 0).mean() < 1


def test_every_file_has_collisions_and_a_detector_of_its_own(made, monkeypatch, tmp_path):
    first, second = (
        np.concatenate(
            [y[:, 2] for _, y in delphes.read(made[0] / f"tev14_pythia8_ttbar_0_{k}.pkl.bz2")]
        )
        for k in (0, 1)
    )
    assert not set(first[first > 0]) & set(second)
    same = pythia.Generator("ttbar", 1)()
    monkeypatch.setattr(pythia, "Generator", lambda process, seed: lambda: same)
    pythia.write(tmp_path, 2, per_file=1)
    assert len(set(digests(tmp_path).values())) == 2


def test_two_processes_write_the_same_bytes(made, tmp_path):
    pythia.write(tmp_path, 25, per_file=10, seed=3, processes=2)
    assert digests(tmp_path) == digests(made[0])


def test_what_is_there_and_whole_is_kept_and_the_rest_is_made(made, tmp_path):
    pythia.write(tmp_path, 10, per_file=10, seed=3)
    first = tmp_path / "tev14_pythia8_ttbar_0_0.pkl.bz2"
    at = first.stat().st_mtime_ns
    done = []
    pythia.write(tmp_path, 25, per_file=10, seed=3, progress=lambda *said: done.append(said))
    assert done == [(1, 3), (2, 3), (3, 3)] and first.stat().st_mtime_ns == at
    first.write_bytes(b"damaged")
    pythia.write(tmp_path, 25, per_file=10, seed=3)
    assert digests(tmp_path) == digests(made[0])


def test_another_seed_makes_other_events_and_the_folder_is_not_mixed(made, tmp_path):
    pythia.write(tmp_path, 5, seed=4)
    assert not set(digests(tmp_path).values()) & set(digests(made[0]).values())
    with pytest.raises(ConfigError, match="holds events of other settings"):
        pythia.write(tmp_path, 5, seed=5)


def test_events_of_another_detector_or_generator_are_not_mixed_in(made, monkeypatch):
    monkeypatch.setattr(detector, "VERSION", detector.VERSION + 1)
    monkeypatch.setattr(pythia, "version", lambda name: "8.0")
    with pytest.raises(ConfigError, match=r"other settings \(stand_in.json: detector, pythia8mc\)"):
        pythia.write(made[0], 25, per_file=10, seed=3)


def dies(job):
    os._exit(9)


def test_a_process_that_is_killed_is_said_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(pythia, "_file", dies)
    with pytest.raises(DataError, match="processes=2: one was killed .* run again"):
        pythia.write(tmp_path, 2, per_file=1, processes=2)


def test_a_generator_that_only_fails_is_given_up():
    hard = pythia.Generator("ttbar", 1)
    hard._pythia = type("Failing", (), {"next": lambda self: False})()
    with pytest.raises(DataError, match="process=ttbar: Pythia failed 100 times"):
        hard()


def test_the_command_writes_shows_and_says(tmp_path, capsys):
    order = ["--to", str(tmp_path), "--events", "3", "--per-file", "2", "--processes", "1"]
    assert pythia.main(order) == 0
    said = capsys.readouterr()
    assert "3 events of " in said.out and "STAND-IN" in said.out
    use = said.out.splitlines()[-1]
    assert use.startswith("use it: swiftbench run model=mlpf model.data=stand_in model.pileup=0 ")
    assert MLPF(data="stand_in", folder=use.split("model.folder=")[1]).source.files
    assert "0/2 files\n" in said.err and "1/2 files, about " in said.err and "2/2" in said.err
    assert len(digests(tmp_path / "delphes_standin_pu0")) == 2
    with pytest.raises(SystemExit):
        pythia.main([*order, "--to", str(tmp_path / "delphes_standin_pu0")])
    assert "is the set's own folder; name the one above it" in capsys.readouterr().err
    assert pythia.main([*order, "--seed", "9"]) == 1
    assert "take another folder" in capsys.readouterr().err


@pytest.mark.slow
def test_pile_up_adds_soft_particles(made, tmp_path, monkeypatch):
    monkeypatch.setattr(pythia, "POOL", 20)
    monkeypatch.setattr(pythia, "_pools", {})
    pythia.write(tmp_path, 4, pileup=10, seed=3)
    crowded = [len(X) for X, _ in delphes.read(next(tmp_path.glob("*.bz2")))]
    alone = [len(X) for X, _ in delphes.read(next(made[0].glob("*_0_0.pkl.bz2")))]
    assert np.mean(crowded) > 1.8 * np.mean(alone)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_events": 0}, "events=0: must be an integer >= 1"),
        ({"pileup": -1}, "pileup=-1: must be 0 to 1000"),
        ({"process": "higgs"}, "process=higgs: unknown; known are qcd, ttbar"),
        ({"processes": 0}, "processes=0"),
    ],
)
def test_bad_arguments(tmp_path, wrong, says):
    with pytest.raises(ConfigError, match=says):
        pythia.write(tmp_path / "x", **{"n_events": 1} | wrong)
    assert not (tmp_path / "x").exists()


def test_without_the_generator_it_says_which_extra(made, tmp_path, monkeypatch):
    def absent(name):
        raise pythia.PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    monkeypatch.setattr(pythia, "version", absent)
    with pytest.raises(DataError, match="install the extra `hep`"):
        pythia.write(tmp_path, 1)
    assert pythia.write(made[0], 25, per_file=10, seed=3) == made[1], "what is whole is no matter"
