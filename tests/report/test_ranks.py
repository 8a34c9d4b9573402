"""Regret and ranks over tables: against numbers worked out by hand, and when none are given."""

import json

import pytest

from kit.report_runs import MAX_EPOCHS, column, the_group, write_run
from suite import report
from suite.report import ranks, ranks_figure
from suite.report.groups import collect
from suite.report.ranks import Ranking, critical_difference, friedman

REFERENCE = {"best": 0.1, "median": 0.6}
NAMES = ("hyperband", "swift_svr", "asha")


def on_table(folder, table, **values):
    """A run on a curve table, whose winner ends at `best` after MAX_EPOCHS epochs of trial 0."""
    config = {"model": {"description": {"file": f"{table}.csv"}}}
    known = values.pop("reference", REFERENCE)
    return write_run(
        folder, n_epochs=MAX_EPOCHS + 1 + values.get("n_stopped", 0), model="table",
        config=config, reference=known, **values,
    )  # fmt: skip


def sweep(top, n_seeds, tables=("mlpf", "ptb"), names=NAMES):
    """On every seed Hyperband finds 0.3, Swift 0.1, ASHA 0.2; Swift stops 1 trial, ASHA 2."""
    for table in tables:
        for seed in range(n_seeds):
            for i, name in enumerate(names):
                on_table(
                    top / f"{table}-{name}-{seed}", table, algorithm=name, seed=seed,
                    best=(0.3, 0.1, 0.2)[i], n_stopped=i,
                )  # fmt: skip


def test_regret_is_measured_from_the_best_to_the_median_of_the_table(tmp_path):
    for seed, best in enumerate((0.1, 0.35, 0.6)):
        on_table(tmp_path / f"{seed}", "mlpf", seed=seed, best=best)
    group = the_group(tmp_path)
    assert column(group, "hyperband")["normalised regret of the winner"] == "0.500 (0.000..1.000)"
    out = report.write([tmp_path], tmp_path / "out")
    row = json.loads((out / "summary.json").read_text())["rows"][0]
    assert (row["table"], row["nregret_mean"]) == ("mlpf", pytest.approx(0.5))
    assert "normalised regret" in (out / "report.html").read_text()


def test_without_a_reference_there_is_no_row_of_regret(tmp_path):
    write_run(tmp_path / "a")
    assert "normalised regret of the winner" not in column(the_group(tmp_path), "hyperband")


def test_friedman_and_nemenyi_by_hand():
    means, chi2, p = friedman([(3.0, 1.0, 2.0)] * 10)
    assert means == [3.0, 1.0, 2.0]
    # 12 / (n k (k+1)) * sum of squared rank sums - 3 n (k+1) = (900 + 100 + 400) / 10 - 120
    assert chi2 == pytest.approx(20.0)
    assert p == pytest.approx(4.54e-5, rel=1e-3)  # exp(-chi2 / 2) with two degrees of freedom
    assert friedman([(1.0, 1.0, 1.0)] * 10) == ([2.0, 2.0, 2.0], 0.0, 1.0)
    assert friedman([(1.0, 1.0, 2.0)] * 10)[0] == [1.5, 1.5, 3.0]
    # q = 2.343 for 3 and 2.728 for 5 (Demšar 2006, table 5a)
    assert critical_difference(3, 10) == pytest.approx(2.343 * (12 / 60) ** 0.5, rel=1e-3)
    assert critical_difference(5, 30) == pytest.approx(2.728 * (30 / 180) ** 0.5, rel=1e-3)


def test_ranks_are_said_and_drawn(tmp_path):
    sweep(tmp_path, 5)
    text = report.summary([tmp_path])
    flat = " ".join(text.split())
    assert "swift_svr 1.00, asha 2.00, hyperband 3.00; n = 10 blocks" in flat
    assert "Friedman chi-square 20.00, 2 degrees of freedom, p < 0.001" in flat
    # 2.343 * sqrt(3 * 4 / 60) = 1.05: a difference of 1 is not enough
    assert "critical difference 1.05 (Nemenyi, 5 %): further apart" in flat
    assert "critical difference: swift_svr before hyperband." in flat
    assert "2 tables (mlpf, ptb)" in flat
    out = report.write([tmp_path], tmp_path / "out")
    assert (out / "ranks.png").read_bytes().startswith(b"\x89PNG")
    assert "](ranks.png)" in (out / "report.md").read_text()
    assert "Ranks over tables" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_seeds": 4}, "n = 8 blocks are too few (at least 10, some of each table)"),
        ({"names": NAMES[:2]}, "2 algorithms are common to all of them (hyperband, swift_svr;"),
    ],
)
def test_too_little_gets_a_sentence_and_no_figure(tmp_path, change, said):
    sweep(tmp_path, **({"n_seeds": 5} | change))
    assert said in " ".join(report.summary([tmp_path]).split())
    assert not (report.write([tmp_path], tmp_path / "out") / "ranks.png").exists()


def test_one_table_is_not_ranked(tmp_path):
    sweep(tmp_path, 10, tables=("mlpf",))
    assert ranks.rank(collect([tmp_path])[0]) is None


def test_seeds_that_some_did_not_complete_are_counted_as_left_out(tmp_path):
    sweep(tmp_path, 6)
    (tmp_path / "ptb-asha-5" / "journal.jsonl").unlink()
    found = ranks.rank(collect([tmp_path])[0])
    assert (found.n_blocks, found.n_left_out) == (11, 1)
    assert "1 seeds that some did not complete are left out" in ranks.sentences(found)[-1]


def test_bars_join_what_cannot_be_told_apart():
    means = {"a": 1.2, "b": 1.9, "c": 3.0, "d": 3.9}
    apart = (("a", "c"),)
    assert ranks_figure.cliques(Ranking("x", means, 9.0, 0.01, 1.0, apart)) == [
        (1.2, 1.9), (3.0, 3.9)
    ]  # fmt: skip
    assert ranks_figure.cliques(Ranking("x", means, 1.0, 0.5, 1.0, ())) == [(1.2, 3.9)]
