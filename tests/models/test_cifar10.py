"""CIFAR-10's batches: read as published, nothing in them executed, damage named."""

import contextlib
import os
import pickle

import numpy as np
import pytest

from kit.published import cifar_batches, md5, python2_batch, tar_gz
from models.data import cifar10
from suite.core.errors import DataError

ROWS = 20


@pytest.fixture
def batches(monkeypatch):
    found, pixels, labels = cifar_batches(ROWS)
    monkeypatch.setattr(cifar10, "ROWS", ROWS)
    monkeypatch.setattr(cifar10, "CIFAR10_MD5", {name: md5(b) for name, b in found.items()})
    return found, pixels, labels


def unpacked(tmp_path, files):
    folder = tmp_path / cifar10.CIFAR10_FOLDER
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive(tmp_path, files):
    files = {f"{cifar10.CIFAR10_FOLDER}/{name}": content for name, content in files.items()}
    (tmp_path / cifar10.ARCHIVE).write_bytes(tar_gz(files))


def test_the_batches_of_these_tests_are_what_python_2_wrote(batches):
    files, pixels, labels = batches
    told = pickle.loads(files["data_batch_2"], encoding="bytes")
    assert told[b"labels"] == labels[1].tolist() and (told[b"data"] == pixels[1]).all()


@pytest.mark.parametrize("place", [unpacked, archive])
def test_pixels_and_labels_are_the_published_ones_in_their_order(batches, tmp_path, place):
    files, pixels, labels = batches
    assert not cifar10.present(tmp_path)
    place(tmp_path, files)
    assert cifar10.present(tmp_path)
    x_train, y_train, x_test, y_test = cifar10.load(tmp_path)
    assert x_train.dtype == np.uint8 and y_train.dtype == np.int64
    assert x_train.shape == (5 * ROWS, 3, 32, 32) and x_test.shape == (ROWS, 3, 32, 32)
    assert (x_train.reshape(5, ROWS, 3072) == pixels[:5]).all() and (
        y_train == labels[:5].flat
    ).all()
    assert (x_test.reshape(ROWS, 3072) == pixels[5]).all() and (y_test == labels[5]).all()
    assert x_train[0, 1, 2, 3] == pixels[0, 0, 1024 + 2 * 32 + 3], "green, third row, fourth pixel"


def test_a_missing_or_other_batch_is_named(batches, tmp_path):
    folder = unpacked(tmp_path, batches[0])
    (folder / "data_batch_3").write_bytes(batches[0]["data_batch_4"])
    with pytest.raises(DataError, match=r"data_batch_3: md5 is .*fetch cifar10"):
        cifar10.load(tmp_path)
    (folder / "data_batch_3").unlink()
    assert not cifar10.present(tmp_path)
    with pytest.raises(DataError, match="data_batch_3: cannot be read"):
        cifar10.load(tmp_path)


def test_a_damaged_or_incomplete_archive_is_named(batches, tmp_path):
    archive(tmp_path, {k: b for k, b in batches[0].items() if k != "test_batch"})
    with pytest.raises(DataError, match="test_batch is missing"):
        cifar10.load(tmp_path)
    path = tmp_path / cifar10.ARCHIVE
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DataError, match=f"{cifar10.ARCHIVE}: is damaged"):
        cifar10.load(tmp_path)


class Evil:
    def __init__(self, function, *arguments):
        self.told = function, arguments

    def __reduce__(self):
        return self.told


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments", "asked"),
    [
        (os.system, ("touch {}/run",), r"posix\.system"),
        (eval, ("open('{}/run', 'w')",), r"(__)?builtin(s|__)\.eval"),
        (getattr, ("a", "b"), r"(__)?builtin(s|__)\.getattr"),
        (np.load, ("{}/run",), r"numpy\.load"),
        (np.memmap, ("{}/run", "u1", "w+"), r"numpy\.memmap"),
    ],
)
def test_a_batch_that_would_run_a_program_runs_none(tmp_path, protocol, function, arguments, asked):
    arguments = [text.format(tmp_path) for text in arguments]
    content = pickle.dumps(Evil(function, *arguments), protocol)
    with pytest.raises(DataError, match=rf"(asks for {asked}|opcode PUT), .*not trusted"):
        cifar10.batch(content, "evil")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "is no CIFAR-10 batch"),
        (b"\x80\x02}.", "is no CIFAR-10 batch"),
        (b"\x80\x02K\x01.", "is no CIFAR-10 batch"),
        (b"<html>", "is no CIFAR-10 batch"),
        (python2_batch(np.zeros((ROWS, 3072), np.uint8), [0] * ROWS, kind=b"O8"), "O8"),
        (python2_batch(np.zeros((ROWS, 3072), np.uint8), [0] * 19 + [10]), "not within 0 and 9"),
        (python2_batch(np.zeros((ROWS, 3072), np.uint8), [0] * 19), r"labels \(19,\)"),
        (python2_batch(np.zeros((ROWS, 3071), np.uint8), [0] * ROWS), r"pixels \(20, 3071\)"),
        (python2_batch(np.zeros((ROWS, 3072), np.uint8), [0] * ROWS)[:-200], "is no CIFAR-10"),
    ],
)
def test_what_is_no_batch_is_said_with_its_name(monkeypatch, content, rule):
    monkeypatch.setattr(cifar10, "ROWS", ROWS)
    with pytest.raises(DataError, match=rf"^that file: .*{rule}"):
        cifar10.batch(content, "that file")


def test_no_cut_of_a_batch_raises_anything_but_a_data_error(monkeypatch):
    monkeypatch.setattr(cifar10, "ROWS", 1)
    content = python2_batch(np.zeros((1, 3072), np.uint8), [3])
    rng = np.random.default_rng(0)
    for _ in range(400):
        k, bit = int(rng.integers(min(len(content), 330))), int(rng.integers(8))
        for bad in (content[:k], content[:k] + bytes([content[k] ^ 1 << bit]) + content[k + 1 :]):
            with contextlib.suppress(DataError):
                cifar10.batch(bad, "cut")
