"""A file is there whole or not at all, whatever goes wrong on the way."""

from __future__ import annotations

import os

import pytest

from suite.files import write_whole


def test_text_bytes_and_writers_end_in_the_named_file(tmp_path):
    folder = tmp_path / "not" / "there yet"
    assert write_whole(folder / "a.txt", "å\n").read_text(encoding="utf-8") == "å\n"
    assert write_whole(folder / "b", b"\x00\r\n").read_bytes() == b"\x00\r\n"
    assert write_whole(folder / "c", lambda path: path.write_text("c")).read_text() == "c"
    assert sorted(os.listdir(folder)) == ["a.txt", "b", "c"]


def test_the_name_may_depend_on_what_was_written(tmp_path):
    path = write_whole(
        tmp_path / "job", b"four", name=lambda part: f"{len(part.read_bytes())}.ckpt"
    )
    assert path == tmp_path / "4.ckpt" and os.listdir(tmp_path) == ["4.ckpt"]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    def half(path):
        path.write_text("ha")
        raise OSError(28, "No space left on device")

    write_whole(tmp_path / "a", "old")
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", half)
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    steps = []
    sync, rename = os.fsync, os.rename

    def synced(fd):
        steps.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        sync(fd)

    def renamed(*names, **folders):
        steps.append("rename")
        rename(*names, **folders)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    write_whole(tmp_path / "a", "x")
    assert steps[0].startswith(".a.") and steps[0].endswith(".part")
    assert steps[1:] == ["rename", tmp_path.name]
