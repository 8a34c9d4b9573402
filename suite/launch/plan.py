"""What would be trained: for people, for the batch system, for the doctor. One reckoning for all."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from suite.core.brackets import Plan
from suite.core.printable import hours
from suite.core.run_settings import RunSettings
from suite.core.settings import shown
from suite.core.target import loud, mark
from suite.launch.assemble import Parts, assemble
from suite.launch.epoch_seconds import epoch_s
from suite.launch.job_end import job_end_of
from suite.launch.runs import Runs
from suite.run import batch
from suite.schedulers.virtual_cluster import VirtualCluster

_LEAST_FILLED = 1.1
"""Trainings a worker; with fewer hardly one can be finished."""
_OF_TRAININGS = (0.34, 0.71), (2.5, 4.3)
"""Of a budget in trainings: trials that came to max_epochs, and that began; least and most of 18 runs of
price_rank in SIMULATED time on SYNTHETIC curves: model=table_target, max_epochs=27, 8 workers for 1.1, 1.25,
1.5, 2 and 3 trainings each and 32 for 1.1, seeds 0, 1, 2, durations as backend=simulate draws them, nobody
released. Their epochs, of mean length, filled .62 to .96 of the time; reckoned here: .77 to .92.
"""


@dataclass(frozen=True)
class Load:
    """Equal runs to be trained. longest: epochs of a run's longest trial; epoch_s: seconds an epoch.

    n_useful: most workers that ever have work at once, None: any number. rungs: where one rung waits for the
    one before it, also across brackets: trials and further epochs of each; empty where brackets overlap.
    wall_s, node_s: a run's budget, seconds of its clock and of all nodes (a node a worker); None: none.
    """

    n_runs: int
    n_epochs: int
    longest: int
    epoch_s: float
    n_useful: int | None = None
    rungs: tuple[tuple[int, int], ...] = ()
    wall_s: float | None = None
    node_s: float | None = None

    def makespan_s(self, n_workers: int) -> float:
        """Seconds of training, one run after the other, each until its plan or its budget ends; a trial is
        not divided among workers.
        """
        n = n_workers if self.n_useful is None else min(n_workers, self.n_useful)
        in_a_row = sum(math.ceil(trials / n) * epochs for trials, epochs in self.rungs)
        ends = [max(self.n_epochs / n, self.longest, in_a_row) * self.epoch_s]
        if self.wall_s is not None:
            ends.append(self.wall_s)
        if self.node_s is not None:
            ends.append(self.node_s / n_workers)
        return self.n_runs * min(ends)


@dataclass(frozen=True)
class Planned:
    """Runs that differ in their seed alone. epoch_s: seconds of an epoch; basis: what they rest on."""

    settings: RunSettings
    parts: Parts
    n_runs: int
    epoch_s: float
    basis: str

    @classmethod
    def of(cls, settings: RunSettings, n_runs: int = 1) -> Planned:
        """By the seconds that are known without measuring. Raises ConfigError for what cannot be run."""
        parts = assemble(settings)
        return cls(settings, parts, n_runs, *epoch_s(parts.target, parts.backend))

    def with_epoch_s(self, epoch_s: float, basis: str) -> Planned:
        """The same with other seconds an epoch."""
        return dataclasses.replace(self, epoch_s=epoch_s, basis=basis)

    @property
    def load(self) -> Load:
        plan = self.parts.scheduler.plan()
        longest = max(bracket.rungs[-1].to_epoch for bracket in plan.brackets)
        budget = self.settings.budget
        wall_s, node_s = (
            None if given is None else given * 3600 for given in (budget.hours, budget.node_hours)
        )
        return Load(
            self.n_runs, plan.n_epochs, longest, self.epoch_s, self._n_useful(), self._rungs(),
            wall_s, node_s,
        )  # fmt: skip

    def _in_sequence(self) -> bool:
        """Whether each bracket waits for the one before it."""
        return self.settings.overlap is False and "overlap" in self.settings.scheduler

    def _n_useful(self) -> int:
        """Most workers that ever have work: a rung's trials, of all brackets where they overlap."""
        brackets = self.parts.scheduler.plan().brackets
        widest = [max(rung.n_trials for rung in bracket.rungs) for bracket in brackets]
        if self._in_sequence():
            return max(widest)
        return sum(widest)

    def _rungs(self) -> tuple[tuple[int, int], ...]:
        if not self._in_sequence():
            return ()
        rungs: list[tuple[int, int]] = []
        for bracket in self.parts.scheduler.plan().brackets:
            before = 0
            for rung in bracket.rungs:
                rungs.append((rung.n_trials, rung.to_epoch - before))
                before = rung.to_epoch
        return tuple(rungs)


