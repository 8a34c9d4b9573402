"""A run's view against the conductor that made it, and against journals written by hand."""

from __future__ import annotations

import json
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kit.simulated import Played, header, hyperband, swift
from suite.core.errors import JournalError
from suite.results.fold import load_run
from suite.results.privacy import clean
from suite.results.run_view import RunView
from suite.results.workers import WorkerView, usage

FAULTS = {"p_loss": 0.02, "p_fail": 0.03, "p_cut": 0.02}


def by_hand(folder: Path, *lines: dict[str, Any], **head: Any) -> RunView:
    """The view of a journal with these lines."""
    folder.mkdir(exist_ok=True)
    rows = [{"journal": 1, **header(**head)}, *lines]
    (folder / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_run(folder)


def joined(worker: int, time_s: float, *do: Any, **facts: Any) -> dict[str, Any]:
    return {"event": "joined", "worker": worker, "time_s": time_s, "facts": facts, "do": list(do)}


def epoch(worker: int, job_id: int, n: int, objective: float, time_s: float) -> dict[str, Any]:
    return {
        "event": "epoch",
        "worker": worker,
        "job_id": job_id,
        "epoch": n,
        "objective": objective,
        "metrics": {"val_loss": objective},
        "train_s": 0.5,
        "eval_s": 0.25,
        "time_s": time_s,
    }


def finished(
    worker: int, job_id: int, time_s: float, *do: Any, busy_s: float = 2.0
) -> dict[str, Any]:
    return {
        "event": "finished",
        "worker": worker,
        "job_id": job_id,
        "restore_s": 0.25,
        "checkpoint_s": 0.125,
        "busy_s": busy_s,
        "time_s": time_s,
        "do": list(do),
    }


def lost(worker: int, time_s: float, *do: Any) -> dict[str, Any]:
    return {"event": "lost", "worker": worker, "message": "died", "time_s": time_s, "do": list(do)}


def met(line: dict[str, Any], *trial_ids: int) -> dict[str, Any]:
    return {
        **line,
        "trials": {str(i): {"config": {"width": 8}, "seed": i, "bracket": 1} for i in trial_ids},
    }


# --- against the conductor ------------------------------------------------------------------------


@pytest.mark.parametrize("make", [hyperband, swift])
@pytest.mark.parametrize("seed", range(6))
def test_a_view_says_what_the_conductor_knew_after_losses_failures_cuts_and_drift(
    tmp_path, make, seed, no_fsync
):
    done = (
        Played(tmp_path / "run", make, seed=seed, drift=0.01 * (seed % 2), **FAULTS)
        .play()
        .conductor
    )
    view = load_run(tmp_path / "run")
    assert view.status == "completed"
    assert {i: trial.curve for i, trial in view.trials.items()} == {
        i: x.curve for i, x in done.trials.items()
    }
    assert {i: trial.config for i, trial in view.trials.items()} == {
        i: x.config for i, x in done.trials.items()
    }
    assert (view.n_epochs, view.counts.n_retrained, view.counts.n_differences) == (
        done.n_epochs,
        done.counts.n_retrained,
        done.counts.n_differences,
    )
    assert view.counts.max_difference == done.counts.max_difference
    assert view.winner == done.winner
    given_up = {i: clean(str(reason)) for i, reason in done.given_up.items()}
    assert {i: trial.reason for i, trial in view.trials.items() if trial.reason} == given_up
    stopped = {
        i: trial.stopped_at for i, trial in view.trials.items() if trial.stopped_at is not None
    }
    assert stopped == dict(done.scheduler.stopped_at)
    assert {trial.bracket for trial in view.trials.values()} == set(
        done.scheduler.bracket_of.values()
    )


@pytest.mark.parametrize("n_steps", [0, 1, 7, 40, 90])
def test_a_cut_journal_gives_the_view_of_that_moment(tmp_path, n_steps, no_fsync):
    played = Played(tmp_path / "run", swift, p_loss=0.03)
    played.play(n_steps)
    done, view = played.conductor, load_run(tmp_path / "run")
    assert view.status == "unfinished"
    assert {i: trial.curve for i, trial in view.trials.items()} == {
        i: x.curve for i, x in done.trials.items()
    }
    running = {
        job.job_id: (job.worker, job.trial_id) for job in view.jobs if job.outcome == "running"
    }
    assert running == {i: (worker, job.trial_id) for i, (worker, job) in done.in_flight.items()}
    assert all((job.end_s is None) == (job.outcome == "running") for job in view.jobs)


def test_jobs_of_one_worker_follow_one_another_and_fill_its_busy_time(tmp_path, no_fsync):
    Played(tmp_path / "run", hyperband, seed=1, **FAULTS).play()
    view = load_run(tmp_path / "run")
    for life in view.workers:
        mine = [
            j
            for j in view.jobs
            if j.worker == life.worker and life.joined_s <= j.start_s < life.left_s
        ]
        assert len(mine) == life.n_jobs
        assert all(a.end_s <= b.start_s for a, b in pairwise(mine))
        assert life.busy_s == pytest.approx(sum(job.end_s - job.start_s for job in mine))
        assert life.busy_s + life.idle_s == pytest.approx(life.left_s - life.joined_s)
    assert sum(job.n_epochs for job in view.jobs) == view.n_epochs + view.counts.n_retrained
    assert view.counts.n_resumes > 0
    assert len(view.workers) > 3


def test_anytime_never_gets_worse_and_ends_with_the_best_of_all_curves(tmp_path, no_fsync):
    Played(tmp_path / "run", hyperband).play()
    view = load_run(tmp_path / "run")
    assert all(
        a.best >= b.best and a.n_epochs < b.n_epochs and a.time_s <= b.time_s
        for a, b in pairwise(view.anytime)
    )
    assert view.best.best == min(min(trial.curve) for trial in view.trials.values())
    assert view.best.best == view.trials[view.best.trial_id].curve[view.best.epoch - 1]
    assert view.anytime[-1].n_epochs == view.n_epochs


# --- against journals written by hand -------------------------------------------------------------


def test_the_first_report_of_an_epoch_stays_where_a_decision_rests_on_it(tmp_path):
    view = by_hand(
        tmp_path / "run",
        met(joined(1, 1.0, ["start", 1, 0, 0, 0, 2]), 0),
        joined(2, 1.0),
        epoch(1, 0, 1, 0.9, 2.0),
        epoch(1, 0, 2, 0.8, 3.0),
        finished(1, 0, 4.0, ["start", 1, 1, 0, 2, 4]),
        epoch(1, 1, 3, 0.7, 5.0),
        lost(1, 6.0, ["start", 2, 2, 0, 0, 4]),
        epoch(2, 2, 1, 0.91, 7.0),
        epoch(2, 2, 2, 0.8, 8.0),
        epoch(2, 2, 3, 0.6, 9.0),
        epoch(2, 2, 4, 0.65, 10.0),
    )
    assert view.trials[0].curve == (0.9, 0.8, 0.6, 0.65)
    assert (view.n_epochs, view.counts.n_retrained, view.counts.n_differences) == (4, 3, 2)
    assert view.counts.max_difference == pytest.approx(0.1)
    assert view.counts.retrained_s == 3 * 0.75
    assert [point.worker for point in view.trials[0].epochs] == [1, 1, 2, 2]
    assert [(p.n_epochs, p.best) for p in view.anytime] == [
        (1, 0.9),
        (2, 0.8),
        (3, 0.7),
        (3, 0.6),
        (4, 0.6),
    ]
    assert [(job.outcome, job.from_epoch, job.end_s) for job in view.jobs] == [
        ("finished", 0, 4.0),
        ("lost", 2, 6.0),
        ("running", 0, None),
    ]
    assert [(w.worker, w.left_s, w.lost) for w in view.workers] == [
        (1, 6.0, "died"),
        (2, 10.0, None),
    ]


def test_reports_that_share_a_line_are_those_that_have_their_own(tmp_path):
    lines = [met(joined(1, 1.0, ["start", 1, 0, 0, 0, 3]), 0), epoch(1, 0, 1, 0.9, 2.0)]
    single = by_hand(tmp_path / "a", *lines, epoch(1, 0, 2, 0.8, 3.0), epoch(1, 0, 3, 0.7, 3.5))
    both = [epoch(1, 0, 2, 0.8, 3.0), epoch(1, 0, 3, 0.7, 3.5)]
    shared = {
        k: both[0][k] if k in ("event", "worker", "job_id") else [b[k] for b in both]
        for k in both[0]
    }
    batched = by_hand(tmp_path / "b", *lines, shared)
    assert batched.trials == single.trials
    assert batched.anytime == single.anytime
    assert batched.journal.n_lines == single.journal.n_lines - 1


def test_overhead_is_what_was_neither_training_nor_evaluation(tmp_path):
    view = by_hand(
        tmp_path / "run",
        met(joined(1, 1.0, ["start", 1, 0, 0, 0, 1]), 0),
        epoch(1, 0, 1, 0.9, 2.0),
        finished(1, 0, 4.0, busy_s=2.0),
    )
    lost_s = view.overhead
    assert (lost_s.restore_s, lost_s.checkpoint_s, lost_s.other_s) == (
        0.25,
        0.125,
        0.875,
    )  # of 2 s: .75 trained
    assert lost_s.dispatch_s == 1.0  # rank 0 saw 3 s
    assert lost_s.total_s == 2.25


def test_a_resume_ends_every_life_and_cuts_every_job_and_the_clock_goes_on(tmp_path):
    lines = [
        met(joined(1, 1.0, ["start", 1, 0, 0, 0, 2]), 0),
        epoch(1, 0, 1, 0.9, 2.0),
        {"event": "closed", "status": "interrupted", "reason": "a signal", "time_s": 2.0},
    ]
    first = by_hand(tmp_path / "run", *lines)
    assert (first.status, first.reason, first.jobs[0].outcome, first.jobs[0].end_s) == (
        "interrupted",
        "a signal",
        "cut",
        2.0,
    )
    resumed = [
        {"event": "resumed", "time_s": 2.0, "settings": {}},
        joined(1, 3.0, ["start", 1, 1, 0, 0, 2]),
    ]
    second = by_hand(tmp_path / "run", *lines, *resumed)
    assert (second.status, second.reason, second.counts.n_resumes, second.wall_s) == (
        "unfinished",
        "",
        1,
        3.0,
    )
    assert [(w.joined_s, w.left_s, w.lost) for w in second.workers] == [
        (1.0, 2.0, None),
        (3.0, 3.0, None),
    ]
    assert [job.outcome for job in second.jobs] == ["cut", "running"]
    assert second.trials[0].status == "open"


def test_what_is_not_in_flight_or_comes_after_the_end_is_dropped(tmp_path):
    view = by_hand(
        tmp_path / "run",
        met(joined(1, 1.0, ["start", 1, 0, 0, 0, 9]), 0),
        epoch(2, 0, 1, 0.1, 1.5),  # another worker's
        epoch(1, 7, 1, 0.1, 1.5),  # another job's
        epoch(1, 0, 1, 0.9, 2.0),
        lost(9, 2.5),
        {
            "event": "forecast",
            "key": "never asked",
            "values": [1.0],
            "fit_s": 1.0,
            "predict_s": 1.0,
            "sampler": None,
            "time_s": 2.5,
        },
        lost(1, 3.0, ["shutdown", "failed", "no workers"]),
        epoch(1, 0, 2, 0.1, 3.5),
        joined(2, 4.0),
    )
    assert view.trials[0].curve == (0.9,)
    assert (view.n_epochs, view.counts.n_retrained) == (1, 0)
    assert view.forecasts == ()
    assert [worker.worker for worker in view.workers] == [1]


def test_forecasts_say_what_was_asked_what_it_cost_and_which_failed(tmp_path):
    view = by_hand(
        tmp_path / "run",
        joined(1, 1.0, ["ask", "a", 5, 2], ["ask", "b", 6, 3]),
        {
            "event": "forecast",
            "key": "a",
            "values": [1.0, None],
            "fit_s": 2.0,
            "predict_s": 0.5,
            "sampler": "simulated",
            "sampler_info": {"sampler": "simulated", "n_calls": 30, "n_reads": 240},
            "time_s": 4.0,
        },
        {
            "event": "forecast_failed",
            "key": "b",
            "reason": "ValueError",
            "message": "singular",
            "time_s": 5.0,
        },
    )
    a, b = view.forecasts
    assert (a.n, a.m, a.asked_s, a.time_s, a.predictor_s, a.values, a.failed) == (
        5,
        2,
        1.0,
        4.0,
        2.5,
        (1.0, None),
        False,
    )
    assert (b.n, b.m, b.failed, b.message, b.predictor_s) == (
        6,
        3,
        True,
        "ValueError: singular",
        0.0,
    )
    assert view.predictor_s == 2.5
    assert (a.sampler, b.sampler, b.sampler_info) == ("simulated", None, None)
    assert a.sampler_info == {"sampler": "simulated", "n_calls": 30, "n_reads": 240}


def test_trials_end_in_the_state_the_journal_names(tmp_path):
    start = met(joined(1, 1.0, ["start", 1, 0, 0, 0, 2]), 0, 1, 2, 3, 4)
    end = {
        **finished(1, 0, 4.0, ["score", 1, 1, 0, 2]),
        "stopped": {"1": 1},
        "given_up": {"2": "diverged: loss is inf", "3": "cost 2 workers"},
    }
    lines = [start, epoch(1, 0, 1, 0.9, 2.0), epoch(1, 0, 2, 0.8, 3.0), end]
    view = by_hand(tmp_path / "run", *lines, max_epochs=2)
    assert {i: trial.status for i, trial in view.trials.items()} == {
        0: "finished",
        1: "stopped",
        2: "diverged",
        3: "given up",
        4: "cut",
    }
    assert view.winner == 0
    better = [epoch(2, 1, 1, 0.2, 2.5), epoch(2, 1, 2, 0.1, 2.6)]  # of a trial that is given up
    other = joined(2, 1.5, ["start", 2, 1, 3, 0, 2])
    scores = end | {"do": [["score", 1, 2, 0, 2]]}
    rest = [*lines[1:-1], scores]
    assert by_hand(tmp_path / "run", start, other, *better, *rest, max_epochs=2).winner == 0
    assert view.test_value is None
    scored = {
        "event": "scored",
        "worker": 1,
        "job_id": 1,
        "test_value": 0.7,
        "metrics": {"val_loss": 0.7},
        "time_s": 5.0,
    }
    assert by_hand(tmp_path / "run", *lines, scored, max_epochs=2).test_value == 0.7
    assert (
        by_hand(tmp_path / "run", *lines[:3], max_epochs=2).winner is None
    )  # the search was not over


def test_a_metric_to_be_maximised_reads_in_its_own_direction(tmp_path):
    target = {"metric": "val_accuracy", "mode": "max"}
    lines = [met(joined(1, 1.0, ["start", 1, 0, 0, 0, 2]), 0), epoch(1, 0, 1, -0.75, 2.0)]
    view = by_hand(tmp_path / "run", *lines, target=target)
    assert view.best.best == -0.75
    assert view.value(view.best.best) == 0.75


# --- what was occupied ----------------------------------------------------------------------------


def life(worker: int, start: float, end: float, **facts: Any) -> WorkerView:
    return WorkerView(worker, start, end, None, facts, 0.0, 0)


def test_nodes_and_devices_count_once_and_workers_each():
    shared = {"node": "node0", "device": "cuda:0", "n_threads": 2}
    found = usage(
        [
            life(1, 0, 10, **shared),
            life(2, 4, 14, **shared),
            life(3, 0, 10, **{**shared, "node": "node1"}),
        ],
        100,
    )
    assert (found.worker_s, found.node_s, found.gpu_s, found.core_s) == (30, 24, 24, 60)
    assert (
        usage([life(1, 0, 10, **shared), life(1, 20, 30, **shared)], 100).node_s == 20
    )  # a resume
    assert usage([life(1, 0, 10, **shared), life(2, 6, 10, **shared)], 5).worker_s == 5


def test_a_group_that_spans_nodes_occupies_each_of_them():
    group = life(
        1, 0, 10, node="node0", nodes=["node0", "node1"], ranks=2, device="cpu", n_threads=1
    )
    other = life(3, 4, 14, node="node1", device="cpu", n_threads=1)
    found = usage([group, other], 100)
    assert (found.worker_s, found.node_s, found.core_s) == (20, 24, 30)


def test_gpus_that_every_worker_calls_cuda_0_count_each():
    """Each worker sees but its own GPU; two that share one say so by its label."""
    node = {"node": "node0", "device": "cuda:0", "n_threads": 1}
    four = [life(w, 0, 10, **node, device_id=f"gpu{w}") for w in range(1, 5)]
    assert (usage(four, 100).gpu_s, usage(four, 100).node_s) == (40, 10)
    assert usage([*four, life(5, 0, 10, **node, device_id="gpu1")], 100).gpu_s == 40


def test_a_processor_is_no_gpu_and_what_is_not_said_is_not_known():
    cpu = usage([life(1, 0, 10, node="node0", device="cpu", n_threads=1)], 100)
    assert (cpu.gpu_s, cpu.node_s) == (0, 10)
    silent = usage([life(1, 0, 10)], 100)
    assert (silent.worker_s, silent.node_s, silent.core_s, silent.gpu_s) == (10, None, None, None)


# --- what cannot be read --------------------------------------------------------------------------


def test_a_torn_last_line_is_left_out_and_the_digest_is_of_the_whole_ones(tmp_path):
    view = by_hand(
        tmp_path / "run", met(joined(1, 1.0, ["start", 1, 0, 0, 0, 2]), 0), epoch(1, 0, 1, 0.9, 2.0)
    )
    path = tmp_path / "run" / "journal.jsonl"
    with open(path, "ab") as file:
        file.write(b'{"event":"epoch","worker":1,"job')
    torn = load_run(tmp_path / "run")
    assert torn == view
    assert (torn.journal.n_bytes, torn.journal.n_lines) == (path.stat().st_size - 32, 3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"max_epochs": None}, "max_epochs"),
        ({"target": {"metric": "val_loss"}}, "target.mode"),
        ({"target": {"metric": "val_loss", "mode": "up"}}, "target.mode=up"),
        ({"target": "val_loss"}, "target=val_loss: must be a mapping"),
        ({"date_utc": "yesterday"}, "date_utc=yesterday"),
        ({"seed": "0"}, "seed=0"),
    ],
)
def test_a_header_without_what_every_run_has_is_refused_by_name(tmp_path, change, named):
    with pytest.raises(JournalError, match=named):
        by_hand(tmp_path / "run", **change)


