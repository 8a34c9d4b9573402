"""The chapter "Regret on curve tables": each algorithm against the baseline, one table at a time.

Made for every comparison whose runs know their table's reference and have a baseline; the same
words on the terminal, in report.md and on the page. Ranks over tables are suite.report.ranks'.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from suite.report import self_measured
from suite.report.measures import number, say_p
from suite.report.regret import nregret, scale, table_of
from suite.report.runs import Group, Run
from suite.report.statistics import (
    ALPHA,
    LEAST,
    N_RESAMPLES,
    equivalence,
    holm,
    mean,
    mean_interval,
)

TITLE = "Regret on curve tables"
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of the baseline's epochs and seconds, at which anytime regret is tabulated."""

MARGIN, MARGIN_KEY = 0.02, "margin_nregret"
"""Of equivalence in normalised regret where no run's configuration sets one; the setting's name."""

Clock = Literal["epochs", "seconds"]
Pairs = list[tuple[Run, Run]]
"""(run, the baseline's run) of every seed that both completed on a known table."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text under a head; the first column names the algorithm."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One curve table, say. about: what to know before the numbers; sentences: after the tables."""

    title: str
    about: str
    group: Group
    tables: tuple[Table, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """Sections, and what holds for each of them. name: of its place on the page."""

    sections: tuple[Section, ...]
    sentences: tuple[str, ...]
    title: str = TITLE
    name: str = "regret"


def chapter(groups: Sequence[Group], ranked: bool = False) -> Chapter | None:
    """The chapter on the groups; ranked: ranks over tables are reported too.

    None where no group has a baseline on a table with a reference.
    """
    on_tables = [group for group in groups if any(scale(run.view) for run in group.runs)]
    chosen = [group for group in on_tables if group.baseline and pairs(group, group.baseline)]
    if not chosen:
        return None
    titles = _titles(chosen)
    sections = tuple(_section(group, *names) for group, names in zip(chosen, titles, strict=True))
    sentences = _general(chosen, ranked)
    sentences += [
        f"{group.title}: not in this chapter: no completed run of the baseline"
        for group in on_tables
        if group not in chosen
    ]
    return Chapter(sections, tuple(sentences))


def pairs(group: Group, name: str) -> Pairs:
    """Runs of one algorithm with the baseline's of the same seed (of the baseline: with itself)."""
    theirs = {run.seed: run for run in group.of(group.baseline or "") if scale(run.view)}
    return [
        (run, theirs[run.seed])
        for run in group.of(name)
        if run.seed in theirs and scale(run.view) is not None
    ]


def regrets(run: Run, base: Run, shares: Sequence[float], clock: Clock) -> list[float | None]:
    """Normalised regret of the best value so far at shares of the baseline's epochs or seconds.

    None before the first value. Best of any epoch of any trial: below 0 where one of them, not at
    max_epochs, lies below the table's best. A run that ended keeps its last value.
    """
    import numpy as np

    ends = scale(run.view)
    points = run.view.anytime
    if ends is None or not points:
        return [None] * len(shares)
    best, median = ends
    if clock == "epochs":
        limit, at = float(base.view.n_epochs), [float(point.n_epochs) for point in points]
    else:
        points = run.view.by_time
        limit, at = base.view.wall_s, [point.time_s for point in points]
    last = np.searchsorted(at, [share * limit for share in shares], side="right") - 1
    values = [(run.view.value(point.best) - best) / (median - best) for point in points]
    return [values[i] if i >= 0 else None for i in last]


def margin(group: Group) -> tuple[float, str]:
    """Of equivalence, in units of normalised regret, and where it was set; the least of several."""
    margins = set()
    for run in group.runs:
        value = run.header.margin_nregret
        if isinstance(value, int | float) and math.isfinite(value) and value > 0:
            margins.add(float(value))
    if not margins:
        return MARGIN, f"no run set {MARGIN_KEY}: the default"
    return min(margins), f"{MARGIN_KEY} of the runs" + (", the least" if len(margins) > 1 else "")


@dataclass(frozen=True, slots=True)
class Compared:
    """One algorithm's winners against the baseline's, over the pairs whose regrets are both known.

    mine, theirs: normalised regrets, by seed; p: of the TOST, adjusted; None: too few pairs.
    """

    name: str
    runs: Pairs
    mine: tuple[float, ...]
    theirs: tuple[float, ...]
    p: float | None = None

    @property
    def differences(self) -> tuple[float, ...]:
        return tuple(x - b for x, b in zip(self.mine, self.theirs, strict=True))

    @property
    def ratio(self) -> float | None:
        """Of the mean regrets; None where the baseline's is not positive."""
        return sum(self.mine) / total if (total := sum(self.theirs)) > 0 else None

    @property
    def verdict(self) -> str:
        """better / worse (interval of the mean), equivalent (TOST), both, or not shown."""
        ends = mean_interval(self.differences)
        if ends is None:
            return f"too few (n = {len(self.mine)})"
        words = ["better"] if ends[1] < 0 else ["worse"] if ends[0] > 0 else []
        words += ["equivalent"] if self.p is not None and self.p < ALPHA else []
        return ", ".join(words) or "not shown"


def compare(group: Group) -> list[Compared]:
    """Every algorithm of a group, the baseline first (against itself, without p)."""
    compared = []
    for name in group.algorithms:
        runs = pairs(group, name)
        known = [(nregret(run.view), nregret(base.view)) for run, base in runs]
        both = [(x, b) for x, b in known if x is not None and b is not None]
        mine, theirs = tuple(x for x, _ in both), tuple(b for _, b in both)
        compared.append(Compared(name, runs, mine, theirs))
    limit, _ = margin(group)
    tested = [c for c in compared if c.name != group.baseline and len(c.mine) >= LEAST]
    p = holm([equivalence(c.differences, limit) for c in tested])
    of = {c.name: value for c, value in zip(tested, p, strict=True)}
    return [Compared(c.name, c.runs, c.mine, c.theirs, of.get(c.name)) for c in compared]


# --- one table ------------------------------------------------------------------------------------


def _titles(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """(title, name): the table with its workers, and what tells twins apart."""
    names = [table_of(_known(group).view) for group in groups]
    long = [f"{name}, {_workers(g)}" for name, g in zip(names, groups, strict=True)]
    twins = Counter(long)
    return [
        (f"{title} ({group.title})" if twins[title] > 1 else title, name)
        for title, name, group in zip(long, names, groups, strict=True)
    ]


def _known(group: Group) -> Run:
    return next(run for run in group.runs if scale(run.view) is not None)


def _workers(group: Group) -> str:
    return f"{group.workers} worker{'s' * (group.workers != '1')}"


def _section(group: Group, title: str, name: str) -> Section:
    compared = compare(group)
    run = _known(group)
    best, median = scale(run.view) or (math.nan, math.nan)
    about = [
        f"table {name}: {run.header.metric.name}, best {number(best)}, median {number(median)}",
        f"{group.data} data" if group.data else "real data",
        *(["SIMULATED TIME"] if group.simulated else []),
        _workers(group),
        f"overlap {group.overlap}",
        f"max_epochs {run.header.max_epochs}",
        f"n = {len(pairs(group, group.baseline or ''))} seeds of {group.baseline}",
    ]
    time = f"{_workers(group)}, {'SIMULATED TIME' if group.simulated else 'wall clock'}"
    base = group.baseline
    tables = (
        _winners(group, compared),
        _anytime(group, compared, "epochs", f"Anytime regret at shares of {base}'s epochs"),
        _anytime(
            group, compared, "seconds", f"Anytime regret at shares of {base}'s seconds; {time}"
        ),
    )
    return Section(title, "; ".join(about), group, tables, tuple(_sentences(group, compared)))


def _winners(group: Group, compared: Sequence[Compared]) -> Table:
    ahead = any(run.view.counts.n_ahead for run in group.runs)
    head = [
        "algorithm", "n", "mean regret", "median", "ratio", "difference [95 % CI]", "trained [%]",
        *(["counted [%]"] if ahead else []), "TOST p", "verdict",
    ]  # fmt: skip
    rows = []
    for c in compared:
        regret = [_mean(c.mine), show(statistics.median(c.mine)) if c.mine else "-"]
        if len(c.mine) != len(c.runs):
            regret[0] += f" n={len(c.mine)}"
        epochs = [_share(c.runs, counted=False)]
        epochs += [_share(c.runs, counted=True)] if ahead else []
        against = ["1", "baseline", *epochs, "-", "baseline"]
        if c.name != group.baseline:
            ratio = "-" if c.ratio is None else f"{c.ratio:.2f}"
            p = "-" if c.p is None else say_p(c.p).removeprefix("= ")
            against = [ratio, _difference(c), *epochs, p, c.verdict]
        rows.append((c.name, str(len(c.runs)), *regret, *against))
    title = f"Winners: normalised regret at max_epochs, paired by seed with {group.baseline}"
    return Table(title, tuple(head), tuple(rows))


def _anytime(group: Group, compared: Sequence[Compared], clock: Clock, title: str) -> Table:
    rows = []
    for c in compared:
        columns = zip(*(regrets(run, base, SHARES, clock) for run, base in c.runs), strict=True)
        cells = []
        for column in columns:
            known = [value for value in column if value is not None]
            n = f" n={len(known)}" if known and len(known) != len(c.runs) else ""
            cells.append(_mean(known) + n)
        rows.append((c.name, str(len(c.runs)), *(cells or ["-"] * len(SHARES))))
    return Table(title, ("algorithm", "n", *(f"{share:.0%}" for share in SHARES)), tuple(rows))


def show(value: float) -> str:
    """A regret with four decimals, never a negative zero; `-` beyond the range of a float."""
    if not math.isfinite(value):
        return "-"
    return f"{round(value, 4) + 0.0:.4f}" if abs(value) < 1e7 else f"{value:.3e}"


def _mean(values: Sequence[float]) -> str:
    middle = mean(values)
    return "-" if middle is None else show(middle)


def _difference(c: Compared) -> str:
    difference = mean(c.differences)
    if difference is None:
        return "-"
    signed = [difference, *(mean_interval(c.differences) or ())]
    middle, *ends = (f"{'+' * (round(value, 4) >= 0)}{show(value)}" for value in signed)
    return f"{middle} [{ends[0]}, {ends[1]}]" if ends else middle


def _share(runs: Pairs, counted: bool) -> str:
    def epochs(run: Run) -> int:
        return run.view.n_epochs - (run.view.counts.n_ahead if counted else 0)

    of = sum(epochs(base) for _, base in runs)
    return f"{100 * sum(epochs(run) for run, _ in runs) / of:.1f}" if of else "-"


def _sentences(group: Group, compared: Sequence[Compared]) -> list[str]:
    limit, whence = margin(group)
    others = [c for c in compared if c.name != group.baseline]
    n_tested = sum(c.p is not None for c in others)
    sentences = [f"WARNING: {warning}" for warning in group.warnings]
    tested = f"TOST p adjusted for {n_tested} algorithm{'s' * (n_tested != 1)} (Holm)"
    sentences.append(
        f"Margin of equivalence {limit:g} in normalised regret ({whence}); "
        f"{tested if n_tested else 'too few pairs for a test'}."
    )
    for c in others:
        ends = mean_interval(c.differences)
        if ends and "equivalent" in c.verdict and max(-ends[0], ends[1]) >= limit:
            sentences.append(
                f"{c.name}: equivalent by signed ranks, but the interval of the mean reaches "
                "beyond the margin: a few seeds differ by more."
            )
    sentences += _missing(group, compared)
    sentences += self_measured.sentences(group)
    return sentences


def _missing(group: Group, compared: Sequence[Compared]) -> list[str]:
    """Runs that the numbers leave out, counted."""
    sentences = []
    for c in compared:
        reasons = []
        if alone := len(group.of(c.name)) - len(c.runs):
            reasons.append(f"{alone} without a run of {group.baseline} at the same seed")
        if lost := len(c.runs) - len(c.mine):
            reasons.append(f"{lost} pairs without a winner on one side")
        if (failed := group.not_completed(c.name)) != "0":
            reasons.append(f"failed or unfinished: {failed}")
        if reasons:
            sentences.append(f"{c.name}: not in these numbers: {'; '.join(reasons)}.")
    return sentences


def _general(groups: Sequence[Group], ranked: bool) -> list[str]:
    base = groups[0].baseline
    sentences = [
        "Normalised regret: (the winner's value at max_epochs - the table's best) / (the table's "
        "median - its best). 0: nothing in the table is better; 1: a random configuration does as "
        "well half of the time. Every algorithm with a run is printed.",
        f"n: pairs of completed runs of equal seed, the algorithm's and {base}'s. Ratio: of mean "
        f"regrets over the pairs. Difference: mean of the paired differences (below 0: less regret "
        f"than {base}), with the 95 % interval of the mean (percentile bootstrap, "
        f"{N_RESAMPLES:,} resamples, seeded), each on its own. Trained: epochs really trained as a "
        f"share of {base}'s; counted, where it differs: without those beyond what a decision gave "
        "their trial.",
        "Verdict: better or worse: the interval of the mean lies below or above 0; equivalent: two "
        f"one-sided signed-rank tests (TOST) on the paired differences, p < {ALPHA:g} after Holm's "
        f"adjustment; not shown: neither. Tests and intervals are made from {LEAST} pairs on. "
        "Signed ranks speak of the typical seed, the mean also of the rare bad one.",
        f"Anytime regret: mean over the pairs, of the best value of any epoch so far, when so much "
        f"of what {base} used at the same seed was used. It lies below 0 where that value, not at "
        "max_epochs, is below the table's best; whoever ended earlier keeps the last value. Before "
        "its first value a seed has no regret: n is given where some have none.",
        "Seeds of one table are further draws from the same problem, not new problems: intervals "
        "and tests speak of this table only.",
    ]
    if ranked:
        sentences.append("Over all tables: see Ranks over tables, with the critical differences.")
    return sentences
