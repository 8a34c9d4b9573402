"""Ends of runs: a finished run gets its record, and nothing that fails afterwards takes anything with it."""

import dataclasses
import errno
import json
import os
import random
import signal

import pytest

from kit.driving import compose
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.launch import begin, cli, ending, execute
from suite.launch.progress import Progress
from suite.results import record
from suite.run import journal as journals
from suite.worker import checkpoints

SMALL = ("model=table_target", "max_epochs=2", "report=false", "tracking=later", "backend=inline")


@pytest.fixture(autouse=True)
def unsynced(no_fsync):
    """Many small runs: what they write is read by the same kernel."""


@pytest.fixture
def line(tmp_path, monkeypatch):
    """One command line in a folder of this test's own."""
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SUITE_STAMP", "one")
    return lambda *words: cli.main([*SMALL, *words])


def folders(tmp_path):
    return sorted(path.parent for path in (tmp_path / "runs").rglob(journals.NAME))


def trials_with_weights(folder):
    return sorted(path.name for path in (folder / "checkpoints").glob("trial-*"))


def killed(step):
    """`step()` in a child process that ends by SIGKILL, or by itself; whether it was killed."""
    if (pid := os.fork()) == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            step()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def die_at(place, n):
    """SIGKILL this process at the n-th removal of a checkpoint, or before or within the record's write."""
    left = [n]

    def dying(call):
        def instead(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return instead

    if place == "checkpoints":
        original = checkpoints.Checkpoints.drop_all_but

        def drop(self, winner):
            os.unlink = dying(os.unlink)
            original(self, winner)

        # A new run drops what it finds, too: that of its end is the one with a winner.
        checkpoints.Checkpoints.drop_all_but = lambda self, winner: (
            drop(self, winner) if winner is not None else original(self, winner)
        )
    elif place == "before the record":
        record.write = dying(record.write)
    else:
        original_write = record.write

        def write(folder):
            os.rename = dying(os.rename)
            return original_write(folder)

        record.write = write


@pytest.mark.parametrize("place", ["checkpoints", "before the record", "within the record"])
@pytest.mark.parametrize("word", ["resume=auto", "resume=FOLDER"])
def test_a_run_killed_after_its_closing_line_gets_its_record_from_the_next(
    tmp_path, line, place, word, capsys
):
    n = random.Random(f"{place} {word}").randrange(5) if place == "checkpoints" else 0

    def dies():
        die_at(place, n)
        line("resume=auto")

    assert killed(dies)
    (folder,) = folders(tmp_path)
    assert journals.read(folder / journals.NAME)[1][-1]["status"] == "completed"
    assert not (folder / record.NAME).exists()
    capsys.readouterr()
    if word == "resume=auto":
        assert line(word) == 0
    else:
        assert cli.main([f"resume={folder}", "report=false", "tracking=later"]) == 0
    assert "already completed; its record was missing and is written now" in capsys.readouterr().out
    found = json.loads((folder / record.NAME).read_text())
    assert found["status"] == "completed"
    winner = found["result"]["winner"]["trial_id"]
    assert trials_with_weights(folder) == [f"trial-{winner:06d}"]
    whole = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert line("resume=auto") == 0
    assert "already completed\n" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == whole


def test_a_full_disk_at_the_record_is_said_and_mended_by_the_next(
    tmp_path, line, monkeypatch, capsys
):
    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / record.NAME))

    monkeypatch.setattr(record, "write", full)
    assert line("-m", "seed=0,1", "resume=auto") == 1
    out = capsys.readouterr().err
    assert out.count("record.json: No") == 2 and out.count("No space left on device") == 2
    assert "the same command with resume=auto does the rest" in out
    monkeypatch.undo()
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SUITE_STAMP", "one")
    assert line("-m", "seed=0,1", "resume=auto") == 0
    assert all((folder / record.NAME).exists() for folder in folders(tmp_path))


def test_a_record_of_another_journal_is_written_anew(tmp_path, line):
    assert line() == 0
    (folder,) = folders(tmp_path)
    right = (folder / record.NAME).read_bytes()
    for wrong in (b"{}", b"[1]", right.replace(b'"sha256": "', b'"sha256": "0'), b"\xff"):
        (folder / record.NAME).write_bytes(wrong)
        assert line("resume=auto") == 0
        assert (folder / record.NAME).read_bytes() == right


