"""The event files: what is in the published format is read, what is not is refused by name."""

import bz2
import os
import pickle

import numpy as np
import pytest

from models.data import delphes
from suite.core.errors import DataError


def event(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 12)), rng.normal(size=(n, 7))


def put(path, content, protocol=4):
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=protocol)))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_was_written_is_read_whatever_the_pickles_protocol(tmp_path, protocol):
    events = [event(5, 1), event(8, 2)]
    delphes.write(tmp_path / "a.pkl.bz2", events)
    content = {
        "X": [X for X, _ in events], "ygen": [y for _, y in events], "ycand": [y for _, y in events]
    }  # fmt: skip
    put(tmp_path / "b.pkl.bz2", content, protocol)
    for name in ("a", "b"):
        found = delphes.read(tmp_path / f"{name}.pkl.bz2")
        for (X, y), (X_found, y_found) in zip(events, found, strict=True):
            assert np.array_equal(X, X_found) and np.array_equal(y, y_found)


def test_candidates_are_read_and_written_beside_the_truth(tmp_path):
    (X, y), (_, cand) = event(5, 1), event(5, 2)
    delphes.write(tmp_path / "a.pkl.bz2", [(X, y)], [cand])
    ((X_found, y_found, cand_found),) = delphes.read_whole(tmp_path / "a.pkl.bz2")
    assert np.array_equal(X, X_found) and np.array_equal(y, y_found)
    assert np.array_equal(cand, cand_found)
    delphes.write(tmp_path / "b.pkl.bz2", [(X, y)])
    assert not delphes.read_whole(tmp_path / "b.pkl.bz2")[0][2].any()


def test_what_numpy_1_pickled_is_read(tmp_path):
    """The published files are from 2020: numpy's modules had other names."""
    X, y = event(4)
    data = pickle.dumps({"X": [X], "ygen": [y], "ycand": [y]}, protocol=2)
    old = data.replace(b"numpy._core.", b"numpy.core.")
    assert old != data
    (tmp_path / "a.pkl.bz2").write_bytes(bz2.compress(old))
    ((X_found, y_found),) = delphes.read(tmp_path / "a.pkl.bz2")
    assert np.array_equal(X, X_found) and np.array_equal(y, y_found)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/suite-was-owned",)


@pytest.mark.parametrize("where", ["X", "ygen", "ycand", "more"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, where):
    content = {"X": [], "ygen": [], "ycand": []} | {where: [Evil()]}
    with pytest.raises(DataError, match=r"asks for .*system, .*not trusted; fetch it again"):
        delphes.read(put(tmp_path / "evil.pkl.bz2", content))


def test_a_truncated_or_tampered_file_is_named(tmp_path):
    path = tmp_path / "a.pkl.bz2"
    delphes.write(path, [event(30)])
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no bz2", bz2.compress(b"no pickle")):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="a.pkl.bz2: .*fetch it again"):
            delphes.read(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"X": [np.zeros((3, 12))], "ygen": []},
        {"X": [np.zeros((3, 12))], "ygen": [], "ycand": []},
        {"X": [np.zeros((3, 11))], "ygen": [np.zeros((3, 7))], "ycand": [np.zeros((3, 7))]},
        {"X": [np.zeros((3, 12))], "ygen": [np.zeros((4, 7))], "ycand": [np.zeros((3, 7))]},
        {"X": [np.full((3, 12), None)], "ygen": [np.zeros((3, 7))], "ycand": [np.zeros((3, 7))]},
        {"X": ["abc"], "ygen": [np.zeros((3, 7))], "ycand": [np.zeros((3, 7))]},
    ],
)
def test_another_structure_is_refused(tmp_path, content):
    with pytest.raises(DataError, match="fetch it again"):
        delphes.read(put(tmp_path / "a.pkl.bz2", content))


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(delphes, "MAX_BYTES", 1000)
    delphes.write(tmp_path / "a.pkl.bz2", [event(500)])
    with pytest.raises(DataError, match="unpacks to more than 1000 bytes"):
        delphes.read(tmp_path / "a.pkl.bz2")


def test_events_are_padded_and_none_is_cut():
    nan = event(4, 3)
    nan[0][1, 2] = np.nan
    events = [event(3, 1), nan, (np.zeros((0, 12)), np.zeros((0, 7))), event(9, 2), event(5, 4)]
    X, y, n, left_out = delphes.pack(events, 6)
    assert X.shape == (2, 6, 12) and y.shape == (2, 6, 7) and n.tolist() == [3, 5]
    assert left_out == {"too_large": 1, "not_finite": 1, "empty": 1}
    assert np.array_equal(X[1, :5], events[4][0].astype(np.float32)) and not X[0, 3:].any()


def test_where_no_event_is_left_it_says_why():
    with pytest.raises(DataError, match="n_max=2: no event of 1 is left .*'too_large': 1"):
        delphes.pack([event(3)], 2)
