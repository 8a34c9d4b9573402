"""Floor 4: a run as its journal tells it: what records, figures and MLflow share.

`load_run(folder)` folds the journal once and needs neither the scheduler nor the target: a crashed,
interrupted or still running journal gives a view too. What a view holds is said in suite.views.

An epoch that was trained again keeps its first report, unless no decision rests on it and its value
differs: the rule of the Conductor. Strings leave here without paths, user, host names and secrets
(suite.privacy).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from suite.core import types as t
from suite.core.errors import JournalError
from suite.core.scheduler import rank
from suite.privacy import cleaner
from suite.run import journal as journals
from suite.views import (
    EpochView,
    ForecastView,
    Incumbent,
    JobView,
    Outcome,
    RunView,
    Status,
    TrialStatus,
    TrialView,
    WorkerView,
    start_date,
    usage,
)  # fmt: skip

__all__ = ["RunView", "load_run", "usage"]

REQUIRED = ("run_id", "date_utc", "algorithm", "model", "seed", "max_epochs", "target")


def load_run(folder: Path) -> RunView:
    """The view of a run folder (or of its journal.jsonl). A torn last line is left out.

    Raises JournalError: no journal, a damaged one, or a header without what every run has.
    """
    path = folder / journals.NAME if folder.is_dir() else folder
    header, lines, n_bytes = journals.read(path)
    check_header(header, path.parent.name)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read(n_bytes)).hexdigest()
    fold = _Fold(int(header["max_epochs"]))
    for number, line in enumerate(lines, start=2):
        try:
            fold.line(line)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise JournalError(
                f"{path.name}: line {number}: {type(error).__name__}: {error}; it does not fit the "
                "lines before it. Restore the journal from a copy."
            ) from None
    return fold.view(path.parent, fold.clean(header), len(lines) + 1, n_bytes, digest)


def check_header(header: Mapping[str, Any], name: str) -> None:
    """Raise JournalError for a header without what every view needs, or of the wrong type."""
    missing = [key for key in REQUIRED if header.get(key) is None]
    target = header.get("target") or {}
    found = target if isinstance(target, dict) else {}
    missing += [f"target.{key}" for key in ("metric", "mode") if not found.get(key)]
    if missing:
        raise JournalError(
            f"{name}: the journal's header has no {', '.join(missing)}; "
            "no run of this suite wrote it. Run it again."
        )
    if found["mode"] not in ("min", "max"):
        raise JournalError(f"{name}: target.mode={found['mode']}: must be min or max. Run again.")
    for key in ("seed", "max_epochs"):
        if not isinstance(header[key], int):
            raise JournalError(f"{name}: {key}={header[key]}: must be an integer. Run it again.")
    try:
        start_date(header)
    except ValueError:
        raise JournalError(
            f"{name}: date_utc={header['date_utc']}: must be like 2026-01-31T12:00:00Z. Run again."
        ) from None


@dataclass(slots=True)
class _Trial:
    config: Mapping[str, Any]
    seed: int
    bracket: int | None
    epochs: list[EpochView] = field(default_factory=list)
    decided: int = 0


@dataclass(slots=True)
class _Job:
    job_id: int
    kind: Literal["train", "score"]
    worker: int
    trial_id: int
    from_epoch: int
    to_epoch: int
    start_s: float
    end_s: float | None = None
    outcome: Outcome = "running"
    n_epochs: int = 0
    train_s: float = 0.0
    eval_s: float = 0.0
    restore_s: float | None = None
    checkpoint_s: float | None = None
    busy_s: float | None = None
    message: str | None = None

    def end(self, outcome: Outcome, time_s: float, message: str | None = None) -> None:
        self.outcome, self.end_s, self.message = outcome, time_s, message


@dataclass(slots=True)
class _Life:
    worker: int
    joined_s: float
    facts: Mapping[str, Any]
    left_s: float | None = None
    lost: str | None = None
    jobs: list[_Job] = field(default_factory=list)
    readings: list[tuple[float, float]] = field(default_factory=list)


class _Fold:
    """Line by line, as the Conductor folds: what is not of a job in flight is dropped."""

    def __init__(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs
        self.clean = cleaner()
        self.trials: dict[int, _Trial] = {}
        self.stopped: dict[int, int] = {}
        self.given_up: dict[int, str] = {}
        self.jobs: list[_Job] = []
        self.flying: dict[int, _Job] = {}
        self.lives: list[_Life] = []
        self.here: dict[int, _Life] = {}
        self.asked: dict[str, tuple[int, int, float]] = {}
        self.forecasts: list[ForecastView] = []
        self.anytime: list[Incumbent] = []
        self.last: tuple[int, float] = (0, 0.0)  # epochs, time of the newest first report
        self.time_s = 0.0
        self.n_epochs = self.n_retrained = self.n_differences = self.n_resumes = 0
        self.n_ahead = 0
        self.measured: dict[str, Any] = {}
        self.max_difference = self.retrained_s = 0.0
        self.test_value: float | None = None
        self.test_metrics: Mapping[str, float] = {}
        self.over = False  # the search is: a winner was scored, or the run completed
        self.shut = False
        self.status: Status = "unfinished"
        self.reason = ""
        self.job_energy: list[Mapping[str, Any]] = []
        self.n_restarts: int | None = None

    def line(self, line: Mapping[str, Any]) -> None:
        self.status, self.reason = "unfinished", ""
        if line["event"] == "closed":
            self.status, self.reason = line["status"], line["reason"]
            self.time_s = max(self.time_s, line["time_s"])
            if said := line.get("energy"):
                self.job_energy.append(dict(said))
            return
        for event in journals.decode(line):
            self.time_s = max(self.time_s, event.time_s)
            if isinstance(event, t.Resumed):
                self.shut = False
            if not self.shut:
                self._event(event)
            joules = line.get("energy_j")  # the worker's meter, whatever became of its job
            if joules is not None and (life := self.here.get(line["worker"])) is not None:
                life.readings.append((event.time_s, float(joules)))
        for trial_id, found in line.get("trials", {}).items():
            bracket = found.get("bracket")
            self.trials[int(trial_id)] = _Trial(found["config"], found["seed"], bracket)
        self.stopped.update({int(k): v for k, v in line.get("stopped", {}).items()})
        self.given_up.update({int(k): v for k, v in line.get("given_up", {}).items()})
        for trial_id, n in line.get("counted", {}).items():
            trial = self.trials[int(trial_id)]
            self.n_ahead += len(trial.epochs) - n
            del trial.epochs[n:]
        self.measured.update(line.get("measured", {}))
        for command in line.get("do", ()):
            self._command(command)

    def _command(self, command: list[Any]) -> None:
        match command:
            case ["start", worker, job_id, trial_id, from_epoch, to_epoch]:
                self._start("train", worker, job_id, trial_id, from_epoch, to_epoch)
            case ["score", worker, job_id, trial_id, to_epoch]:
                self.over = True
                self._start("score", worker, job_id, trial_id, to_epoch, to_epoch)
            case ["ask", key, n, m]:
                self.asked[key] = (n, m, self.time_s)
            case ["shutdown", status, _]:
                self.shut = True
                self.over |= status == "completed"
            case _:
                raise ValueError(f"command {command[:1]} is unknown")

    def _start(
        self, kind: Literal["train", "score"], worker: int, job_id: int, trial_id: int, *epochs: int
    ) -> None:
        job = _Job(job_id, kind, worker, trial_id, epochs[0], epochs[1], self.time_s)
        self.jobs.append(job)
        self.flying[job_id] = job
        self.here[worker].jobs.append(job)

    def _event(self, event: t.Event) -> None:
        match event:
            case t.WorkerJoined(worker, time_s, facts):
                if worker not in self.here:
                    self.here[worker] = _Life(worker, time_s, facts)
                    self.lives.append(self.here[worker])
            case t.EpochReport():
                self._epoch(event)
            case t.JobFinished():
                if (job := self._current(event)) is not None:
                    job.restore_s, job.checkpoint_s = event.restore_s, event.checkpoint_s
                    job.busy_s = event.busy_s
                    self._end(job, "finished", event.time_s)
                    trial = self.trials[job.trial_id]
                    trial.decided = max(trial.decided, job.to_epoch)
            case t.JobFailed():
                if (job := self._current(event)) is not None:
                    self._end(job, "failed", event.time_s, f"{event.reason}: {event.message}")
            case t.Scored():
                if (job := self._current(event)) is not None:
                    self._end(job, "finished", event.time_s)
                    self.test_value, self.test_metrics = event.test_value, dict(event.metrics)
            case t.WorkerLost(worker, message, time_s):
                if (life := self.here.pop(worker, None)) is not None:
                    life.left_s, life.lost = time_s, message
                    for job in [job for job in self.flying.values() if job.worker == worker]:
                        self._end(job, "lost", time_s, message)
            case t.Resumed(time_s, settings):
                self.n_resumes += 1
                self.n_restarts = settings.get("restart_count", self.n_restarts)
                for life in self.here.values():
                    life.left_s = time_s
                self.here.clear()
                for job in list(self.flying.values()):
                    self._end(job, "cut", time_s)
            case t.Forecast() | t.ForecastFailed():
                self._forecast(event)
            case t.Checkpointed():
                pass

    def _current(
        self, event: t.EpochReport | t.JobFinished | t.JobFailed | t.Scored
    ) -> _Job | None:
        job = self.flying.get(event.job_id)
        return job if job is not None and job.worker == event.worker else None

    def _end(self, job: _Job, outcome: Outcome, time_s: float, message: str | None = None) -> None:
        job.end(outcome, time_s, message)
        del self.flying[job.job_id]

    def _epoch(self, event: t.EpochReport) -> None:
        if (job := self._current(event)) is None:
            return
        trial = self.trials[job.trial_id]
        point = EpochView(
            event.epoch, event.objective, event.metrics, event.train_s, event.eval_s, event.time_s,
            event.worker, event.job_id,
        )  # fmt: skip
        job.n_epochs += 1
        job.train_s += event.train_s
        job.eval_s += event.eval_s
        if event.epoch == len(trial.epochs) + 1:
            self.n_epochs += 1
            self.last = (self.n_epochs, event.time_s)
            trial.epochs.append(point)
        elif 1 <= event.epoch <= len(trial.epochs):
            self.n_retrained += 1
            self.retrained_s += event.train_s + event.eval_s
            difference = abs(event.objective - trial.epochs[event.epoch - 1].objective)
            if difference == 0:
                return
            self.n_differences += 1
            self.max_difference = max(self.max_difference, difference)
            if event.epoch <= trial.decided:
                return
            trial.epochs[event.epoch - 1] = point
        else:
            raise ValueError(
                f"trial {job.trial_id}: epoch={event.epoch} comes after epoch {len(trial.epochs)}"
            )
        if not self.anytime or event.objective < self.anytime[-1].best:
            self.anytime.append(
                Incumbent(self.n_epochs, event.time_s, event.objective, job.trial_id, event.epoch)
            )

    def _forecast(self, event: t.Forecast | t.ForecastFailed) -> None:
        if (found := self.asked.pop(event.key, None)) is None:
            return
        answered = event if isinstance(event, t.Forecast) else None
        self.forecasts.append(
            ForecastView(
                key=event.key,
                n=found[0],
                m=found[1],
                asked_s=found[2],
                time_s=event.time_s,
                fit_s=answered.fit_s if answered else 0.0,
                predict_s=answered.predict_s if answered else 0.0,
                sampler=answered.sampler if answered else None,
                sampler_info=self.clean(answered.sampler_info) if answered else None,
                values=answered.values if answered else None,
                message=self.clean(f"{event.reason}: {event.message}")
                if isinstance(event, t.ForecastFailed)
                else None,
            )
        )

    # --- the result ------------------------------------------------------------------------------

    def view(
        self, folder: Path, header: Mapping[str, Any], n_lines: int, n_bytes: int, sha256: str
    ) -> RunView:
        if self.status != "unfinished":
            for job in list(self.flying.values()):
                self._end(job, "cut", self.time_s)
        anytime = list(self.anytime)
        if anytime and anytime[-1].n_epochs < self.last[0]:
            end = anytime[-1]
            anytime.append(Incumbent(*self.last, end.best, end.trial_id, end.epoch))
        curves = {
            trial_id: tuple(point.objective for point in trial.epochs)
            for trial_id, trial in self.trials.items()
            if trial_id not in self.given_up
        }
        ranked = rank(curves, self.max_epochs) if self.over else []
        return RunView(
            folder=folder,
            header=header,
            status=self.status,
            reason=self.clean(self.reason),
            trials={trial_id: self._trial(trial_id) for trial_id in self.trials},
            jobs=tuple(self._job(job) for job in self.jobs),
            forecasts=tuple(self.forecasts),
            workers=tuple(self._worker(life) for life in self.lives),
            anytime=tuple(anytime),
            winner=ranked[0] if ranked else None,
            test_value=self.test_value,
            test_metrics=self.test_metrics,
            time_s=self.time_s,
            n_epochs=self.n_epochs,
            n_ahead=self.n_ahead,
            n_retrained=self.n_retrained,
            n_differences=self.n_differences,
            max_difference=self.max_difference,
            n_resumes=self.n_resumes,
            n_restarts=self.n_restarts,
            retrained_s=self.retrained_s,
            n_lines=n_lines,
            n_bytes=n_bytes,
            sha256=sha256,
            job_energy=tuple(self.clean(said) for said in self.job_energy),
            measured=self.clean(self.measured),
        )

    def _trial(self, trial_id: int) -> TrialView:
        trial = self.trials[trial_id]
        reason = self.given_up.get(trial_id)
        status: TrialStatus
        if reason is not None:
            status = "diverged" if reason.startswith("diverged:") else "given up"
        elif trial_id in self.stopped:
            status = "stopped"
        elif len(trial.epochs) >= self.max_epochs:
            status = "finished"
        else:
            status = "cut" if self.over else "open"
        return TrialView(
            trial_id, self.clean(trial.config), trial.seed, trial.bracket, tuple(trial.epochs),
            status, self.stopped.get(trial_id), self.clean(reason),
        )  # fmt: skip

    def _job(self, job: _Job) -> JobView:
        known = {f.name: getattr(job, f.name) for f in fields(job)}
        return JobView(**known | {"message": self.clean(job.message)})

    def _worker(self, life: _Life) -> WorkerView:
        left_s = self.time_s if life.left_s is None else life.left_s
        ends = [(job.start_s, left_s if job.end_s is None else job.end_s) for job in life.jobs]
        busy_s = sum(max(end - start, 0.0) for start, end in ends)
        return WorkerView(
            life.worker,
            life.joined_s,
            left_s,
            self.clean(life.lost),
            self.clean(life.facts),
            busy_s,
            len(life.jobs),
            tuple(life.readings),
        )
