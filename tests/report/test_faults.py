"""One bad run, figure or folder: the rest of the report stands, and what is missing is named."""

import errno
import io
import json
import os
import random
import sys
from pathlib import Path

import pytest

from kit.report_runs import the_group, write_run
from suite import report
from suite.core.errors import ConfigError, JournalError
from suite.core.escaping import for_markdown
from suite.files import UnsafeFileError
from suite.report import __main__ as door
from suite.report import comparison_figures, contents, figures, output, run_figures, style, tables
from suite.report.statistics import equivalence, fewer, interval, mean, mean_interval

JOURNAL = "journal.jsonl"


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    """A hundredth of them: what overflows is the axes' arithmetic."""
    monkeypatch.setattr("suite.report.style.DPI", 15)


@pytest.fixture
def no_figures(monkeypatch):
    """For tests of text and files."""
    monkeypatch.setattr(contents, "MOST_DRAWN", 0)


def rows_of(folder):
    return [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]


def put(folder, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / JOURNAL).write_text(text, encoding="utf-8")
    return folder


def without_epochs(folder, **settings):
    """A completed run whose every trial diverged in its first epoch."""
    rows = [
        row
        for row in rows_of(write_run(folder, **settings))
        if row.get("event") not in ("epoch", "scored")
    ]
    for row in rows:
        row["do"] = [command for command in row.get("do", ()) if command[0] != "score"]
        if row.get("event") == "finished":
            for key in ("restore_s", "checkpoint_s", "busy_s"):
                del row[key]
            trial = row["job_id"]
            row |= {"event": "failed", "reason": "diverged", "message": "val_loss is not finite"}
            row["given_up"] = {str(trial): "diverged: val_loss is not finite"}
    if rows[-1]["event"] == "closed":
        rows[-2]["do"].append(["shutdown", "completed", ""])
    return put(folder, rows)


def with_objectives(folder, *values, **settings):
    """A run whose epochs have these objectives, over and over."""
    rows = rows_of(write_run(folder, **settings))
    epochs = [row for row in rows if row.get("event") == "epoch"]
    for i, row in enumerate(epochs):
        row["objective"] = values[i % len(values)]
    return put(folder, rows)


# --- runs that have little to show ----------------------------------------------------------------


def test_runs_without_an_epoch_leave_the_page_of_the_others_whole(tmp_path):
    without_epochs(tmp_path / "a")
    without_epochs(tmp_path / "b", algorithm="swift_svr")
    write_run(tmp_path / "c", seed=1)
    out = report.write([tmp_path], tmp_path / "out")
    assert len(list(out.glob("*.png"))) == 4
    page = (out / "report.html").read_text()
    assert "Could not be made" not in page
    assert page.count("<img") == 4


def test_no_run_with_an_epoch_has_a_timeline_only(tmp_path):
    without_epochs(tmp_path / "a")
    group = the_group(tmp_path)
    assert comparison_figures.anytime(group, tmp_path / "a.png") is None
    assert run_figures.curves(group, tmp_path / "b.png") is None
    assert run_figures.timeline(group, tmp_path / "c.png") is not None


@pytest.mark.parametrize("values", [(1.7e308, -1.7e308), (5e-324, 0.0)])
def test_values_at_the_ends_of_the_range_are_drawn(tmp_path, values):
    folder = with_objectives(tmp_path / "a", *values)
    rows = rows_of(folder)
    rows[-2]["test_value"] = values[0]
    put(folder, rows)
    failures: list[str] = []
    drawn = figures.of_group(the_group(tmp_path), tmp_path / "out", "x", failures)
    assert not failures
    assert len(drawn) == 4


def test_what_is_drawn_elsewhere_than_it_lies_is_said():
    assert style.drawable(-1.7e308) == -1e100
    assert style.clipped([0.5, -1.7e308]).startswith("values beyond 1e+100 are drawn there")
    assert style.clipped([0.5, 1e9]) == ""
    assert style.folded("abc " * 30, 20).count("\n") == 2


