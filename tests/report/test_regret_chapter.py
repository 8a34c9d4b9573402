"""The chapter on regret: against numbers worked out by hand, and what a reader must be told."""

import html
import re
from dataclasses import replace

import pytest

from kit.report_runs import MAX_EPOCHS, on_table, row, write_run
from suite import report
from suite.report import regret_chapter, regret_figure, self_measured, tables
from suite.report.groups import collect
from suite.report.statistics import interval, mean_interval


def runs(top, name, bests, **values):
    for seed, best in enumerate(bests):
        on_table(top / f"{name}-{seed}", best, algorithm=name, seed=seed, **values)


def the_chapter(*folders):
    found = regret_chapter.chapter(collect(folders)[0])
    assert found is not None
    return found


BASE = (0.3, 0.4, 0.5, 0.3, 0.4, 0.5)


def shifted(*by):
    return [b + d for b, d in zip(BASE, by, strict=True)]


def test_winners_are_compared_as_worked_out_by_hand(tmp_path):
    runs(tmp_path, "swift", shifted(*[-0.15] * 6))
    runs(tmp_path, "hyperband", BASE)
    section = the_chapter(tmp_path).sections[0]
    assert section.title == "mlpf, 2 workers"
    winners = section.tables[0]
    assert [r[0] for r in winners.rows] == ["hyperband", "swift"]  # the baseline first
    assert row(winners, "hyperband") == {
        "algorithm": "hyperband", "n": "6", "mean regret": "0.3000", "median": "0.3000",
        "ratio": "1", "difference [95 % CI]": "baseline", "trained [%]": "100.0",
        "TOST p": "-", "verdict": "baseline",
    }  # fmt: skip
    assert row(winners, "swift") == {
        "algorithm": "swift", "n": "6", "mean regret": "0.1500", "median": "0.1500",
        "ratio": "0.50", "difference [95 % CI]": "-0.1500 [-0.1500, -0.1500]",
        "trained [%]": "100.0", "TOST p": "1.000", "verdict": "better",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("by", "verdict"),
    [
        ([0.0] * 6, "equivalent"),
        ([0.002] * 6, "worse, equivalent"),
        ([-0.002] * 6, "better, equivalent"),
        ([0.1] * 6, "worse"),
        ([-0.1, 0.1, -0.1, 0.1, -0.1, 0.1], "not shown"),
    ],
)
def test_verdicts_speak_of_the_interval_of_the_mean_and_of_the_margin(tmp_path, by, verdict):
    runs(tmp_path, "hyperband", BASE)
    runs(tmp_path, "swift", shifted(*by))
    assert row(the_chapter(tmp_path).sections[0].tables[0], "swift")["verdict"] == verdict


def test_five_pairs_get_neither_interval_nor_verdict(tmp_path):
    runs(tmp_path, "hyperband", BASE[:5])
    runs(tmp_path, "swift", BASE[:5])
    found = row(the_chapter(tmp_path).sections[0].tables[0], "swift")
    assert found["difference [95 % CI]"] == "+0.0000"
    assert (found["TOST p"], found["verdict"]) == ("-", "too few (n = 5)")


def test_p_is_adjusted_for_the_algorithms_of_the_table(tmp_path):
    runs(tmp_path, "hyperband", BASE)
    runs(tmp_path, "a", BASE)
    alone = row(the_chapter(tmp_path).sections[0].tables[0], "a")["TOST p"]
    assert alone == "0.016"  # six ties, all within the margin: 1 / 2^6
    runs(tmp_path, "b", BASE)
    assert row(the_chapter(tmp_path).sections[0].tables[0], "a")["TOST p"] == "0.031"


