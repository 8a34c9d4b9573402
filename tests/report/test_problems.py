"""Judged by problems: against numbers worked out by hand; seeds make no problems."""

import html
import math
from types import SimpleNamespace

import pytest

from kit.report_runs import MAX_EPOCHS, on_table, row
from suite import report
from suite.core.errors import ConfigError
from suite.report import problems, problems_figure, tables
from suite.report.__main__ import main as report_command
from suite.report.groups import collect
from suite.report.regret import table_of

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
    assert said["mean difference"] == "-0.0667" and said["seeds"] == "6"
    assert row(found.tables[2], "a")["mean rank"] == f"{4 / 3:.2f}"
    # On t3 the baseline is the best, and a has twice its regret.
    assert found.to_best["a"] == pytest.approx((1, 1, ratios[2]))


def test_whoever_is_named_is_the_baseline(tmp_path):
    runs(tmp_path, names=("a", "b"), tables_=dict.fromkeys(TABLES, (0.5, 0.3)))
    whole = report.contents.read([tmp_path], baseline="a")
    (found,) = whole.judged
    assert found.baseline == "a" and {group.baseline for group in whole.groups} == {"a"}
    # The regrets of one table in the other order: 0.40025 over 0.20025.
    said = row(found.tables[0], "hyperband")
    assert said["geometric ratio [95 % CI over families]"] == "2.00"
    assert row(found.tables[0], "b")["mean difference"] == "+0.0000"


def test_a_baseline_that_nobody_ran_is_refused_with_the_names_that_ran(tmp_path, capsys):
    runs(tmp_path, n=1)
    with pytest.raises(ConfigError, match=r"baseline=bohb: unknown; known are a, hyperband"):
        collect([tmp_path], "bohb")
    assert report_command([str(tmp_path), "--format", "text", "--baseline", "bohb"]) == 1
    assert "baseline=bohb: unknown" in capsys.readouterr().err


def test_more_seeds_of_a_table_are_no_more_evidence(tmp_path):
    runs(tmp_path / "few", n=6, names=("a", "b"))
    runs(tmp_path / "many", n=9, names=("a", "b"))
    few, many = judged(tmp_path / "few"), judged(tmp_path / "many")
    assert "n = 3 tables in 3 families, 6 seeds of hyperband each" in few.sentences[0]
    assert "n = 3 tables in 3 families, 9 seeds of hyperband each" in many.sentences[0]
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


def test_an_algorithm_that_trains_more_is_read_at_the_baselines_epochs_and_time(tmp_path):
    """a: 8 epochs of its winner in 200 s, and 4 trials of one epoch; the baseline: 9 epochs in 100 s."""
    for table in TABLES:
        for seed in range(6):
            at = {"seed": seed, "table": table, "model": f"{table}_table"}
            on_table(tmp_path / f"{table}-h{seed}", 0.5, **at)
            more = {"n_epochs": MAX_EPOCHS + 4, "n_stopped": 3, "seconds": 200.0}
            on_table(tmp_path / f"{table}-a{seed}", 0.3, algorithm="a", **more, **at)
    said = row(judged(tmp_path).tables[0], "a")
    assert (said["mean difference"], said["epochs"]) == ("-0.2000", f"{12 / 9:.2f}")
    # Of its first 9 epochs 6 are the winner's, which then is at 0.5; after 100 s it has 4 and is at 0.7.
    assert said["difference at equal epochs"] == "+0.0000"
    assert said["difference at equal time"] == "+0.2000"


def test_differences_are_paired_where_algorithms_have_other_numbers_of_seeds(tmp_path):
    for table in TABLES:
        for seed in range(9):
            at = {"seed": seed, "table": table, "model": f"{table}_table"}
            on_table(tmp_path / f"{table}-h{seed}", 0.3 + seed / 10, **at)
            if seed < 6:
                on_table(tmp_path / f"{table}-a{seed}", 0.4 + seed / 10, algorithm="a", **at)
    said = row(judged(tmp_path).tables[0], "a")
    assert (said["seeds"], said["mean difference"]) == ("6", "+0.1000")
    assert said["difference at equal epochs"] == said["difference at equal time"] == "+0.1000"
    # 0.55 against 0.45 over the six pairs; the baseline's mean over its nine seeds is 0.6.
    assert said["geometric ratio [95 % CI over families]"] == f"{0.55 / 0.45:.2f}"


def test_numbers_of_workers_are_kept_apart_and_named(tmp_path):
    runs(tmp_path / "two")
    for table, (base, other) in TABLES.items():
        for seed in range(6):
            cluster = {"simulated": True, "n_workers": 8, "config": {"backend": {"workers": 8}}}
            at = {"seed": seed, "table": table, "model": f"{table}_table", **cluster}
            on_table(tmp_path / f"8-{table}-h{seed}", base, **at)
            on_table(tmp_path / f"8-{table}-a{seed}", other, algorithm="a", **at)
    found = problems.judge_all(collect([tmp_path])[0])
    assert [one.title for one in found] == [
        "Over all tables, 2 workers",
        "Over all tables, 8 workers",
    ]
    assert [one.sentences[0].count("workers: 8") for one in found] == [0, 1]
    page = (report.write([tmp_path]) / "report.html").read_text()
    assert (
        page.count("Over all tables, 8 workers") == 1
        and page.count("Over all tables, 2 workers") == 1
    )


def test_it_stands_in_every_form_of_the_report(tmp_path):
    runs(tmp_path, names=("a", "b"))
    whole = report.contents.read([tmp_path])
    sentence = whole.judged[0].sentences[0]
    assert sentence[:40] in tables.report_as_text(whole)
    assert sentence in tables.report_as_markdown(whole)
    folder = report.write([tmp_path])
    page = (folder / "report.html").read_text()
    assert html.escape(sentence) in page and "Performance profile" in page
    assert (folder / problems_figure.NAME).stat().st_size > 5000


def test_a_table_of_the_catalogue_is_named_by_its_task():
    def named(table):
        return table_of(SimpleNamespace(header=SimpleNamespace(table=table)))

    assert named("mlpf_delphes") == "mlpf" and named("lcbench_34539") == "lcbench_34539"
    assert named("widths") == "widths"
