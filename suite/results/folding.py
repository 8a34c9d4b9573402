"""The journal folded line by line, as the Conductor folds: what is not of a job in flight is dropped.

What the Conductor refuses is refused here: epochs out of order, jobs that begin twice or on a busy worker, a
job that finishes before its last epoch. So a journal that lost a line, holds one twice or in another place
gives no result. What leaves the lines in order but cannot be (an objective that is not the metric of its
own line) is a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from suite.core import types as t
from suite.core.scheduler import ranking
from suite.core.seeds import stream_seed
from suite.results.doubts import Doubts
from suite.results.fold_state import Job, Life, Trial
from suite.results.header import RunHeader
from suite.results.questions import Questions
from suite.results.run_view import EpochView, Incumbent, Outcome, RunCounts, Status
from suite.results.workers import check_energy, check_facts
from suite.run import journal as journals
from suite.run.budget import EPOCHS, limits_of
from suite.run.trials import TrialState, best_checkpointed


class Fold:
    """A run, line by line. `line` raises ValueError, JournalError: the line does not fit those before it."""

    def __init__(self, header: RunHeader, clean: Callable[[Any], Any]) -> None:
        self.header, self.clean, self.max_epochs = header, clean, header.max_epochs
        self.trials: dict[int, Trial] = {}
        self.stopped: dict[int, int] = {}
        self.given_up: dict[int, str] = {}
        # trial_id -> epochs that count, where more were trained.
        self.counted: dict[int, int] = {}
        self.jobs: list[Job] = []
        self.flying: dict[int, Job] = {}
        self.lives: list[Life] = []
        self.here: dict[int, Life] = {}
        self.questions = Questions(clean)
        self.anytime: list[Incumbent] = []
        # Epochs and time of the newest first report.
        self.last: tuple[int, float] = (0, 0.0)
        self.time_s = 0.0
        self.counts = RunCounts()
        self.measured: dict[str, Any] = {}
        self.test_value: float | None = None
        self.test_metrics: Mapping[str, float] = {}
        # Whether the search is: a winner was scored, or the run completed.
        self.over = False
        self.shut: t.EndStatus | None = None
        # Whether the budget was used up, and no trial has begun to train since.
        self.spent = False
        self.status: Status = "unfinished"
        self.reason = ""
        self.job_energy: list[Mapping[str, Any]] = []
        self.allocations: list[t.Allocation] = []
        self.doubts = Doubts()
        self._number = 1
        # Whether a budget of time may end it before any trial has max_epochs.
        self._is_timed = bool(limits_of((header.config or {}).get("budget")).keys() - {EPOCHS})

    def line(self, number: int, line: Mapping[str, Any]) -> None:
        """Fold one line, checked by journal_lines, in. number: from 1, of the file's lines."""
        self._number = number
        if self.status != "unfinished" and line["event"] != "resumed":
            raise ValueError(
                f"event={line['event']}: comes after the closing line; must be resumed"
            )
        self.status, self.reason = "unfinished", ""
        if line["event"] == "closed":
            self._closed(line)
            return
        for event in journals.decode(line):
            self.time_s = max(self.time_s, event.time_s)
            if isinstance(event, t.Resumed):
                if self.spent:
                    # A larger budget: the search goes on, to another winner.
                    self.over, self.test_value, self.test_metrics = False, None, {}
                self.shut = None
                self.counted.clear()
            if self.shut is None:
                self._event(event)
            # The worker's meter, whatever became of its job.
            joules = line.get("energy_j")
            if joules is not None and (life := self.here.get(line["worker"])) is not None:
                life.readings.append((event.time_s, float(joules)))
        self._notes(line)
        for command in line.get("do", ()):
            self._command(command)

    def _closed(self, line: Mapping[str, Any]) -> None:
        self.status, self.reason = line["status"], line["reason"]
        if self.status == "completed" and self.shut != "completed":
            raise ValueError("status=completed: no line before it ends the search")
        self.time_s = max(self.time_s, line["time_s"])
        if energy_used := line.get("energy"):
            check_energy(energy_used)
            self.job_energy.append(dict(energy_used))

    def _notes(self, line: Mapping[str, Any]) -> None:
        for key, met in line.get("trials", {}).items():
            self._meet(int(key), met)
        for name, known in (
            ("stopped", self.stopped), ("given_up", self.given_up), ("counted", self.counted),
        ):  # fmt: skip
            for key, note in line.get(name, {}).items():
                if int(key) not in self.trials:
                    raise ValueError(f"{name}.{key}: no line before it begins trial {key}")
                known[int(key)] = note
        self.measured.update(line.get("measured", {}))

    def _meet(self, trial_id: int, met: Mapping[str, Any]) -> None:
        if trial_id in self.trials:
            raise ValueError(f"trials.{trial_id}: begins a second time; the line stands twice")
        if met["seed"] != stream_seed(self.header.seed, "trial", trial_id):
            self._doubt(
                "seed", f"trial {trial_id}: seed={met['seed']} is not that of the run's seed"
            )
        first = next((trial.state.config for trial in self.trials.values()), met["config"])
        unlike = met["config"].keys() ^ first.keys()
        if unlike and not unlike <= {*self.header.target.conditional}:
            names, theirs = ", ".join(met["config"]), ", ".join(first)
            raise ValueError(
                f"trials.{trial_id}.config: has {names}; must have {theirs}, as others"
            )
        state = TrialState(met["config"], met["seed"])
        self.trials[trial_id] = Trial(state, met.get("bracket"))

    def _doubt(self, kind: str, text: str) -> None:
        self.doubts.add(kind, f"line {self._number}: {text}")

    # --- commands ---------------------------------------------------------------------------------

    def _command(self, command: list[Any]) -> None:
        if self.shut is not None:
            raise ValueError(f"do: {command[0]}: the search has ended before")
        match command:
            case ["start", worker, job_id, trial_id, from_epoch, to_epoch]:
                # A search that had ended goes on with a larger budget.
                self.spent = self.over = False
                self.test_value, self.test_metrics = None, {}
                self._start("train", worker, job_id, trial_id, from_epoch, to_epoch)
            case ["score", worker, job_id, trial_id, to_epoch]:
                self.over = True
                self._start("score", worker, job_id, trial_id, to_epoch, to_epoch)
                self._check_winner(trial_id, to_epoch)
            case ["ask", key, n, m]:
                self.questions.ask(key, n, m, self.time_s)
            case ["release", worker]:
                self._release(worker)
            case ["shutdown", status, _]:
                self.shut = status
                self.over |= status == "completed"
                if status == "completed" and self.flying:
                    raise ValueError(f"do: shutdown: job {next(iter(self.flying))} has not ended")

    def _start(
        self, kind: Literal["train", "score"], worker: int, job_id: int, trial_id: int,
        from_epoch: int, to_epoch: int,
    ) -> None:  # fmt: skip
        if job_id != len(self.jobs):
            raise ValueError(
                f"do: {kind}: job {job_id} begins, must be job {len(self.jobs)}; a line is missing, stands "
                "twice, or in another place"
            )
        if worker not in self.here:
            raise ValueError(f"do: {kind}: job {job_id}: worker {worker} has not joined")
        if (busy := self.here[worker].busy) is not None:
            raise ValueError(
                f"do: {kind}: job {job_id}: worker {worker} has job {busy}, which has not ended"
            )
        if trial_id not in self.trials:
            raise ValueError(f"do: {kind}: job {job_id}: no line before it begins trial {trial_id}")
        state = self.trials[trial_id].state
        if not 0 <= from_epoch <= len(state.curve) or to_epoch < from_epoch:
            raise ValueError(
                f"do: {kind}: job {job_id}: epochs {from_epoch} to {to_epoch}: must begin within the "
                f"{len(state.curve)} epochs of trial {trial_id}"
            )
        if to_epoch > self.max_epochs:
            theirs = f"max_epochs={self.max_epochs} in the header"
            self._doubt("max_epochs", f"job {job_id}: to epoch {to_epoch}, {theirs}")
        state.reached = from_epoch
        work = t.Job(job_id, trial_id, from_epoch, to_epoch, state.config, state.seed)
        job = Job(kind, worker, work, self.time_s)
        self.jobs.append(job)
        self.flying[job_id] = job
        self.here[worker].jobs.append(job)
        self.here[worker].busy = job_id

    def _release(self, worker: int) -> None:
        if (life := self.here.pop(worker, None)) is None:
            raise ValueError(f"do: release: worker {worker} is not there")
        if life.busy is not None:
            raise ValueError(
                f"do: release: worker {worker} has job {life.busy}, which has not ended"
            )
        life.left_s, life.released = self.time_s, True

    def _check_winner(self, trial_id: int, to_epoch: int) -> None:
        """The Conductor scores the best trial of those that were trained for max_epochs."""
        if self.spent or (self._is_timed and not ranking(self.curves(), self.max_epochs)):
            # On a virtual cluster, what counts is said with the end only.
            n = len(self.trials[trial_id].state.curve)
            if self.header.overlap != "logical" and (self.winner(), n) != (trial_id, to_epoch):
                self._doubt(
                    "winner",
                    f"trial {trial_id} is scored at epoch {to_epoch} of {n}, but the best at its last "
                    f"epoch is {self.winner()}",
                )
            return
        if to_epoch != self.max_epochs:
            theirs = f"max_epochs={self.max_epochs} in the header"
            self._doubt("winner", f"the winner is scored at epoch {to_epoch}, {theirs}")
            return
        # On a virtual cluster epochs are trained ahead of decisions, and count for no winner.
        if self.header.overlap == "logical":
            return
        ranked = ranking(self.curves(), self.max_epochs)
        if ranked[:1] != [trial_id]:
            best = f"trial {ranked[0]}" if ranked else "none"
            self._doubt("winner", f"trial {trial_id} is scored, but the best is {best}")

    def winner(self) -> int | None:
        """The trial that the Conductor chooses, or would, if the search ended here."""
        curves = self.curves()
        if ranked := ranking(curves, self.max_epochs):
            return ranked[0]
        if not (self.spent or self._is_timed):
            return None
        return best_checkpointed({i: trial.state for i, trial in self.trials.items()}, curves)

    def curves(self) -> dict[int, tuple[float, ...]]:
        """trial_id -> the curve that counts, of trials that were not given up."""
        return {
            trial_id: tuple(trial.state.curve[: self.counted.get(trial_id)])
            for trial_id, trial in self.trials.items()
            if trial_id not in self.given_up
        }

    # --- events -----------------------------------------------------------------------------------

    def _event(self, event: t.Event) -> None:
        match event:
            case t.WorkerJoined(worker, time_s, facts):
                if worker not in self.here:
                    check_facts(facts)
                    self.here[worker] = Life(worker, time_s, facts)
                    self.lives.append(self.here[worker])
            case t.EpochReport():
                self._epoch(event)
            case t.JobFinished() | t.JobFailed() | t.Scored():
                if (job := self._current(event)) is not None:
                    self._ended(job, event)
            case t.WorkerLost(worker, message, time_s):
                self._lost(worker, message, time_s)
            case t.Resumed(time_s, at_start):
                n_restarts = at_start.get("restart_count")
                self.counts.n_restarts = (
                    self.counts.n_restarts if n_restarts is None else n_restarts
                )
                self._resumed(time_s)
            case t.Forecast() | t.ForecastFailed():
                self.questions.close(event)
            case t.Checkpointed():
                if (flying := self._current(event)) is not None:
                    self.trials[flying.job.trial_id].state.checkpointed(event.epoch)
            case t.Allocation() | t.BudgetUsed() | t.JobStopped():
                self._limited(event)

    def _limited(self, event: t.Allocation | t.BudgetUsed | t.JobStopped) -> None:
        match event:
            case t.Allocation(end_ms, margin_ms):
                if min(end_ms, margin_ms) < 0:
                    raise ValueError("end_ms, margin_ms: must be milliseconds >= 0")
                self.allocations.append(event)
            case t.BudgetUsed():
                self.spent = True
            case t.JobStopped(time_s=time_s):
                if (flying := self._current(event)) is not None:
                    self._end(flying, "cut", time_s)

    def _ended(self, job: Job, event: t.JobFinished | t.JobFailed | t.Scored) -> None:
        match event:
            case t.JobFinished():
                if job.kind == "score":
                    return
                job.restore_s, job.checkpoint_s = event.restore_s, event.checkpoint_s
                job.busy_s = event.busy_s
                state, to_epoch = self.trials[job.job.trial_id].state, job.job.to_epoch
                if state.reached < to_epoch:
                    raise ValueError(
                        f"job {event.job_id}: finished at epoch {state.reached}, must reach {to_epoch}; "
                        "reports are missing"
                    )
                state.decided = max(state.decided, to_epoch)
                state.checkpointed(to_epoch)
                self._end(job, "finished", event.time_s)
            case t.JobFailed():
                if event.reason == "checkpoint" and job.kind == "train":
                    self.trials[job.job.trial_id].state.forget_checkpoint(job.job.from_epoch)
                self._end(job, "failed", event.time_s, f"{event.reason}: {event.message}")
            case t.Scored():
                if job.kind != "score":
                    raise ValueError(f"job {event.job_id}: scored, but it trains")
                name = self.header.metric.name
                if event.test_value != event.metrics.get(name):
                    theirs = f"{name}={event.metrics.get(name)}"
                    self._doubt(
                        "test", f"test_value={event.test_value}, but {theirs} in the same line"
                    )
                self.test_value, self.test_metrics = event.test_value, dict(event.metrics)
                self._end(job, "finished", event.time_s)

    def _lost(self, worker: int, message: str, time_s: float) -> None:
        if (life := self.here.pop(worker, None)) is None:
            return
        life.left_s, life.lost = time_s, message
        if life.busy is not None:
            self._end(self.flying[life.busy], "lost", time_s, message)

    def _resumed(self, time_s: float) -> None:
        self.counts.n_resumes += 1
        for life in self.here.values():
            life.left_s = time_s
        self.here.clear()
        for job in list(self.flying.values()):
            self._end(job, "cut", time_s)

    def _current(
        self,
        event: t.EpochReport
        | t.Checkpointed
        | t.JobFinished
        | t.JobFailed
        | t.JobStopped
        | t.Scored,
    ) -> Job | None:
        job = self.flying.get(event.job_id)
        return job if job is not None and job.worker == event.worker else None

    def _end(self, job: Job, outcome: Outcome, time_s: float, message: str | None = None) -> None:
        job.end(outcome, time_s, message)
        del self.flying[job.job.job_id]
        if (life := self.here.get(job.worker)) is not None and life.busy == job.job.job_id:
            life.busy = None

    def _epoch(self, event: t.EpochReport) -> None:
        if (job := self._current(event)) is None:
            return
        trial = self.trials[job.job.trial_id]
        point = EpochView(
            event.epoch, event.objective, event.metrics, event.train_s, event.eval_s, event.time_s,
            event.worker, event.job_id,
        )  # fmt: skip
        job.n_epochs += 1
        job.train_s += event.train_s
        job.eval_s += event.eval_s
        is_new = event.epoch > len(trial.state.curve)
        enters = trial.state.report(job.job, event.epoch, event.objective, self.counts)
        self._check_objective(event)
        if not is_new:
            self.counts.retrained_s += event.train_s + event.eval_s
        if not enters:
            return
        trial.epochs[event.epoch - 1 : event.epoch] = [point]
        if is_new:
            self.last = (self.counts.n_epochs, event.time_s)
        if not self.anytime or event.objective < self.anytime[-1].best:
            best = (event.time_s, event.objective, job.job.trial_id, event.epoch)
            self.anytime.append(Incumbent(self.counts.n_epochs, *best))

    def _check_objective(self, event: t.EpochReport) -> None:
        metric = self.header.metric
        value = event.metrics.get(metric.name)
        if value is None or metric.sign * value != event.objective:
            self._doubt(
                "objective",
                f"epoch {event.epoch} of job {event.job_id}: objective={event.objective}, but "
                f"{metric.name}={value} (mode {metric.mode}) in the same line",
            )

    # --- the end ----------------------------------------------------------------------------------

    def cut(self) -> None:
        """Jobs in flight where the run has ended."""
        for job in list(self.flying.values()):
            self._end(job, "cut", self.time_s)

    def count_ahead(self) -> None:
        """Count the epochs that were trained ahead of decisions, and count for nothing."""
        self.counts.n_ahead = sum(
            max(len(self.trials[trial_id].epochs) - n, 0) for trial_id, n in self.counted.items()
        )
