"""Journals whose numbers are known, and what a report made of them."""

import json

from suite.core.seeds import stream_seed
from suite.report import tables
from suite.report.groups import collect

MAX_EPOCHS = 8


def write_run(
    folder, *, algorithm="hyperband", seed=0, n_epochs=20, seconds=100.0, best=0.1, test=0.15,
    n_stopped=0, idle=0.1, predictor_s=0.0, bracket=1, status="completed", reason="", given_up=None,
    **header,
):  # fmt: skip
    """A journal of two workers, joined at 0 s, whose numbers are these.

    Worker 1 trains trial 0 from beginning to end, down to `best`; worker 2 trains 1 + n_stopped
    trials of one epoch each and rests 2 * idle of the time. A status of None: no closing line.
    """
    target = header.get("target", {})
    mode, metric = target.get("mode", "min"), target.get("metric", "val_loss")
    head = {
        "journal": 1, "run_id": f"{algorithm}-{seed}", "suite_version": "0.1.0",
        "date_utc": "2026-01-02T03:04:05Z", "experiment": "exam", "algorithm": algorithm,
        "model": "table_target", "seed": seed, "n_workers": 2, "overlap": True,
        "reproducible": "whole run", "max_epochs": MAX_EPOCHS,
        "target": {"metric": "val_loss", "mode": mode, "data": "real", "framework": "numpy"},
        "config": {"n_curves": 8, "scheduler": {"eta": 2, "n_curves": 8}, "model": {"noise": 0.01}},
        "versions": {"python": "3.11"}, "git": {"revision": "0123456789abcdef", "dirty": False},
        "host": {"cpu": "a processor", "n_cores": 2},
    } | header  # fmt: skip
    sign = -1.0 if mode == "max" else 1.0
    n_long = n_epochs - 1 - n_stopped
    long = [sign * (best + 0.1 * sign * k) for k in reversed(range(n_long))]
    jobs = [(1, 0, 0.0, seconds, long)]
    piece = seconds * (1 - 2 * idle) / (1 + n_stopped)
    for i in range(1 + n_stopped):
        jobs.append((2, 1 + i, i * piece, (i + 1) * piece, [long[0] + 1.0]))
    lines = [(0.0, 0, {"event": "joined", "worker": w, "facts": {}}) for w in (1, 2)]
    for job_id, (worker, trial, start, end, curve) in enumerate(jobs):
        note = {
            "config": {"width": 4 + trial},
            "seed": stream_seed(seed, "trial", trial),
            "bracket": bracket,
        }
        # A checkpoint of no job changes nothing: it only carries the command at its time.
        start_line = {
            "event": "checkpointed", "worker": worker, "job_id": -1, "epoch": 0,
            "do": [["start", worker, job_id, trial, 0, len(curve)]], "trials": {str(trial): note},
        }  # fmt: skip
        lines.append((start, 3, start_line))
        for e, value in enumerate(curve, start=1):
            at = start + (end - start) * e / len(curve)
            epoch = {
                "event": "epoch", "worker": worker, "job_id": job_id, "epoch": e,
                "objective": value, "metrics": {metric: sign * value}, "train_s": 0.0, "eval_s": 0.0,
            }  # fmt: skip
            lines.append((at, 1, epoch))
        done = {"event": "finished", "worker": worker, "job_id": job_id}
        lines.append(
            (end, 2, done | {"restore_s": 0.0, "checkpoint_s": 0.0, "busy_s": end - start})
        )
    if n_stopped:
        lines[-1][2]["stopped"] = {str(1 + i): 1 for i in range(n_stopped)}
    if given_up:
        lines[-1][2]["given_up"] = {"1": given_up}
    if predictor_s:
        lines[-1][2]["do"] = [["ask", "bracket1/rung8/epoch4/0", 8, 2]]
        answer = {
            "event": "forecast", "key": "bracket1/rung8/epoch4/0", "values": [0.5, None],
            "fit_s": predictor_s, "predict_s": 0.0, "sampler": None,
        }  # fmt: skip
        lines.append((seconds, 2.5, answer))
    lines.sort(key=lambda line: line[:2])
    if status == "completed":
        lines[-1][2].setdefault("do", []).append(["score", 1, len(jobs), 0, n_long])
        score = {"event": "scored", "worker": 1, "job_id": len(jobs), "test_value": test}
        score["metrics"] = {metric: test}
        lines.append((seconds, 4, score | {"do": [["shutdown", "completed", ""]]}))
    rows = [head, *(line | {"time_s": at} for at, _, line in lines)]
    if status is not None:
        rows.append({"event": "closed", "status": status, "reason": reason, "time_s": seconds})
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "journal.jsonl").write_text(text, encoding="utf-8")
    return folder


def the_group(*folders):
    groups, unreadable = collect(folders)
    assert not unreadable
    assert len(groups) == 1
    return groups[0]


def column(group, algorithm):
    """Label -> cell of one algorithm."""
    return {row[0].strip(): row[1] for row in tables.rows(group, [algorithm])}


REFERENCE = {"best": 0.1, "median": 1.1}
"""So that normalised regret is the value - 0.1."""


def on_table(folder, best, table="mlpf", config=None, **values):
    """A run whose winner ends at `best` after MAX_EPOCHS epochs of trial 0, 0.1 lower each time."""
    config = {"model": {"description": {"file": f"{table}.csv"}}} | (config or {})
    known = {"n_epochs": MAX_EPOCHS + 1, "model": "table", "reference": REFERENCE} | values
    return write_run(folder, best=best, config=config, **known)


def row(table, name):
    return next(dict(zip(table.head, r, strict=True)) for r in table.rows if r[0] == name)


def edited(folder, change):
    """The run with its journal's lines changed in place, or to what `change` returns."""
    path = folder / "journal.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = change(rows) or rows
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return folder


SAID = {
    "policy": "price",
    "decides_by": "times in the journal",
    "rungs": {
        "epochs": [1, 8],
        "trials": [2, 1],
        "correlation_with_next": [0.88],
        "measured_on": [0],
        "lowest": 1,
    },
    "forest": {
        "fits": 3,
        "out_of_bag_correlation": {"first": -0.25, "last": 0.5},
        "correlation_with_end": 0.44,
    },
    "fresh_share_of_jobs": 0.75,
    "prices": [[0.0, 0.8], [0.55, 0.1], [0.58, 0.05]],
    "left_out": {"trials": 4, "no_new_trial": 7},
    "budget": {"end_s": 120.0, "epoch_s": 12.5, "job_overhead_s": 0.5},
}
"""What a run of `price` measured of itself."""


def say(rows, said=SAID):
    """The journal's last event carries it."""
    next(one for one in rows if one.get("event") == "scored")["measured"] = {"scheduler": said}