def test_names_of_other_scripts_and_directions_are_drawn_without_a_warning(tmp_path, recwarn):
    name = "тест \u0645\u0631\u062d\u0628\u0627 試験 \u202eabc $x_{$ " + "long" * 100
    write_run(tmp_path / "a", experiment=name, algorithm="\U0001f600 " + name)
    out = report.write([tmp_path], tmp_path / "out")
    assert len(list(out.glob("*.png"))) == 4
    assert not [str(warning.message) for warning in recwarn if "lyph" in str(warning.message)]
    for path in (out / "report.html", out / "report.md"):
        assert "\u202e" not in path.read_text()
        assert "\\u202e" in path.read_text()


def test_statistics_of_values_that_overflow():
    huge = [1e308, -1e308, 1.5e308, 1e308, -1.2e308, 1e308]
    assert mean(huge[:1] * 3) is None
    ends = mean_interval(huge), interval(huge)
    assert all(found is not None and -1.5e308 <= found[0] <= found[1] <= 1.5e308 for found in ends)
    assert fewer([float("-inf")] * 6) == pytest.approx(1 / 2**6)
    assert 0 <= equivalence(huge, 1e308) <= 1


# --- a part that fails ----------------------------------------------------------------------------


def test_a_figure_that_fails_is_named_with_the_reason_and_the_rest_is_made(
    tmp_path, monkeypatch, capsys
):
    def broken(*_):
        raise ValueError("axes\x1b[2J of no size")

    monkeypatch.setattr(run_figures, "curves", broken)
    write_run(tmp_path / "a")
    assert door.main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    line = "exam / table_target: the figure learning curves: ValueError: axes\\x1b[2J of no size"
    assert f"could not be made: {line}" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Could not be made" in page and line in page
    assert page.count("<img") == 3
    assert "Could not be made:** exam / table_target" in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize("part", ["ranks.rank", "regret_chapter.chapter"])
def test_a_chapter_that_fails_is_named(tmp_path, monkeypatch, part):
    def broken(*_, **__):
        raise OverflowError("too large")

    monkeypatch.setattr(f"suite.report.{part}", broken)
    write_run(tmp_path / "a")
    read = contents.read([tmp_path])
    assert len(read.groups) == 1
    assert [line.partition(": ")[2] for line in read.failures] == ["OverflowError: too large"]


# --- journals that cannot be read ------------------------------------------------------------------


def damage_test_value(rows):
    next(row for row in rows if row.get("event") == "scored")["test_value"] = "0.1"


def damage_given_up(rows):
    rows[5]["given_up"] = {"0": ["not", "text"]}


def damage_facts(rows):
    rows[1]["facts"] = "none"


def damage_busy(rows):
    next(row for row in rows if row.get("event") == "finished")["busy_s"] = "long"


def damage_workers(rows):
    rows[0]["n_workers"] = "two"


def damage_overlap(rows):
    rows[0]["overlap"] = [1]


def damage_measured(rows):
    rows[3]["measured"] = {"searcher": {"fits": 10**400}}


def damage_host(rows):
    rows[0]["host"] = "a host"


def damage_seconds(rows):
    rows[-1]["time_s"] = "late"


def damage_deep(rows):
    rows[2]["facts"] = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    "damage",
    [
        damage_test_value, damage_given_up, damage_facts, damage_busy, damage_workers,
        damage_overlap, damage_seconds, damage_deep, damage_measured, damage_host,
    ],
)  # fmt: skip
def test_one_bad_journal_is_a_line_and_the_others_are_reported(tmp_path, damage):
    write_run(tmp_path / "good")
    folder = write_run(tmp_path / "bad", seed=1)
    rows = rows_of(folder)
    damage(rows)
    put(folder, rows)
    text = report.summary([tmp_path])
    assert "exam / table_target" in text
    lines = [line for line in text.splitlines() if line.startswith("could not be read: bad: ")]
    assert len(lines) <= 1
    # What is not needed (a host that is no mapping) may be read past; nothing else may.
    assert lines or damage in (damage_host, damage_measured, damage_facts, damage_busy)


