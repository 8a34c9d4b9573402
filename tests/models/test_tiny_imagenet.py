"""Tiny ImageNet from its archive and from folders: labels, grey pictures, kept arrays, damage."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from kit.published import jpeg, md5, tiny_files, zipped
from models.data import tiny_imagenet
from models.data.sources import SOURCES, File
from models.data.tiny_imagenet import ARCHIVE, CACHE, FOLDER, Shape
from suite.core.errors import DataError


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(tiny_imagenet, "SHAPE", Shape(3, 12, 6))
    monkeypatch.setattr(tiny_imagenet, "BLOCK", 5)


def folders(tmp_path, files, monkeypatch):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)


def archive(tmp_path, files, monkeypatch):
    content = zipped(files)
    (tmp_path / ARCHIVE).write_bytes(content)
    file = File(ARCHIVE, (), len(content), f"md5:{md5(content)}")
    source = replace(SOURCES["tiny_imagenet"], files=(file,))
    monkeypatch.setitem(SOURCES, "tiny_imagenet", source)


@pytest.fixture(params=[folders, archive])
def place(request, tmp_path, monkeypatch):
    return lambda files: request.param(tmp_path, files, monkeypatch)


def test_pictures_have_their_classes_in_alphabetical_order(place, tmp_path):
    assert not tiny_imagenet.present(tmp_path)
    place(tiny_files())
    assert tiny_imagenet.present(tmp_path)
    x, y, x_val, y_val = tiny_imagenet.load(tmp_path)
    assert x.shape == (36, 3, 64, 64) and x.dtype == np.uint8 and y.dtype == np.int64
    assert y.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    red, green = x[:, 0].mean((1, 2)), x[:, 1].mean((1, 2))
    colour = np.arange(36) != 13
    assert abs(red - 60 * (y + 1))[colour].max() < 4, "n01 is class 0"
    assert abs(green - 15 * (np.arange(36) % 12))[colour].max() < 4, "11 comes after 2"
    assert y_val.tolist() == [2, 0, 1, 2, 0, 1], "as val_annotations.txt says"
    assert abs(x_val[:, 1].mean((1, 2)) - 40 * np.arange(6)).max() < 4


def test_a_picture_in_grey_levels_has_three_equal_planes(place, tmp_path):
    place(tiny_files())
    grey = tiny_imagenet.load(tmp_path)[0][13]
    assert (
        (grey[0] == grey[1]).all()
        and (grey[1] == grey[2]).all()
        and abs(int(grey[0, 0, 0]) - 77) < 3
    )


def test_the_second_worker_decodes_nothing(place, tmp_path, monkeypatch):
    place(tiny_files())
    first = tiny_imagenet.load(tmp_path)
    monkeypatch.setattr(tiny_imagenet, "_decode", lambda *_: pytest.fail("decoded again"))
    second = tiny_imagenet.load(tmp_path)
    assert isinstance(second[0], np.memmap) and not second[0].flags.writeable
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_workers_that_start_together_decode_once(tmp_path, monkeypatch):
    folders(tmp_path, tiny_files(), monkeypatch)
    decode, calls, found = tiny_imagenet._decode, [], []
    monkeypatch.setattr(tiny_imagenet, "_decode", lambda *a: (calls.append(1), decode(*a)))
    workers = [
        threading.Thread(target=lambda: found.append(tiny_imagenet.load(tmp_path)[1].sum()))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(calls) == 1 and found == [36] * 4


def test_other_files_or_damaged_arrays_are_decoded_anew(tmp_path, monkeypatch):
    archive(tmp_path, tiny_files(), monkeypatch)
    tiny_imagenet.load(tmp_path)
    files = tiny_files() | {f"{FOLDER}/train/n01/images/n01_0.JPEG": jpeg((250, 250, 250))}
    archive(tmp_path, files, monkeypatch)
    assert tiny_imagenet.load(tmp_path)[0][0].min() > 240
    path = tmp_path / CACHE / "x_train.npy"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=f"{CACHE}.*remove it"):
        tiny_imagenet.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_not(tmp_path, monkeypatch):
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    archive(data, tiny_files(), monkeypatch)
    monkeypatch.setenv("SUITE_CACHE", str(cache))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != data and access(path, mode))
    assert tiny_imagenet.load(data)[0].shape[0] == 36
    assert [p.name for p in data.iterdir()] == [ARCHIVE]
    assert list(cache.glob(f"*/{CACHE}/x_train.npy"))


def change(path, content):
    """Without that file or folder where content is None."""

    def changed():
        files = tiny_files()
        if content is None:
            return {k: v for k, v in files.items() if not k.startswith(f"{FOLDER}/{path}")}
        return files | {f"{FOLDER}/{path}": content}

    return changed


NOTES = tiny_files()[f"{FOLDER}/val/val_annotations.txt"]
DAMAGE = {
    "class folder": (change("train/n02/images", None), r"train/n02/images: (is missing|cannot)"),
    "picture": (
        change("train/n02/images/n02_7.JPEG", None),
        r"n02/images: 11 pictures, must be 12",
    ),
    "no jpeg": (change("train/n03/images/n03_5.JPEG", b"<html>"), r"n03_5.JPEG: does not decode"),
    "cut jpeg": (
        change("val/images/val_2.JPEG", jpeg((9, 9, 9))[:-200]),
        r"val_2.JPEG: does not decode",
    ),
    "large": (change("val/images/val_2.JPEG", jpeg((9, 9, 9), side=80)), r"val_2.JPEG: \(80, 80\)"),
    "too many bytes": (
        change("train/n01/images/n01_2.JPEG", bytes(1 << 21)),
        r"n01_2.JPEG: (more than|cannot be read .*must be at most) 1048576",
    ),
    "annotations": (change("val/val_annotations.txt", None), r"val_annotations.txt"),
    "annotation": (
        change("val/val_annotations.txt", NOTES.replace(b"val_4.JPEG", b"val_9.JPEG")),
        r"says nothing of val_4.JPEG",
    ),
    "class": (
        change("val/val_annotations.txt", NOTES.replace(b"\tn02", b"\tn99", 1)),
        r"val_annotations.txt, line 3: 'n99' is not in wnids",
    ),
    "wnids": (change("wnids.txt", b"n01 n02"), "names 2 classes, must be 3"),
    "hostile wnids": (change("wnids.txt", b"n01 n02 ../x"), "wnids.txt"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_and_nothing_is_kept(place, tmp_path, case):
    files, message = DAMAGE[case]
    place(files())
    with pytest.raises(DataError, match=rf"{message}.*fetch tiny_imagenet|{message}"):
        tiny_imagenet.load(tmp_path)
    assert not (tmp_path / CACHE).exists() and not list(tmp_path.glob("*.part"))


def test_an_archive_that_is_not_the_published_one_is_not_read(tmp_path, monkeypatch):
    (tmp_path / ARCHIVE).write_bytes(zipped(tiny_files()))
    with pytest.raises(DataError, match="published are 248100043"):
        tiny_imagenet.load(tmp_path)


def test_a_full_disk_is_an_error_and_not_a_signal(tmp_path, monkeypatch):
    folders(tmp_path, tiny_files(), monkeypatch)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"No space left.*SUITE_CACHE"):
        tiny_imagenet.load(tmp_path)
    assert not (tmp_path / f"{CACHE}.part").exists()