@pytest.mark.parametrize(
    ("config", "verdict", "said"),
    [
        ({}, "worse", "Margin of equivalence 0.02 in normalised regret (no run set"),
        (
            {"margin_nregret": 0.05}, "worse, equivalent",
            "Margin of equivalence 0.05 in normalised regret (margin_nregret of the runs)",
        ),
        ({"margin_nregret": -1}, "worse", "Margin of equivalence 0.02 "),
    ],
)  # fmt: skip
def test_the_margin_is_the_runs_own_else_002(tmp_path, config, verdict, said):
    runs(tmp_path, "hyperband", BASE, config=config)
    runs(tmp_path, "swift", shifted(*[0.03] * 6), config=config)
    section = the_chapter(tmp_path).sections[0]
    assert row(section.tables[0], "swift")["verdict"] == verdict
    assert any(said in line for line in section.sentences)


def test_equivalence_that_a_rare_bad_seed_contradicts_is_said(tmp_path):
    base = BASE + BASE
    runs(tmp_path, "hyperband", base)
    runs(tmp_path, "swift", [base[0] + 0.9, *base[1:]])
    section = the_chapter(tmp_path).sections[0]
    assert row(section.tables[0], "swift")["verdict"] == "equivalent"
    assert any(
        "reaches beyond the margin: a few seeds differ" in line for line in section.sentences
    )


def test_the_interval_is_of_the_mean_and_always_the_same():
    values = [0.0] * 19 + [1.0]
    low, high = mean_interval(values)
    assert (low, high) == mean_interval(tuple(values))
    assert low == 0.0
    assert 0.1 <= high <= 0.2  # of the median it is [0, 0]
    assert interval(values) == (0.0, 0.0)
    assert mean_interval(values[:5]) is None


def test_anytime_regret_is_read_at_shares_of_the_baselines_epochs_and_seconds(tmp_path):
    # Both train one epoch of trial 1, ending at 80 s of 100 (20 of 25), and eight of trial 0: at
    # 12.5 s (3.125 s), 25 s ... values 0.8 + best - 0.1 e. Epochs 1..6: e; then trial 1's; 8, 9.
    runs(tmp_path, "hyperband", BASE)
    runs(tmp_path, "swift", shifted(*[-0.1] * 6), seconds=25.0)
    _, epochs, seconds = the_chapter(tmp_path).sections[0].tables
    assert epochs.title == "Anytime regret at shares of hyperband's epochs"
    assert seconds.title.endswith("hyperband's seconds; 2 workers, wall clock")
    # 2.25, 4.5, 6.75 and 9 epochs of 9: e = 2, 4, 6, 8; the mean of best - 0.1 is 0.3
    assert epochs.rows[0] == ("hyperband", "6", "0.9000", "0.7000", "0.5000", "0.3000")
    assert epochs.rows[1] == ("swift", "6", "0.8000", "0.6000", "0.4000", "0.2000")
    # 25, 50, 75, 100 s: e = 2, 4, 6, 8; swift has ended after 25 s and keeps its value
    assert seconds.rows[0] == ("hyperband", "6", "0.9000", "0.7000", "0.5000", "0.3000")
    assert seconds.rows[1] == ("swift", "6", "0.2000", "0.2000", "0.2000", "0.2000")


def test_before_the_first_value_there_is_no_regret_and_n_says_so(tmp_path):
    runs(tmp_path, "hyperband", BASE)
    runs(tmp_path, "slow", BASE[:3], seconds=300.0)  # its first epoch ends at 37.5 s
    runs(tmp_path / "then", "slow", BASE[:1])  # newer of seed 0: it has one at 12.5 s
    table = the_chapter(tmp_path).sections[0].tables[2]
    assert row(table, "slow")["25%"] == "0.8000 n=1"
    group = collect([tmp_path])[0][0]
    (run, base), *_ = regret_chapter.pairs(group, "hyperband")
    assert regret_chapter.regrets(run, base, [0.0, 1.0], "epochs") == [None, pytest.approx(0.2)]


def test_regret_of_a_metric_that_is_maximised_counts_downwards(tmp_path):
    values = {
        "target": {"metric": "val_accuracy", "mode": "max", "data": "real", "framework": "numpy"},
        "reference": {"best": 0.9, "median": 0.4},
    }  # fmt: skip
    runs(tmp_path, "hyperband", [0.8] * 6, **values)
    group = collect([tmp_path])[0][0]
    run = group.of("hyperband")[0]
    assert regret_chapter.regrets(run, run, [1.0], "epochs") == [pytest.approx(0.2)]
    assert regret_chapter.compare(group)[0].mine[0] == pytest.approx(0.2)