def test_nothing_but_unreadable_journals_is_an_error(tmp_path, capsys):
    for name in ("a", "b"):
        (write_run(tmp_path / name) / JOURNAL).write_text("{}\n")
    assert door.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "report: runs=2: none can be read" in error
    assert "\n  a: " in error and "\n  b: " in error
    assert not (tmp_path / "out").exists()
    with pytest.raises(JournalError, match="none can be read"):
        report.write([tmp_path])


def test_a_record_of_another_journal_is_a_warning_above_the_numbers(tmp_path):
    folder = write_run(tmp_path / "a")
    record = {"journal": {"sha256": "0" * 64, "size": {"value": 10**6, "unit": "bytes"}}}
    (folder / "record.json").write_text(json.dumps(record))
    text = report.summary([tmp_path])
    assert "WARNING: a: record.json beside the journal is not of this journal" in text
    assert text.index("000000000000...") < text.index("epochs trained")


def mutated(rows, rng):
    """One value anywhere, of another type or size."""
    odd = [
        None, "x", "", -1, 0, 10**18, 1e308, -1e308, True, [], {}, [[]], {"a": 1}, "\x1b[2J", 0.5,
        "1", [1, "a"], 2**63,
    ]  # fmt: skip
    node = rows
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        inner = node[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            node = inner
            continue
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = rng.choice(odd)
        return


def test_mutated_journals_never_take_the_report(tmp_path):
    rng = random.Random(5)
    source = rows_of(write_run(tmp_path / "good", n_stopped=1, predictor_s=1.0, n_epochs=6))
    folder = write_run(tmp_path / "bad", seed=1)
    read = 0
    for _ in range(150):
        rows = json.loads(json.dumps(source))
        mutated(rows, rng)
        if rng.random() < 0.3:
            mutated(rows, rng)
        put(folder, rows)
        shown = contents.read([tmp_path])
        assert len(shown.unreadable) <= 1
        assert not shown.failures
        assert "\x1b" not in tables.report_as_text(shown)
        read += not shown.unreadable
    assert 0 < read < 150


# --- old and new journals -------------------------------------------------------------------------


def test_a_run_of_revision_0e27403_stands_beside_one_of_today(tmp_path):
    table = {"file": "t.csv", "sha256": "00", "metric": "val_loss"}
    target = {"metric": "val_loss", "mode": "min", "data": "recorded", "framework": "numpy"}
    old = {
        "n_curves": 15, "max_samples": None, "eta": 2, "nominal_workers": None,
        "speculate": False, "annealing": {"n_reads": 100}, "algorithm_name": "hyperband",
        "scheduler": {"_target_": "suite.schedulers.hyperband.Hyperband", "eta": 2},
        "model": {"_target_": "models.table.Table", "folder": "data", "description": table},
        "backend": {"kind": "simulate", "workers": 4},
    }  # fmt: skip
    new = {
        "eta": 2, "common": {}, "virtual_cluster": {"nominal_workers": None, "speculate": False},
        "scheduler": {"_target_": "suite.schedulers.hyperband.Hyperband", "eta": 2},
        "model": {
            "_target_": "models.recorded_curves.Table", "folder": "other", "description": table,
        },
        "backend": {"_target_": "suite.backends.simulate.Simulate", "workers": 4},
    }  # fmt: skip
    write_run(tmp_path / "old", config=old, model="table", target=target)
    write_run(
        tmp_path / "new", config=new, model="mlpf", target=target | {"unit": "1"}, seed=1,
        date_utc="2026-11-29T00:00:00Z", simulated=True,
    )  # fmt: skip
    group = the_group(tmp_path)
    assert group.title == "exam / mlpf"
    assert group.algorithms == ("hyperband",)
    assert [run.seed for run in group.runs] == [0, 1]


# --- files ----------------------------------------------------------------------------------------


def test_no_file_is_written_through_a_link(tmp_path):
    write_run(tmp_path / "runs" / "a")
    out = tmp_path / "runs" / "report"
    out.mkdir()
    names = ("report.html", "report.md", "summary.json", "exam-table_target-curves.png")
    for name in names:
        (tmp_path / f"victim-{name}").write_text("mine")
        (out / name).symlink_to(tmp_path / f"victim-{name}")
    assert report.write([tmp_path / "runs"]) == out
    for name in names:
        assert (tmp_path / f"victim-{name}").read_text() == "mine"
        assert not (out / name).is_symlink()
        assert (out / name).stat().st_size > 10
    assert not [path for path in out.iterdir() if path.name.endswith(".part")]


def test_a_folder_called_report_that_is_a_link_is_refused(tmp_path, no_figures):
    write_run(tmp_path / "runs" / "a")
    (tmp_path / "victim").mkdir()
    (tmp_path / "runs" / "report").symlink_to(tmp_path / "victim")
    with pytest.raises(UnsafeFileError, match="report is a link or no folder"):
        report.write([tmp_path / "runs"])
    assert not list((tmp_path / "victim").iterdir())
    # A folder that the user names may be a link.
    named = tmp_path / "runs" / "report"
    assert report.write([tmp_path / "runs" / "a"], named, formats=["md"]) == named
    assert (tmp_path / "victim" / "report.md").exists()


def test_a_report_that_cannot_be_written_says_where_and_why(
    tmp_path, no_figures, capsys, monkeypatch
):
    write_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "report").write_text("a file")
    assert door.main([str(tmp_path / "runs")]) == 1
    assert "runs/report: report is a link or no folder" in capsys.readouterr().err
    for out in (tmp_path / "runs" / "report", tmp_path / "runs" / "report" / "x", Path("/proc/x")):
        assert door.main([str(tmp_path / "runs"), "--out", str(out)]) == 1
        written = capsys.readouterr()
        assert f"report: out={out.parent.name}/{out.name}: cannot be made (" in written.err
        assert "epochs trained" in written.out

    for code in (errno.ENOSPC, errno.EROFS, errno.EACCES):

        def refuse(*_, code=code, **__):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(output, "write_whole", refuse)
        with pytest.raises(ConfigError, match=f"cannot be written .{os.strerror(code)}"):
            report.write([tmp_path / "runs"], tmp_path / "out")


