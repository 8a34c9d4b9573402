"""The journal: what is written is what is read, a torn end is repaired, a damaged middle refused, a
full disk survived.
"""

import dataclasses
import errno
import fcntl
import json
import math
import os
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.driving import resumed, search
from suite.core import types as t
from suite.core.errors import ConfigError, JournalError, StoppedError
from suite.run import journal as journals
from suite.run.journal import Journal, decode, encode, read
from suite.run.trials import GivenUp, Notes
from suite.schedulers.random_search import RandomSearch
from suite.schedulers.successive_halving import SuccessiveHalving

_number = st.floats(allow_nan=False, allow_infinity=False)
_text = st.text(max_size=8)
_count = st.integers(0, 2**40)
_by_type = {
    "int": _count,
    "float": _number,
    "float | None": st.none() | _number,
    "str": _text,
    "FailureReason": st.sampled_from(get_args(t.FailureReason)),
    "str | None": st.none() | _text,
    "Mapping[str, int]": st.dictionaries(_text, _count, max_size=2),
    "Mapping[str, float]": st.dictionaries(_text, _number, max_size=3),
    "Mapping[str, Any]": st.dictionaries(
        _text, st.none() | _text | _count | st.lists(_count, max_size=2), max_size=3
    ),
    "Mapping[str, Any] | None": st.none() | st.dictionaries(_text, _count | _text, max_size=3),
    "dict[str, Any] | None": st.none()
    | st.dictionaries(_text, st.none() | _text | _count | _number, max_size=3),
    "tuple[float | None, ...] | None": st.none()
    | st.lists(st.none() | _number, max_size=4).map(tuple),
    "tuple[float | None, ...]": st.lists(st.none() | _number, max_size=4).map(tuple),
}
_events = st.one_of(
    *(
        st.builds(cls, **{f.name: _by_type[f.type] for f in dataclasses.fields(cls)})
        for cls in t.EVENTS.values()
    )
)


def through_json(line):
    return json.loads(json.dumps(line, allow_nan=False))


@given(_events)
def test_every_event_comes_back_as_it_was(event):
    assert decode(through_json(encode([event], [], Notes()))) == [event]


@pytest.mark.parametrize("kind", sorted(t.EVENTS))
def test_every_kind_of_event_is_drawn_above(kind):
    cls = t.EVENTS[kind]
    assert all(f.type in _by_type for f in dataclasses.fields(cls)) and cls.kind == kind


@given(
    st.integers(0, 99),
    st.integers(0, 10**6),
    st.lists(st.tuples(_count, _number, _number), min_size=2, max_size=5),
)
def test_reports_of_one_job_share_a_line(worker, job_id, rows):
    events = [t.EpochReport(worker, job_id, e, x, {"val_loss": x}, y, 0.0, y) for e, x, y in rows]
    line = through_json(encode(events, [], Notes()))
    assert line["event"] == "epoch" and line["objective"] == [x for _, x, _ in rows]
    assert decode(line) == events


def test_commands_and_notes_stand_behind_the_event():
    job = t.Job(4, 2, 3, 9, {"x": 1}, 77)
    notes = Notes(
        trials={2: {"config": {"x": 1}}}, stopped={1: 5}, given_up={0: GivenUp("diverged", "nan")}
    )
    commands = [
        t.Start(1, job),
        t.Score(1, job),
        t.Ask(t.Predict("k", ((1.0,),), (1.0,), ((1.0,), (2.0,)))),
        t.Shutdown("failed", "w"),
    ]
    line = through_json(encode([t.Resumed()], commands, notes))
    assert line["do"] == [
        ["start", 1, 4, 2, 3, 9],
        ["score", 1, 4, 2, 9],
        ["ask", "k", 1, 2],
        ["shutdown", "failed", "w"],
    ]
    assert (line["trials"], line["stopped"], line["given_up"]) == (
        {"2": {"config": {"x": 1}}},
        {"1": 5},
        {"0": "diverged: nan"},
    )


# --- reading what a crash or a disk left behind ---------------------------------------------------


@pytest.fixture
def whole(tmp_path, no_fsync):
    search(tmp_path / "run", SuccessiveHalving(4, 2, 3))
    return (tmp_path / "run" / journals.NAME).read_bytes()


