"""Pickles from outside: arrays come out, nothing is called, and nothing is larger than the file."""

import bz2
import contextlib
import io
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data import array_pickle, delphes
from models.data.array_pickle import Array
from suite.core.errors import DataError

EVENT = [np.arange(36.0).reshape(3, 12), np.ones((3, 7)), np.zeros((3, 7))]
CONTENT = {name: [array] for name, array in zip(("X", "ygen", "ycand"), EVENT, strict=True)}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(6, dtype=">f4"),
        np.arange(6, dtype="u1").reshape(2, 3),
        np.zeros((0, 7)),
    ],
)
def test_an_array_is_read_as_it_was_written_in_every_protocol(array, protocol):
    read = array_pickle.load(pickle.dumps({"a": [array]}, protocol=protocol))["a"][0]
    assert isinstance(read, Array)
    assert read.numpy().dtype == array.dtype
    np.testing.assert_array_equal(read.numpy(), array)


class Call:
    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


BOMB = b"\x80\x02Nr" + struct.pack("<I", 0x0FFFFFFF) + b"."
HOSTILE = {
    "an address from the file": pickle.dumps(
        Call(np.ndarray, (1,), "O", Call(np.ndarray, (8,), "u1", b"A" * 8))
    ),
    "a gigabyte of strides": pickle.dumps(
        Call(np.ndarray, (10**9, 12), "f8", b"x" * 96, 0, (0, 8))
    ),
    "memory that nobody wrote": pickle.dumps(Call(np.ndarray, (100, 12), "f8")),
    "objects": pickle.dumps(np.array([None, 1], dtype=object)),
    "dates": pickle.dumps(np.array(["2020"], dtype="M8[D]")),
    "a memo of gigabytes": BOMB,
    "code": pickle.dumps(Call(eval, "1+1")),
    "an instance": pickle.dumps(Exception("x"), protocol=4),
    "a deep list": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "nothing": b"",
    "no pickle": b"PK\x03\x04",
    "a length beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.timeout(60)
def test_a_hostile_pickle_is_a_data_error_and_takes_no_memory(tmp_path, kind):
    path = tmp_path / "events.pkl.bz2"
    path.write_bytes(bz2.compress(HOSTILE[kind]))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"events\.pkl\.bz2: .*[Ff]etch it again"):
            delphes.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6


def test_one_array_named_by_many_events_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(delphes, "MAX_BYTES", 100_000)
    path = tmp_path / "events.pkl.bz2"
    many = {name: arrays * 300 for name, arrays in CONTENT.items()}
    path.write_bytes(bz2.compress(pickle.dumps(many)))
    with pytest.raises(DataError, match="more than 100000 bytes"):
        delphes.read(path)


@given(st.data())
def test_a_damaged_file_of_events_is_read_or_a_data_error(data):
    whole = pickle.dumps(CONTENT, protocol=data.draw(st.sampled_from([2, 4, 5])))
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        content = array_pickle.load(bytes(changed))
    except DataError:
        return
    # The bytes of numbers have no check of their own: then it is an array of the file's size.
    for value in content.values() if isinstance(content, dict) else ():
        for array in value if isinstance(value, list) else ():
            if isinstance(array, Array):
                with contextlib.suppress(DataError):
                    assert array.numpy().nbytes <= len(whole)


def test_the_unpickler_itself_would_have_read_the_address():
    """What the stand-ins are there for: numpy's own constructor takes a buffer of the file's choice."""
    harmless = pickle.dumps(Call(np.ndarray, (8,), "u1", b"A" * 8))
    assert pickle.Unpickler(io.BytesIO(harmless)).load().tobytes() == b"A" * 8
