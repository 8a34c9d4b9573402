"""What a run has used of its budget, by its journal's events alone: integer milliseconds, and epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from suite.core import types as t
from suite.core.errors import JournalError

EPOCHS = "budget_all_epochs"
LIMITS = {
    "budget_hours_ms": "budget.hours",
    "budget_node_hours_ms": "budget.node_hours",
    EPOCHS: "budget.all_epochs",
}
"""Setting of the conductor, as a `resumed` event may change it -> setting of conf/."""
JOB, CTRL_C, PAUSE = "budget_job", "ctrl_c", "pause"
ASKED = {CTRL_C: "Ctrl-C: ended by hand", PAUSE: "budget.end=job: ended where a pause was due"}
"""Who may end a run that has a budget of time, as if it were used up -> how the reason begins."""
ENDS = {**LIMITS, JOB: "budget.end=job", **ASKED}
"""What a `budget_used` event may name."""
NO_ROOM = "no room for another training"
"""In the reason of a run that a scheduler has ended because of its budget."""
_HOUR_MS = 3_600_000
# As the settings have it; a header may come from a stranger.
_MOST_HOURS, _MOST_EPOCHS = 1e8, 10**12
_ROUNDED_MS = 2
"""Times are rounded where they are written, and a backend's own are not."""