def planned(runs: Runs) -> list[Planned]:
    """All combinations of a command line that have a run. Raises ConfigError for what cannot be run."""
    checked = [
        (RunSettings.of(combination.config), len(combination.seeds))
        for combination in runs.combinations
        if combination.seeds
    ]
    return [Planned.of(settings, n_runs) for settings, n_runs in checked]


def makespan_s(loads: Sequence[Load], n_workers: int) -> float:
    """Seconds that all runs train, one after the other, to their end or that of their budget."""
    return sum(load.makespan_s(n_workers) for load in loads)


def page(plans: Sequence[Planned], n_workers: int | None, *, sweep: bool) -> str:
    """Each plan that differs from the others, and the sum of a sweep. n_workers: None: as many as the backend
    has.
    """
    texts = dict.fromkeys(text(plan, n_workers) for plan in plans)
    lines = ["\n\n".join(texts)]
    if sweep:
        loads = [plan.load for plan in plans]
        n_runs = sum(load.n_runs for load in loads)
        n_epochs = sum(load.n_runs * load.n_epochs for load in loads)
        counts: dict[str, int] = {}
        for plan in plans:
            name = plan.settings.choices.algorithm
            counts[name] = counts.get(name, 0) + plan.n_runs
        marks = "".join(dict.fromkeys(mark(plan.parts.target.data) for plan in plans))
        of_each = ", ".join(f"{name} {count}" for name, count in counts.items())
        n = n_workers or max((plan.parts.backend.n_workers() for plan in plans), default=1)
        left = hours(makespan_s(loads, max(n, 1)))
        lines.append(
            f"sweep       {n_runs} runs ({of_each}), at most {n_epochs} epochs, about {left} on "
            f"{_workers(max(n, 1))}{marks}"
        )
    return "\n\n".join(lines)


def text(plan: Planned, n_given: int | None) -> str:
    """One run's brackets, rungs, epochs, decisions, disk, workers and hours. n_given: workers, None: as many
    as the backend has.
    """
    settings, parts = plan.settings, plan.parts
    planned, target = parts.scheduler.plan(), parts.target
    # The line on hours is of the plan; those on the budget say what it leaves of it.
    load = dataclasses.replace(plan.load, n_runs=1, wall_s=None, node_s=None)
    n_workers = n_given or max(parts.backend.n_workers(), 1)
    points = any(rung.decision_epoch for b in planned.brackets for rung in b.rungs)
    bound = "at most " if planned.upper_bound or points else ""
    n_files = planned.n_trials * 4  # two of earlier jobs, two of the present one
    of = "simulated training" if parts.backend.simulated else "training"
    in_all = hours(planned.n_epochs * plan.epoch_s)
    brackets, n_decisions = _brackets(planned)
    # A virtual cluster waits for what real workers have not trained yet.
    about = "at least" if isinstance(parts.scheduler, VirtualCluster) else "about"
    lines = [
        f"{settings.choices.algorithm} on {settings.model_name} ({loud(target.data)} data), "
        f"max_epochs {parts.scheduler.max_epochs}, overlap {_overlap(settings, parts)}",
        "",
        "bracket  rungs: trials x epochs in total (decision point)",
        *brackets,
        "",
        f"trials      {planned.n_trials}",
        f"epochs      {bound}{planned.n_epochs}",
        f"decisions   {n_decisions} (rungs and decision points)",
        f"disk        at most {bytes_for_people(n_files * target.checkpoint_bytes)} in "
        f"{n_files + planned.n_trials} files while it runs "
        f"({bytes_for_people(target.checkpoint_bytes)} a checkpoint, at most four a trial)",
        f"workers     {_use(load.n_useful or n_workers, n_workers)}",
        f"hours       {bound}{in_all} of {of}; {about} {hours(load.makespan_s(n_workers))} on "
        f"{_workers(n_workers)}",
        f"epoch       {plan.epoch_s:.4g} s, {plan.basis}",
    ]
    return "\n".join(lines + _bought(plan, n_workers, load.makespan_s(n_workers)))


