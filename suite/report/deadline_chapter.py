"""The chapter "At a deadline": what each algorithm had when the time was over, on the same workers.

Made for every comparison of which a run was given a budget of time. Runs that were given a longer one, or
none, are read at the same moment, if they do not look at their end.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from suite.report import deadline_tables as cells
from suite.report.deadline_looped import looped_table
from suite.report.deadline_members import Deadline, deadlines
from suite.report.deadline_problems import over_tables
from suite.report.deadlines import NOTHING, Reading, words
from suite.report.groups import NO_BASELINE
from suite.report.measures import number
from suite.report.regret_chapter import Chapter, Section, Table, show
from suite.report.runs import Group
from suite.report.statistics import LEAST, N_RESAMPLES, mean
from suite.report.style import clock
from suite.results.spread import spread_of_all

TITLE, NAME = "At a deadline", "deadlines"
MOST_SECTIONS = 40
"""Deadlines that are shown each with its tables; over tables all count."""


def chapter(groups: Sequence[Group]) -> Chapter | None:
    """None where no run was given a budget of time."""
    found = deadlines(groups)
    if not found:
        return None
    sections = [section(deadline) for deadline in found[:MOST_SECTIONS]]
    together, left_out = over_tables(found)
    sentences = _general(found)
    if len(found) > MOST_SECTIONS:
        sentences.append(
            f"{len(found) - MOST_SECTIONS} further deadlines are not shown apart; they count over tables."
        )
    return Chapter((*together, *sections), (*sentences, *left_out), TITLE, NAME)


def section(deadline: Deadline) -> Section:
    """One deadline's tables and sentences."""
    found = [_results(deadline), _use(deadline)]
    base = deadline.readings.get(deadline.baseline or "", ())
    if len(deadline.readings) > 1 and any(reading.best is not None for reading in base):
        found.append(_time_to(deadline))
    if deadline.ends_of_their_own and (looped := looped_table(deadline)):
        found.append(looped)
    return Section(
        _title(deadline),
        _about(deadline),
        deadline.group,
        tuple(found),
        tuple(_sentences(deadline)),
    )


def _title(deadline: Deadline) -> str:
    n = deadline.group.workers
    group = deadline.group
    name = f"{group.experiment} / {group.model}"
    return f"{name}, {n} worker{'s' * (n != '1')}, {words(deadline.limits)}"


def _about(deadline: Deadline) -> str:
    group, run = deadline.group, deadline.group.first
    divisor, unit = clock(deadline.seconds)
    simulated = " of SIMULATED TIME" if group.simulated else " of wall clock"
    trainings = deadline.trainings
    facts = [
        f"{group.data} data" if group.data else "real data",
        f"deadline after {number(deadline.seconds / divisor, 3)} {unit}{simulated}"
        + (f", {trainings:.2f} mean trainings to max_epochs" if trainings else ""),
        f"{run.header.metric.name} ({run.better})",
        f"max_epochs {run.header.max_epochs}",
        cells.MEDIAN,
    ]
    if deadline.baseline:
        facts.append(f"paired: against {deadline.baseline} at the same seed")
    else:
        facts.append("no completed run of the baseline: nothing to compare with")
    return "; ".join(facts)


# --- tables ---------------------------------------------------------------------------------------


def _results(deadline: Deadline) -> Table:
    on_table = deadline.on_table
    compared = deadline.baseline is not None
    head = ["algorithm", "n", "no result", "best at max_epochs", "test of it", "best of any epoch"]
    head += ["mean regret"] if on_table else []
    head += ["ratio", "difference [95 % CI]", "verdict"] if compared else []
    rows = []
    for name, readings in deadline.readings.items():
        nothing = sum(r.best is None for r in readings)
        row = [
            name, str(len(readings)), str(nothing),
            cells.spread_cell([r.best for r in readings], len(readings)),
            cells.spread_cell([r.test for r in readings], len(readings)),
            cells.spread_cell([r.ever for r in readings], len(readings)),
        ]  # fmt: skip
        if on_table:
            row.append(show(mean([r.regret for r in readings if r.regret is not None]) or 0.0))
        rows.append((*row, *(cells.compared(deadline, name) if compared else ())))
    return Table("Found by the deadline", tuple(head), tuple(rows))


