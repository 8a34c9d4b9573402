"""Runs at a deadline, against numbers worked out by hand."""

import math

import pytest

from kit.report_runs import MAX_EPOCHS, edited, on_table, row, say, write_run
from suite import report
from suite.report import (
    contents,
    deadline_chapter,
    deadline_looped,
    deadline_members,
    deadlines,
    tables,
)
from suite.report.groups import collect

HOURS = {"budget_hours_ms": 100_000}
"""100 s: as long as the runs here."""


def timed(folder, best, seconds=100.0, deadline_s=100.0, **values):
    """A run of two workers: trial 0 trains from the begin to `seconds`, to `best`; trial 1 an epoch of 0.8 of
    that time. deadline_s: of its budget.
    """
    budget = {"hours": deadline_s / 3600}
    return on_table(folder, best, seconds=seconds, config={"budget": budget}, **values)


def the_run(top):
    (group,) = collect([top])[0]
    (run,) = group.runs
    return run


# --- one run --------------------------------------------------------------------------------------


def test_what_a_run_had_found_and_what_became_of_its_workers(tmp_path):
    timed(tmp_path / "a", 0.3, test=0.35)
    found = deadlines.read(the_run(tmp_path), HOURS)
    assert (found.deadline_s, found.finished, found.best) == (100.0, ((100.0, 0.3, 0),), 0.3)
    assert (found.test, found.ever, found.n_trials) == (0.35, 0.3, 2)
    assert found.regret == pytest.approx(0.2)
    # Worker 2 had its last training until 80 s: 20 of 200 node-seconds.
    assert (found.node_s, found.handed_back_s, found.busy) == pytest.approx((200.0, 20.0, 0.9))
    assert (found.late_s, found.ended_s) == (0.0, None)


def test_at_an_earlier_moment_only_what_had_come_counts(tmp_path):
    timed(tmp_path / "a", 0.3)
    found = deadlines.read(the_run(tmp_path), {"budget_hours_ms": 50_000})
    assert (found.finished, found.best, found.test) == ((), None, None)
    assert found.regret == deadlines.NOTHING
    # Four of the eight epochs: 0.3 + 0.4.
    assert found.ever == pytest.approx(0.7)
    assert (found.busy, found.handed_back_s, found.late_s) == (1.0, 0.0, 50.0)
    assert found.reached_s(0.3) == math.inf


def test_a_run_that_ended_before_keeps_its_value_and_hands_back_the_rest(tmp_path):
    on_table(tmp_path / "a", 0.3)
    found = deadlines.read(the_run(tmp_path), {"budget_hours_ms": 200_000})
    assert (found.best, found.ended_s, found.reached_s(0.3)) == (0.3, 100.0, 100.0)
    assert (found.node_s, found.handed_back_s) == pytest.approx((400.0, 220.0))
    assert found.busy == pytest.approx(180 / 400)


def test_node_hours_end_when_all_nodes_have_used_them(tmp_path):
    on_table(tmp_path / "a", 0.3)
    view = the_run(tmp_path).view
    both = {"budget_node_hours_ms": 100_000, "budget_hours_ms": 90_000}
    assert deadlines.end_s(both, view) == 50.0
    assert deadlines.end_s({}, view) == math.inf
    assert deadlines.words(both) == "budget.hours=0.025, budget.node_hours=0.0277778"
    with pytest.raises(ValueError, match="is never reached"):
        deadlines.read(the_run(tmp_path), {})


def test_workers_of_one_node_are_one_node(tmp_path):
    def on_one_node(rows):
        for one in rows:
            if one.get("event") == "joined":
                one["facts"] = {"node": "n1"}

    edited(timed(tmp_path / "a", 0.3), on_one_node)
    found = deadlines.read(the_run(tmp_path), HOURS)
    # The node is busy as long as one of its workers is.
    assert (found.node_s, found.handed_back_s) == (100.0, 0.0)
    assert found.busy == pytest.approx(0.9)
    assert deadlines.end_s({"budget_node_hours_ms": 50_000}, found.run.view) == 50.0


