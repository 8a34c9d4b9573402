"""The job's end, inline: an epoch that would not end in time is not begun."""

from kit.driving import conductor
from models.synthetic_curves import TableTarget
from suite.backends.forecasts import Forecaster
from suite.backends.inline import InlineRunner
from suite.core.errors import PausedError
from suite.run import journal as journals
from suite.run.driver import Driver
from suite.run.journal import Journal
from suite.run.limit import Limit
from suite.schedulers.random_search import RandomSearch
from suite.worker.checkpoints import CheckpointPlace, Checkpoints
from suite.worker.worker import Worker


def test_an_epoch_that_would_end_after_the_job_is_not_begun(monkeypatch, tmp_path):
    """Epochs of 100 s, the job ends after 250 s, pause_before_s=10: the third would be lost."""
    monkeypatch.setenv("SUITE_END_TIME", "250")
    now = [0.0]

    class Slow(TableTarget):
        def start(self, config, seed):
            training = super().start(config, seed)
            train = training.train_epoch

            def train_epoch(epoch):
                train(epoch)
                now[0] += 100.0

            training.train_epoch = train_epoch
            return training

    limit = Limit(10.0, clock=lambda: now[0])
    checkpoints = Checkpoints(CheckpointPlace.of(tmp_path, None, "test"))
    worker = Worker(Slow(), checkpoints, clock=lambda: now[0], paused=limit.due)
    runner = InlineRunner(worker, Forecaster(None, 0), limit, clock=lambda: now[0])
    driver = Driver(conductor(RandomSearch(9, 1)), Journal(tmp_path, {"run_id": "test"}))
    try:
        runner.run(driver)
    except PausedError as why:
        driver.close("interrupted", str(why))
    assert now[0] == 200.0
    events = [line["event"] for line in journals.read(tmp_path / journals.NAME)[1]]
    assert events[-2:] == ["checkpointed", "closed"]
