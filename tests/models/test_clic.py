"""CLIC's prepared event files: what upstream's format is is read, what is not is refused by name."""

import os

import numpy as np
import pytest

from kit import toy_clic
from models.data import clic
from models.mlpf import clic_events, events, physics
from models.mlpf.mlpf_clic import MLPFClic
from suite.core.errors import ConfigError, DataError

pa = pytest.importorskip("pyarrow", reason="extra hep")
pq = pytest.importorskip("pyarrow.parquet", reason="extra hep")
pytest.importorskip("awkward", reason="extra hep: writes files as upstream does")


@pytest.fixture
def whole(tmp_path):
    return toy_clic.write(
        tmp_path / "reco_p8_ee_tt_ecm380_1.parquet", toy_clic.toy_events(5, seed=1)
    )


def test_the_documented_format_is_read_as_its_writer_meant_it(whole):
    found = clic.read(whole)
    expected = toy_clic.toy_events(5, seed=1)
    assert len(found) == 5
    for (X, y, cand), event in zip(found, expected, strict=True):
        n = len(event["X_track"])
        np.testing.assert_array_equal(X[:n, :16], event["X_track"])
        np.testing.assert_array_equal(X[n:], event["X_cluster"])
        assert not X[:n, 16].any(), "tracks have a column less"
        for array, name in ((y, "ytarget"), (cand, "ycand")):
            rows = np.concatenate([event[f"{name}_track"], event[f"{name}_cluster"]])
            codes = np.array([0, 211, 130, 22, 11, 13])
            np.testing.assert_array_equal(codes[array[:, 0].astype(int)], rows[:, 0])
            np.testing.assert_array_equal(array[:, 1:], rows[:, 1:7])