def test_a_lost_worker_is_there_until_it_is_lost(tmp_path):
    def lose(rows):
        at = next(i for i, one in enumerate(rows) if one.get("event") == "scored")
        lost = {"event": "lost", "worker": 2, "message": "gone"}
        rows.insert(at, lost | {"time_s": rows[at - 1]["time_s"]})

    edited(timed(tmp_path / "a", 0.3, seconds=100.0, deadline_s=150.0), lose)
    found = deadlines.read(the_run(tmp_path), {"budget_hours_ms": 150_000})
    # Worker 1 would be there to 150 s, worker 2 was lost at 100 s.
    assert (found.node_s, found.handed_back_s) == pytest.approx((250.0, 70.0))


# --- which runs -----------------------------------------------------------------------------------


def members(top):
    return deadline_members.deadlines(collect([top])[0])


def test_runs_of_a_longer_budget_or_of_none_are_read_at_the_same_moment(tmp_path):
    timed(tmp_path / "a", 0.3, algorithm="a")
    timed(tmp_path / "h", 0.5, deadline_s=400.0)
    on_table(tmp_path / "b", 0.4, algorithm="b")
    first, second = members(tmp_path)
    assert [first.seconds, second.seconds] == [100.0, 400.0]
    assert list(first.readings) == ["hyperband", "a", "b"]
    assert first.baseline == "hyperband"
    # a was not asked to go on to 400 s.
    assert list(second.readings) == ["hyperband", "b"]
    assert second.ends_of_their_own == ["hyperband", "b"]


def test_a_run_that_looks_at_its_end_is_read_at_no_other(tmp_path):
    timed(tmp_path / "h", 0.5)
    edited(timed(tmp_path / "p", 0.3, deadline_s=400.0, algorithm="p"), say)
    first, second = members(tmp_path)
    assert list(first.readings) == ["hyperband"]
    assert list(second.readings) == ["p"]
    # It ended before, for there was nothing that it could finish: no end of its own.
    assert "p" not in second.ends_of_their_own


def test_a_budget_of_epochs_beside_makes_no_other_deadline(tmp_path):
    timed(tmp_path / "h", 0.5)
    both = {"budget": {"hours": 100 / 3600, "all_epochs": 99}}
    on_table(tmp_path / "a", 0.3, algorithm="a", config=both)
    (deadline,) = members(tmp_path)
    assert list(deadline.readings) == ["hyperband", "a"]
    assert deadline.group.task == "budget.hours=0.0277778"


def in_job(folder, best, end_s, **values):
    """A run whose batch job ended after end_s, less a margin of 10 s."""
    said = {"event": "allocation", "end_ms": end_s * 1000, "margin_ms": 10_000, "job": "17"}
    on_table(folder, best, config={"budget": {"end": "job"}}, **values)
    return edited(folder, lambda rows: rows.insert(1, said | {"time_s": 0.0}))


def test_batch_jobs_that_end_nearly_together_are_compared_at_the_earlier_end(tmp_path):
    in_job(tmp_path / "h", 0.5, 102)
    edited(in_job(tmp_path / "p", 0.3, 100, algorithm="p"), say)
    edited(in_job(tmp_path / "later", 0.2, 200, algorithm="later"), say)
    first, second = members(tmp_path)
    assert (first.seconds, list(first.readings)) == (100.0, ["hyperband", "p"])
    assert first.group.task == "budget.end=job (after 0.02778 h)"
    assert (second.seconds, list(second.readings)) == (200.0, ["later"])


def test_other_numbers_of_workers_are_other_deadlines(tmp_path):
    timed(tmp_path / "h", 0.5)
    timed(tmp_path / "h4", 0.5, n_workers=4, seed=1)
    assert [d.group.workers for d in members(tmp_path)] == ["2", "4"]


def test_hyperband_that_begins_again_is_the_baseline_where_it_ran(tmp_path):
    timed(tmp_path / "h", 0.5)
    timed(tmp_path / "l", 0.4, algorithm="hyperband_looped")
    (deadline,) = members(tmp_path)
    assert deadline.baseline == "hyperband_looped"
    assert list(deadline.readings) == ["hyperband_looped", "hyperband"]


def test_with_the_looped_one_alone_no_section_says_that_it_has_no_baseline(tmp_path):
    timed(tmp_path / "a", 0.5, algorithm="a")
    timed(tmp_path / "l", 0.4, algorithm="hyperband_looped")
    groups = collect([tmp_path])[0]
    assert groups[0].warnings
    assert "WARNING" not in " ".join(deadline_chapter.chapter(groups).sections[0].sentences)