def test_epochs_beyond_a_decision_are_trained_but_not_counted(tmp_path):
    runs(tmp_path, "hyperband", BASE)
    runs(tmp_path, "swift", BASE)
    group = collect([tmp_path])[0][0]
    assert "counted [%]" not in regret_chapter.chapter([group]).sections[0].tables[0].head
    ahead = tuple(
        replace(run, view=replace(run.view, counts=replace(run.view.counts, n_ahead=3)))
        if run.algorithm == "swift"
        else run
        for run in group.runs
    )
    found = regret_chapter.chapter([replace(group, runs=ahead)]).sections[0].tables[0]
    assert row(found, "swift")["trained [%]"] == "100.0"
    assert row(found, "swift")["counted [%]"] == "66.7"  # 6 of 9


def test_what_searcher_and_scheduler_measured_is_one_sentence(tmp_path):
    runs(tmp_path, "hyperband", BASE[:1])
    runs(tmp_path, "swift", BASE[:3])
    group = collect([tmp_path])[0][0]
    measured = [
        {
            "searcher": {"counts": {"by model": 4}, "out_of_bag_rank_correlation": {"last": 0.5}},
            "scheduler": {"model": {"fits": 2, "fallback": None}, "gate": {"p": 0.02}},
        },
        {
            "searcher": {
                "counts": {"by model": 6, "random, fallback: too poor": 3},
                "out_of_bag_rank_correlation": {"last": None},
            },
            "scheduler": {"model": {"fits": 4, "fallback": "hyperband"}, "gate": {"p": 0.02}},
        },
        {"searcher": {"counts": {}, "fell_back": {"one value": 0}}},
    ]  # fmt: skip
    found = iter(measured)
    with_it = [
        replace(run, view=replace(run.view, measured=next(found)))
        if run.algorithm == "swift"
        else run
        for run in sorted(group.runs, key=lambda run: run.seed)
    ]
    assert self_measured.sentences(replace(group, runs=tuple(with_it))) == [
        "swift measured of itself (medians): searcher, fell back at least once in 1 of 3 runs: "
        "counts (by model 4, random / fallback: too poor 0), out of bag rank correlation (last 0.5 "
        "n=1), fell back (one value 0); scheduler, fell back at least once in 1 of 2 runs: model "
        "(fits 3), gate (p 0.02)."
    ]


def test_runs_that_the_numbers_leave_out_are_counted(tmp_path):
    runs(tmp_path, "hyperband", BASE[:2])
    runs(tmp_path, "swift", BASE[:4])
    on_table(tmp_path / "cut", 0.3, algorithm="swift", seed=9, status="failed", reason="no worker")
    on_table(tmp_path / "lost", 0.3, algorithm="asha", seed=0, status=None)
    section = the_chapter(tmp_path).sections[0]
    assert [r[:2] for r in section.tables[0].rows] == [
        ("hyperband", "2"), ("swift", "2"), ("asha", "0")
    ]  # fmt: skip
    assert (
        "swift: not in these numbers: 2 without a run of hyperband at the same seed; failed or "
        "unfinished: 1 (1 failed)."
    ) in section.sentences
    assert any(line.startswith("asha: not in these numbers") for line in section.sentences)


def test_without_a_reference_or_a_baseline_there_is_no_chapter(tmp_path):
    write_run(tmp_path / "real" / "a")
    assert regret_chapter.chapter(collect([tmp_path / "real"])[0]) is None
    assert regret_chapter.TITLE not in report.summary([tmp_path / "real"])
    runs(tmp_path / "alone", "swift", BASE)
    assert regret_chapter.chapter(collect([tmp_path / "alone"])[0]) is None
    assert not (report.write([tmp_path / "real"], tmp_path / "out") / "regret.png").exists()