def _bought(plan: Planned, n_workers: int, makespan_s: float) -> list[str]:
    """What the budget buys, and which part of it is never reached."""
    budget, scheduler = plan.settings.budget, plan.parts.scheduler
    in_nodes_h = None if budget.node_hours is None else budget.node_hours / n_workers
    in_job_h, said = _left_of_job(plan) if budget.end == "job" else (None, [])
    ends = [end for end in (budget.hours, in_nodes_h, in_job_h) if end is not None]
    lines = []
    if budget.all_epochs is not None:
        of_all = 100 * budget.all_epochs / scheduler.plan().n_epochs
        lines.append(
            f"budget      {budget.all_epochs} epochs in all: {of_all:.3g} % of those above"
        )
    if not ends:
        return lines + said
    end_h = min(ends)
    n_epochs = n_workers * end_h * 3600 / plan.epoch_s
    of_nodes = f" ({n_workers * end_h:.4g} node-hours, a node a worker)" if in_nodes_h else ""
    share = f", {100 * n_epochs / scheduler.plan().n_epochs:.3g} % of those above"
    lines += [
        f"budget      {end_h:.4g} h on {_workers(n_workers)}{of_nodes}: as many node-hours as "
        f"{n_epochs / scheduler.max_epochs:.3g} trainings to max_epochs={scheduler.max_epochs} take: "
        f"{n_epochs:.4g} epochs if no worker waits{'' if scheduler.reads_clock else share}; the hours "
        "above are a bound without it",
        *said,
    ]
    if scheduler.reads_clock:
        first = scheduler.plan().brackets[0].rungs[0].to_epoch
        lines.append(
            f"            at most {n_epochs / first:.3g} trials begin (with {first} epochs each); workers "
            "idle at the end, where no trial could be finished any more"
        )
        lines += _filled(n_epochs / scheduler.max_epochs, n_workers)
        if budget.n_epochs is not None:
            lines.append(
                f"            budget.n_epochs={budget.n_epochs} is not read beside a budget of time; "
                f"budget.all_epochs={budget.n_epochs} would be one more end"
            )
    else:
        busy = min(100 * scheduler.plan().n_epochs * plan.epoch_s / (n_workers * makespan_s), 100)
        lines.append(f"            workers are busy for at most {busy:.0f} % of the search")
    if budget.hours is not None and in_nodes_h is not None and in_nodes_h != budget.hours:
        which = "hours" if in_nodes_h < budget.hours else "node_hours"
        lines.append(
            f"            budget.{which} is never reached: the other one ends the run before"
        )
    if not scheduler.reads_clock and makespan_s < end_h * 3600:
        lines.append("            the search ends by its own rule before, as reckoned")
    return lines


def _filled(trainings: float, n_workers: int) -> list[str]:
    """What a search that fills the machine makes of the time of so many trainings, on all workers.

    A worker leaves when nothing fits any more: half of a training before the end at most, as most of those
    that wait have half of theirs before them; a quarter in the mean. The rest as it was in simulated time.
    """
    each = trainings / n_workers
    if each < _LEAST_FILLED:
        return []
    busy = 100 * (1 - 0.25 / each)
    to_end, begun = ([round(share * trainings) for share in shares] for shares in _OF_TRAININGS)
    return [
        f"            workers are busy for about {busy:.0f} % of it, as reckoned; of price_rank "
        f"{to_end[0]} to {to_end[1]} trials would",
        f"            come to max_epochs and {begun[0]} to {begun[1]} begin, as in simulated time (n=18)",
    ]


def _left_of_job(plan: Planned) -> tuple[float | None, list[str]]:
    """Hours that this batch job leaves a run that ends with it, None outside of one; and a line on that.

    Raises ConfigError where time is made up.
    """
    before_s = plan.parts.backend.pause_before_s
    if (end_s := batch.end_time_s()) is None and not plan.parts.backend.simulated:
        return None, [
            "budget      until the batch job ends (budget.end=job): this is none; give --time to sbatch, or "
            "budget.hours=H to see what H hours buy"
        ]
    job_end_of(plan.settings, plan.parts.backend)
    left_s = (end_s or 0.0) - time.time() - before_s
    return left_s / 3600, [
        f"            to the job's end, less backend.pause_before_s={before_s:g} and, as the run measures "
        "them, an epoch and a job's restore and checkpoint"
    ]


def _brackets(planned: Plan) -> tuple[list[str], int]:
    """A line for each bracket, and the number of decisions."""
    lines, n_decisions = [], 0
    for bracket in planned.brackets:
        rungs = []
        for rung in bracket.rungs:
            point = f" ({rung.decision_epoch})" if rung.decision_epoch else ""
            n_decisions += 1 + bool(rung.decision_epoch)
            rungs.append(f"{rung.n_trials} x {rung.to_epoch}{point}")
        lines.append(f"{bracket.s:7d}  {', '.join(rungs)}")
    return lines, n_decisions


def _use(n_useful: int, n_workers: int) -> str:
    """How many of the workers ever have work."""
    if n_useful < n_workers:
        idle = n_workers - n_useful
        return f"at most {n_useful} of {n_workers} workers have work; {idle} would idle"
    return f"{_workers(n_workers)} of at most {n_useful} that could have work"


def _workers(n: int) -> str:
    return f"{n} worker{'s' * (n != 1)}"


def _overlap(settings: RunSettings, parts: Parts) -> str:
    if isinstance(parts.scheduler, VirtualCluster):
        return f"logical ({parts.scheduler.nominal_workers} nominal workers)"
    return shown(settings.overlap)


def bytes_for_people(n: float) -> str:
    """A number of bytes with three digits and its unit.

    >>> bytes_for_people(3 * 1024**2)
    '3 MiB'
    """
    power = min(int(math.log(max(n, 1), 1024)), 4)
    return f"{n / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
