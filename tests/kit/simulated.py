"""Searches on a clock that the test turns: losses, failures, cuts and resumes, but no training.

Conductor, driver and journal are the real ones; only workers are played. What they report may
differ when an epoch is trained again (`drift`), so that the rules for re-trained epochs show.
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

from kit.driving import conductor, last_value, power_law
from suite.core import types as t
from suite.core.scheduler import Scheduler
from suite.run.conductor import Conductor
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.swift_hyperband import SwiftHyperband


def header(**other: Any) -> dict[str, Any]:
    """A journal's header as launch writes it."""
    return {
        "run_id": "0123abcd",
        "suite_version": "0.1.0",
        "date_utc": "2026-01-31T12:00:00Z",
        "experiment": "played",
        "algorithm": "hyperband",
        "model": "table_target",
        "seed": 3,
        "n_workers": 3,
        "overlap": True,
        "reproducible": "whole run",
        "max_epochs": 9,
        "target": {
            "metric": "val_loss",
            "mode": "min",
            "unit": "1",
            "data": "synthetic",
            "framework": "numpy",
        },
        "config": {
            "eta": 3,
            "scheduler": {"_target_": "suite.schedulers.hyperband.Hyperband", "eta": 3},
        },
        "versions": {"suite": "0.1.0", "python": "3.11.2"},
        "git": {"revision": "abc", "dirty": False},
        "host": {"cpu": "a processor", "n_cores": 2, "os": "Linux 6"},
    } | other


def facts(worker: int, device: str = "cpu") -> dict[str, Any]:
    """Two workers a node."""
    return {
        "node": f"node{(worker - 1) // 2}",
        "device": device,
        "device_name": "a device",
        "n_threads": 1,
        "n_cores": 2,
    }


def hyperband() -> Scheduler:
    return Hyperband(9, 3)


def swift() -> Scheduler:
    return SwiftHyperband(27, 3, n_curves=4)


class Played:
    """One run folder, played by `seed`. p_*: chances a step; drift: spread of an epoch's values."""

    def __init__(
        self,
        folder: Path,
        make: Any = hyperband,
        *,
        seed: int = 0,
        n_workers: int = 3,
        p_loss: float = 0.0,
        p_fail: float = 0.0,
        p_cut: float = 0.0,
        drift: float = 0.0,
        device: str = "cpu",
        **other: Any,
    ) -> None:
        self.folder, self.make, self.n_workers, self.device = folder, make, n_workers, device
        self.p_loss, self.p_fail, self.p_cut, self.drift = p_loss, p_fail, p_cut, drift
        self.random = random.Random(seed)
        self.now_s = 0.0
        self.flying: dict[
            int, tuple[t.Job, bool, int, float]
        ] = {}  # worker -> job, score, epoch, started
        self.asked: list[t.Predict] = []
        other.setdefault("max_epochs", make().max_epochs)
        self.driver = Driver(self._conductor(), Journal(folder, header(**other)))
        self.here: set[int] = set()
        self.join()

    def _conductor(self) -> Conductor:
        return conductor(self.make(), seed=3, max_attempts=3)

    @property
    def conductor(self) -> Conductor:
        return self.driver.conductor

    def send(self, *events: t.Event) -> None:
        self.now_s = round(self.now_s + self.random.uniform(0.01, 1.0), 6)
        for command in self.driver.handle(
            [dataclasses.replace(e, time_s=self.now_s) for e in events]
        ):
            match command:
                case t.Start(worker, job):
                    self.flying[worker] = (job, False, job.from_epoch, self.now_s)
                case t.Score(worker, job):
                    self.flying[worker] = (job, True, job.from_epoch, self.now_s)
                case t.Ask(request):
                    self.asked.append(request)

    def join(self) -> None:
        for worker in range(1, self.n_workers + 1):
            if self.conductor.shutdown is None:
                self.here.add(worker)
                self.send(t.WorkerJoined(worker, facts=facts(worker, self.device)))

    def step(self) -> bool:
        """One thing happens; False once the run is over."""
        if self.conductor.shutdown is not None:
            return False
        if self.asked and self.random.random() < 0.3:
            request = self.asked.pop(0)
            if self.random.random() < self.p_fail:
                self.send(t.ForecastFailed(request.key, "ValueError", "played"))
            else:
                self.send(t.Forecast(request.key, tuple(last_value(request)), 0.4, 0.1, "played"))
        elif self.random.random() < self.p_loss:
            worker = self.random.choice(sorted(self.here))
            self.here.discard(worker)
            self.flying.pop(worker, None)
            self.send(t.WorkerLost(worker, "played: /home/somebody/run.py died"))
        elif self.flying:
            self._work(self.random.choice(sorted(self.flying)))
        return True

    def _work(self, worker: int) -> None:
        job, score, epoch, started = self.flying[worker]
        if self.random.random() < self.p_fail:
            del self.flying[worker]
            reason = self.random.choice(["diverged", "trial", "retry", "checkpoint"])
            self.send(t.JobFailed(worker, job.job_id, reason, "played"))
        elif score:
            del self.flying[worker]
            self.send(t.Scored(worker, job.job_id, 0.25, {"val_loss": 0.25}))
        elif epoch == job.to_epoch:
            del self.flying[worker]
            self.send(
                t.JobFinished(worker, job.job_id, 0.002, 0.001, round(self.now_s - started, 6))
            )
        else:
            last = min(epoch + self.random.randint(1, 3), job.to_epoch)
            self.flying[worker] = (job, False, last, started)
            reports = [self._report(worker, job, e) for e in range(epoch + 1, last + 1)]
            self.send(*reports)
            if self.random.random() < 0.2 and last < job.to_epoch:
                self.send(t.Checkpointed(worker, job.job_id, last))

    def _report(self, worker: int, job: t.Job, epoch: int) -> t.EpochReport:
        value = power_law(job.trial_id, epoch)[-1] + self.drift * self.random.random()
        return t.EpochReport(worker, job.job_id, epoch, value, {"val_loss": value}, 0.003, 0.001)

    def cut(self) -> None:
        """The process dies: nothing is written any more."""
        journal = self.driver.journal
        assert journal is not None
        journal.release()

    def resume(self) -> None:
        self.driver = reopen(self.folder, self._conductor())
        self.flying.clear()
        self.asked.clear()
        self.here.clear()
        self.now_s = self.driver.time_s
        self.join()

    def close(self, status: str | None = None, reason: str = "") -> None:
        shutdown = self.conductor.shutdown
        if status is None:
            assert shutdown is not None
            status, reason = shutdown.status, shutdown.reason
        self.driver.close(status, reason)

    def play(self, n_steps: int = 100_000) -> Played:
        """To the end, with cuts and resumes on the way; or for `n_steps`, and then cut."""
        for _ in range(n_steps):
            if not self.step():
                assert self.conductor.shutdown is not None
                failed = self.conductor.shutdown.status == "failed"
                self.close()
                if not failed:
                    return self
                self.resume()
            elif self.random.random() < self.p_cut:
                self.cut()
                self.resume()
        self.cut()
        return self
