"""Clock, budget, seeds, workers: numbers of a journal against each other and what is possible."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping

from suite.check.findings import Finding, Read, failed, passed
from suite.check.own_target import is_unchanged
from suite.check.stated import mapping
from suite.core import types as t
from suite.core.seeds import stream_seed
from suite.run import budget as budgets
from suite.run import journal as journals

SLACK_S = 0.05
"""What two clocks of one job may differ by; and SLACK of its length."""
SLACK = 0.02
BACK_S = 0.01
"""How far a time may stand before that of the line above it."""
FASTEST = 100.0
"""An epoch of a target as its file states it takes at least 1/FASTEST of the `epoch_s` stated there."""


def seeds(read: Read) -> Finding:
    """The rule `seeds`."""
    n, seed = 0, read.view.header.seed
    for number, line in read.numbered():
        for key, trial in line.get("trials", {}).items():
            n += 1
            if trial["seed"] != stream_seed(seed, "trial", int(key)):
                return failed(
                    "seeds", f"trial {key}: its seed is not derived from seed={seed}", number
                )
    return passed("seeds", f"{n} trials")


def budget(read: Read) -> Finding:
    """The rule `budget`."""
    most = read.view.header.max_epochs
    for trial in read.view.trials.values():
        if len(trial.epochs) > most:
            return failed(
                "budget", f"trial {trial.trial_id}: {len(trial.epochs)} epochs, max_epochs={most}"
            )
    begun = budgets.limits_of(read.stated.budget)
    in_force = budgets.in_force(begun, read.journal.lines)
    raised = [key for key, limit in begun.items() if in_force[key] != limit]
    for number, line in read.numbered():
        if line["event"] != t.Resumed.kind:
            continue
        if brought := sorted(line["settings"].keys() & budgets.ENDS.keys() - begun.keys()):
            name = budgets.ENDS[brought[0]]
            return failed(
                "budget", f"{name}: a resume brought it; the run was begun without", number
            )
    if raised and read.division == "closed":
        name = budgets.LIMITS[raised[0]]
        return failed("budget", f"{name}: was raised by a resume; not in the closed division")
    if in_force and (late := _late(read, in_force)) is not None:
        return late
    names = ", ".join(budgets.LIMITS[key] for key in in_force) or f"max_epochs={most}"
    more = "; raised by a resume" if raised else ""
    return passed("budget", f"{names}: kept, {read.view.n_epochs} epochs{more}")


def _late(read: Read, limits: Mapping[str, int]) -> Finding | None:
    """A job that began although a limit had long been passed."""
    spending = budgets.Spending()
    spending.limits = dict(limits)
    longest_s = max(
        (e.train_s + e.eval_s for trial in read.view.trials.values() for e in trial.epochs),
        default=0.0,
    )
    grace_ms = budgets.milliseconds(longest_s + 5.0)
    for number, line in read.numbered():
        for event in journals.decode(line):
            spending.saw(event)
            now_ms = budgets.milliseconds(event.time_s)
            starts = any(command[0] == "start" for command in line.get("do", ()))
            if starts and (key := spending.used_up(now_ms - grace_ms)) is not None:
                return failed(
                    "budget", f"{budgets.LIMITS[key]}: was used up, and a job begins", number
                )
    return None


# --- clock ----------------------------------------------------------------------------------------


def clock(read: Read) -> Finding:
    """The rule `clock`."""
    for wrong in _clock(read):
        return wrong
    times = "simulated: see simulation" if read.simulated else f"{read.view.time_s:.3f} s"
    return passed("clock", f"{times}, {len(read.view.jobs)} jobs")


def _clock(read: Read) -> Iterator[Finding]:
    latest = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    if read.view.began > latest:
        yield failed("clock", f"date_utc={read.view.header.date_utc}: lies in the future", 1)
    if read.simulated:
        # A batch of epochs is handed up when its last one ends.
        return
    last = 0.0
    for number, line in read.numbered():
        stated = line["time_s"]
        for time_s in stated if isinstance(stated, list) else [stated]:
            if time_s < last - BACK_S:
                yield failed("clock", f"time_s={time_s} after {last}: goes back", number)
            last = max(last, time_s)
    yield from _jobs(read)


def _jobs(read: Read) -> Iterator[Finding]:
    """Seconds within jobs, and epochs that are too fast to be true."""
    least_s = 0.0
    if read.real and read.replayed.parts is not None and is_unchanged(read.stated):
        least_s = read.replayed.parts.target.epoch_s / FASTEST
    asked: dict[str, float] = {}
    began: dict[int, float] = {}
    spent: dict[int, float] = {}
    at_work: dict[int, tuple[float, float]] = {}  # worker: its first job's start, work since then
    for number, line in read.numbered():
        for event in journals.decode(line):
            if isinstance(event, t.EpochReport) and event.job_id in began:
                epoch_s = event.train_s + event.eval_s
                if event.train_s < 0 or event.eval_s < 0:
                    yield failed(
                        "clock", f"job {event.job_id}: train_s or eval_s is negative", number
                    )
                if epoch_s < least_s:
                    bound = f"the bound is epoch_s={least_s * FASTEST:g} / {FASTEST:g}"
                    yield failed(
                        "clock", f"job {event.job_id}: an epoch of {epoch_s:g} s; {bound}", number
                    )
                spent[event.job_id] += epoch_s
                yield from _fits(
                    number,
                    f"job {event.job_id}",
                    spent[event.job_id],
                    event.time_s - began[event.job_id],
                )
            elif isinstance(event, t.JobFinished) and event.job_id in began:
                inner = spent[event.job_id] + event.restore_s + event.checkpoint_s
                if event.busy_s > 0:
                    yield from _fits(number, f"job {event.job_id}", inner, event.busy_s)
                yield from _fits(
                    number, f"job {event.job_id}", event.busy_s, event.time_s - began[event.job_id]
                )
                # A job may be too short to tell by itself; one worker's jobs together are not.
                first_s, work_s = at_work[event.worker]
                at_work[event.worker] = first_s, work_s + max(inner, event.busy_s)
                yield from _fits(
                    number,
                    f"worker {event.worker}",
                    at_work[event.worker][1],
                    event.time_s - first_s,
                )
            elif isinstance(event, t.Forecast) and event.key in asked:
                answered_s = event.time_s - asked[event.key]
                yield from _fits(number, "predictor", event.fit_s + event.predict_s, answered_s)
            now_s = event.time_s
            for command in line.get("do", ()):
                if command[0] == "start":
                    began[command[2]], spent[command[2]] = now_s, 0.0
                    at_work.setdefault(command[1], (now_s, 0.0))
                elif command[0] == "ask":
                    asked[command[1]] = now_s


def _fits(number: int, whose: str, inner_s: float, outer_s: float) -> Iterator[Finding]:
    if inner_s > outer_s * (1 + SLACK) + SLACK_S:
        yield failed(
            "clock",
            f"{whose}: {inner_s:.3f} s of work within {outer_s:.3f} s of the clock",
            number,
        )


# --- workers --------------------------------------------------------------------------------------


def workers(read: Read) -> Finding:
    """The rule `workers`."""
    for wrong in _workers(read):
        return wrong
    nodes = {str(one.facts.get("node")) for one in read.view.workers if one.facts.get("node")}
    said = f", {len(nodes)} node{'s' * (len(nodes) != 1)}" if nodes else ""
    return passed("workers", f"{len({one.worker for one in read.view.workers})} workers{said}")


def _workers(read: Read) -> Iterator[Finding]:
    joined = [
        (number, line) for number, line in read.numbered() if line["event"] == t.WorkerJoined.kind
    ]
    asked = read.view.header.n_workers
    once = {line["worker"] for _, line in joined}
    is_one_process = not read.view.counts.n_resumes
    backend = read.view.header.backend.settings
    replaced = bool(backend.get("return_s") or backend.get("wall_limit_s"))
    if asked is not None and is_one_process and not replaced and len(once) > asked:
        yield failed("workers", f"n_workers={asked}: {len(once)} workers joined", joined[-1][0])
    for number, line in joined:
        simulated = line["facts"].get("device") == "simulated"
        if simulated != read.simulated:
            which = (
                "a simulated worker in a real run" if simulated else "a real worker in a simulation"
            )
            yield failed("workers", f"worker {line['worker']}: {which}", number)
        missing = [key for key in ("node", "device", "n_threads") if line["facts"].get(key) is None]
        if missing and not read.simulated:
            yield failed(
                "workers", f"worker {line['worker']}: does not say its {missing[0]}", number
            )
    yield from _sharing(read)
    yield from _on_system(read)


def _sharing(read: Read) -> Iterator[Finding]:
    """Devices and nodes that would be two things at once."""
    backend = read.view.header.backend.settings
    shared = bool(backend.get("share_gpus"))
    for i, one in enumerate(read.view.workers):
        for other in read.view.workers[:i]:
            if one.facts.get("node") is None or one.facts.get("node") != other.facts.get("node"):
                continue
            at_once = one.joined_s < other.left_s and other.joined_s < one.left_s
            device = one.facts.get("device_id")
            if (
                at_once
                and not shared
                and device is not None
                and device == other.facts.get("device_id")
            ):
                yield failed(
                    "workers", f"workers {other.worker} and {one.worker} have one device ({device})"
                )
            names = [
                x.facts.get("device_name") for x in (one, other) if x.facts.get("device") == "cpu"
            ]
            if len(names) == 2 and None not in names and names[0] != names[1]:
                node = one.facts["node"]
                yield failed(
                    "workers", f"node {node}: has two kinds of processors, {names[0]}, {names[1]}"
                )


def _on_system(read: Read) -> Iterator[Finding]:
    """Whether the machine that is described can hold the run."""
    nodes = {
        str(one.facts["node"]) for one in read.view.workers if one.facts.get("node") is not None
    }
    most = read.system.get("nodes")
    if isinstance(most, int) and len(nodes) > most and not read.view.counts.n_resumes:
        yield failed("workers", f"{len(nodes)} nodes; the system has nodes={most}")
    node = mapping(read.system.get("node"))
    accelerated = [
        one for one in read.view.workers if str(one.facts.get("device", "")).startswith("cuda")
    ]
    if read.system and accelerated and not node.get("accelerators"):
        yield failed(
            "workers", f"worker {accelerated[0].worker} has a GPU; the system describes none"
        )
    described = node.get("accelerators")
    if accelerated and isinstance(described, list):
        most_here = sum(int(mapping(one).get("count") or 0) for one in described)
        devices = {(str(one.facts.get("node")), one.facts.get("device_id")) for one in accelerated}
        counts = Counter(name for name, device in devices if device is not None)
        for name, n in counts.items():
            if n > most_here:
                yield failed(
                    "workers",
                    f"node {name}: {n} different GPUs; a node of the system has {most_here}",
                )