def test_a_completed_run_of_other_settings_is_not_taken_for_this_one(tmp_path, line, capsys):
    assert line() == 0
    capsys.readouterr()
    assert line("resume=auto", "eta=4") == 1
    assert "eta=4: the run in" in (out := capsys.readouterr().err) and "completed with 2" in out
    # How many seeds of an algorithm a sweep holds says nothing of one of its runs.
    assert line("resume=auto", "n_seeds={hyperband: 3}") == 0


def test_a_damaged_journal_ends_its_own_run_and_not_the_sweep(tmp_path, line, capsys):
    assert line("-m", "seed=0,1") == 0
    first, second = folders(tmp_path)
    (first / journals.NAME).write_bytes(b"no journal\n")
    (second / record.NAME).unlink()
    capsys.readouterr()
    assert line("-m", "seed=0,1", "resume=auto") == 1
    assert (second / record.NAME).exists()
    assert "1 of 2 runs did not complete" in capsys.readouterr().err


# --- the end of the command: report, tracking, workers --------------------------------------------


class Tracked:
    """A tracker that notes what happened, and raises what it is told to."""

    def __init__(self, happened, error=None, code=0):
        self.happened, self.error, self.code = happened, error, code

    def after(self, folders):
        self.happened.append("tracked")
        if self.error is not None:
            raise self.error
        return self.code


ERRORS = [
    OSError(errno.ENOSPC, "No space left on device", "report.html"),
    ConfigError("report: is a file; remove it."),
    ValueError("not enough values to unpack"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("fails", ["report", "tracking"])
def test_report_and_tracking_do_not_stop_each_other(tmp_path, monkeypatch, capsys, fails, error):
    happened = []

    def report(folders):
        happened.append("reported")
        if fails == "report":
            raise error
        return 0

    tracker = Tracked(happened, error if fails == "tracking" else None)
    monkeypatch.setattr(ending, "_report", report)
    monkeypatch.setattr(ending, "make_tracker", lambda leaf: tracker)
    (tmp_path / journals.NAME).write_text("")
    settings = RunSettings.of(compose("model=table_target"))
    outcomes = [
        ending.Outcome("completed", "", tmp_path, "a"),
        ending.Outcome("failed", "", tmp_path, "b"),
    ]
    assert ending.finish(outcomes, settings) == ending.finish(outcomes[:1], settings) == 1
    assert happened == ["reported", "tracked"] * 2
    err = capsys.readouterr().err
    assert f"{fails}: " in err and f"python -m suite.{fails.removesuffix('ing')}" in err
    assert ("Traceback" in err) == isinstance(error, ValueError)
    assert "1 of 2 runs did not complete" in err


def test_workers_leave_before_the_report_and_the_import(line, monkeypatch):
    happened = []
    monkeypatch.setattr(ending, "_report", lambda folders: happened.append("reported") or 0)
    monkeypatch.setattr(ending, "make_tracker", lambda leaf: Tracked(happened))
    words = [word for word in SMALL if word != "report=false"]
    assert cli.main(words, ended=lambda: happened.append("workers left")) == 0
    assert happened == ["workers left", "reported", "tracked"]


def test_what_was_not_tracked_is_told_by_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setattr(ending, "make_tracker", lambda leaf: Tracked([], code=1))
    (tmp_path / journals.NAME).write_text("")
    settings = RunSettings.of(compose("model=table_target", "report=false"))
    assert ending.finish([ending.Outcome("completed", "", tmp_path, "a")], settings) == 1


# --- the disk ---------------------------------------------------------------------------------------

WRITES = ("open", "write", "fsync", "ftruncate", "pwrite", "rename")


def curves(folder):
    from suite.results.fold import load_run

    view = load_run(folder)
    return view.winner, view.test_value, {
        i: [epoch.objective for epoch in trial.epochs]
        for i, trial in view.trials.items()
    }  # fmt: skip


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_at_any_write_is_one_line_and_resume_equals_the_whole_run(
    tmp_path, monkeypatch, capsys, number
):
    """Each system call that writes below the run folder fails once it is reached, and from there on."""
    monkeypatch.setenv("SUITE_STAMP", "one")
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "whole"))
    assert cli.main(list(SMALL)) == 0
    (whole,) = (path.parent for path in (tmp_path / "whole").rglob(journals.NAME))
    counted = [0]
    rng = random.Random(number)

    def failing(call, at):
        def instead(*arguments, **named):
            writes = call is not originals["open"] or arguments[1] & (os.O_CREAT | os.O_WRONLY)
            if writes and armed[0]:
                counted[0] += 1
                if counted[0] > at:
                    raise OSError(number, os.strerror(number))
            return call(*arguments, **named)

        return instead

    originals = {name: getattr(os, name) for name in WRITES}
    armed = [False]
    settings = RunSettings.of(compose(*SMALL))
    again = dataclasses.replace(settings, resume="auto")
    moments = [*rng.sample(range(6), 2), rng.randrange(6, 60)]
    for at in moments:
        folder = tmp_path / f"{number}-{at}"
        counted[0] = 0
        with monkeypatch.context() as patched:
            for name in WRITES:
                patched.setattr(os, name, failing(originals[name], at))
            armed[0] = True
            outcome = execute.run(settings, folder)
            armed[0] = False
        said = capsys.readouterr()
        assert "Traceback" not in said.err or "in write" in said.err, (at, said.err)
        if outcome.status == "completed":
            assert outcome.untidied == "" or os.strerror(number) in outcome.untidied
        else:
            assert outcome.status == "failed" and os.strerror(number) in outcome.reason, outcome
        outcome = begin.begin_or_continue(again, folder)
        assert (outcome.status, outcome.untidied) == ("completed", ""), (at, outcome)
        assert curves(folder) == curves(whole)
        assert (folder / record.NAME).exists()