def _use(deadline: Deadline) -> Table:
    rows = []
    late = any(r.late_s > 0 for readings in deadline.readings.values() for r in readings)
    for name, readings in deadline.readings.items():
        row = [
            name, str(len(readings)),
            _of(readings, lambda r: float(r.n_trials), 0),
            _of(readings, lambda r: float(len(r.finished)), 0),
            _of(readings, lambda r: 100 * r.busy, 1),
            _of(readings, lambda r: (r.node_s - r.handed_back_s) / 3600),
            _of(readings, lambda r: r.handed_back_s / 3600),
            _of(readings, lambda r: 100 * r.handed_back, 1),
        ]  # fmt: skip
        row += [_of(readings, lambda r: r.late_s, 1)] if late else []
        rows.append((*row, cells.ended(readings)))
    head = [
        "algorithm", "n", "trials", "full trainings", "workers busy [%]", "node-hours used",
        "handed back [node-hours]", "handed back [%]", *(["late [s]"] if late else []), "ended before",
    ]  # fmt: skip
    return Table("Use of the workers until the deadline", tuple(head), tuple(rows))


def _of(
    readings: Sequence[Reading], value: Callable[[Reading], float], decimals: int | None = None
) -> str:
    return cells.spread_cell([value(r) for r in readings], len(readings), decimals)


def _time_to(deadline: Deadline) -> Table:
    """When a run had what the baseline's run of its seed had at the deadline."""
    divisor, unit = clock(deadline.seconds)
    rows = []
    for name in deadline.readings:
        reached = cells.reached(deadline, name)
        times = spread_of_all([at_s / divisor for at_s, _, _ in reached])
        shares = spread_of_all([100 * share for _, share, _ in reached])
        hours = spread_of_all([node_s / 3600 for _, _, node_s in reached])
        n_reached = sum(math.isfinite(at_s) for at_s, _, _ in reached)
        rows.append((
            name, f"{n_reached} of {len(reached)}", cells.with_never(times),
            cells.with_never(shares, 0), cells.with_never(hours),
        ))  # fmt: skip
    base = deadline.baseline
    head = ("algorithm", "reached", f"time [{unit}]", "of the deadline [%]", "node-hours")
    return Table(f"Time to {base}'s result of the same seed", head, tuple(rows))


# --- sentences ------------------------------------------------------------------------------------


def _sentences(deadline: Deadline) -> list[str]:
    lines = [
        f"WARNING: {warning}"
        for warning in deadline.group.warnings
        if not warning.startswith(NO_BASELINE)
    ]
    for name in deadline.ends_of_their_own:
        readings = deadline.readings[name]
        shares = [r.ended_s / r.deadline_s for r in readings if r.ended_s is not None]
        lines.append(
            f"{name}: ended before the deadline, by its own rule or another budget, in {len(shares)} of "
            f"{len(readings)} runs, "
            f"after {100 * statistics.median(shares):.0f} % of it (median): its last value is kept, and its "
            "workers' time from then on counts as handed back. Looped is another reading: the run of the "
            "next seed begins when one ends."
        )
    if deadline.baseline is not None:
        without = sum(base.best is None for _, base in deadline.pairs(deadline.baseline))
        if without:
            lines.append(
                f"{deadline.baseline} had no trial at max_epochs by the deadline in {without} of "
                f"{len(deadline.readings[deadline.baseline])} runs: ratios to it flatter all others."
            )
        n = min(len(deadline.pairs(name)) for name in deadline.readings)
        if n < LEAST:
            lines.append(f"n = {n} pairs: too few for an interval or a verdict (from {LEAST} on).")
    return lines


def _general(found: Sequence[Deadline]) -> list[str]:
    base = ", ".join(sorted({d.baseline for d in found if d.baseline})) or "none"
    return [
        "Found by the deadline: the best value of a trial at max_epochs whose last epoch came by then; test: "
        "the winner's, where it is that trial. No result: runs without such a trial; their normalised regret "
        f"counts as {NOTHING}, while other chapters take a winner of fewer epochs. Best of any epoch: of any "
        "trial, however far it came. What came after the deadline does not count.",
        f"Baseline: {base}. Ratio: of mean regrets over pairs of equal seed (where no table is known: of "
        "mean values). Difference: mean of the paired differences, with its 95 % interval (percentile "
        f"bootstrap, {N_RESAMPLES:,} resamples, seeded) from {LEAST} pairs on. Verdict, better or worse: the "
        "interval lies on one side of 0; open: it holds 0. No further test is made.",
        "Workers busy: share of the workers' time until the deadline in which they trained. Handed back: a "
        "node's time from its last training to the deadline, for which nobody had a use, whether or not the "
        "batch system got it. Node-hours used are the others, idle ones too. A worker that names no node is "
        "a node of its own. Late: from the deadline to the end of the last epoch, or job, that was let end.",
        f"Time to {base}'s result: when a run first had a trial at max_epochs as good as what the "
        "baseline's run of its seed had at the deadline; medians over seeds, never: half of them or more "
        "did not come to it.",
    ]
