"""One run of `price` until its deadline: what it measured, by time, in a table with the figure's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from suite.report.deadlines import (
    Reading,
    Spans,
    at_max_epochs,
    busy_spans,
    end_s,
    ends_of_workers,
    last_busy,
    node_s,
    nodes,
    read,
    words,
)
from suite.report.measures import fixed, number
from suite.report.price_said import Said, said
from suite.report.regret_chapter import Chapter, Section, Table
from suite.report.runs import Group, Run
from suite.report.style import clock

TITLE, NAME = "Runs until a deadline", "runs-until-a-deadline"
MOST = 4
"""Runs that have a page of their own: of each algorithm the one that figures show."""
N_PARTS = 10
"""Equal parts of the time until the deadline, in the table."""


@dataclass(frozen=True, slots=True)
class PriceRun:
    """A run, read at its own deadline, with what it said of itself."""

    group: Group
    reading: Reading
    said: Said

    @property
    def run(self) -> Run:
        return self.reading.run

    @property
    def title(self) -> str:
        run = self.run
        return (
            f"{run.algorithm}, seed {run.seed}, {self.group.experiment} / {self.group.model}, "
            + (f"{run.n_workers} worker{'s' * (run.n_workers != 1)}")
        )


def chosen(groups: Sequence[Group]) -> list[PriceRun]:
    """The first MOST runs with a deadline that say what they measured, one an algorithm and comparison."""
    found: list[PriceRun] = []
    for group in groups:
        for name in group.algorithms:
            run = group.example(name)
            if run is None or (own := said(run)) is None:
                continue
            if not math.isfinite(end_s(run.view.limits, run.view)):
                continue
            found.append(PriceRun(group, read(run, run.view.limits), own))
            if len(found) == MOST:
                return found
    return found


def chapter(runs: Sequence[PriceRun]) -> Chapter | None:
    """A section a run; None where there is none."""
    if not runs:
        return None
    sections = tuple(
        Section(
            run.title,
            _about(run),
            run.group,
            (over_time(run), _of_rungs(run)),
            tuple(_sentences(run)),
        )
        for run in runs
    )
    return Chapter(sections, tuple(_general()), TITLE, NAME)


# --- over time ------------------------------------------------------------------------------------


def begun(run: Run) -> dict[int, list[float]]:
    """Rung, by its epochs -> when a job to it began, sorted. A trial that goes on after a cut counts once."""
    first: dict[tuple[int, int], float] = {}
    for job in run.view.jobs:
        if job.kind == "train":
            first.setdefault((job.trial_id, job.to_epoch), job.start_s)
    of: dict[int, list[float]] = {}
    for (_, epochs), at_s in first.items():
        of.setdefault(epochs, []).append(at_s)
    return {epochs: sorted(of[epochs]) for epochs in sorted(of)}


def busy(reading: Reading, start_s: float, until_s: float) -> float:
    """Workers that trained, mean over a stretch of time."""
    spans = busy_spans(reading.run.view).values()
    return _mean([one for of in spans for one in of], start_s, until_s)


def handed_back(reading: Reading, start_s: float, until_s: float) -> float:
    """Workers whose node had had its last training, mean over a stretch of time."""
    return _mean(unused(reading), start_s, until_s)


def unused(reading: Reading) -> Spans:
    """Of each worker, from the last training of its node to the deadline."""
    view = reading.run.view
    last = last_busy(view)
    spans = [
        (max(joined, last.get(node, 0.0)), min(left, reading.deadline_s))
        for _, node, joined, left in ends_of_workers(view)
    ]
    return [(start, end) for start, end in spans if end > start]


def _mean(spans: Sequence[tuple[float, float]], start_s: float, until_s: float) -> float:
    inside = sum(max(min(end, until_s) - max(start, start_s), 0.0) for start, end in spans)
    return inside / (until_s - start_s) if until_s > start_s else 0.0


def over_time(run: PriceRun) -> Table:
    """The figure's numbers after each part of the time."""
    reading, view = run.reading, run.run.view
    divisor, unit = clock(reading.deadline_s)
    rungs, of_nodes, total = begun(run.run), nodes(view), reading.node_s / 3600
    rows = []
    for part in range(N_PARTS):
        start, until = (reading.deadline_s * (part + i) / N_PARTS for i in (0, 1))
        finished = [value for _, value, _ in at_max_epochs(run.run, until)]
        best = (max if run.run.sign < 0 else min)(finished) if finished else None
        ever = [view.value(p.best) for p in view.by_time if p.time_s <= until]
        row = [
            fixed(until / divisor, 1), number(node_s(of_nodes, until) / 3600, 3, like=total),
            f"{busy(reading, start, until):.1f}", f"{handed_back(reading, start, until):.1f}",
            *(str(sum(at_s <= until for at_s in times)) for times in rungs.values()),
            "-" if best is None else number(best), "-" if not ever else number(ever[-1]),
        ]  # fmt: skip
        if run.said.prices:
            row.append(_price(run.said, part))
        rows.append(tuple(row))
    head = [
        f"until [{unit}]", "node-hours", "workers busy", "handed back",
        *(f"begun to epoch {epochs}" for epochs in rungs),
        "best at max_epochs", "best of any epoch", *(["price"] if run.said.prices else []),
    ]  # fmt: skip
    return Table("Over time", tuple(head), tuple(rows))


