"""Run folders from strangers: what is no regular file, too large, too deep or of another type is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from kit.mutations import bounded
from kit.report_runs import write_run
from kit.simulated import header
from suite.core.errors import ConfigError, JournalError
from suite.launch import cli
from suite.report.groups import collect
from suite.results import schema
from suite.results.find import find_runs, require_runs
from suite.results.fold import load_run
from suite.results.header import parse_header
from suite.run import journal_reading as reading
from suite.run.journal import NAME, read, read_header


def put(folder, *rows, end="\n"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text("\n".join(map(json.dumps, rows)) + end)
    return folder


def fifo(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def link(path):
    path.symlink_to(path.parent.parent / "elsewhere")


def folder(path):
    path.mkdir()


def huge(path):
    with open(path, "wb") as file:
        file.truncate(reading.MAX_BYTES + 1)


# --- what is no journal -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [fifo, device, link, huge])
def test_what_is_no_bounded_regular_file_is_refused_at_once(tmp_path, make):
    """On 0e27403 a pipe hangs six commands, and a device takes all memory."""
    (tmp_path / "elsewhere").write_text("{}")
    run = tmp_path / "run"
    run.mkdir()
    make(run / NAME)
    with bounded(20):
        for reader in (load_run, lambda path: read_header(path / NAME)):
            with pytest.raises(JournalError, match=f"run/{NAME}: "):
                reader(run)
        assert find_runs([tmp_path]) == [run]
        groups, unreadable = collect([tmp_path])
        assert not groups and len(unreadable) == 1
        assert cli.main([f"resume={run}"]) == 1


def test_a_folder_that_is_called_journal_holds_no_run(tmp_path):
    (tmp_path / "run" / NAME).mkdir(parents=True)
    assert find_runs([tmp_path]) == []
    with pytest.raises(JournalError, match="folder, a pipe or a device"):
        read(tmp_path / "run" / NAME)


def test_a_bad_journal_beside_the_others_is_named_and_theirs_are_read(tmp_path):
    write_run(tmp_path / "good")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / NAME)
    put(tmp_path / "deep", header() | {"journal": 1})
    with open(tmp_path / "deep" / NAME, "a") as file:
        file.write("[" * 100_000 + "\n{}\n")
    (group,), unreadable = collect([tmp_path])
    assert len(group.runs) == 1 and len(unreadable) == 2


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"journal":1,"a":' * 100_000, "9" * 10_000, "{" + "\x00"]
)
def test_a_header_of_any_depth_is_refused_by_name(tmp_path, text):
    """On 0e27403 RecursionError, in a sibling's folder too: no new run of the experiment began."""
    run = tmp_path / "run"
    run.mkdir()
    (run / NAME).write_text(text + "\n")
    with pytest.raises(JournalError, match="no header of format 1"):
        read_header(run / NAME)
    with pytest.raises(JournalError, match="line 1|format="):
        load_run(run)


def test_a_first_line_without_an_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_HEADER", 1000)
    (tmp_path / NAME).write_text("x" * 10_000)
    with pytest.raises(JournalError, match="more than 1000 bytes"):
        read_header(tmp_path / NAME)
    with pytest.raises(JournalError, match="more than 1000 bytes"):
        read(tmp_path / NAME)


@pytest.mark.parametrize("make", [fifo, device, folder])
def test_a_record_that_is_no_file_is_a_doubt_of_the_run(tmp_path, make):
    run = write_run(tmp_path / "run")
    make(run / schema.NAME)
    with bounded(20):
        assert any(doubt.startswith(schema.NAME) for doubt in load_run(run).doubts)
        with pytest.raises(JournalError):
            schema.load(run / schema.NAME)


def test_a_record_of_another_journal_is_a_doubt(tmp_path):
    run = write_run(tmp_path / "run")
    record = {"journal": {"sha256": "0" * 64, "size": {"value": 10**9, "unit": "bytes"}}}
    (run / schema.NAME).write_text(json.dumps(record))
    assert "journal.sha256 is 000000000000..." in load_run(run).doubts[-1]
    (group,), _ = collect([run])
    assert any("not of this journal" in warning for warning in group.warnings)


# --- lines ------------------------------------------------------------------------------------------


def test_empty_lines_at_the_end_are_left_out_and_one_inside_is_named(tmp_path):
    """Two of them were "damaged" on 0e27403, and nothing kept the rest."""
    whole = load_run(write_run(tmp_path / "run"))
    path = tmp_path / "run" / NAME
    data = path.read_bytes()
    path.write_bytes(data + b"\n\n \n")
    assert load_run(tmp_path / "run") == whole
    rows = data.splitlines(keepends=True)
    path.write_bytes(b"".join([*rows[:5], b"\n", *rows[5:]]))
    with pytest.raises(JournalError, match="line 6 is damaged .it is empty.*keep lines 1 to 5"):
        load_run(tmp_path / "run")