def written(folder, data):
    folder.mkdir(exist_ok=True)
    (folder / journals.NAME).write_bytes(data)
    return folder


def test_a_last_line_torn_at_any_byte_is_repaired(tmp_path, whole):
    rows = whole.splitlines(keepends=True)
    head, last = b"".join(rows[:-1]), rows[-1]
    for cut in range(len(last)):
        folder = written(tmp_path / "torn", head + last[:cut])
        journal = Journal(folder, None)
        assert len(journal.lines) == len(rows) - 2, f"cut at byte {cut}"
        journal.append([t.Resumed()], [], Notes())
        journal.release()
        _, lines, size = read(folder / journals.NAME)
        assert lines[-1]["event"] == "resumed" and len(lines) == len(rows) - 1
        assert (folder / journals.NAME).read_bytes()[: len(head)] == head and size == (
            folder / journals.NAME
        ).stat().st_size


def test_a_torn_tail_of_any_length_leaves_whole_lines_only(tmp_path, whole):
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for size in range(ends[0], len(whole) + 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(whole[:size])
        assert read(path)[2] == max(end for end in ends if end <= size)


@pytest.mark.parametrize("damage", [b"x", b"{", b"\xff\xfe", b"[1]\n", b"\n", b"\0\0\0"])
def test_a_damaged_middle_line_is_refused_with_its_number(tmp_path, whole, damage):
    rows = whole.splitlines(keepends=True)
    for number in (2, len(rows) // 2, len(rows) - 1):
        rows_now = list(rows)
        rows_now[number - 1] = damage if damage.endswith(b"\n") else damage + rows[number - 1]
        path = tmp_path / "damaged.jsonl"
        path.write_bytes(b"".join(rows_now))
        with pytest.raises(JournalError, match=rf"line {number} is damaged"):
            read(path)


@pytest.mark.parametrize("line", [b"{}", b'{"event":"epochs"}', b'{"event":"finished","worker":0}'])
def test_a_middle_line_that_is_no_event_is_refused_with_its_number(tmp_path, whole, line):
    rows = whole.splitlines(keepends=True)
    rows[4] = line + b"\n"
    folder = written(tmp_path / "strange", b"".join(rows[:-1]))
    with pytest.raises(JournalError, match="line 5"):
        resumed(folder, SuccessiveHalving(4, 2, 3))


def test_reading_is_strict_too(tmp_path, whole):
    rows = whole.splitlines(keepends=True)
    rows[3] = b'{"event":"resumed","time_s":NaN}\n'
    path = tmp_path / "nan.jsonl"
    path.write_bytes(b"".join(rows))
    with pytest.raises(JournalError, match="line 4"):
        read(path)


@pytest.mark.parametrize("data", [b"", b"{}\n", b'{"journal":99}\n', b'{"jour', b"[]\n"])
def test_what_is_no_journal_is_said_to_be_none(tmp_path, data):
    folder = written(tmp_path / "none", data)
    with pytest.raises(JournalError, match="format="):
        Journal(folder, None)
    with pytest.raises(JournalError, match="format="):  # its lock is free again
        Journal(folder, None)


def test_no_journal_at_all(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        read(tmp_path / "nothing.jsonl")


# --- two runs in one folder -----------------------------------------------------------------------


def test_two_runs_in_one_folder_are_refused(tmp_path):
    first = Journal(tmp_path, {"run_id": "1"})
    for header in ({"run_id": "2"}, None):
        with pytest.raises(ConfigError, match="another run is in it"):
            Journal(tmp_path, header)
    first.close("completed", "", 0.0)
    with pytest.raises(ConfigError, match="holds a journal already; continue it with resume="):
        Journal(tmp_path, {"run_id": "2"})
    assert read(tmp_path / journals.NAME)[0]["run_id"] == "1"


def test_a_file_system_without_locks_still_refuses_a_second_journal(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    Journal(tmp_path, {"run_id": "1"}).release()
    with pytest.raises(ConfigError, match="holds a journal already"):
        Journal(tmp_path, {"run_id": "2"})


# --- a full disk ----------------------------------------------------------------------------------


class FullDisk:
    """os.write that takes `room` more bytes of one journal, the last as a part of a line."""

    def __init__(self, room):
        self.room, self.write = room, os.write

    def __call__(self, fd, data):
        if not os.readlink(f"/proc/self/fd/{fd}").endswith(journals.NAME):
            return self.write(fd, data)
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = self.write(fd, data[: self.room])
        self.room -= done
        return done


@pytest.mark.parametrize("share", [0.1, 0.33, 0.5, 0.77, 0.9])
def test_a_full_disk_stops_the_run_and_the_journal_stays_readable(
    tmp_path, whole, monkeypatch, share
):
    folder = tmp_path / "full"
    journal = Journal(folder, {"run_id": "test"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(int(len(whole) * share)))
        with pytest.raises(StoppedError, match="No space left on device.*resume=<run folder>"):
            search(folder, SuccessiveHalving(4, 2, 3), journal=journal)
        with pytest.raises(StoppedError):
            journal.close(
                "failed", "No space left on device", 0.0
            )  # full still; the folder is free all the same
    data = (folder / journals.NAME).read_bytes()
    assert (
        data == whole[: len(data)] and data.endswith(b"\n") and len(data) > len(whole) * share - 450
    )
    assert resumed(folder, SuccessiveHalving(4, 2, 3)).conductor.shutdown.status == "completed"


def test_a_quota_that_is_met_at_fsync_stops_the_run_with_the_reason(tmp_path, monkeypatch):
    journal = Journal(tmp_path, {"run_id": "1"})

    def refuse(fd):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoppedError, match="Disk quota exceeded"):
        journal.append([t.Forecast("k", (1.0,), 0.0, 0.0)], [], Notes())


def test_a_folder_whose_header_could_not_be_written_is_not_taken(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(5))
        with pytest.raises(StoppedError):
            Journal(tmp_path, {"run_id": "1"})
    Journal(tmp_path, {"run_id": "2"}).release()


def test_closing_twice_writes_one_line_and_a_released_journal_none(tmp_path):
    journal = Journal(tmp_path / "a", {"run_id": "1"})
    journal.close("completed", "", 1.0)
    journal.close("failed", "again", 2.0)
    assert [line["status"] for line in read(journal.path)[1]] == ["completed"]
    killed = Journal(tmp_path / "b", {"run_id": "1"})
    killed.release()
    killed.close("completed", "", 1.0)
    assert read(killed.path)[1] == []


def test_what_is_not_json_never_reaches_the_file(tmp_path):
    journal = Journal(tmp_path, {"run_id": "1"})
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            journal.append([t.Scored(0, 1, bad)], [], Notes())
    journal.close("failed", "", 0.0)
    assert len(read(journal.path)[1]) == 1


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "api_token",
        "PASSWORD",
        "client_secret",
        "apikey",
        "API_KEY",
        "aws_credentials",
        "private_key",
    ],
)
def test_a_key_that_names_a_secret_is_refused_wherever_it_stands(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"config\.model\.{key}: looks like a secret") as error:
        Journal(tmp_path, {"config": {"model": {key: "hunter2-hunter2"}}})
    assert "hunter2" not in str(error.value)
    assert not (tmp_path / journals.NAME).exists()


def test_a_value_of_a_secret_environment_variable_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DWAVE_API_TOKEN", "CANARY-3f9a12")
    with pytest.raises(
        ConfigError, match="holds the value of the environment's DWAVE_API_TOKEN"
    ) as error:
        Journal(tmp_path, {"config": {"model": {"notes": ["a", "see CANARY-3f9a12!"]}}})
    assert "CANARY" not in str(error.value)
    assert not (tmp_path / journals.NAME).exists()
    Journal(
        tmp_path, {"config": {"n_tokens": 12, "password": None, "secret": ""}}
    ).release()  # no values, no secrets


def test_an_error_message_with_a_token_does_not_reach_the_journal(tmp_path, monkeypatch, no_fsync):
    from models.synthetic_curves import TableTarget

    monkeypatch.setenv("DWAVE_API_TOKEN", "CANARY-3f9a12")

    class Target(TableTarget):
        def warm_up(self):
            pass

        def start(self, config, seed):
            raise RuntimeError(f"401 for https://host/?token={os.environ['DWAVE_API_TOKEN']}")

    search(tmp_path, RandomSearch(2, 1), Target())
    assert b"CANARY" not in (tmp_path / journals.NAME).read_bytes()


def test_a_tokenizer_is_no_secret(tmp_path):
    Journal(tmp_path, {"config": {"model": {"tokenizer": "wordpiece", "secretary": "x"}}}).release()


BEGIN = b'{"journal":1,"run_id":"a'


@pytest.mark.parametrize(
    ("data", "cut"),
    [
        (b"", True),
        (b'{"jour', True),
        (BEGIN, True),
        (BEGIN + b"\0\0\0", True),
        (b"\0" * 9, True),
        (b"notes of mine", False),
        (b'{"my": "notes"}', False),
        (BEGIN + b"\n", False),
        (BEGIN + b"x" * 1_000_000, False),
    ],
    ids=range(9),
)
def test_only_a_journal_cut_within_its_first_line_is_begun_anew(tmp_path, data, cut):
    path = tmp_path / journals.NAME
    path.write_bytes(data)
    assert journals.is_cut_short(path) == cut
    if cut:
        Journal(tmp_path, {"run_id": "a"}).close("completed", "", 0.0)
        assert journals.read(path)[0]["run_id"] == "a"
    else:
        with pytest.raises(ConfigError, match="holds a journal already"):
            Journal(tmp_path, {"run_id": "a"})
        assert path.read_bytes() == data


def test_a_journal_that_is_begun_is_not_taken_for_a_cut_one(tmp_path):
    """Another process has made the file, and its first line is not written yet."""
    from suite.run.lock import FolderLock

    lock = FolderLock(tmp_path)
    path = tmp_path / journals.NAME
    path.write_bytes(b"")
    before = path.stat().st_ino
    assert journals.is_cut_short(path)
    with pytest.raises(ConfigError, match="another run is in it"):
        Journal(tmp_path, {"run_id": "b"})
    assert path.stat().st_ino == before and path.read_bytes() == b""
    lock.release(clean=False)


def test_a_first_line_that_cannot_be_written_leaves_the_folder_free(tmp_path, monkeypatch):
    """And removes its file before the lock goes: the next holder's journal is not touched."""
    seen = []

    def full(descriptor, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    released = journals.FolderLock.release
    monkeypatch.setattr(
        journals.FolderLock,
        "release",
        lambda self, clean: (
            seen.append((tmp_path / journals.NAME).exists()), released(self, clean)
        ),
    )  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(journals.Journal, "sync", lambda self: full(0, 0))
        with pytest.raises(OSError):
            Journal(tmp_path, {"run_id": "a"})
    assert seen == [False]
    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", full)
        with pytest.raises(OSError):
            Journal(tmp_path, {"run_id": "a"})
    Journal(tmp_path, {"run_id": "a"}).close("completed", "", 0.0)


def test_one_that_was_overtaken_while_it_slept_writes_nothing_more(tmp_path, monkeypatch):
    """Where locks do not reach other nodes its next line would stand in the midst of its successor's."""
    zombie = Journal(tmp_path, {"run_id": "a"})
    zombie.write({"event": "one"})
    # Another node took the folder, and has written on.
    (tmp_path / "run.lock").write_text("0123456789abcdef another")
    with open(tmp_path / journals.NAME, "ab") as successor:
        successor.write(b'{"event":"resumed"}\n')
    before = (tmp_path / journals.NAME).read_bytes()
    monkeypatch.setattr("suite.run.lock.PULSE_EVERY_S", 0.0)
    with pytest.raises(StoppedError, match="another run has taken"):
        zombie.write({"event": "two"})
    monkeypatch.undo()
    with pytest.raises(StoppedError, match="another run has taken"):
        zombie.close("failed", "overtaken", 1.0)
    assert zombie.is_taken
    assert (tmp_path / journals.NAME).read_bytes() == before
    assert (tmp_path / "run.lock").read_text() == "0123456789abcdef another"
