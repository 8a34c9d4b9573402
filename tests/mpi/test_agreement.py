"""Rank 0 takes no worker that trains by other data, code or versions; a scheduler's error is the run's."""

from __future__ import annotations

import pytest

from kit.driving import conductor
from kit.fake_mpi import FakeWorker, make_world, mpi_runner
from suite.core.errors import StoppedError
from suite.run import journal as journals
from suite.run.agreement import Agreement
from suite.run.driver import Driver
from suite.run.journal import Journal
from suite.schedulers.hyperband import Hyperband

OWN = {"code": "0123456789abcdef", "versions": {"suite": "0.1.0", "torch": "2.4.0"}}
REAL = {"name": "cifar10", "sha256": "a" * 64, "stand_in": False, "split": "fixed"}
ODD = {
    "the stand-in": {"data_set": {**REAL, "stand_in": True, "sha256": "c" * 64}},
    "other data": {"data_set": {**REAL, "sha256": "c" * 64}},
    "another split": {"data_set": {**REAL, "split": "published"}},
    "no data set": {"data_set": {}},
    "patched code": {"code": "fedcba9876543210"},
    "another torch": {"versions": {"suite": "0.1.0", "torch": "2.3.1"}},
    "an older commit": {"code": None, "versions": None},
}
FIELD = {
    "the stand-in": "data_set.stand_in=true, not false", "other data": "data_set.sha256=cccccccccccc",
    "another split": "data_set.split=published, not fixed", "no data set": "data_set.stand_in=not stated",
    "patched code": "code=fedcba9876543210, not 0123456789abcdef",
    "another torch": "versions.torch=2.3.1, not 2.4.0", "an older commit": "code=not stated",
}  # fmt: skip


class Says(FakeWorker):
    """Joins with these facts beside those of the run."""

    def __init__(self, facts=None):
        super().__init__()
        self.facts = {"device": "cpu", "data_set": REAL, **OWN, **(facts or {})}
        self.facts = {name: value for name, value in self.facts.items() if value is not None}

    def on_begin(self, _):
        return [("joined", self.facts)]


def train(monkeypatch, folder, workers, when="refuse", scheduler=None, **settings):
    make_world(monkeypatch, workers)
    header = {"run_id": "a", "target": {"data": "real"}}
    driver = Driver(
        conductor(scheduler or Hyperband(9, 3), **settings), Journal(folder, header),
        agreement=Agreement(OWN, "real", when),
    )  # fmt: skip
    try:
        mpi_runner().run(driver)
    finally:
        driver.close("failed")
    lines = journals.read(folder / journals.NAME)[1]
    refused = {x["worker"]: x["message"] for x in lines if x["event"] == "lost"}
    return driver, refused, [x["worker"] for x in lines if x["event"] == "joined"]


@pytest.mark.parametrize("odd", ODD)
def test_a_worker_that_differs_is_refused_by_name_and_the_others_train(monkeypatch, tmp_path, odd):
    workers = [Says(), Says(ODD[odd]), Says()]
    driver, refused, joined = train(monkeypatch, tmp_path, workers)
    assert driver.conductor.shutdown.status == "completed" and joined == [1, 3]
    assert list(refused) == [2] and refused[2].startswith(f"refused: rank 2: {FIELD[odd]}")
    assert "backend.agreement=record" in refused[2] and "job" not in workers[1].heard


@pytest.mark.parametrize("odd", ODD)
def test_where_told_it_trains_and_its_facts_stand_in_the_journal(monkeypatch, tmp_path, odd):
    workers = [Says(), Says(ODD[odd])]
    _, refused, joined = train(monkeypatch, tmp_path, workers, "record")
    assert (refused, joined) == ({}, [1, 2]) and "job" in workers[1].heard


def test_the_label_of_the_run_decides_where_the_first_to_join_has_the_stand_in(
    monkeypatch, tmp_path
):
    _, refused, joined = train(monkeypatch, tmp_path, [Says(ODD["the stand-in"]), Says()])
    assert list(refused) == [1] and joined == [2]


def test_a_run_whose_workers_are_all_refused_ends_with_the_reason(monkeypatch, tmp_path):
    with pytest.raises(StoppedError, match=r"0 workers joined.*rank 1: code=fedcba9876543210"):
        train(monkeypatch, tmp_path, [Says(ODD["patched code"])])


class Wrong(Hyperband):
    """Raises when the first result is told."""

    def tell(self, trial_id, curve):
        raise KeyError("rung")


def test_what_a_scheduler_raises_ends_the_run_and_lets_the_workers_go(monkeypatch, tmp_path):
    workers = [Says(), Says()]
    with pytest.raises(KeyError, match="rung"):
        train(monkeypatch, tmp_path, workers, scheduler=Wrong(9, 3))
    assert all(worker.heard[-1] == "end" for worker in workers)
    lines = journals.read(tmp_path / journals.NAME)[1]
    assert lines[-1]["status"] == "failed" and not any(x["event"] == "failed" for x in lines)