JOINED = {"event": "joined", "worker": 1, "time_s": 0.0, "facts": {}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (JOINED | {"worker": "1"}, "worker=1: must be an integer"),
        (JOINED | {"worker": True}, "worker=True: must be an integer"),
        (JOINED | {"time_s": 1e300}, r"time_s=1e\+300: must be seconds"),
        (JOINED | {"facts": []}, "facts=.*: must be a mapping"),
        (JOINED | {"facts": {"ranks": "x"}}, "facts.ranks=x: must be an integer >= 1"),
        (JOINED | {"facts": {"nodes": ["n1", 2]}}, "facts.nodes=.*: must be a list whose items are each"),
        (JOINED | {"facts": {"energy": 7}}, "facts.energy=7: must be a mapping"),
        (JOINED | {"facts": {"data_set": {"n_train": 1e9}}}, "facts.data_set.n_train=1000000000.0: must be"),
        (JOINED | {"do": "start"}, "do=start: must be a list of commands"),
        (JOINED | {"do": [["start", 1, 0, 0, 0]]}, "do: .*start must have 5 values"),
        (JOINED | {"do": [["stop", 1]]}, "do: command stop: must be one of start"),
        (JOINED | {"given_up": {"0": 7}}, "given_up.0=7: must be text"),
        (JOINED | {"stopped": {"²": 7}}, "stopped.²: must be the number of a trial"),
        (JOINED | {"trials": {"0": {"config": {}, "seed": 1.5}}}, "trials.0.seed=1.5: must be an integer"),
        (JOINED | {"stoqped": {"0": 7}}, "stoqped: no key of an event.*did it say stopped"),
        (JOINED | {"event": "jumped"}, "event=jumped: must be one of joined"),
        ({"event": "lost", "worker": 1, "time_s": 0.0}, "message: missing in an event of kind lost"),
        ({"event": "closed", "status": "won", "reason": "", "time_s": 0}, "status=won: must be completed"),
        (
            {"event": "forecast", "key": "k", "values": [1, "x"], "fit_s": 0, "predict_s": 0, "time_s": 0,
             "sampler": None},
            "values=.*: must be a list whose items are each a finite number or null",
        ),
    ],
)  # fmt: skip
def test_a_key_of_another_type_is_named_with_its_line(tmp_path, line, words):
    run = put(tmp_path / "run", {"journal": 1, **header()}, JOINED | {"worker": 2}, line, JOINED)
    with pytest.raises(JournalError, match=f"run/{NAME}: line 3: {words}"):
        load_run(run)


@pytest.mark.parametrize("raw", ["1" + "0" * 400, "1e999", "NaN", "-Infinity"])
def test_a_number_beyond_a_float_is_named_with_its_line(tmp_path, raw):
    run = put(tmp_path / "run", {"journal": 1, **header()}, JOINED, JOINED)
    text = (run / NAME).read_text().replace('"time_s": 0.0', f'"time_s": {raw}', 1)
    (run / NAME).write_text(text)
    with pytest.raises(JournalError, match="line 2( is damaged|: time_s=)"):
        load_run(run)


# --- headers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": []}, "config=.*: must be a mapping"),
        ({"config": {"model": 7}}, "config.model=7: must be a mapping"),
        (
            {"config": {"backend": {"threads": "many"}}},
            "config.backend.threads=many: must be an integer",
        ),
        ({"config": {"scheduler": {"_target_": 3}}}, "config.scheduler._target_=3: must be text"),
        ({"max_epochs": 0}, "max_epochs=0: must be an integer >= 1"),
        ({"max_epochs": True}, "max_epochs=True: must be an integer >= 1"),
        ({"n_workers": {}}, "n_workers=.*: must be an integer"),
        ({"overlap": "maybe"}, "overlap=maybe: must be true, false or logical"),
        ({"date_utc": "9999-12-31T23:59:59Z"}, "date_utc=9999.*of the years 1970 to 9000"),
        ({"reference": {"best": 1}}, "reference: must have best and median"),
        ({"git": {"dirty": "yes"}}, "git.dirty=yes: must be true or false"),
        ({"algorithm": ["\x1b[2J"]}, r"algorithm=\['\\\\?x1b"),
        ({"choices": {"task": []}}, "choices.task="),
    ],
)
def test_a_key_of_a_header_is_named_with_its_rule(change, words):
    with pytest.raises(JournalError, match=words) as error:
        parse_header(header(**change), "run")
    assert "\x1b" not in str(error.value)


# --- finding ------------------------------------------------------------------------------------------


def test_no_link_below_a_named_folder_is_followed(tmp_path):
    write_run(tmp_path / "others" / "run")
    mine = tmp_path / "mine"
    write_run(mine / "a")
    (mine / "theirs").symlink_to(tmp_path / "others")
    (mine / "round").symlink_to(mine)
    assert find_runs([mine]) == [mine / "a"]
    assert find_runs([mine / "theirs"]) == [tmp_path / "others" / "run"]


@pytest.fixture
def deep(tmp_path):
    """A folder below which 1,500 others nest: more than Python's recursion, so pytest's own removal fails."""
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    yield tmp_path
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_tree_of_any_depth_is_looked_into_to_a_bound(deep):
    tmp_path = deep
    write_run(tmp_path / "run")
    assert find_runs([tmp_path]) == [tmp_path / "run"]
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(ConfigError, match="no journal.jsonl at or below"):
        require_runs([tmp_path])