def test_without_a_deadline_there_is_no_chapter(tmp_path):
    on_table(tmp_path / "h", 0.5, config={"budget": {"all_epochs": 9}})
    assert collect([tmp_path])[0][0].runs[0].view.limits == {}
    assert deadline_chapter.chapter(collect([tmp_path])[0]) is None


# --- the chapter ----------------------------------------------------------------------------------


def pairs_of(top, n, table="mlpf", **values):
    """n seeds: hyperband ends at 0.5 after 100 s, `a` at 0.3 after 60 s, and both have 100 s."""
    at = {"table": table, "model": f"{table}_table", **values}
    for seed in range(n):
        timed(top / f"{table}-h{seed}", 0.5, seed=seed, **at)
        timed(top / f"{table}-a{seed}", 0.3, seed=seed, seconds=60.0, algorithm="a", **at)


def test_the_tables_of_a_deadline(tmp_path):
    pairs_of(tmp_path, 6)
    (section,) = deadline_chapter.chapter(collect([tmp_path])[0]).sections
    found, use, time_to, looped = section.tables
    mine = row(found, "a")
    assert (mine["n"], mine["no result"], mine["best at max_epochs"]) == ("6", "0", "0.3000")
    # Regrets 0.2 and 0.4.
    assert (mine["mean regret"], mine["ratio"]) == ("0.2000", "0.50")
    assert (mine["difference [95 % CI]"], mine["verdict"]) == (
        "-0.200 [-0.200, -0.200]", "better",
    )  # fmt: skip
    assert row(found, "hyperband")["verdict"] == "baseline"
    mine = row(use, "a")
    # 60 + 48 of 200 s; nodes until 60 and 48 s.
    assert (mine["workers busy [%]"], mine["handed back [%]"]) == ("54.0", "46.0")
    assert (mine["trials"], mine["full trainings"], mine["ended before"]) == ("2", "1", "6 of 6")
    assert row(use, "hyperband")["ended before"] == "-"
    # 0.5 was what the baseline had; a has it in its last epoch alone, for no other is at max_epochs.
    assert (row(time_to, "a")["reached"], row(time_to, "a")["time [s]"]) == ("6 of 6", "60.00")
    assert row(time_to, "a")["of the deadline [%]"] == "60"
    assert row(time_to, "hyperband")["time [s]"] == "100.0"
    assert row(looped, "a")["runs joined"] == "2"
    assert any(
        "a: ended before the deadline, by its own rule or another budget, in 6 of 6" in s
        for s in section.sentences
    )
    assert "real data" in section.about


def test_a_baseline_that_is_named_is_kept_at_a_deadline(tmp_path):
    pairs_of(tmp_path, 6)
    (section,) = deadline_chapter.chapter(collect([tmp_path], "a")[0]).sections
    found, _, time_to, _ = section.tables
    assert row(found, "a")["verdict"] == "baseline"
    mine = row(found, "hyperband")
    assert (mine["ratio"], mine["verdict"]) == ("2.00", "worse")
    assert "against a at the same seed" in section.about and "to a's result" in time_to.title


def test_few_pairs_have_no_verdict_and_say_so(tmp_path):
    pairs_of(tmp_path, 2)
    (section,) = deadline_chapter.chapter(collect([tmp_path])[0]).sections
    assert row(section.tables[0], "a")["verdict"] == "too few (n = 2)"
    assert row(section.tables[0], "a")["difference [95 % CI]"] == "-0.200"
    assert section.sentences[-1].startswith("n = 2 pairs: too few")


def test_a_baseline_without_a_result_is_said_to_flatter(tmp_path):
    timed(tmp_path / "h", 0.5, seconds=200.0)
    timed(tmp_path / "a", 0.3, algorithm="a")
    (section,) = deadline_chapter.chapter(collect([tmp_path])[0]).sections
    assert row(section.tables[0], "hyperband")["mean regret"] == "1.5000"
    assert [table.title.split(" ")[0] for table in section.tables] == ["Found", "Use"]
    assert any("1 of 1 runs: ratios to it flatter" in sentence for sentence in section.sentences)