def test_a_table_without_a_baseline_is_named_beside_those_that_have_one(tmp_path):
    runs(tmp_path / "mlpf", "hyperband", BASE)
    runs(tmp_path / "ptb", "swift", BASE, table="ptb")
    found = the_chapter(tmp_path)
    assert [section.title for section in found.sections] == ["mlpf, 2 workers"]
    assert "ptb.csv): not in this chapter: no completed run of the baseline" in found.sentences[-1]


def test_one_table_with_two_settings_has_two_titles(tmp_path):
    runs(tmp_path / "a", "hyperband", BASE)
    for seed, best in enumerate(BASE):
        on_table(tmp_path / "b" / f"{seed}", best, seed=seed, max_epochs=MAX_EPOCHS - 1)
    titles = [section.title for section in the_chapter(tmp_path).sections]
    assert len(set(titles)) == 2
    assert all("max_epochs=" in title for title in titles)


def test_terminal_markdown_and_page_say_the_same(tmp_path):
    backend = {"backend": {"kind": "simulate"}}
    for table in ("mlpf", "ptb"):
        for name, by in (("hyperband", 0.0), ("<b>|swift", -0.1), ("asha", 0.1)):
            top = tmp_path / table / name.strip("<b>|")
            runs(top, name, shifted(*[by] * 6), table=table, config=backend)
    found = regret_chapter.chapter(collect([tmp_path])[0], ranked=True)
    out = report.write([tmp_path], tmp_path / "out")
    page = (out / "report.html").read_text()
    markdown = (out / "report.md").read_text()
    assert "<b>|swift" not in page
    assert "<b>" not in markdown
    terminal = " ".join(report.summary([tmp_path]).split())
    shown = html.unescape(re.sub(r"<[^>]+>", " ", page))
    plain = html.unescape(markdown.replace("\\", ""))
    sentences = [
        *found.sentences,
        *(line for s in found.sections for line in (s.about, *s.sentences)),
    ]
    sentences += [table.title for s in found.sections for table in s.tables]
    for line in sentences:
        assert line in terminal
        assert line in shown
        assert line in plain
    for section in found.sections:
        assert "SIMULATED TIME" in section.tables[2].title
        for cells in (cells for table in section.tables for cells in table.rows):
            assert " | ".join(cells) in plain
            assert " ".join(cells) in terminal
            assert " ".join(cells) in " ".join(shown.split())
    assert any("not new problems" in line for line in found.sentences)
    assert found.sentences[-1].startswith("Over all tables: see Ranks over tables")
    assert (out / "regret.png").read_bytes().startswith(b"\x89PNG")
    assert "](regret.png)" in markdown


def test_columns_that_do_not_fit_a_terminal_continue_below(tmp_path):
    runs(tmp_path, "hyperband", BASE)
    runs(tmp_path, "an_algorithm_with_quite_a_name", BASE)
    text = tables.chapter_as_text(the_chapter(tmp_path), width=70)
    assert max(map(len, text.splitlines())) <= 70
    assert "equivalent" in text
    assert text.count("an_algorithm_with_quite_a_name") >= 4


@pytest.mark.parametrize("low", [0.3, 0.1, 0.0])
def test_the_figure_is_drawn_whether_regret_stays_above_zero_or_not(tmp_path, low):
    """Twelve algorithms share six colours: no two look the same."""
    runs(tmp_path, "hyperband", [0.4, 0.5])
    names = [f"a{i}" for i in range(12)]
    for i, name in enumerate(names):
        runs(tmp_path, name, [low + 0.01 * i] * 2, n_epochs=MAX_EPOCHS + 1 - i % 3)
    found = the_chapter(tmp_path)
    looks = regret_figure._looks(found.sections[0], ["hyperband", *names])
    assert len({(str(v["color"]), str(v["linestyle"])) for v in looks.values()}) == 13
    path = regret_figure.draw(found, tmp_path / "regret.png")
    assert path.read_bytes().startswith(b"\x89PNG")