class Spending:
    """Wall clock, node time and epochs of a run, and whether a limit of them is reached.

    The wall clock is the run's own: it stands still between a process and the one that resumes it. A node is
    what workers call so when they join: several workers of one node count once, a worker that names none (a
    simulated one) is a node of its own. A node counts while a worker of it is there, busy or idle: as the
    record counts `node_hours`. Epochs are those that were reported, each time: one that a lost worker had
    trained and another one trains again counts twice.
    """

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        """Key of LIMITS -> milliseconds, or epochs."""
        self.ends_with_job = False
        """Whether the batch job's end is one more limit (budget.end=job)."""
        self._job_end_ms: int | None = None
        self._now_ms = self._node_ms = self._n_epochs = 0
        # worker -> its node, or nodes; of those that are there, and of those that were released
        self._nodes: dict[int, tuple[str, ...]] = {}
        self._released: dict[int, tuple[str, ...]] = {}
        self._n_nodes = 0
        # As if none had been released: it is what the search was planned by.
        self._planned_ms = self._n_planned = 0

    @property
    def n_nodes(self) -> int:
        """That are there, or were until they were released."""
        return self._n_planned

    @property
    def node_ms(self) -> int:
        """Time of all nodes until the latest event."""
        return self._node_ms

    @property
    def has_limit(self) -> bool:
        """Whether there is a budget at all."""
        return bool(self.limits) or self.ends_with_job

    @property
    def _keys(self) -> list[str]:
        """Of the limits that are known."""
        return [*self.limits, *([JOB] if self._job_end_ms is not None else [])]

    @property
    def has_end(self) -> bool:
        """Whether there is a budget of time."""
        return self.ends_with_job or any(key != EPOCHS for key in self.limits)

    def saw(self, event: t.Event) -> None:
        """Any event, before it is handled."""
        now_ms = max(self._now_ms, milliseconds(event.time_s))
        self._node_ms += (now_ms - self._now_ms) * self._n_nodes
        self._planned_ms += (now_ms - self._now_ms) * self._n_planned
        self._now_ms = now_ms
        if isinstance(event, t.WorkerJoined):
            node, nodes = event.facts.get("node"), event.facts.get("nodes")
            # Several: of a group of ranks that spans nodes.
            named = nodes if isinstance(nodes, list) and nodes else [node] * (node is not None)
            mine = tuple(f"node {each}" for each in named) or (f"worker {event.worker}",)
            self._nodes.setdefault(event.worker, mine)
        elif isinstance(event, t.WorkerLost):
            self._nodes.pop(event.worker, None)
        elif isinstance(event, t.Resumed):
            self._nodes.clear()
            self._released.clear()
            # Another process, perhaps in another job.
            self._job_end_ms = None
        elif isinstance(event, t.Allocation):
            self._job_end_ms = event.end_ms
            return
        else:
            if isinstance(event, t.EpochReport):
                self._n_epochs += 1
            elif isinstance(event, t.EpochBatch):
                self._n_epochs += len(event.objectives)
            return
        self._count()

    def released(self, worker: int) -> None:
        """At the time of the latest event. Its node counts no more where none of its workers is there."""
        if (nodes := self._nodes.pop(worker, None)) is not None:
            self._released[worker] = nodes
            self._count()

    def _count(self) -> None:
        there = {node for nodes in self._nodes.values() for node in nodes}
        self._n_nodes, self._n_planned = len(there), len(there.union(*self._released.values()))

    @property
    def node_of(self) -> Mapping[int, tuple[str, ...]]:
        """worker -> its node, of those that are there; its nodes, where it is a group that spans several."""
        return self._nodes

    def adjust(self, settings: Mapping[str, int]) -> None:
        """Take the limits of the conductor's settings."""
        self.ends_with_job |= bool(settings.get(JOB))
        self.limits |= {key: settings[key] for key in LIMITS if key in settings}

    def is_larger(self, settings: Mapping[str, int]) -> bool:
        """Whether one of the limits is larger in `settings`."""
        return any(settings.get(key, 0) > limit for key, limit in self.limits.items())

    def larger(self, settings: Mapping[str, int]) -> dict[str, int]:
        """The limits, or those of `settings` where they are larger."""
        return {key: max(limit, settings.get(key, 0)) for key, limit in self.limits.items()}

    def left(self, key: str, at_ms: int) -> int:
        """Of a limit: epochs, or milliseconds of the wall clock, or of all nodes, left at this time."""
        if key == EPOCHS:
            return self.limits[key] - self._n_epochs
        if key == JOB:
            return (self._job_end_ms or 0) - at_ms
        used = at_ms
        if key == "budget_node_hours_ms":
            used = self._node_ms + max(at_ms - self._now_ms, 0) * self._n_nodes
        return self.limits[key] - used

    def used_up(self, at_ms: int) -> str | None:
        """The limit that is reached at this time, where no event comes before."""
        return next((key for key in self._keys if self.left(key, at_ms) <= 0), None)

    def end_ms(self) -> int | None:
        """When the first limit of time is reached, or was, if no worker comes or goes; None: never."""
        return min(self._ends().values(), default=None)

    def until_end_s(self) -> float | None:
        """Seconds from the latest event to `end_ms`, at least 0; None: it never comes."""
        end_ms = self.end_ms()
        return None if end_ms is None else max(end_ms - self._now_ms, 0) / 1000

    def planned_end_ms(self) -> int | None:
        """As `end_ms`, as if no worker had been released: that some are changes nothing for the others."""
        return min(self._ends(planned=True).values(), default=None)

    def _ends(self, planned: bool = False) -> dict[str, int]:
        """Limit of time -> when it is reached; without one of node-hours where no node is there."""
        ends = {}
        for key in self._keys:
            if key == EPOCHS:
                continue
            left_ms, n = self.left(key, self._now_ms), 1
            if key == "budget_node_hours_ms":
                n = self._n_planned if planned else self._n_nodes
                left_ms -= self._planned_ms - self._node_ms if planned else 0
            if n:
                ends[key] = self._now_ms + -(-left_ms // n)
        return ends

    def no_room(self) -> str:
        """The reason of a run whose first limit leaves no room for what is left of the search, e.g.
        "budget.hours=2: no room for another training; a larger budget goes on".
        """
        ends = self._ends()
        of_time = [key for key in self._keys if key != EPOCHS]
        first = min(ends or of_time, key=lambda key: ends.get(key, 0))
        return f"{self._named(first)}: {NO_ROOM}; {goes_on(first)}"

    def _named(self, key: str) -> str:
        return f"{LIMITS[key]}={amount(key, self.limits[key])}" if key in LIMITS else ENDS[key]

    def reached(self, event: t.BudgetUsed) -> str:
        """How the run's reason begins, e.g. "budget.node_hours=2: used up".

        Raises JournalError where the journal's own times, or epochs, say that something was left.
        """
        if event.limit in ASKED and self.has_end:
            return ASKED[event.limit]
        at_ms = milliseconds(event.time_s)
        rounded = 0 if event.limit == EPOCHS else _ROUNDED_MS * max(self._n_nodes, 1)
        if event.limit not in self._keys or self.left(event.limit, at_ms) > rounded:
            what = "epochs" if event.limit == EPOCHS else "times"
            raise JournalError(
                f"budget_used: limit={event.limit}: by the journal's {what} it was not used up after "
                f"{event.time_s:g} s; a line was changed, or is missing."
            )
        return f"{self._named(event.limit)}: used up"


def milliseconds(seconds: float) -> int:
    return round(round(seconds, 6) * 1000)


def amount(key: str, limit: int) -> str:
    """A limit as the setting of conf/ is written: hours, or epochs.

    >>> amount("budget_hours_ms", 5_400_000), amount("budget_all_epochs", 90)
    ('1.5', '90')
    """
    return str(limit) if key == EPOCHS else f"{limit / _HOUR_MS:.6g}"


def goes_on(limit: str) -> str:
    """How a run goes on that this limit has ended."""
    if limit in LIMITS:
        return "a larger budget goes on"
    return f"resume=auto{'' if limit == CTRL_C else ' in a new job'} goes on"


def limits_of(budget: Any) -> dict[str, int]:
    """The conductor's settings by those of `budget`, a mapping; empty where there is no limit."""
    if not isinstance(budget, Mapping):
        return {}
    given = {key: budget.get(name.partition(".")[2]) for key, name in LIMITS.items()}
    n_epochs = given.pop(EPOCHS)
    limits = {
        key: max(round(value * _HOUR_MS), 1)
        for key, value in given.items()
        if isinstance(value, int | float) and 0 < value <= _MOST_HOURS
    }
    if isinstance(n_epochs, int) and 0 < n_epochs <= _MOST_EPOCHS:
        limits[EPOCHS] = n_epochs
    return limits | ({JOB: 1} if budget.get("end") == "job" else {})


def in_force(begun: Mapping[str, int], lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The limits at the end of a journal: those of the conductor's settings by which the run was begun, or
    what a resume has raised them to.
    """
    limits = {key: begun[key] for key in LIMITS if key in begun}
    for line in lines:
        if line["event"] == t.Resumed.kind:
            limits |= {key: line["settings"][key] for key in limits if key in line["settings"]}
    return limits


def ended(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a budget ended the run: it can go on with a larger one, and needs its checkpoints."""
    for line in reversed(lines):
        if line["event"] in (t.BudgetUsed.kind, t.Resumed.kind):
            return bool(line["event"] == t.BudgetUsed.kind)
        ends = [command[2] for command in line.get("do", ()) if command[0] == "shutdown"]
        if any(NO_ROOM in reason for reason in ends):
            return True
    return False


def ended_by_hand(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Ctrl-C ended the run, as the first of its ends: something of its budget is left."""
    last = next((line for line in reversed(lines) if line["event"] == t.BudgetUsed.kind), None)
    return last is not None and last["limit"] in ASKED and ended(lines)


def words_of_end(
    spent: str,
    goes_on: str,
    n_epochs: int,
    n_planned: int,
    n_cut: int,
    n_won: int | None,
    max_epochs: int,
) -> str:
    """The reason of a run that a budget ended, with what is left. n_won: epochs of the winner, None: there is
    none.

    >>> words_of_end("budget.hours=2: used up", "a larger budget goes on", 90, 474, 1, 27, 27)
    'budget.hours=2: used up; 90 of at most 474 epochs trained, 1 trial stopped; a larger budget goes on'
    """
    trials = f"{n_cut} trial{'s' * (n_cut != 1)} stopped"
    said = f"{spent}; {n_epochs} of at most {n_planned} epochs trained, {trials}; {goes_on}"
    if n_won is None:
        return f"{said}; nothing to score: no trial has a last epoch with a checkpoint"
    fewer = fewer_epochs(n_won, max_epochs)
    return f"{said}; {fewer}" if fewer else said


def fewer_epochs(n_won: int, max_epochs: int) -> str:
    """What is said of a winner that was chosen before any trial had all its epochs; empty where one has."""
    return (
        f"no trial has max_epochs={max_epochs}, the winner has {n_won}"
        if n_won < max_epochs
        else ""
    )
