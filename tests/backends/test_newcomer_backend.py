"""A backend of one's own: one file and one YAML, no file of the suite is edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from kit.driving import ROOT

POOL = """
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from suite.backends.contract import Backend, RunContext, Runner
from suite.core import types as t
from suite.worker.checkpoints import open_checkpoints
from suite.worker.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Pool(Backend):
    slots: int

    def n_workers(self) -> int:
        return self.slots

    def open(self, run: RunContext) -> Runner:
        return PoolRunner(self, run)


class PoolRunner:
    def __init__(self, settings: Pool, run: RunContext) -> None:
        run.target.stage("cpu")
        checkpoints = open_checkpoints(settings.checkpoint, run.checkpoints, run.target)
        self.settings, self.run_context = settings, run
        self.workers = [
            Worker(
                run.target, checkpoints, resident_trials=settings.resident_trials,
                checkpoint_every_s=settings.checkpoint_every_s,
            )
            for _ in range(settings.slots)
        ]

    def run(self, driver) -> None:
        now = driver.time_s
        joined = [t.WorkerJoined(n, now) for n in range(self.settings.slots)]
        with ThreadPoolExecutor(self.settings.slots) as pool:
            events = joined
            while events:
                commands = driver.handle([replace(event, time_s=now) for event in events])
                futures, events = [], []
                for command in commands:
                    if isinstance(command, t.Start | t.Score):
                        futures.append(pool.submit(self.work, command))
                    elif isinstance(command, t.Ask):
                        events.append(self.run_context.forecaster.answer(command.request))
                    else:
                        return
                for future in futures:
                    events += future.result()

    def work(self, command):
        events = []
        worker = self.workers[command.worker]
        do = worker.run if isinstance(command, t.Start) else worker.score
        do(command.worker, command.job, events.append)
        return events
"""

YAML = """
defaults: [auto]
_target_: mypackage.pool.Pool
slots: 3
"""


def run(tmp_path, *overrides):
    (tmp_path / "mypackage").mkdir(exist_ok=True)
    (tmp_path / "mypackage" / "pool.py").write_text(textwrap.dedent(POOL))
    (tmp_path / "conf" / "backend").mkdir(parents=True, exist_ok=True)
    (tmp_path / "conf" / "backend" / "pool.yaml").write_text(YAML)
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}:{ROOT}", "SUITE_PLUGINS": "mypackage",
        "SUITE_RUNS": str(tmp_path / "runs"),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "suite", "--config-dir", str(tmp_path / "conf"), "backend=pool",
         "max_epochs=9", "tracking=later", "report=false", *overrides],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_backend_from_a_package_of_ones_own_runs_and_is_recorded(tmp_path):
    done = run(tmp_path, "max_epochs=3")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = (tmp_path / "runs").rglob("record.json")
    assert json.loads(record.read_text())["status"] == "completed"
    (journal,) = (tmp_path / "runs").rglob("journal.jsonl")
    header = json.loads(journal.read_text().splitlines()[0])
    assert header["n_workers"] == 3 and "simulated" not in header
    assert header["config"]["backend"]["_target_"] == "mypackage.pool.Pool"


def test_its_settings_are_checked_as_those_of_the_suite(tmp_path):
    for wrong in ("backend.slots=many", "backend.device=gpu"):
        done = run(tmp_path, wrong)
        assert done.returncode == 1 and f"{wrong}: must be" in done.stdout + done.stderr
    assert not list((tmp_path / "runs").rglob("journal.jsonl"))
