"""A search that is cut anywhere and carried on ends as if it had never been cut: real checkpoints,
every journal line.
"""

import os
import shutil

import pytest

from kit.driving import SVR, conductor, inline, result, resumed, search
from models.synthetic_curves import TableTarget
from suite.run import journal as journals
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal, read
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.swift_hyperband import SwiftHyperband

pytestmark = pytest.mark.usefixtures("no_fsync")

SEARCHES = {
    "hyperband": (lambda: Hyperband(9, 3, overlap=True), None, 0),
    "hyperband_sequential": (lambda: Hyperband(9, 3, overlap=False), None, 0),
    "swift_svr": (lambda: SwiftHyperband(9, 2, n_curves=3, full_share=0.9, overlap=False), SVR, 0),
    "with_diverging_trials": (lambda: Hyperband(9, 3, overlap=True), None, 12),
}


class Cut(BaseException):
    """Stands for SIGKILL: nothing is closed, nothing is tidied."""


class CutJournal(Journal):
    """Dies while or after writing line `n_lines` (1: the first after the header)."""

    left, torn = -1, False

    def write(self, line):
        if self.left == 0 and self.torn:
            os.write(self._fd, b'{"event":"epoch","worker":0,"job_i')
        if self.left == 0:
            raise Cut
        super().write(line)
        self.left -= 1


@pytest.fixture(params=SEARCHES)
def whole(request, tmp_path):
    make, predictor, below = SEARCHES[request.param]
    target = TableTarget(diverge_below=below)
    done = search(tmp_path / "whole", make(), target, predictor=predictor, seed=3)
    assert done.conductor.winner is not None
    assert bool(done.conductor.given_up) == bool(below)
    assert bool(done.conductor.scheduler.stopped_at) == (predictor is not None)
    return done, make, predictor, target


def _die(folder, make, predictor, target, n_lines, torn):
    journal = CutJournal(folder, {"run_id": "test"})
    journal.left, journal.torn = n_lines, torn
    driver = Driver(conductor(make(), target, 3), journal)
    with pytest.raises(Cut):
        inline(folder, target, predictor, 3).run(driver)
    journal.release()


@pytest.mark.parametrize(
    ("torn", "is_chosen"),
    [
        pytest.param(False, lambda n: True, id="after_a_line", marks=pytest.mark.slow),
        pytest.param(True, lambda n: n % 6 == 0, id="within_each_sixth_line"),
        pytest.param(True, lambda n: n % 6 > 0, id="within_a_line", marks=pytest.mark.slow),
    ],
)
def test_killed_at_every_journal_line_and_resumed(whole, tmp_path, torn, is_chosen):
    done, make, predictor, target = whole
    lines = read(tmp_path / "whole" / journals.NAME)[1]
    assert lines[-2]["do"] == [["shutdown", "completed", ""]]
    for n_lines in filter(is_chosen, range(len(lines) - 2)):
        folder = tmp_path / f"cut-{n_lines}"
        _die(folder, make, predictor, target, n_lines, torn)
        again = resumed(folder, make(), target, predictor=predictor, seed=3)
        assert result(again) == result(done), f"cut after line {n_lines + 1}"
        assert (again.conductor.counts.n_differences, again.conductor.n_dropped) == (0, 0)
        now = read(folder / journals.NAME)[1]
        assert [line["event"] for line in now].count("resumed") == 1
        assert now[:n_lines] == lines[:n_lines]
        assert now[-1] == lines[-1]
        scores = [
            (line["test_value"], line["metrics"]) for line in now if line["event"] == "scored"
        ]
        assert scores == [
            (line["test_value"], line["metrics"]) for line in lines if line["event"] == "scored"
        ]
        shutil.rmtree(folder)


def test_checkpoints_that_are_newer_than_the_journal_are_no_error(whole, tmp_path):
    """A power cut takes journal lines and leaves checkpoints: the search goes on from what the
    journal says.
    """
    done, make, predictor, target = whole
    path = tmp_path / "whole" / journals.NAME
    rows = path.read_bytes().splitlines(keepends=True)
    for n_rows in range(2, len(rows) - 2, 5):
        folder = tmp_path / f"newer-{n_rows}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / journals.NAME).write_bytes(b"".join(rows[:n_rows]))
        again = resumed(folder, make(), target, predictor=predictor, seed=3)
        assert result(again) == result(done), f"cut after line {n_rows}"
        assert again.conductor.counts.n_differences == 0
        shutil.rmtree(folder)


def test_without_any_checkpoint_everything_is_trained_again_and_decided_alike(whole, tmp_path):
    done, make, predictor, target = whole
    path = tmp_path / "whole" / journals.NAME
    rows = path.read_bytes().splitlines(keepends=True)
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / journals.NAME).write_bytes(b"".join(rows[: len(rows) // 2]))
    again = resumed(folder, make(), target, predictor=predictor, seed=3)
    assert result(again) == result(done)
    assert again.conductor.counts.n_retrained > 0 and again.conductor.counts.n_differences == 0


def test_cut_again_and_again(whole, tmp_path, monkeypatch):
    """Every process folds the journal, comes 13 lines further, and is killed."""
    done, make, predictor, target = whole
    folder = tmp_path / "often"
    _die(folder, make, predictor, target, 2, torn=False)
    write, left = Journal.write, 0

    def dying(journal, line):
        nonlocal left
        if left == 0:
            raise Cut
        left -= 1
        write(journal, line)

    monkeypatch.setattr(Journal, "write", dying)
    n_lives = 0
    while n_lives < 100:
        n_lives += 1
        left = 13
        driver = reopen(folder, conductor(make(), target, 3))
        try:
            inline(folder, target, predictor, 3).run(driver)
        except Cut:
            driver.journal.release()
        else:
            break
    assert n_lives > 3
    assert result(driver) == result(done)
