"""swiftbench watch: journals on a terminal, while they grow and when they are over."""

import io
import json
import sys

import pytest

from kit.driving import compose
from kit.mutations import bounded
from suite.core.run_settings import RunSettings
from suite.launch import execute
from suite.run import journal as journals
from suite.watch import __main__ as watch
from suite.watch.following import FollowedRun
from suite.watch.frame import sparkline

RANDOM, ASHA = "suite.schedulers.random_search.RandomSearch", "suite.schedulers.asha.Asha"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A completed run's folder."""
    folder = tmp_path_factory.mktemp("runs") / "hyperband-seed0"
    words = ["model=table_target", "max_epochs=9", "backend=inline", "score_test=false"]
    outcome = execute.run(RunSettings.of(compose(*words, "report=false", "tracking=later")), folder)
    assert outcome.status == "completed"
    return folder


@pytest.fixture
def lines(finished):
    return (finished / journals.NAME).read_bytes().splitlines(keepends=True)


def grown(tmp_path, content):
    """A run folder whose journal holds `content`."""
    folder = tmp_path / "hyperband-seed0"
    folder.mkdir(exist_ok=True)
    (folder / journals.NAME).write_bytes(content)
    return folder


def printed(capsys, *arguments):
    assert watch.main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_finished_run_is_one_look_with_its_best_trials(finished, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = printed(capsys, finished)
    assert "1 run: 1 completed" in out and "hyperband-seed0" in out and "table_target" in out
    followed = FollowedRun(finished)
    followed.look()
    best = followed.fold.header.metric.value(followed.fold.anytime[-1].best)
    assert f"{best:.4g}" in out and "configuration" in out and "left" in out


def test_a_terminal_gets_colours_and_no_escapes_in_their_place(finished, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "__stdout__", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert watch.main([str(finished)]) == 0
    assert "\x1b[" in terminal.getvalue() and "\\x1b" not in terminal.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_every_line_fits_the_terminal(finished, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = printed(capsys, finished, "--once")
    assert max(map(len, out.splitlines())) <= width
    assert "completed" in out


def test_a_running_one_shows_workers_progress_and_time_left(tmp_path, lines, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    folder = grown(tmp_path, b"".join(lines[: len(lines) // 2]))
    out = printed(capsys, folder, "--once")
    run = FollowedRun(folder)
    run.look()
    assert "1 running" in out and "1 of 1 busy" in out and "at most" in out
    assert run.n_planned and f"{run.fold.counts.n_epochs}/{run.n_planned}" in out


def test_a_plan_is_known_on_a_virtual_cluster_too(tmp_path):
    words = ["model=table_target", "max_epochs=9", "algorithm=swift_svr", "overlap=logical"]
    settings = RunSettings.of(compose(*words, "backend=inline", "report=false", "tracking=later"))
    assert execute.run(settings, tmp_path / "run").status == "completed"
    run = FollowedRun(tmp_path / "run")
    run.look()
    assert run.n_planned and run.n_planned >= run.fold.counts.n_epochs


def test_only_what_is_new_is_read_and_a_half_line_waits(tmp_path, lines):
    folder = grown(tmp_path, b"".join(lines[:10]) + lines[10][:7])
    run, whole = FollowedRun(folder), FollowedRun(folder)
    run.look()
    before = run.fold
    for end in range(11, len(lines) + 1):
        grown(tmp_path, b"".join(lines[:end]))
        run.look()
        assert not run.error
    whole.look()
    assert run.fold is before and run.is_over and run.status == "completed"
    assert run.fold.counts.n_epochs == whole.fold.counts.n_epochs
    assert [p.best for p in run.fold.anytime] == [p.best for p in whole.fold.anytime]


def test_a_lost_worker_stands_there_with_the_reason(tmp_path, lines, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    start = next(i for i, line in enumerate(lines) if b'"start"' in line)
    lost = {"event": "lost", "worker": 0, "message": "died \x1b[2J[bold]", "time_s": 1.0}
    folder = grown(tmp_path, b"".join(lines[: start + 1]) + json.dumps(lost).encode() + b"\n")
    out = printed(capsys, folder, "--once")
    assert "0 of 0 busy, 1 lost" in out
    assert "lost: died \\x1b[2J[bold]" in out and "\x1b[2J" not in out


@pytest.mark.parametrize("content", [b"{}\n", b"\xff\n", b'{"journal":1}\n', b"[]\n"])
def test_a_file_that_is_no_journal_is_said_and_is_no_traceback(tmp_path, content, capsys):
    out = printed(capsys, grown(tmp_path, content), "--once")
    assert "unreadable" in out


def test_a_journal_that_became_shorter_or_lost_a_line_is_said(tmp_path, lines):
    folder = grown(tmp_path, b"".join(lines))
    run = FollowedRun(folder)
    run.look()
    grown(tmp_path, b"".join(lines[:5]))
    run.look()
    assert "shorter" in run.error and run.is_over
    missing = FollowedRun(grown(tmp_path, b"".join(lines[:6] + lines[7:])))
    missing.look()
    assert missing.status == "unreadable"


def test_it_ends_when_the_runs_are_over_and_finds_those_that_begin_later(tmp_path, lines):
    folder = grown(tmp_path, b"".join(lines[:4]))
    runs, now, looked = [FollowedRun(folder)], [0.0], 0

    def sleep(seconds):
        now[0] += seconds
        if now[0] == 3.0:
            grown(tmp_path, b"".join(lines))
        if now[0] == 8.0:
            later = tmp_path / "later"
            later.mkdir()
            (later / journals.NAME).write_bytes(b"".join(lines))

    for _ in watch.looks(runs, [tmp_path], 1.0, sleep=sleep, clock=lambda: now[0]):
        looked += 1
    assert [run.status for run in runs] == ["completed", "completed"]
    assert looked < 40


@pytest.mark.parametrize(
    ("scheduler", "is_known"),
    [
        ({"max_epochs": 2**63 - 1, "eta": 2}, False),
        ({"_target_": RANDOM, "max_epochs": 2, "n_trials": 10**6}, True),
        ({"_target_": RANDOM, "max_epochs": 2, "n_trials": 2**62}, False),
        ({"_target_": ASHA, "max_epochs": 10**6, "n_trials": 2**62, "eta": 2}, False),
        ({"_target_": "suite.watch.__main__.main"}, False),
    ],
)  # fmt: skip
def test_the_plan_of_a_strangers_scheduler_is_bounded(tmp_path, lines, scheduler, is_known):
    header = json.loads(lines[0])
    own = header["config"]["scheduler"] if "_target_" not in scheduler else {}
    header["config"]["scheduler"] = {**own, **scheduler}
    folder = grown(tmp_path, json.dumps(header).encode() + b"\n" + b"".join(lines[1:9]))
    run = FollowedRun(folder)
    with bounded(60):
        run.look()
    assert not run.error and (run.n_planned is not None) == is_known


def test_bad_input_is_named(tmp_path, capsys):
    assert watch.main([str(tmp_path)]) == 1
    assert watch.main([str(tmp_path), "--every", "0"]) == 1
    assert "--every 0: must be at least 0.1" in capsys.readouterr().err


def test_a_sparkline_keeps_the_last_value_and_its_width():
    assert sparkline([]) == "" and sparkline([2.0, 2.0]) == "▁▁"
    assert len(sparkline([float(i) for i in range(1000)], width=10)) == 10
    assert sparkline([3.0, 1.0, 2.0])[:2] == "█▁" and sparkline(list(range(8))) == "▁▂▃▄▅▆▇█"