def test_optional_facts_may_be_missing(tmp_path):
    needed = ("run_id", "date_utc", "algorithm", "model", "seed", "max_epochs", "target")
    head = {"journal": 1} | {k: v for k, v in header().items() if k in needed}
    (tmp_path / "journal.jsonl").write_text(json.dumps(head) + "\n")
    view = load_run(tmp_path)
    assert (view.status, view.n_epochs, view.trials, view.best, view.idle_share) == (
        "unfinished",
        0,
        {},
        None,
        None,
    )


@pytest.mark.parametrize(
    "line",
    [
        {"event": "unheard of"},
        joined(1, 1.0, ["start", 1, 0]),
        joined(1, 1.0, ["start", 5, 0, 0, 0, 1]),
        met(joined(1, 1.0, ["start", 1, 0, 0, 0, 5]), 0) | {"trials": []},
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, line):
    with pytest.raises(JournalError, match="line 2"):
        by_hand(tmp_path / "run", line)


def test_no_journal_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        load_run(tmp_path)


# --- what must not leave --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("OSError: /home/jane/x/y: no", "OSError: <path>: no"),
        ("reading '/scratch/p1/jane/data.h5' failed", "reading '<path>/data.h5' failed"),
        ("~jane/x and ~/y.txt", "<path> and <path>/y.txt"),
        ("checkpoints=/p/home/jane", "checkpoints=<path>"),
        ("file:///data/jane/a.db", "file://<path>/a.db"),
        ("login07:/data/jane/x", "login07:<path>"),
        ("cc -L/home/jane/lib -I/Users/jane", "cc -L<path> -I<path>"),
        ("/home/ada/.config/dwave/dwave.conf", "<path>/dwave.conf"),
        (
            "trials/epoch 3/4 and a/b, https://example.org/a/b",
            "trials/epoch 3/4 and a/b, https://example.org/a/b",
        ),
        ("", ""),
    ],
)
def test_paths_are_shortened_and_nothing_else(text, cleaned):
    assert clean(text) == cleaned


def test_users_hosts_and_secrets_are_replaced_everywhere(monkeypatch):
    monkeypatch.setenv("USER", "janedoe")
    monkeypatch.setenv("SUITE_API_TOKEN", "canary-55aa55aa")
    monkeypatch.setattr(socket, "gethostname", lambda: "login07.cluster.example")
    found = clean(
        {
            "janedoe": [
                "at login07",
                "login07.cluster.example!",
                {"x": "0canary-55aa55aa0", "n": 3},
            ],
            "janedoes": None,
        }
    )
    assert found == {
        "<user>": ["at <host>", "<host>!", {"x": "0<secret>0", "n": 3}],
        "janedoes": None,
    }


def test_a_view_is_clean(tmp_path, monkeypatch, no_fsync):
    monkeypatch.setenv("USER", "janedoe")
    config = {"backend": {"checkpoints": "/scratch/janedoe/checkpoints"}}
    Played(tmp_path / "run", p_loss=0.05, config=config).play(60)
    view = load_run(tmp_path / "run")
    assert view.header.backend.settings["checkpoints"] == "<path>"
    assert any(worker.lost == "played: <path>/run.py died" for worker in view.workers)
    assert "janedoe" not in str(view).replace(str(view.folder), "")