# --- signals ----------------------------------------------------------------------------------------


def test_a_second_ctrl_c_does_not_cut_off_the_closing_line_and_the_record(
    tmp_path, line, monkeypatch, capsys
):
    closing = journals.Journal.close

    def interrupted_again(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        closing(self, *arguments)

    monkeypatch.setattr(journals.Journal, "close", interrupted_again)
    monkeypatch.setattr(
        execute, "_runner", lambda *_: os.kill(os.getpid(), signal.SIGINT) or pytest.fail("went on")
    )
    assert line("-m", "seed=0,1") == 130
    (folder,) = folders(tmp_path)
    assert journals.read(folder / journals.NAME)[1][-1]["status"] == "interrupted"
    assert json.loads((folder / record.NAME).read_text())["status"] == "interrupted"
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_while_a_completed_run_is_closed_leaves_it_whole_and_ends_the_sweep(
    tmp_path, line, monkeypatch
):
    writing = record.write
    monkeypatch.setattr(
        record, "write", lambda folder: (os.kill(os.getpid(), signal.SIGINT), writing(folder))
    )
    with pytest.raises(KeyboardInterrupt):
        execute.run(RunSettings.of(compose(*SMALL)), tmp_path / "runs" / "a" / "b")
    (folder,) = folders(tmp_path)
    assert json.loads((folder / record.NAME).read_text())["status"] == "completed"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_a_run_with_a_budget_of_time_ends_it_whole_and_begins_no_further_one(
    tmp_path, line, monkeypatch, capsys
):
    """The sweep's exit code says that it is not all there; the run's record says how it ended."""
    showing, n_epochs = Progress.__call__, []

    def asked(self, event, conductor):
        showing(self, event, conductor)
        n_epochs.append(conductor.n_epochs)
        if conductor.n_epochs == 5 and n_epochs.count(5) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "__call__", asked)
    given = ("backend=inline", "budget.hours=1", "budget.allow_short=true", "max_epochs=4")
    assert line("-m", "seed=0,1", *given) == 130
    (folder,) = folders(tmp_path)
    told = json.loads((folder / record.NAME).read_text())
    assert told["status"] == "completed" and told["result"]["winner"]["test"] is not None
    assert told["reason"].startswith("Ctrl-C: ended by hand; "), told["reason"]
    assert "once more cuts it" in capsys.readouterr().err