def test_what_we_write_is_what_upstream_reads(tmp_path, whole):
    """Its reader takes the six arrays from awkward's record."""
    import awkward as ak

    events_ = toy_clic.toy_events(3, seed=2)
    arrays = [{k: e[k] for k in e if k.startswith(("X_t", "X_c", "ytarget_t", "ytarget_c", "yc"))}
              for e in events_]  # fmt: skip
    clic.write(tmp_path / "ours.parquet", arrays)
    record = ak.from_parquet(tmp_path / "ours.parquet")[0]
    assert sorted(record.fields) == sorted(arrays[0]) and len(arrays[0]) == 6
    for name in record.fields:
        for e in range(3):
            np.testing.assert_array_equal(ak.to_numpy(record[name][e]), arrays[e][name])
    ours, theirs = (
        clic.read(tmp_path / "ours.parquet"),
        clic.read(toy_clic.write(tmp_path / "theirs.parquet", events_)),
    )
    for a, b in zip(ours, theirs, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("width", [7, 8, 13])
def test_files_of_upstreams_earlier_revisions_are_read(tmp_path, width):
    """1.6 has `ygen` of 7 or 8 columns, 2.0 to 3.1 `ytarget` of 13."""
    old = []
    for event in toy_clic.toy_events(3, seed=1):
        event = {k: v[:, :width] if k.startswith(("yt", "yc")) else v for k, v in event.items()}
        old.append({k.replace("ytarget", "ygen") if width < 13 else k: v for k, v in event.items()})
    found = clic.read(toy_clic.write(tmp_path / "old.parquet", old))
    now = clic.read(toy_clic.write(tmp_path / "now.parquet", toy_clic.toy_events(3, seed=1)))
    for a, b in zip(found, now, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_events_without_tracks_or_without_clusters_are_read(tmp_path):
    rng = np.random.default_rng(3)
    sizes = [(0, 4), (3, 0), (0, 0)]
    found = clic.read(
        toy_clic.write(tmp_path / "a.parquet", [toy_clic.toy_event(rng, *n) for n in sizes])
    )
    assert [X.shape for X, _, _ in found] == [(4, 17), (3, 17), (0, 17)]
    none = [toy_clic.toy_event(rng, 0, n) for n in (2, 3)]
    assert [len(X) for X, _, _ in clic.read(toy_clic.write(tmp_path / "b.parquet", none))] == [2, 3]


def test_a_truncated_or_tampered_file_is_named(tmp_path, whole):
    data = whole.read_bytes()
    path = tmp_path / "bad.parquet"
    for broken in (data[: len(data) // 2], data[:-4], b"", b"PAR1", b"no parquet at all", data[4:]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"bad.parquet: .*prepare or copy it again"):
            clic.read(path)
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(DataError, match="pipe.parquet"):
        clic.read(tmp_path / "pipe.parquet")


def test_no_flipped_byte_leads_to_anything_but_events_or_a_clear_error(tmp_path, whole):
    data = whole.read_bytes()
    rng = np.random.default_rng(5)
    path, refused = tmp_path / "flipped.parquet", 0
    for _ in range(60):
        flipped = bytearray(data)
        # Half of them in the head, which stands at a parquet file's end.
        first = 0 if rng.random() < 0.5 else len(data) - 2000
        for at in rng.integers(first, len(data), size=3):
            flipped[at] = rng.integers(256)
        path.write_bytes(flipped)
        try:
            clic.read(path)
        except DataError as error:
            refused += 1
            assert "flipped.parquet: " in str(error)
    assert refused > 10


def changed(**fields):
    rows = toy_clic.toy_events(2, seed=1)
    return [{**event, **{k: f(event[k]) for k, f in fields.items()}} for event in rows]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (changed(X_track=lambda x: x[:, :15]), r"X_track: 15 columns, must be 16"),
        (changed(X_cluster=lambda x: x[:, :16]), r"X_cluster: 16 columns, must be 17"),
        (changed(ytarget_track=lambda y: y[:, :5]), r"y_track: 5 columns, must be 7 or 8 or 13 or 14"),
        (changed(ycand_cluster=lambda y: y[1:]), r"cand_cluster: another number of rows than X_cluster"),
        (changed(X_track=lambda x: x[0]), r"X_track: numbers: holds .*, must be lists"),
        (changed(X_track=lambda x: 1.0), r"must be lists"),
        (changed(X_track=lambda x: [["a"] * 16] * len(x)), r"X_track: holds .*string, must be numbers"),
        (changed(X_track=lambda x: [[None] * 16] * len(x)), r"X_track: holds"),
        (changed(X_track=lambda x: [[1.0] * (i + 1) for i in range(len(x))]), "not of one width"),
        ([{k: v for k, v in e.items() if k != "ycand_track"} for e in changed()],
         "does not hold ycand_track: it is not of upstream's format"),
    ],
)  # fmt: skip
def test_another_structure_is_refused(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        clic.read(toy_clic.write(tmp_path / "a.parquet", content))


def test_a_table_of_rows_is_refused(tmp_path):
    import awkward as ak

    rows = ak.Array({k: ak.from_iter([e[k] for e in changed()]) for k in changed()[0]})
    ak.to_parquet(rows, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="holds 2 rows in 1 groups: must be one record of lists"):
        clic.read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "most", "says"),
    [
        ("MAX_FILE_BYTES", 100, "bytes: at most 100"),
        ("MAX_BYTES", 1000, "unpacks to .* bytes: at most 1000"),
        ("MAX_EVENTS", 4, "5 events, at most 4"),
        ("MAX_ELEMENTS", 3, "elements in an event, at most 3"),
    ],
)
def test_too_much_of_anything_is_refused(monkeypatch, whole, name, most, says):
    monkeypatch.setattr(clic, name, most)
    with pytest.raises(DataError, match=says):
        clic.read(whole)


def test_damaged_events_are_left_out_and_counted(tmp_path):
    """NaN, infinity, a kind of element or a particle that there is not, and nothing at all."""
    rows = toy_clic.toy_events(40, seed=2)
    rows[0]["X_track"][0, 3] = np.nan
    rows[1]["ytarget_cluster"][0, 6] = np.inf
    rows[2]["X_cluster"][0, 0] = 1
    rows[3]["X_track"][0, 0] = 2
    rows[4]["ytarget_track"][0, 0] = 2212
    rows[5] = toy_clic.toy_event(np.random.default_rng(1), 0, 0)
    toy_clic.write(tmp_path / "clic" / "reco_p8_ee_tt_ecm380_1.parquet", rows)
    source = clic_events.find("real", str(tmp_path))
    staged = events.stage(source, "fixed", 100, 100, None)
    assert staged.provenance["n_damaged"] == 6
    assert sum(len(part.n) for part in (staged.train, staged.valid, staged.test)) == 34


# --- as the network's data ------------------------------------------------------------------------


def test_real_files_are_found_in_folders_of_their_process_and_each_is_split_alike(tmp_path):
    for process in ("tt", "qq"):
        for number in range(10):
            toy_clic.write(
                tmp_path
                / "clic"
                / f"p8_ee_{process}_ecm380"
                / f"reco_p8_ee_{process}_ecm380_{number}.parquet",
                toy_clic.toy_events(2, seed=number),
            )
    source = clic_events.find("real", str(tmp_path))
    assert len(source.files) == 20 and source.data == "real"
    staged = events.stage(source, "fixed", None, 100, None)
    assert staged.provenance["split_by"] == "file"
    assert [len(part.n) for part in (staged.train, staged.valid, staged.test)] == [32, 4, 4]
    assert staged.provenance["rule_based"] == "ycand of the set (Pandora)"
    again = events.stage(source, "fixed", None, 100, None)
    assert again.provenance == staged.provenance
    np.testing.assert_array_equal(again.train.X, staged.train.X)


def test_a_rehearsal_takes_of_every_process(tmp_path):
    for k, process in enumerate(("tt", "qq", "ww")):
        rows = toy_clic.toy_events(20, n=(4 + 4 * k, 5 + 4 * k))
        toy_clic.write(tmp_path / "clic" / f"p8_ee_{process}_ecm380_0.parquet", rows)
    staged = events.stage(clic_events.find("real", str(tmp_path)), "fixed", 16, 100, None)
    sizes = np.concatenate([part.n for part in (staged.train, staged.valid, staged.test)])
    assert np.unique(sizes, return_counts=True)[1].tolist() == [8, 8, 8]


def test_one_track_out_of_range_does_not_decide_an_event_and_shared_columns_stay():
    event = toy_clic.toy_events(1)[0]
    X = np.concatenate([np.pad(event["X_track"], [(0, 0), (0, 1)]), event["X_cluster"]])
    X[0, 6], X[-1, 6] = 1e30, -1e30
    scaled = clic_events.inputs(X)
    np.testing.assert_array_equal(scaled[:, :6], X[:, :6])
    assert scaled[0, 6] == clic_events.MOST and scaled[-1, 6] == -clic_events.MOST
    assert scaled[0, 13] == pytest.approx(min(X[0, 13] * 1000, clic_events.MOST), abs=20)


def test_without_files_it_is_refused_and_nothing_is_said_to_fetch_them(tmp_path):
    with pytest.raises(DataError, match=r"no \*.parquet in .*nothing fetches them.*docs/clic.md"):
        MLPFClic(folder=str(tmp_path), schedule_epochs=1)
    with pytest.raises(ConfigError, match="data=fake"):
        MLPFClic(data="fake", folder=str(tmp_path), schedule_epochs=1)


# --- jets of e+e- ---------------------------------------------------------------------------------


def test_jets_are_those_of_ee_genkt_in_a_plain_loop():
    fastjet = pytest.importorskip("fastjet", reason="extra hep")
    rng = np.random.default_rng(7)
    n = 60
    eta, phi, pt = rng.normal(0, 1.2, n), rng.uniform(-np.pi, np.pi, n), rng.exponential(4.0, n)
    rows = np.stack([np.ones(n), pt, eta, np.sin(phi), np.cos(phi), pt * np.cosh(eta)], axis=1)
    (jets,) = physics.clustered([rows], 5.0, physics.ELECTRONS)
    inputs = [
        fastjet.PseudoJet(x, y, z, float(np.sqrt(x * x + y * y + z * z)))
        for x, y, z in zip(*physics.momenta(rows), strict=True)
    ]
    definition = fastjet.JetDefinition(fastjet.ee_genkt_algorithm, 0.4, -1.0)
    sequence = fastjet.ClusterSequence(inputs, definition)
    expected = sorted((j.pt() for j in sequence.inclusive_jets(5.0)), reverse=True)
    np.testing.assert_allclose(jets[:, 0], expected, rtol=1e-6)
    (of_protons,) = physics.clustered([rows], 5.0)
    assert len(jets) != len(of_protons) or not np.allclose(jets[:, 0], of_protons[:, 0])


def test_visible_energy_and_missing_momentum_have_known_answers():
    pytest.importorskip("fastjet", reason="extra hep")
    back_to_back = np.array([[1, 30.0, 1.0, 0.0, 1.0, 0], [3, 30.0, -1.0, 0.0, -1.0, 0]])
    assert physics.visible_energy(back_to_back) == pytest.approx(60 * np.cosh(1.0))
    assert physics.missing_momentum(back_to_back) == pytest.approx(0, abs=1e-12)
    forward = np.array([[1, 3.0, 2.0, 0.0, 1.0, 0]])
    assert physics.missing_momentum(forward) == pytest.approx(3.0 * np.cosh(2.0))
    assert physics.missing_energy(forward) == pytest.approx(3.0)
    truth = [np.repeat([[1, 60.0, 0.5, 0.0, 1.0, 0]], 2, axis=0) * (1 + k / 100) for k in range(9)]
    for event in truth:
        event[:, 0] = 1
    guess = [event * [1, 0.9, 1, 1, 1, 1] for event in truth]
    view = physics.event_view(truth, guess, truth, physics.ELECTRONS)
    assert view["visible_response_median"] == pytest.approx(0.9)
    assert view["missing_response_median"] == pytest.approx(0.9)
    assert view["visible_response_median:rule_based"] == pytest.approx(1)
    assert view["n_events_visible/visible 100..200 GeV"] == 9
    assert not any("met" in name for name in view)