def _price(own: Said, part: int) -> str:
    """The last one that was noted in this part of the budget."""
    here = [price for used, price in own.prices if part <= used * N_PARTS < part + 1]
    return number(here[-1], 3) if here else "-"


def _of_rungs(run: PriceRun) -> Table:
    rows = [
        (
            str(rung.epochs), str(rung.n_trials),
            "-" if rung.correlation is None else f"{rung.correlation:.2f}",
            "-" if rung.n_measured is None else str(rung.n_measured) if rung.n_measured else "0 (assumed)",
        )
        for rung in run.said.rungs
    ]  # fmt: skip
    head = (
        "rung [epochs]",
        "trials that came to it",
        "correlation with the next",
        "measured on [trials]",
    )
    return Table("Rungs", head, tuple(rows))


# --- words ----------------------------------------------------------------------------------------


def _about(run: PriceRun) -> str:
    group, reading = run.group, run.reading
    facts = [
        f"{group.data} data" if group.data else "real data",
        *(["SIMULATED TIME"] if group.simulated else []),
        words(run.run.view.limits),
        f"policy {run.said.policy}",
        f"decides by {run.said.decides_by}",
        f"one run: the lowest seed of n = {len(group.of(run.run.algorithm))}",
        f"workers busy {100 * reading.busy:.1f} %, node time handed back {100 * reading.handed_back:.1f} %",
    ]
    return "; ".join(facts)


def _sentences(run: PriceRun) -> list[str]:
    reading, own = run.reading, run.said
    divisor, unit = clock(reading.deadline_s)
    used, back = reading.node_s - reading.handed_back_s, reading.handed_back_s
    ends = [spans[-1][1] for spans in busy_spans(run.run.view).values()]
    last = max(ends, default=0.0)
    sentences = [
        f"Deadline {number(reading.deadline_s / divisor, 4)} {unit}; the last training ended at "
        f"{number(last / divisor, 4)} {unit}"
        + (f", {number(reading.late_s, 3)} s late" if reading.late_s else "")
        + f". Node-hours: {number(used / 3600, 4)} used, {number(back / 3600, 4)} handed back.",
        f"Trials: {reading.n_trials} began, {len(reading.finished)} came to max_epochs by the deadline. "
        f"Share of new trials among the jobs: {_percent(own.fresh_share)}. Paused trials that could not "
        f"finish any more and were left out: {_count(own.left_out)}; decisions in which no new trial could "
        f"finish: {_count(own.no_new_trial)}.",
        f"Forest: {_count(own.fits)} fits; correlation of its answers out of bag with the trials' ranks: "
        f"first {_rho(own.forest_first)}, last {_rho(own.forest_last)}; with final values, as it was "
        f"believed in the end: {_rho(own.trust)}.",
    ]
    if own.epoch_s is not None and own.overhead_s is not None:
        sentences.append(
            f"Measured: {number(own.epoch_s, 3)} s an epoch (mean over trials), "
            f"{number(own.overhead_s, 3)} s of a job besides its epochs (median)."
        )
    if not own.prices:
        sentences.append(f"Policy {own.policy} promotes by rank: it has no prices.")
    return sentences


def _general() -> list[str]:
    return [
        "Workers busy and handed back: means over each part of the time; handed back: workers whose node had "
        "its last training before. Begun to epoch: trials of which a job to this rung had begun until then. "
        "Best: so far.",
        "Correlation with the next rung: of normal scores, corrected for selection, drawn towards .88 where "
        "few trials were measured. Price: the highest cost an R of epochs at which the chosen trial still "
        "paid, in standard deviations of final values; the last one noted in each part.",
        "The table over time holds the figure's numbers.",
    ]


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def _count(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _rho(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"
