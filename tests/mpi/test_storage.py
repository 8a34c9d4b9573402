"""A worker that cannot write: its host is at fault where rank 0 can, the shared disk where it cannot."""

import pytest

from kit.driving import conductor, result, search
from kit.fake_mpi import FakeWorker, make_world, mpi_runner
from suite.core import types as t
from suite.core.errors import StoppedError
from suite.run import journal as journals
from suite.run.driver import Driver
from suite.run.journal import Journal
from suite.schedulers.hyperband import Hyperband
from suite.worker.checkpoints import CheckpointPlace


class CannotWrite(FakeWorker):
    """Trains, and fails to write the checkpoint at the end."""

    def on_job(self, job):
        ((word, events),) = super().on_job(job)
        why = "Read-only file system while a checkpoint was written"
        return [(word, [*events[:-1], t.JobFailed(self.rank, job.job_id, "storage", why)])]


def train(folder, workers, monkeypatch, place):
    made = make_world(monkeypatch, workers)
    driver = Driver(conductor(Hyperband(9, 3)), Journal(folder, {"run_id": "test"}))
    try:
        mpi_runner(checkpoints=place).run(driver)
    except StoppedError as error:
        driver.close("failed", str(error))
    return made, driver


def test_one_host_that_cannot_write_is_lost_and_the_run_goes_on(monkeypatch, tmp_path):
    whole = result(search(tmp_path / "whole", Hyperband(9, 3)))
    place = CheckpointPlace.of(tmp_path / "run", None, "test")
    workers = [FakeWorker(), CannotWrite(), FakeWorker()]
    made, driver = train(tmp_path / "run", workers, monkeypatch, place)
    assert made.alive == {1, 3}
    assert "its host's mount is at fault: Read-only file system" in made.gone[2]
    assert driver.conductor.shutdown.status == "completed" and result(driver) == whole
    events = [line["event"] for line in journals.read(tmp_path / "run" / journals.NAME)[1]]
    # What it trained before counts; its failure is not the trial's.
    assert "failed" not in events and events.count("lost") == 1


@pytest.mark.parametrize("why", ["no room", "no folder"])
def test_where_rank_0_cannot_write_either_the_run_stops(monkeypatch, tmp_path, why):
    place = CheckpointPlace.of(tmp_path / "run", None, "test")
    if why == "no room":
        monkeypatch.setattr("models.synthetic_curves.TableTarget.checkpoint_bytes", 1 << 60)
    else:
        place = CheckpointPlace.of(tmp_path / "gone", None, "test")
    made, driver = train(tmp_path / "run", [FakeWorker(), CannotWrite()], monkeypatch, place)
    assert driver.conductor.shutdown.status == "failed"
    assert "Read-only file system" in driver.conductor.shutdown.reason
    assert made.alive == {1, 2}


def test_trying_leaves_no_file(tmp_path):
    assert CheckpointPlace.of(tmp_path, None, "test").has_room(10_000)
    assert CheckpointPlace.of(tmp_path, str(tmp_path), "test").has_room(10_000)
    assert not CheckpointPlace.of(tmp_path, None, "test").has_room(1 << 60)
    assert list(tmp_path.iterdir()) == []
