"""Regret over node-hours: runs joined end to end, against numbers worked out by hand."""

import json

import numpy as np
import pytest

from kit.report_runs import on_table, row
from suite.report import node_hours, node_hours_figure, problems, regret_chapter
from suite.report.groups import collect
from suite.report.node_hours import Steps, best_so_far

# Regret 0.5 after 10 node-seconds and 0.2 after 40, of 50; 0.4 after 5 and 0.1 after 15, of 20.
ONE = Steps(np.array([10.0, 40.0]), np.array([0.5, 0.2]), 50.0)
TWO = Steps(np.array([5.0, 15.0]), np.array([0.4, 0.1]), 20.0)
LIMITS = np.array([4.0, 10.0, 49.0, 60.0, 65.0, 1000.0])


@pytest.mark.parametrize(
    ("first", "looped", "expected"),
    [
        (0, False, [np.inf, 0.5, 0.2, 0.2, 0.2, 0.2]),
        (0, True, [np.inf, 0.5, 0.2, 0.2, 0.1, 0.1]),
        (1, True, [np.inf, 0.4, 0.1, 0.1, 0.1, 0.1]),
        (1, False, [np.inf, 0.4, 0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_a_looped_run_is_followed_by_the_next_and_keeps_the_best(first, looped, expected):
    assert best_so_far([ONE, TWO], first, LIMITS, looped).tolist() == expected


def test_a_run_without_a_value_passes_its_node_hours_on():
    nothing = Steps(np.array([]), np.array([]), 30.0)
    assert best_so_far([nothing, TWO], 0, np.array([34.0, 35.0]), True).tolist() == [np.inf, 0.4]


def judged(top):
    """Three tables; a takes half of the baseline's time, ends at 0.2 or 0.3 above the best, and goes on."""
    for table in ("t1", "t2", "t3"):
        for seed in range(2):
            at = {"seed": seed, "table": table, "model": f"{table}_table"}
            on_table(top / f"{table}-h{seed}", 0.5, **at)
            a = {"algorithm": "a", "seconds": 50.0, **at}
            on_table(top / f"{table}-a{seed}", (0.3, 0.4)[seed], **a)
    return problems.judge_all(collect([top])[0])[0]


def test_the_two_readings_of_an_algorithm_that_ends_early(tmp_path):
    found = node_hours.with_node_hours(judged(tmp_path))
    once, looped = found.tables[-2:]
    assert "each run once" in once.title and "looped" in looped.title
    # hyperband: 8 epochs in 100 s, each 0.1 lower, the last at 0.5: regret 0.4.
    base = row(once, "hyperband")
    assert (base["node-hours"], base["at 0.5"], base["at 1"], base["at 2"]) == (
        "1.00", "0.8000", "0.4000", "0.4000",
    )  # fmt: skip
    # a has trained all after half of that. Mean over seeds of 0.2 and 0.3.
    assert (row(once, "a")["node-hours"], row(once, "a")["at 0.5"]) == ("0.50", "0.2500")
    assert row(once, "a")["at 1"] == "0.2500"
    # Seed 1 is followed by seed 0, whose 0.2 it has from then on.
    assert row(looped, "a")["at 0.5"] == "0.2500" and row(looped, "a")["at 1"] == "0.2000"
    assert found.sentences[-1].startswith("Node-hours: workers times wall clock, times hyperband's")


def test_more_workers_for_the_same_time_are_more_node_hours(tmp_path):
    for table in ("t1", "t2", "t3"):
        at = {"seed": 0, "table": table, "model": f"{table}_table"}
        on_table(tmp_path / f"{table}-h", 0.5, **at)
        on_table(tmp_path / f"{table}-a", 0.5, algorithm="a", n_workers=4, **at)
    group = collect([tmp_path])[0]
    found = [problems.judge(group)]
    assert node_hours.used(found[0].problems, "a") == 2.0
    values = node_hours.over_tables(found[0].problems, "a", (1.0, 2.0), False)
    # After half of its own time 4 of 8 epochs are done: 0.5 + 0.4, less the best of 0.1.
    assert values == pytest.approx([0.8, 0.4])


def test_the_figure_is_drawn_and_names_what_it_shows(tmp_path):
    found = judged(tmp_path / "runs")
    path = node_hours_figure.draw(found, tmp_path / node_hours_figure.NAME)
    assert path is not None and path.stat().st_size > 5000
    title, words = node_hours_figure.caption(found)
    assert title == "Regret over node-hours" and "n = 3 tables" in words


def told_late(folder):
    """A run of 100 s whose worker 2 trains an epoch to 0.2 in its first 40 s, and tells it at the end, as a
    simulated job does. Worker 1 comes from 0.9 to 0.1 in eight epochs.
    """
    on_table(folder, 0.1, idle=0.3)
    rows = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    theirs = [
        row for row in rows if row.get("worker") == 2 and row["event"] in ("epoch", "finished")
    ]
    rows = [row for row in rows if row not in theirs]
    theirs[0] |= {"objective": 0.2, "metrics": {"val_loss": 0.2}}
    at = next(i for i, row in enumerate(rows) if row.get("event") == "scored")
    rows[at:at] = theirs
    (folder / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_best_so_far_by_time_knows_what_a_job_told_at_its_end(tmp_path):
    told_late(tmp_path / "a")
    (group,) = collect([tmp_path])[0]
    run = group.runs[0]
    # Two workers: 0.2 after 80 node-seconds, 0.1 after 200. The reference's best is 0.1, its median 1.1.
    own = node_hours.steps(run)
    at = best_so_far([own], 0, np.array([75.0, 80.0, 199.0, 200.0]), False)
    assert at.tolist() == pytest.approx([0.5, 0.1, 0.1, 0.0])
    assert regret_chapter.regrets(run, run, (0.375, 0.4), "seconds") == pytest.approx([0.5, 0.1])
    assert [point.time_s for point in run.view.by_time] == sorted(
        p.time_s for p in run.view.by_time
    )
    # By epochs the order is that of the journal.
    assert regret_chapter.regrets(run, run, (1.0,), "epochs") == pytest.approx([0.0])
