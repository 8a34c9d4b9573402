"""A sweep that was cut is continued by its folder; where runs lie, and how they go on, is said."""

import json
import re
import shlex

import pytest

from suite.core.errors import ConfigError
from suite.launch import cli
from suite.launch.progress import Progress
from suite.launch.sweep_folder import SweepFolder
from suite.results import record
from suite.run import journal as journals

SMALL = ("model=table_target", "max_epochs=2", "report=false", "tracking=later", "backend=inline")
SWEEP = ("-m", "algorithm=hyperband,random_search", "seed=0,1")


@pytest.fixture(autouse=True)
def unsynced(no_fsync):
    """Many small runs: what they write is read by the same kernel."""


@pytest.fixture
def line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUITE_RUNS", raising=False)
    monkeypatch.delenv("SUITE_CALLED", raising=False)
    monkeypatch.setenv("SUITE_STAMP", "one")
    monkeypatch.setattr("sys.argv", ["suite"])
    return lambda *words: cli.main([*SMALL, *words])


def interrupt_in(monkeypatch, n):
    """Ctrl-C in the n-th run, after some events."""
    seen = []
    call = Progress.__call__

    def interrupting(self, event, conductor):
        seen.append(self)
        call(self, event, conductor)
        if len(set(map(id, seen))) == n and conductor.n_epochs >= 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", interrupting)


def results(folder):
    records = {p.parent.name: json.loads(p.read_text()) for p in folder.rglob(record.NAME)}
    return {
        name: (one["status"], one["result"]["winner"]["config"]) for name, one in records.items()
    }


def continued(err):
    """The words of the command that an interruption printed."""
    (command,) = re.findall(r"^continue with: python -m suite (.*)$", err, re.M)
    return shlex.split(command)


def test_a_cut_sweep_goes_on_by_the_command_that_is_printed(line, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_in(patch, 2)
        assert line(*SWEEP) == 130
    out, err = capsys.readouterr()
    assert "4 runs go to runs/run/one\n" in err
    assert out.count(": completed") == 1 and "interrupted: stopped by a signal" in err
    words = continued(err)
    assert words == ["resume=runs/run/one", "report=false", "tracking=later"]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert "4 runs in runs/run/one, 2 of them not begun\n" in err
    assert out.count(": already completed\n") == 1 and out.count(": completed") == 3
    found = results(tmp_path / "runs")
    assert len(found) == 4 and {status for status, _ in found.values()} == {"completed"}
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "whole"))
    assert line(*SWEEP) == 0
    assert results(tmp_path / "whole") == found
    # All are over now: said, with exit code 0; and nothing is written.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    capsys.readouterr()
    assert cli.main(words) == 0
    assert capsys.readouterr().out.count(": already completed\n") == 4
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


@pytest.mark.parametrize("words", [SWEEP, ()], ids=["sweep", "run"])
def test_the_printed_command_names_the_folder_of_yaml_files_again(
    words, line, tmp_path, monkeypatch, capsys
):
    (tmp_path / "my conf").mkdir()
    with monkeypatch.context() as patch:
        interrupt_in(patch, 1)
        assert line("--config-dir", "my conf", *words) == 130
    again = continued(capsys.readouterr().err)
    assert again[-2:] == ["--config-dir", "my conf"]
    assert cli.main(again) == 0
    assert {status for status, _ in results(tmp_path / "runs").values()} == {"completed"}


def test_journals_without_a_command_are_continued_and_the_rest_is_told(
    line, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        interrupt_in(patch, 1)
        assert line(*SWEEP) == 130
    (path,) = (tmp_path / "runs").rglob(journals.NAME)
    first, _, rest = path.read_text().partition("\n")
    header = json.loads(first)
    del header["command"]
    path.write_text(f"{json.dumps(header)}\n{rest}")
    capsys.readouterr()
    assert cli.main(["resume=runs/run/one", "report=false", "tracking=later"]) == 0
    out, err = capsys.readouterr()
    assert out.count(": completed") == 1 and "SUITE_STAMP=TIME and resume=auto" in err


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("resume=runs/run/on", "resume=runs/run/on: no such folder; name the folder of a run or of a sweep. "
         "Did you mean one?"),
        ("resume=runs/empty", "resume=runs/empty: holds no journal.jsonl, nor does a folder below it; name"),
        ("resume=nowhere/at/all", "resume=nowhere/at/all: no such folder"),
    ],
)  # fmt: skip
def test_a_folder_without_a_run_is_named(line, tmp_path, word, says, capsys):
    assert line() == 0
    (tmp_path / "runs" / "empty").mkdir()
    capsys.readouterr()
    assert cli.main([word]) == 1
    assert says in capsys.readouterr().err


def test_a_finished_run_is_said_to_be_so(line, capsys):
    assert line() == 0
    err = capsys.readouterr().err
    assert "this run goes to runs/run/one/hyperband-seed0\n" in err
    for named in ("hyperband-seed0", "hyperband-seed0/journal.jsonl"):
        assert cli.main([f"resume=runs/run/one/{named}", "report=false", "tracking=later"]) == 0
        assert capsys.readouterr().out == "hyperband seed 0 on table_target: already completed\n"


def test_a_single_run_names_its_own_folder_and_keeps_what_a_resume_does_not_know(
    line, monkeypatch, capsys
):
    monkeypatch.setenv("SUITE_CALLED", "./bench run")
    with monkeypatch.context() as patch:
        interrupt_in(patch, 1)
        assert line() == 130
    err = capsys.readouterr().err
    command = "./bench run resume=runs/run/one/hyperband-seed0 report=false tracking=later"
    assert f"continue with: {command}\n" in err
    assert "resume=runs/run/one/hyperband-seed0." in err and "<run folder>" not in err


def test_the_command_that_continues_lies_ready_from_the_start_for_bench(
    line, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SUITE_CALLED", "/elsewhere/bench run")
    monkeypatch.setenv("SUITE_AGAIN", str(tmp_path / "again"))
    assert line("-m", "seed=0,1") == 0
    folder = tmp_path / "runs" / "run" / "one"
    expected = f"/elsewhere/bench run resume={folder} report=false tracking=later\n"
    assert (tmp_path / "again").read_text() == expected


def test_what_a_strangers_sweep_names_outside_of_its_folder_is_refused(line, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_in(patch, 1)
        assert line(*SWEEP) == 130
    (path,) = (tmp_path / "runs").rglob(journals.NAME)
    first, _, rest = path.read_text().partition("\n")
    header = json.loads(first)
    for further, says in (
        (f"backend.checkpoints={tmp_path}/victim", "backend.checkpoints"),
        ("hydra.sweep.subdir=../../out", "must name a folder inside of"),
        ("hydra.searchpath=[pkg://os]", "is not taken"),
        ("--config-dir=elsewhere", "was begun with --config-dir; give it again"),
    ):
        path.write_text(
            json.dumps({**header, "command": [*header["command"], further]}) + f"\n{rest}"
        )
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ConfigError, match=re.escape(says)):
            cli._resume_sweep(tmp_path / "runs" / "run" / "one", [], lambda: None)
        assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path / "victim").exists()


def test_runs_of_a_folder_that_no_sweep_names_go_on_too(line, tmp_path):
    assert line() == 0
    found = SweepFolder(tmp_path / "runs")
    assert [run.header for run in found] == [None] and not found.is_known