def test_a_stream_of_ascii_takes_any_name(tmp_path, monkeypatch):
    write_run(tmp_path / "a", experiment="мира 試験")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert door.main([str(tmp_path), "--format", "text"]) == 0
    stream.flush()
    assert b"\\u043c\\u0438\\u0440\\u0430" in stream.buffer.getvalue()


# --- strangers' text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# head", "&#35; head"), ("- item", "&#45; item"), ("12. item", "&#49;2. item"),
        ("a|b", r"a\|b"), ("<b>&", "&lt;b&gt;&amp;"), ("a\nb", r"a\\nb"), ("~~a~~", r"\~\~a\~\~"),
        ("https://x", "https:&#47;/x"), ("\x1b[2J", r"\\x1b\[2J"), ("\u202e", r"\\u202e"),
        ("`$x$`", r"\`\$x\$\`"), ("= =", "&#61; ="), ("---", "&#45;--"),
        ("+0.1", "+0.1"), ("20.0 (1..2)", "20.0 (1..2)"),
    ],
)  # fmt: skip
def test_a_name_is_plain_text_in_markdown(text, line):
    assert for_markdown(text) == line


def test_nothing_of_a_journal_reaches_page_or_terminal_raw(tmp_path, no_figures):
    evil = "\x1b]0;owned\x07\x1b[31m<base href=//x>|\n# head\u202e"
    write_run(
        tmp_path / "a", experiment=evil, algorithm=evil, model=evil, host={evil: evil},
        suite_version=evil, reproducible=evil,
        target={"metric": evil, "mode": "min", "data": evil, "framework": evil, "unit": evil},
    )  # fmt: skip
    write_run(tmp_path / "b", experiment=evil, status="failed", reason=evil)
    out = report.write([tmp_path], tmp_path / "out")
    for text in (
        report.summary([tmp_path]),
        (out / "report.md").read_text(),
        (out / "report.html").read_text(),
    ):
        assert not set(text) & set("\x1b\x07\u202e")
        assert "\n# head" not in text
    page = (out / "report.html").read_text()
    assert "<base" not in page
    assert "base-uri 'none'; form-action 'none'" in page
