"""What may lie in a folder from somebody else: links, pipes, devices, huge files, deep JSON."""

import json
import os
import re

import pytest

from suite import files
from suite.files import UnsafeFileError

NAMES = re.compile(r"epoch-\d+\.ckpt")


@pytest.fixture
def place(tmp_path):
    """(the folder that the user named, a folder of the victim with one file)"""
    named, victim = tmp_path / "run", tmp_path / "victim"
    named.mkdir()
    victim.mkdir()
    (victim / "epoch-1.ckpt").write_text("precious")
    return named, victim


def untouched(victim):
    return os.listdir(victim) == ["epoch-1.ckpt"] and (
        (victim / "epoch-1.ckpt").read_text() == "precious"
    )


def test_a_link_is_not_opened_at_the_end_or_on_the_way(place):
    named, victim = place
    (named / "record.json").symlink_to(victim / "epoch-1.ckpt")
    (named / "checkpoints").symlink_to(victim)
    for path in (named / "record.json", named / "checkpoints" / "epoch-1.ckpt"):
        for attempt in (
            lambda path=path: files.open_regular(path, below=named),
            lambda path=path: files.open_append(path, below=named),
        ):
            with pytest.raises(UnsafeFileError, match="link"):
                attempt()
    with pytest.raises(UnsafeFileError, match="link"):
        files.list_folder(named / "checkpoints", below=named)
    with pytest.raises(UnsafeFileError, match="link"):
        files.make_folder(named / "checkpoints" / "trial", below=named)
    assert untouched(victim)


def test_the_named_folder_itself_may_be_a_link(place):
    named, victim = place
    (named / "data").symlink_to(victim)
    data = named / "data"
    assert files.read_text(data / "epoch-1.ckpt", max_bytes=99, below=data) == "precious"


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "/dev/zero"])
def test_what_would_block_or_not_end_is_refused_at_once(place, kind):
    named, _ = place
    path = named / "journal.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        import socket

        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
    else:
        os.symlink(kind, path)
    with pytest.raises(UnsafeFileError, match=r"run/journal\.jsonl: is a "):
        files.read_bytes(path, max_bytes=10)
    with pytest.raises(UnsafeFileError, match=r"run/journal\.jsonl: is a "):
        files.open_append(path)


def test_a_file_beyond_the_bound_is_not_read(place):
    named, _ = place
    with (named / "big").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UnsafeFileError, match=r"size=1000000000000 bytes: must be at most 100"):
        files.read_bytes(named / "big", max_bytes=100)


def test_writing_replaces_a_link_and_leaves_what_it_shows(place):
    named, victim = place
    (named / "report.md").symlink_to(victim / "epoch-1.ckpt")
    (named / ".report.md.part").symlink_to(victim / "epoch-1.ckpt")
    files.write_whole(named / "report.md", "mine", below=named)
    assert not (named / "report.md").is_symlink() and (named / "report.md").read_text() == "mine"
    (named / "deeper").symlink_to(victim)
    with pytest.raises(UnsafeFileError, match="link"):
        files.write_whole(named / "deeper" / "report.md", "mine", below=named)
    assert untouched(victim)


def test_only_names_of_ours_are_removed_and_no_link_is_followed(place):
    named, victim = place
    trial = named / "trial-1"
    trial.mkdir()
    for name in ("epoch-1.ckpt", "epoch-2.ckpt", "results.csv"):
        (trial / name).write_text(name)
    (trial / "epoch-3.ckpt").symlink_to(victim / "epoch-1.ckpt")
    (trial / "epoch-4.ckpt").mkdir()
    stay = files.remove_files(trial, NAMES, below=named, but={"epoch-2.ckpt"})
    assert stay == ["epoch-2.ckpt", "epoch-4.ckpt", "results.csv"]
    (named / "trial-2").symlink_to(victim)
    with pytest.raises(UnsafeFileError, match="link"):
        files.remove_files(named / "trial-2", NAMES, below=named)
    assert not files.remove_folder(named / "trial-2", below=named)
    assert not files.remove_folder(trial, below=named)
    assert files.remove_files(named / "none", NAMES, below=named) == []
    assert untouched(victim)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[" * 100_000, "nests deeper than 64"),
        ('{"a":' * 70 + "1" + "}" * 70, "nests deeper than 64"),
        ("1" * 5000, "beyond 64 bits"),
        ("-1e999", "beyond the range of a float"),
        ("[NaN]", "NaN is not JSON"),
        ("{", "Expecting property name"),
    ],
)
def test_json_that_would_break_a_reader_is_a_value_error(text, rule):
    with pytest.raises(ValueError, match=rule):
        files.parse_json(text)


def test_brackets_within_text_are_no_depth():
    text = json.dumps({"a": '[{\\"' * 200, "b": [[1, 2.5, -(2**63)]]})
    assert files.parse_json(text) == json.loads(text)
