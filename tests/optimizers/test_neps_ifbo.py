"""ifBO: the file that it must be given, and whole searches with a STAND-IN for its network (kit/ftpfn.py)."""

import hashlib
import os
import pickle
import shutil
import tarfile

import pytest

from kit import ftpfn
from kit.driving import compose, configured
from kit.mpi_runs import curves
from suite.core.errors import ConfigError
from suite.core.space import Float, Space
from suite.core.types import Wait
from suite.launch.execute import run
from suite.optimizers import neps_ifbo
from suite.optimizers.neps_ifbo import Ifbo
from suite.run import journal as journals
from suite.testing import JointConformance
from suite.verify.checks import verify

NEEDS = "NePS is not installed: tests/optimizers/environment FOLDER neps"
R = 9


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def staged(path, sha256):
    return Ifbo(str(path), sha256)._staged()


@pytest.fixture
def network(tmp_path):
    pytest.importorskip("ifbo", reason=NEEDS)
    return ftpfn.write(tmp_path / "network")


@pytest.fixture
def words(network):
    archive, _, sha256 = network
    return ("algorithm=neps_ifbo", f"scheduler.optimizer.weights={archive}",
            f"scheduler.optimizer.weights_sha256={sha256}")  # fmt: skip


# --- the file -------------------------------------------------------------------------------------


class Runs:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_another_file_than_the_one_named_is_refused_and_not_read(tmp_path):
    planted = tmp_path / "weights.pt"
    planted.write_bytes(pickle.dumps(Runs(tmp_path / "made")))
    found = digest(planted)
    says = (
        rf"weights={planted}: its SHA-256 is {found}, not weights_sha256=0{{64}}; it was not read"
    )
    with pytest.raises(ConfigError, match=says):
        staged(planted, "0" * 64)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("weights", "sha256", "says"),
    [
        (None, None, "scheduler.optimizer.weights=null: ifBO needs its trained network"),
        ("weights.pt", None, "scheduler.optimizer.weights_sha256=null: ifBO needs"),
        ("absent.pt", "0" * 64, "weights=absent.pt: No such file"),
        (".", "0" * 64, "weights=.: Is a directory"),
    ],
)
def test_a_file_that_is_not_there_is_named(weights, sha256, says):
    with pytest.raises(ConfigError, match=says):
        Ifbo(weights, sha256)._staged()


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(neps_ifbo, "_LARGEST", 10)
    path = tmp_path / "weights.pt"
    path.write_bytes(b"0" * 11)
    with pytest.raises(ConfigError, match="has more than 1 GiB"):
        staged(path, digest(path))


def test_an_archive_gives_its_network_alone_and_one_without_is_refused(tmp_path, network):
    archive, weights, sha256 = network
    folder = staged(archive, sha256)
    assert sorted(path.name for path in (folder / ".model").iterdir()) == [
        weights.name,
        archive.name,
    ]
    assert digest(folder / ".model" / weights.name) == digest(weights)
    for name, says in (("other.pt", f"has no {weights.name}"), ("", "is no archive")):
        bad = tmp_path / "bad.tar.gz"
        bad.write_bytes(b"no archive")
        if name:
            with tarfile.open(bad, "w:gz") as file:
                file.add(weights, name)
        with pytest.raises(ConfigError, match=says):
            staged(bad, digest(bad))


# --- searches -------------------------------------------------------------------------------------


def test_a_space_or_an_r_that_the_network_does_not_know_is_refused(network):
    optimizer = Ifbo(str(network[0]), network[2])
    wide = Space({f"x{k}": Float(0, 1) for k in range(11)})
    with pytest.raises(ConfigError, match="the space has 11 hyperparameters: .* at most 10"):
        optimizer.open(wide, 0, R)
    with pytest.raises(ConfigError, match="max_epochs=2: must be at least step_epochs . 2 = 3"):
        optimizer.open(Space({"x": Float(0, 1)}), 0, 2)


def test_it_waits_for_what_it_needs_and_a_failed_trial_is_the_worst(network):
    """The package itself takes a failed trial for one whose error is 0."""
    optimizer = Ifbo(str(network[0]), network[2], n_initial=2)
    optimizer.open(Space({"x": Float(0, 1)}), 0, R)
    first, second = optimizer.ask(), optimizer.ask()
    assert isinstance(optimizer.ask(), Wait)
    optimizer.tell(first[0], 1, None)
    reports = [trial.report for trial in optimizer._neps.trials.values() if trial.report]
    assert [report.objective_to_minimize for report in reports] == [1.0]
    optimizer.tell(second[0], 1, 3.5)
    assert optimizer.diagnostics["outside_range"] == 1
    for _ in range(20):
        key, config, to_epoch = optimizer.ask()
        assert key != first[0] and 0 <= config["x"] <= 1 and to_epoch <= R
        optimizer.tell(key, to_epoch, 0.5)


def test_it_ends_with_the_last_configuration_that_its_network_knows(network, monkeypatch):
    monkeypatch.setattr(neps_ifbo, "MOST_CONFIGURATIONS", 3)
    optimizer = Ifbo(str(network[0]), network[2])
    optimizer.open(Space({"x": Float(0, 1)}), 0, R)
    seen = set()
    while isinstance(wish := optimizer.ask(), tuple):
        seen.add(wish[0])
        optimizer.tell(wish[0], wish[2], 0.5)
    assert len(seen) == 3


@pytest.mark.exhaustive
def test_it_keeps_the_contract(words):
    suite = JointConformance.of(compose(*words)["scheduler"])
    failed = {r.check: r.reason for r in suite.results() if not r.passed}
    assert not failed


@pytest.mark.slow
def test_a_run_of_it_is_verified_and_cut_it_ends_the_same(words, tmp_path, no_fsync):
    chosen = configured(
        *words, "model=table_target", f"max_epochs={R}", "backend=inline", "tracking=later",
        "report=false", "budget.n_epochs=40", "score_test=false",
    )  # fmt: skip
    whole = tmp_path / "whole"
    assert run(chosen, whole).status == "completed"
    assert verify(whole, "run").holds
    rows = (whole / journals.NAME).read_bytes().splitlines(keepends=True)
    for n_rows in (len(rows) // 3, 2 * len(rows) // 3):
        again = tmp_path / f"cut-{n_rows}"
        shutil.copytree(whole, again)
        (again / journals.NAME).write_bytes(b"".join(rows[:n_rows]))
        assert run(chosen, again, resume=True).status == "completed"
        assert curves(again) == curves(whole), f"cut after line {n_rows}"
