"""Judged by problems: against numbers worked out by hand; seeds make no problems."""

import html
import math

import pytest

from kit.report_runs import on_table, row
from suite import report
from suite.report import problems, problems_figure, tables
from suite.report.groups import collect

# Regrets are the values - 0.1. a halves the baseline's on t1 and t2, doubles it on t3.
TABLES = {"t1": (0.5, 0.3), "t2": (0.3, 0.2), "t3": (0.2, 0.3)}


def runs(top, n=6, names=("a",), tables_=TABLES):
    for table, (base, other) in tables_.items():
        for seed in range(n):
            at = {"seed": seed, "table": table, "model": f"{table}_table"}
            on_table(top / f"{table}-h{seed}", base + seed / 1e4, **at)
            for name in names:
                on_table(top / f"{table}-{name}{seed}", other + seed / 1e4, algorithm=name, **at)


def judged(top):
    return problems.judge(collect([top])[0])


def test_each_table_counts_once_and_the_ratio_is_geometric(tmp_path):
    runs(tmp_path)
    found = judged(tmp_path)
    ratios = [0.20025 / 0.40025, 0.10025 / 0.20025, 0.20025 / 0.10025]
    said = row(found.tables[0], "a")
    assert said["tables"] == "3"
    expected = math.prod(ratios) ** (1 / 3)
    assert said["geometric ratio [95 % CI over families]"] == f"{expected:.2f}"
    assert said["better / worse / open"] == "2 / 1 / 0"
    assert said["worst table"] == "+0.1000 t3"
    assert said["mean difference"] == "-0.0667"
    assert row(found.tables[2], "a")["mean rank"] == f"{4 / 3:.2f}"
    # On t3 the baseline is the best, and a has twice its regret.
    assert found.to_best["a"] == pytest.approx((1, 1, ratios[2]))


def test_more_seeds_of_a_table_are_no_more_evidence(tmp_path):
    runs(tmp_path / "few", n=6, names=("a", "b"))
    runs(tmp_path / "many", n=9, names=("a", "b"))
    few, many = judged(tmp_path / "few"), judged(tmp_path / "many")
    assert "n = 3 tables in 3 families, 6 seeds each" in few.sentences[0]
    assert "n = 3 tables in 3 families, 9 seeds each" in many.sentences[0]
    assert few.tables[2].rows == many.tables[2].rows
    tested = [[line for line in x.sentences if "Friedman" in line] for x in (few, many)]
    assert tested[0] == tested[1] != []


def test_tables_of_one_family_are_resampled_together():
    """Nine tables that agree because they are one family leave the interval as wide as one does."""
    alone = {f"f{i}": [math.log(2) * (-1) ** i] for i in range(6)}
    copied = alone | {"f0": alone["f0"] * 9}
    middle, ends = problems.geometric(alone)
    assert middle == pytest.approx(1.0) and ends[0] < 0.7 and ends[1] > 1.4
    _, wider = problems.geometric(copied)
    assert wider[1] > 1.9, "a draw may hold the large family only"
    assert problems.geometric({f"f{i}": [0.0] for i in range(4)})[1] is None


def test_regrets_near_zero_count_as_the_floor(tmp_path):
    runs(tmp_path, tables_=dict.fromkeys(TABLES, (0.101, 0.1005)))
    said = row(judged(tmp_path).tables[0], "a")
    assert said["geometric ratio [95 % CI over families]"] == "1.00"


def test_two_tables_are_too_few_and_another_baseline_is_named(tmp_path):
    runs(tmp_path, tables_=dict(list(TABLES.items())[:2]))
    assert judged(tmp_path) is None
    assert problems.judge([]) is None


def test_it_stands_in_every_form_of_the_report(tmp_path):
    runs(tmp_path, names=("a", "b"))
    whole = report.contents.read([tmp_path])
    sentence = whole.judged.sentences[0]
    assert sentence[:40] in tables.report_as_text(whole)
    assert sentence in tables.report_as_markdown(whole)
    folder = report.write([tmp_path])
    page = (folder / "report.html").read_text()
    assert html.escape(sentence) in page and "Performance profile" in page
    assert (folder / problems_figure.NAME).stat().st_size > 5000