def test_runs_that_follow_each_other_have_the_best_of_them(tmp_path):
    timed(tmp_path / "0", 0.5, seconds=40.0)
    timed(tmp_path / "1", 0.3, seconds=40.0, seed=1)
    timed(tmp_path / "2", 0.2, seconds=40.0, seed=2)
    (deadline,) = members(tmp_path)
    # 40 + 40 s are over, the third run would need 120 s.
    found = deadline_looped.looped(deadline.readings["hyperband"])
    assert found == {0: (0.3, 3), 1: (0.2, 3), 2: (0.2, 3)}


def test_a_maximised_metric_and_one_without_a_table(tmp_path):
    at = {
        "target": {"metric": "val_acc", "mode": "max", "data": "real"},
        "n_epochs": MAX_EPOCHS + 1,
    }
    config = {"budget": {"hours": 100 / 3600}}
    for name, best in (("hyperband", 0.5), ("a", 0.7)):
        for seed in range(6):
            folder = tmp_path / f"{name}{seed}"
            write_run(folder, best=best, algorithm=name, seed=seed, config=config, **at)
    (section,) = deadline_chapter.chapter(collect([tmp_path])[0]).sections
    mine = row(section.tables[0], "a")
    assert "mean regret" not in mine
    assert (mine["best at max_epochs"], mine["ratio"], mine["verdict"]) == (
        "0.7000",
        "1.40",
        "better",
    )


def test_over_three_tables_each_counts_once(tmp_path):
    for table in ("t1", "t2", "t3"):
        pairs_of(tmp_path, 6, table=table)
    chapter = deadline_chapter.chapter(collect([tmp_path])[0])
    over = chapter.sections[0]
    assert over.title == "Over 3 tables, 2 workers"
    assert "3 families" in over.about and "baseline hyperband" in over.about
    mine = row(over.tables[0], "a")
    assert mine["geometric ratio [95 % CI over families]"] == "0.50"
    assert (mine["better / worse / open"], mine["seeds"]) == ("3 / 0 / 0", "6")
    assert any("no interval: 3 families" in sentence for sentence in over.sentences)
    assert len(chapter.sections) == 4


def test_deadlines_in_trainings_are_told_by_their_number(tmp_path):
    for table in ("t1", "t2", "t3"):
        at = {"table": table, "model": f"{table}_table"}
        for name, seconds in (("hyperband", 100), ("a", 60)):
            budget = {"hours": 100 / 3600, "trainings": 1.25}
            on_table(tmp_path / f"{table}{name}", 0.5, algorithm=name, seconds=seconds,
                     config={"budget": budget}, **at)  # fmt: skip
    later = {"hours": 150 / 3600, "trainings": 2}
    on_table(tmp_path / "more", 0.5, seed=1, config={"budget": later}, table="t1", model="t1_table")
    sections = deadline_chapter.chapter(collect([tmp_path])[0]).sections
    over = [section.title for section in sections if section.title.startswith("Over")]
    assert over == ["Over 3 tables, 2 workers, budget.trainings=1.25"]


def test_tables_with_other_numbers_of_deadlines_are_not_judged_together(tmp_path):
    for table in ("t1", "t2", "t3"):
        pairs_of(tmp_path, 2, table=table)
    timed(tmp_path / "more", 0.5, deadline_s=300.0, table="t1", model="t1_table", seed=9)
    chapter = deadline_chapter.chapter(collect([tmp_path])[0])
    assert not chapter.sections[0].title.startswith("Over")
    assert any("different numbers of deadlines" in sentence for sentence in chapter.sentences)


def test_terminal_markdown_and_page_have_the_chapter(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "MOST_DRAWN", 0)
    pairs_of(tmp_path / "runs", 2)
    text = report.summary([tmp_path / "runs"])
    assert "At a deadline" in text and "Use of the workers until the deadline" in text
    out = report.write([tmp_path / "runs"], tmp_path / "out")
    page, words = ((out / name).read_text() for name in ("report.html", "report.md"))
    assert '<section id="deadlines"><h2>At a deadline</h2>' in page and 'href="#deadlines"' in page
    assert "## At a deadline" in words and "budget.hours=0.0277778" in words
    assert "Could not be made" not in page
    assert max(map(len, text.splitlines())) <= tables.WIDTH
