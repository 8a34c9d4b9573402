"""The OpenML table: its columns, its checksum, and what is no such table."""

import json

import numpy as np
import pytest

from kit.published import arff, md5
from models.data import openml
from models.data.sources import LISTING, OPENML_FILE
from suite.core.errors import DataError


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(openml, "N_ROWS", 40)


def put(folder, content, **told):
    (folder / OPENML_FILE).write_bytes(content)
    if told:
        told = {"url": "https://example.invalid/a", "md5_checksum": md5(content)} | told
        (folder / LISTING).write_text(json.dumps({"data_set_description": told}))


def test_features_and_target_are_read_in_the_files_order(tmp_path):
    content, table = arff()
    assert not openml.present(tmp_path)
    put(tmp_path, content)
    assert openml.present(tmp_path)
    X, y = openml.load(tmp_path)
    assert X.shape == (40, 12) and X.dtype == y.dtype == np.float32
    assert np.array_equal(X, table[:, :12].astype(np.float32))
    assert np.array_equal(y, table[:, 12].astype(np.float32))


def test_the_listing_names_target_and_columns_to_ignore(tmp_path):
    content, table = arff(features=13)
    put(tmp_path, content, default_target_attribute="x2", ignore_attribute="x0, x9")
    with pytest.raises(DataError, match="11 features, must be 40 and 12"):
        openml.load(tmp_path)
    put(tmp_path, content, default_target_attribute="x2", ignore_attribute=["x0"])
    X, y = openml.load(tmp_path)
    kept = [k for k in range(14) if k not in (0, 2)]
    assert np.array_equal(X, table[:, kept].astype(np.float32))
    assert np.array_equal(y, table[:, 2].astype(np.float32))


def test_a_tampered_table_is_named(tmp_path):
    content, _ = arff()
    put(tmp_path, content, default_target_attribute="stab")
    (tmp_path / OPENML_FILE).write_bytes(content.replace(b"1", b"2", 1))
    with pytest.raises(DataError, match=rf"{OPENML_FILE}: md5 is"):
        openml.load(tmp_path)


GOOD, _ = arff()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[: GOOD.rindex(b",")], "line 58: 12 values for 13 columns"),
        (b"\n".join(GOOD.splitlines()[:-4]), "36 rows and 12 features"),
        (GOOD.replace(b"@DATA\n", b"@DATA\n?,"), "line 19: 14 values"),
        (GOOD.replace(b"x3 REAL", b"x3 {a, b}"), r"line 7: column x3 is \{a, b\}"),
        (GOOD.replace(b"stab", b"other"), "has no column stab"),
        (GOOD.replace(b"@DATA", b"@WRONG"), "is not ARFF"),
        (GOOD[: GOOD.index(b"@DATA")], "ends before its data"),
        (b"<html>", "is not ARFF"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "ends before its data"),
    ],
)
def test_what_is_no_such_table_is_said_with_its_line(tmp_path, content, message):
    put(tmp_path, content)
    with pytest.raises(DataError, match=message):
        openml.load(tmp_path)


@pytest.mark.parametrize("value", ["nan", "inf", "?", "abc"])
def test_gaps_and_numbers_that_are_none_are_refused(tmp_path, value):
    lines = GOOD.splitlines()
    lines[20] = f"{value},".encode() + lines[20].partition(b",")[2]
    put(tmp_path, b"\n".join(lines))
    with pytest.raises(DataError, match=r"not finite|line 21: .* must be numbers"):
        openml.load(tmp_path)


def test_a_missing_or_damaged_listing_or_table_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=f"{OPENML_FILE}: cannot be read.*fetch openml"):
        openml.load(tmp_path)
    put(tmp_path, GOOD)
    for listing in (b"<html>", b"[1]", b"{}"):
        (tmp_path / LISTING).write_bytes(listing)
        with pytest.raises(DataError):
            openml.load(tmp_path)
