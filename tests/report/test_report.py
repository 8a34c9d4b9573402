"""The report: its numbers against ones worked out by hand, and what a stranger must be told."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kit.report_runs import column, the_group, write_run
from suite import report
from suite.core.errors import ConfigError
from suite.report import __main__ as door
from suite.report import measures, tables
from suite.report.groups import collect
from suite.report.statistics import (
    Margin,
    equivalence,
    fewer,
    holm,
    interval,
    paired,
    parse_margin,
)
from suite.results.spread import spread


@pytest.fixture
def exam(tmp_path):
    """Three paired seeds of Hyperband and Swift-Hyperband, in a folder."""
    top = tmp_path / "exam"
    for seed, (seconds, best) in enumerate([(100.0, 0.1), (110.0, 0.2), (120.0, 0.3)]):
        write_run(top / f"{seed}", seed=seed, seconds=seconds, best=best, test=best + 0.05)
    swift = [(16, 80.0, 0.11, 2), (14, 55.0, 0.2, 3), (18, 120.0, 0.29, 1)]
    for seed, (n_epochs, seconds, best, n_stopped) in enumerate(swift):
        write_run(
            top / f"{3 + seed}", algorithm="swift_svr", seed=seed, n_epochs=n_epochs,
            seconds=seconds, best=best, test=best + 0.05, n_stopped=n_stopped, idle=0.2,
            predictor_s=1.5,
        )  # fmt: skip
    return top


# --- numbers --------------------------------------------------------------------------------------


def test_the_table_says_what_was_worked_out_by_hand(exam):
    group = the_group(exam)
    assert group.baseline == "hyperband"
    baseline = column(group, "hyperband")
    assert baseline.pop("idle share of workers [%]").startswith("10.0")
    assert baseline == {
        "": "hyperband", "seeds (n)": "3", "runs failed or unfinished": "0",
        "epochs trained": "20 (all equal)", "saved, paired [%]": "baseline",
        "wall clock [s]": "110 (100..120)", "ratio, paired": "baseline",
        "trials stopped by prediction": "0 (all equal)", "trials diverged": "0 (all equal)",
        "best validation loss": "0.2000 (0.1000..0.3000)",
        "difference, paired (negative is better)": "baseline",
        "test loss of the winner": "0.2500 (0.1500..0.3500)",
        "predictor [s]": "0 (all equal)",
    }  # fmt: skip
    swift = column(group, "swift_svr")
    assert swift["epochs trained"] == "16 (14..18)"
    assert swift["saved, paired [%]"] == "20.0 (10.0..30.0)"
    assert swift["wall clock [s]"] == "80.0 (55.0..120.0)"
    assert swift["ratio, paired"] == "0.80 (0.50..1.00)"
    assert swift["trials stopped by prediction"] == "2 (1..3)"
    assert swift["difference, paired (negative is better)"] == "0.0000 (-0.0100..+0.0100)"
    assert swift["test loss of the winner"] == "0.2500 (0.1600..0.3400)"
    assert swift["idle share of workers [%]"].startswith("20.0")
    assert swift["predictor [s]"] == "1.50 (all equal)"
    assert "n = 3: too few for a test" in " ".join(measures.tests(group, Margin()))


def test_pairs_are_by_seed_whatever_the_order_and_missing_seeds(tmp_path):
    for seed, n_epochs in ((3, 40), (1, 20)):
        write_run(tmp_path / f"a{seed}", seed=seed, n_epochs=n_epochs)
    for seed, n_epochs in ((1, 15), (2, 99), (3, 20)):
        write_run(tmp_path / f"b{seed}", algorithm="swift_svr", seed=seed, n_epochs=n_epochs)
    cells = column(the_group(tmp_path), "swift_svr")
    assert cells["saved, paired [%]"] == "37.5 (25.0..50.0) n=2"
    assert cells["epochs trained"] == "20 (15..99)"


def test_six_pairs_get_tests_with_n_margin_and_names(tmp_path):
    for seed in range(6):
        write_run(tmp_path / f"a{seed}", seed=seed, best=1.0, n_epochs=30)
        write_run(
            tmp_path / f"b{seed}", algorithm="swift_svr", seed=seed, best=1.0 + 0.001 * seed,
            n_epochs=20 + seed,
        )  # fmt: skip
    group = the_group(tmp_path)
    said = " ".join(measures.tests(group, Margin()))
    # (30 - 20 - seed) / 30, seed 0..5: the median is 25 %; all six on one side: 1 / 2**6
    assert "epochs saved 25.0 % (median; 95 % CI [18.3, 31.7]), n = 6, one-sided p = 0.016" in said
    assert "quality equivalent within the margin: difference +0.00250 (median; 95 % CI [" in said
    assert "]), n = 6, TOST p = 0.016" in said  # 1 / 2**6
    assert "one-sided (fewer epochs than hyperband)" in said
    assert "two-sided" not in said
    assert "margin 0.0500 (5 % of the baseline's median)" in said
    assert "Wilcoxon" in said
    assert "TOST" in said
    assert "equivalence not shown" in " ".join(measures.tests(group, Margin(0.0001, False)))


def test_values_of_a_metric_to_be_maximised_are_shown_as_people_read_them(tmp_path):
    target = {"metric": "val_accuracy", "mode": "max", "data": "real", "framework": "torch"}
    write_run(tmp_path / "a", best=0.9, test=0.88, target=target)
    write_run(tmp_path / "b", algorithm="swift_svr", best=0.8, test=0.79, target=target)
    group = the_group(tmp_path)
    assert column(group, "hyperband")["best validation accuracy"] == "0.9000"
    assert column(group, "swift_svr")["difference, paired (positive is better)"] == "-0.100"
    assert "val_accuracy (higher is better)" in tables.caption(group)
    report.write([tmp_path], tmp_path / "out")


def test_statistics():
    found = spread([3.0, None, 1.0, float("nan"), 10.0])
    assert found is not None
    assert (found.n, found.median, found.low, found.high) == (3, 3.0, 1.0, 10.0)
    assert spread([None]) is None
    assert paired({1: 1.0, 2: None, 5: 3.0}, {5: 4.0, 2: 1.0, 1: 2.0}) == [(1.0, 2.0), (3.0, 4.0)]
    assert fewer([-1, -2, -3, -4, -5, -6]) == pytest.approx(1 / 2**6)
    assert fewer([1, 2, 3, 4, 5, 6]) == 1.0  # more epochs are no evidence of fewer
    assert fewer([0.0] * 6) == 1.0
    assert interval([2.0] * 6) == (2.0, 2.0)
    assert interval([1.0] * 5) is None
    assert interval([1.0] * 5 + [float("nan")]) is None
    # Half 0, half 1: all draws of 6 have median 0 or 1 or 1/2, the outer ones 34 % each.
    assert interval([0.0] * 3 + [1.0] * 3) == (0.0, 1.0)
    assert equivalence([0.0] * 6, 0.1) == pytest.approx(1 / 2**6)
    assert equivalence([0.2] * 6, 0.1) > 0.9
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (474.0, "474"), (0.017943, "0.01794"), (1234.6, "1,235"), (0.0, "0"), (0.7, "0.7000"),
        (3.2e-7, "3.200e-07"), (float("inf"), "-"), (12.346, "12.35"),
    ],
)  # fmt: skip
def test_numbers_read_well(value, shown):
    assert measures.number(value) == shown


def test_margin():
    assert parse_margin("5%") == Margin(0.05, True)
    assert parse_margin("0.002") == Margin(0.002, False)
    assert Margin(0.05).absolute(-2.0) == pytest.approx(0.1)
    for wrong in ("0", "-1%", "nan", "much"):
        with pytest.raises(ConfigError, match=re.escape(f"margin={wrong}: must be > 0")):
            parse_margin(wrong)


# --- what must be said ----------------------------------------------------------------------------


def test_text_names_overlap_data_and_baseline_and_fits_a_terminal(tmp_path):
    target = {"metric": "val_loss", "mode": "min", "data": "synthetic", "framework": "numpy"}
    for i, name in enumerate(
        ("hyperband", "swift_svr", "swift_qsvr", "asha", "swift_asha", "bohb")
    ):
        for seed in range(2):
            write_run(
                tmp_path / f"{i}{seed}", algorithm=name, seed=seed, seconds=1e4, target=target
            )
    text = report.summary([tmp_path])
    assert max(map(len, text.splitlines())) <= 120
    assert "SYNTHETIC data; overlap on" in text
    assert "against hyperband" in text
    assert text.count("epochs trained") > 1  # six columns do not fit side by side
    out = report.write([tmp_path], tmp_path / "out")
    assert "SYNTHETIC data" in (out / "report.md").read_text()
    assert "SYNTHETIC data" in (out / "report.html").read_text()


def test_mixed_overlap_is_said_loudly(tmp_path):
    write_run(tmp_path / "a", overlap=True)
    write_run(tmp_path / "b", algorithm="swift_svr", overlap=False)
    text = report.summary([tmp_path])
    assert "WARNING: MIXED OVERLAP (overlap=False: swift_svr; overlap=True: hyperband)" in text
    assert "overlap off/on" in text


def test_a_missing_baseline_is_said_and_nothing_is_compared(tmp_path):
    write_run(tmp_path / "a", algorithm="swift_svr")
    write_run(tmp_path / "b", algorithm="swift_qsvr")
    text = report.summary([tmp_path])
    assert "no completed run of the baseline hyperband" in text
    assert "paired" not in text
    report.write([tmp_path], tmp_path / "out")


def test_different_hosts_and_workers_are_said(tmp_path):
    write_run(tmp_path / "a", n_workers=2)
    write_run(tmp_path / "b", algorithm="swift_svr", n_workers=50, host={"cpu": "another"})
    text = report.summary([tmp_path])
    assert "2 numbers of workers (2, 50)" in text
    assert "2 kinds of host" in text


def test_an_algorithm_on_one_worker_and_on_two_is_two_rows_with_their_seconds(tmp_path):
    """Else the newer run of a seed would hide the other one."""
    for seed in range(2):
        write_run(tmp_path / f"a{seed}", seed=seed, n_workers=1)
        for n in (1, 2):
            write_run(
                tmp_path / f"b{n}{seed}",
                algorithm="swift_svr",
                seed=seed,
                n_workers=n,
                seconds=100 / n,
            )
    group = the_group(tmp_path)
    one, two = "swift_svr [workers=1]", "swift_svr [workers=2]"
    assert group.algorithms == ("hyperband", one, two)
    cells = column(group, two)
    assert (cells["workers"], cells["seeds (n)"]) == ("2 (all equal)", "2")
    assert cells["wall clock [s]"] == "50.0 (all equal)" != column(group, one)["wall clock [s]"]
    assert "wall-clock times compare these too" in report.summary([tmp_path])
    out = report.write([tmp_path], tmp_path / "out")
    assert "Epochs trained, wall clock and best validation loss" in (out / "report.md").read_text()


def test_a_seed_each_on_other_workers_stays_one_row(tmp_path):
    for seed in range(2):
        write_run(tmp_path / f"{seed}", seed=seed, n_workers=1 + seed)
    group = the_group(tmp_path)
    assert group.algorithms == ("hyperband",)
    assert column(group, "hyperband")["workers"] == "1.5 (1..2)"


def test_interrupted_unfinished_and_failed_runs_are_named_and_left_out(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", seed=1, status="interrupted", reason="stopped by a signal")
    write_run(tmp_path / "c", seed=2, status=None)
    write_run(tmp_path / "d", algorithm="swift_svr", status="failed", reason="0 workers left")
    with open(tmp_path / "c" / "journal.jsonl", "a") as file:
        file.write('{"event":"epo')  # torn, as a killed process leaves it
    group = the_group(tmp_path)
    assert column(group, "hyperband")["seeds (n)"] == "1"
    text = report.summary([tmp_path])
    cells = column(group, "hyperband")
    assert cells["runs failed or unfinished"] == "2 (1 interrupted, 1 unfinished)"
    assert column(group, "swift_svr")["runs failed or unfinished"] == "1 (1 failed)"
    assert "hyperband seed 1: interrupted: stopped by a signal (20 epochs; b)" in text
    assert "hyperband seed 2: unfinished (20 epochs; c)" in text
    assert "swift_svr seed 0: failed: 0 workers left" in text
    out = report.write([tmp_path], tmp_path / "out")
    assert len(list(out.glob("*.png"))) == 4


def test_only_runs_without_an_end_or_without_an_epoch(tmp_path):
    folder = write_run(tmp_path / "a", status="interrupted")
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    (folder / "journal.jsonl").write_text(lines[0] + lines[1])
    out = report.write([tmp_path], tmp_path / "out")
    assert "unfinished" in (out / "report.html").read_text()
    assert not list(out.glob("*.png"))


def test_of_two_runs_with_one_seed_the_newer_counts(tmp_path):
    write_run(tmp_path / "new", n_epochs=30, date_utc="2026-02-01T00:00:00Z")
    write_run(tmp_path / "old", n_epochs=20, date_utc="2026-01-01T00:00:00Z")
    assert column(the_group(tmp_path), "hyperband")["epochs trained"] == "30"
    assert "left out, a newer run has the same seed (old)" in report.summary([tmp_path])


def test_one_algorithm_with_two_settings_is_two_columns(tmp_path):
    write_run(tmp_path / "a")
    for n in (8, 15):
        config = {"n_curves": n, "scheduler": {"n_curves": n}, "model": {"noise": 0.01}}
        write_run(tmp_path / f"s{n}", algorithm="swift_svr", config=config)
    group = the_group(tmp_path)
    assert group.algorithms == ("hyperband", "swift_svr [n_curves=8]", "swift_svr [n_curves=15]")


def test_runs_of_different_tasks_are_never_compared(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", algorithm="swift_svr", max_epochs=4)
    groups, _ = collect([tmp_path])
    assert [group.task for group in groups] == ["max_epochs=8", "max_epochs=4"]
    out = report.write([tmp_path], tmp_path / "out")
    assert len(list(out.glob("*.png"))) == 8


def test_a_damaged_journal_is_named_and_the_others_are_reported(tmp_path):
    write_run(tmp_path / "a")
    folder = write_run(tmp_path / "b", seed=1)
    lines = (folder / "journal.jsonl").read_text().splitlines()
    (folder / "journal.jsonl").write_text("\n".join([lines[0], "{broken", *lines[2:]]) + "\n")
    assert "could not be read: b: b/journal.jsonl: line 2 is damaged" in report.summary([tmp_path])
    out = report.write([tmp_path], tmp_path / "out")
    assert "line 2 is damaged" in (out / "report.html").read_text()


# --- files ----------------------------------------------------------------------------------------


def test_figures_and_pages_are_written(exam):
    out = report.write([exam])
    assert out == exam / "report"
    figures = sorted(out.glob("*.png"))
    names = [path.name.removeprefix("exam-table_target-") for path in figures]
    assert names == ["anytime.png", "comparison.png", "curves.png", "timeline.png"]
    for path in figures:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        assert 10_000 < len(data) < 500_000
    markdown = (out / "report.md").read_text()
    assert all(f"]({path.name})" in markdown for path in figures)
    assert "| saved, paired" not in markdown
    assert "saved, paired \\[%\\] | baseline | 20.0 (10.0..30.0) |" in markdown
    again = [path.read_bytes() for path in (out / "report.html", *figures)]
    report.write([exam])
    assert again == [path.read_bytes() for path in (out / "report.html", *figures)]


def test_files_are_named_by_folder_and_formats_chosen(exam, tmp_path):
    out = report.write([exam / "0", exam / "3"], tmp_path / "here", formats=["md"])
    assert out == tmp_path / "here"
    assert not (out / "report.html").exists()
    assert (out / "report.md").exists()
    assert report.write([exam / "0", exam / "3"], formats=["png"]) == exam / "report"
    with pytest.raises(ConfigError, match="format=pdf: unknown"):
        report.write([exam], tmp_path, formats=["pdf"])


def test_two_comparisons_never_share_a_file(tmp_path):
    write_run(tmp_path / "a", experiment="x y")
    write_run(tmp_path / "b", experiment="x/y")
    write_run(tmp_path / "c", experiment="X?Y")
    out = report.write([tmp_path], tmp_path / "out")
    assert len({path.name.lower() for path in out.glob("*.png")}) == 12


@pytest.mark.parametrize("bracket", [None, 4])
def test_one_run_of_one_algorithm(tmp_path, bracket):
    write_run(tmp_path / "a", algorithm="random_search", bracket=bracket)
    out = report.write([tmp_path], tmp_path / "out")
    assert len(list(out.glob("*.png"))) == 4
    assert "<h1>random_search</h1>" in (out / "report.html").read_text()


def test_a_run_whose_workers_and_jobs_failed(tmp_path):
    folder = write_run(tmp_path / "a", status=None, given_up="diverged: val_loss is not finite")
    lost = {"event": "lost", "worker": 2, "message": "signal 9", "time_s": 100.0}
    bad = {
        "event": "failed", "worker": 1, "job_id": 2, "reason": "retry", "message": "x",
        "time_s": 130.0,
    }  # fmt: skip
    with open(folder / "journal.jsonl", "a") as file:
        file.write(json.dumps(lost | {"do": [["start", 1, 2, 0, 19, 22]]}) + "\n")
        file.write(json.dumps(bad) + "\n")
    out = report.write([tmp_path], tmp_path / "out")
    page = (out / "report.html").read_text()
    assert "diverged: val_loss is not finite" in page
    assert "signal 9" in page


def test_fifty_workers_and_thirty_runs_in_seconds(tmp_path):
    for seed in range(10):
        for name in ("hyperband", "swift_svr", "swift_qsvr"):
            folder = write_run(
                tmp_path / f"{name}{seed}", algorithm=name, seed=seed, n_epochs=60, n_stopped=10
            )
            lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
            joined = [
                json.dumps({"event": "joined", "worker": w, "facts": {}, "time_s": 0.0}) + "\n"
                for w in range(3, 51)
            ]
            (folder / "journal.jsonl").write_text("".join([lines[0], *joined, *lines[1:]]))
    start = time.perf_counter()
    report.write([tmp_path], tmp_path / "out")
    assert time.perf_counter() - start < 30  # two or three on an idle core


# --- strangers' text ------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            value for name, value in attrs if name in ("src", "href", "srcset", "action")
        ]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text.append(data)


def test_text_from_a_journal_stays_text(tmp_path):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> | `code` $x_{$ \x1b[2J [a](b)"
    write_run(tmp_path / "a", experiment=evil, model="m$x$", host={"cpu": evil, evil: 1})
    write_run(
        tmp_path / "b", algorithm=evil, experiment=evil, model="m$x$", status="failed", reason=evil
    )
    out = report.write([tmp_path], tmp_path / "out")
    page = (out / "report.html").read_text()
    reader = _Reader()
    reader.feed(page)
    assert reader.tags.count("script") == 1
    assert reader.tags.count("img") == 4
    assert evil.replace("\x1b", r"\x1b") in "".join(reader.text)
    markdown = (out / "report.md").read_text()
    assert "<script" not in markdown
    assert "`code`" not in markdown
    assert "\x1b" not in report.summary([tmp_path])
    for path in out.iterdir():
        assert re.fullmatch(r"[\w.=-]+", path.name)


def test_the_page_needs_nothing_but_itself(exam):
    page = (report.write([exam]) / "report.html").read_text()
    reader = _Reader()
    reader.feed(page)
    images = [link for link in reader.links if link.startswith("data:")]
    assert len(images) == 4
    assert all(link.startswith("data:image/png;base64,") for link in images)
    assert all(link.startswith("../") for link in reader.links if link not in images)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme" in page


# --- the command line -----------------------------------------------------------------------------


def test_the_command_prints_the_table_and_says_where_the_page_is(exam, tmp_path, capsys):
    assert door.main([str(exam), "--out", str(tmp_path / "out"), "--margin", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "20.0 (10.0..30.0)" in said
    assert said.rstrip().endswith("report.html")
    assert door.main([str(exam), "--format", "text"]) == 0
    assert not (exam / "report").exists()


def test_the_command_refuses_with_a_remedy(tmp_path, capsys):
    assert door.main([str(tmp_path)]) == 1
    assert "no journal.jsonl at or below them; name run folders" in capsys.readouterr().err
    write_run(tmp_path / "a")
    assert door.main([str(tmp_path), "--margin", "no"]) == 1
    assert "margin=no: must be > 0" in capsys.readouterr().err


def test_a_journal_file_can_be_named_itself(tmp_path):
    folder = write_run(tmp_path / "a")
    assert "hyperband" in report.summary([folder / "journal.jsonl"])
    assert isinstance(report.write([Path(folder)], formats=["md"]), Path)
