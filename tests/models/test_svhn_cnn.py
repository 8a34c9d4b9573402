"""The network on house numbers: its shape, its split, and the reader of the published files."""

import hashlib
import io

import numpy as np
import pytest
import torch
from scipy.io import savemat

from models.data import svhn
from models.data.sources import SOURCES
from models.svhn_cnn import SVHNCNN, cnn
from suite.core.errors import DataError


def test_its_network_has_the_weights_of_the_formula_at_every_depth():
    for depth in range(1, 9):
        widths = [8 * 2 ** (layer // 2) for layer in range(depth)]
        channels = [3, *widths]
        expected = sum(9 * a * b + b for a, b in zip(channels, widths, strict=False))
        network = cnn(depth, 8, 0.1)
        assert sum(p.numel() for p in network.parameters()) == expected + 10 * (widths[-1] + 1)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_it_never_mirrors_a_digit():
    assert SVHNCNN.augmentation.mirror == SVHNCNN.augmentation.upturn == 0


def write(folder, monkeypatch, rows=12, labels=None):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    made = {}
    for name in svhn.FILES:
        x = rng.integers(0, 256, (32, 32, 3, rows), np.uint8)
        y = np.arange(1, rows + 1).reshape(-1, 1) if labels is None else labels
        file = io.BytesIO()
        savemat(file, {"X": x, "y": np.asarray((y - 1) % 10 + 1, np.uint8)})
        (folder / name).write_bytes(file.getvalue())
        monkeypatch.setitem(svhn.MD5, name, hashlib.md5(file.getvalue()).hexdigest())
        monkeypatch.setitem(svhn.ROWS, name, rows)
        made[name] = x
    return made


def test_the_published_files_are_read_and_ten_is_the_digit_zero(tmp_path, monkeypatch):
    made = write(tmp_path / "svhn", monkeypatch)
    assert svhn.present(tmp_path / "svhn")
    x_train, y_train, x_test, _ = svhn.load(tmp_path / "svhn")
    assert x_train.shape == (12, 3, 32, 32) and y_train.tolist() == [*range(1, 10), 0, 1, 2]
    assert np.array_equal(x_train[5, 2], made["train_32x32.mat"][:, :, 2, 5])
    assert np.array_equal(x_test[7, 0], made["test_32x32.mat"][:, :, 0, 7])


def test_a_file_that_is_not_the_published_one_is_not_parsed(tmp_path, monkeypatch):
    write(tmp_path / "svhn", monkeypatch)
    import scipy.io

    monkeypatch.setattr(scipy.io, "loadmat", lambda *_: pytest.fail("parsed"))
    (tmp_path / "svhn" / "train_32x32.mat").write_bytes(b"MATLAB 5.0 something else")
    with pytest.raises(DataError, match=r"train_32x32.mat: md5 is .*fetch svhn"):
        svhn.load(tmp_path / "svhn")
    (tmp_path / "svhn" / "train_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"train_32x32.mat: cannot be read"):
        svhn.load(tmp_path / "svhn")
    with pytest.raises(DataError, match=r"swiftbench fetch svhn .*model.data=stand_in"):
        SVHNCNN(folder=str(tmp_path))


def test_another_number_of_rows_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "svhn", monkeypatch)
    monkeypatch.setitem(svhn.ROWS, "test_32x32.mat", 13)
    with pytest.raises(DataError, match=r"test_32x32.mat: pixels \(32, 32, 3, 12\)"):
        svhn.load(tmp_path / "svhn")


def test_what_fetch_brings_is_what_the_reader_takes():
    files = {file.name: file.checksum for file in SOURCES["svhn"].files}
    assert files == {name: f"md5:{svhn.MD5[name]}" for name in svhn.FILES}
