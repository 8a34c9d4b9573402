"""Sample sets on disk: what was answered once is answered again, and broken files are told from
killed runs.
"""

import json

import dimod
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from suite.annealing.recordings import FILE, RecordingMissing, Recordings, Replay, problem_digest
from suite.annealing.samplers import Annealer
from suite.core.errors import DataError


def problem(n=6, seed=0, vartype="SPIN"):
    rng = np.random.default_rng(seed)
    i, j = np.triu_indices(n, 1)
    values = rng.normal(size=n), (i, j, rng.normal(size=len(i)))
    return dimod.BinaryQuadraticModel.from_numpy_vectors(*values, 0.0, vartype)


def answer(bqm, seed=0, **info):
    found = dimod.RandomSampler().sample(bqm, num_reads=5, seed=seed)
    found.info.update(info)
    return found


def same(a, b):
    """As annealer's results: what is used of a sample set."""
    columns = [list(s.variables) for s in (a, b)]
    return (
        columns[0] == columns[1]
        and np.array_equal(a.record.sample, b.record.sample)
        and np.array_equal(a.record.energy, b.record.energy)
        and np.array_equal(a.record.num_occurrences, b.record.num_occurrences)
        and a.vartype is b.vartype
    )


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_what_was_recorded_is_answered_again(tmp_path, vartype):
    recordings = Recordings(tmp_path)
    asked = [problem(seed=seed, vartype=vartype) for seed in range(3)]
    given_ = [answer(bqm, seed=9) for bqm in asked]
    for bqm, found in zip(asked, given_, strict=True):
        recordings.add(bqm, found)
    for recording in (tmp_path, str(tmp_path), tmp_path / FILE):
        replay = Replay(recording)
        for bqm, found in reversed([*zip(asked, given_, strict=True)]):
            assert same(replay.sample(bqm, num_reads=5, seed=1), found)


def test_a_fits_reads_are_the_same_from_the_recording(tmp_path):
    """Through the annealer: an object is recorded, the name `replay` answers."""

    class Device:
        def sample(self, bqm, **options):
            return answer(bqm, seed=bqm.num_variables)

    effort = {"num_reads": 5, "num_sweeps": 1, "seed": 0}
    device = Annealer(Device(), None, recordings=Recordings(tmp_path), **effort)
    replayed = Annealer("replay", {"recording": str(tmp_path)}, **effort)
    rng = np.random.default_rng(0)
    asked = [(rng.normal(size=n), np.triu(rng.normal(size=(n, n)), 1)) for n in (3, 5, 9)]
    answered = [device.ising(h, J) for h, J in asked]
    for (h, J), spins in zip(asked, answered, strict=True):
        assert np.array_equal(replayed.ising(h, J), spins)
    assert replayed.info["n_calls"] == 3 and replayed.info["n_reads"] == 15
    assert replayed.info["qpu_access_time_s"] == 0.0


def test_repeats_are_answered_in_order_and_then_the_last_again(tmp_path):
    recordings, bqm, other = Recordings(tmp_path), problem(), problem(seed=1)
    given_ = [answer(bqm, seed=seed) for seed in range(3)]
    for found in given_:
        recordings.add(bqm, found)
        recordings.add(other, answer(other))
    replay = Replay(tmp_path)
    for turn in (0, 1, 2, 2, 2):
        assert same(replay.sample(other), answer(other))
        assert same(replay.sample(bqm), given_[turn])


def test_it_is_made_with_the_first_sample_set(tmp_path):
    recordings = Recordings(tmp_path / "run")
    assert not (tmp_path / "run").exists() and recordings.qpu_s == 0.0
    recordings.add(problem(), answer(problem()))
    assert (tmp_path / "run" / FILE).is_file()


def test_device_seconds_add_up_and_survive_reopening(tmp_path):
    recordings = Recordings(tmp_path)
    for seed, spent_s in ((0, 0.5), (1, 0.25)):
        bqm = problem(seed=seed)
        recordings.add(bqm, answer(bqm, qpu_access_time_s=spent_s))
    assert recordings.qpu_s == pytest.approx(0.75)
    reopened = Recordings(tmp_path)
    assert reopened.qpu_s == pytest.approx(0.75)
    reopened.add(problem(), answer(problem(), qpu_access_time_s=1.0))
    assert reopened.qpu_s == pytest.approx(1.75) == pytest.approx(Recordings(tmp_path).qpu_s)
    assert Replay(tmp_path).sample(problem()).info["qpu_access_time_s"] == 0.0, "not spent again"


def test_dimod_reads_the_lines_without_the_suite(tmp_path):
    recordings = Recordings(tmp_path)
    found = answer(problem(), solver="made_1", n=np.int64(3), at=tmp_path, qpu_access_time_s=0.5)
    recordings.add(problem(), found)
    (text,) = (tmp_path / FILE).read_text().splitlines()
    line = json.loads(text)
    read = dimod.SampleSet.from_serializable(line["samples"])
    assert same(read, found) and read.info["solver"] == "made_1"
    assert line["n_variables"] == 6 and line["problem"] == problem_digest(problem())
    assert line["qpu_access_time_s"] == 0.5


# --- broken files ---------------------------------------------------------------------------------


def recorded(folder, n=3):
    recordings = Recordings(folder)
    for seed in range(n):
        recordings.add(problem(seed=seed), answer(problem(seed=seed), qpu_access_time_s=1.0))
    return folder / FILE


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_torn_last_line_is_cut_and_appending_goes_on(tmp_path, kept):
    path = recorded(tmp_path)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -len(last)] + last[:kept])
    with pytest.raises(RecordingMissing):
        Replay(tmp_path).sample(problem(seed=2))  # reads the torn file without changing it
    assert path.read_bytes() == whole[: -len(last)] + last[:kept]
    recordings = Recordings(tmp_path)
    assert recordings.qpu_s == pytest.approx(2.0)
    recordings.add(problem(seed=2), answer(problem(seed=2), qpu_access_time_s=1.0))
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "broken", [b"{", b"", b"[]", b"3", b"null", b'{"problem": "x"}', b'"text"', b"\xff\xfe"]
)
@pytest.mark.parametrize("opened", [Recordings, Replay])
def test_a_line_broken_elsewhere_is_an_error_that_says_which(tmp_path, broken, opened):
    path = recorded(tmp_path)
    lines = path.read_bytes().splitlines()
    lines[1] = broken
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(DataError, match=r"samples.jsonl, line 2: no sample set; restore"):
        opened(tmp_path)


def test_a_missing_recording(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "no.jsonl"):
        with pytest.raises(DataError, match=rf"recording={path}: no samples.jsonl there"):
            Replay(path)


def test_a_problem_that_was_not_recorded(tmp_path):
    recorded(tmp_path)
    with pytest.raises(RecordingMissing, match=r"problem=\w{16} \(6 variables\): .*settings"):
        Replay(tmp_path).sample(problem(seed=77))


# --- a problem's name -----------------------------------------------------------------------------


@given(st.integers(2, 8), st.integers(0, 2**20), st.sampled_from(["SPIN", "BINARY"]))
def test_a_digest_is_of_the_problem_and_not_of_how_it_is_written(n, seed, vartype):
    bqm = problem(n, seed, vartype)
    rng = np.random.default_rng(seed)
    shuffled = dimod.BinaryQuadraticModel(vartype)
    for v in rng.permutation(n).tolist():
        shuffled.add_variable(v, bqm.linear[v])
    for u, v in rng.permutation(np.array(list(bqm.quadratic))).tolist():
        shuffled.add_quadratic(*((v, u) if rng.random() < 0.5 else (u, v)), bqm.quadratic[u, v])
    assert list(shuffled.variables) != list(range(n)) or n < 4
    assert problem_digest(shuffled) == problem_digest(bqm)


def _changed(bqm, place, by):
    changed = bqm.copy()
    names = [*changed.linear, *changed.quadratic]
    name = names[place % len(names)]
    if name in changed.linear:
        changed.set_linear(name, changed.linear[name] + by)
    else:
        changed.set_quadratic(*name, changed.quadratic[name] + by)
    return changed


@given(st.integers(2, 8), st.integers(0, 2**20), st.integers(0, 99), st.booleans())
def test_a_digest_outlives_the_last_bits_and_sees_what_matters(n, seed, place, up):
    bqm = problem(n, seed)
    sign = 1 if up else -1
    assert problem_digest(_changed(bqm, place, sign * 1e-12)) == problem_digest(bqm)
    assert problem_digest(_changed(bqm, place, sign * 1e-3)) != problem_digest(bqm)
    assert len(problem_digest(bqm)) == 16


@given(st.integers(2, 6), st.integers(0, 2**20))
def test_a_digest_sees_scale_sign_size_and_kind(n, seed):
    bqm, larger = problem(n, seed), problem(n, seed)
    larger.scale(1.001)
    assume(abs(bqm.linear[0]) > 1e-3)
    upside_down = problem(n, seed)
    upside_down.scale(-1)
    more = problem(n, seed)
    more.add_variable(n, 0.0)
    others = (larger, upside_down, more, problem(n, seed, "BINARY"), problem(n, seed + 1))
    assert len({problem_digest(one) for one in (bqm, *others)}) == 6
    shifted = problem(n, seed)
    shifted.offset += 1.0
    assert problem_digest(shifted) != problem_digest(bqm)


def test_a_problem_of_zeros_has_a_digest():
    nothing = dimod.BinaryQuadraticModel({0: 0.0, 1: -0.0}, {(0, 1): 0.0}, 0.0, "SPIN")
    plus = dimod.BinaryQuadraticModel({0: 0.0, 1: 0.0}, {(0, 1): 0.0}, 0.0, "SPIN")
    assert problem_digest(nothing) == problem_digest(plus)
    below, above = (
        dimod.BinaryQuadraticModel({0: 1.0, 1: tiny}, {(0, 1): 0.5}, 0.0, "SPIN")
        for tiny in (-1e-9, 1e-9)
    )
    assert problem_digest(below) == problem_digest(above), "both round to zero, which has two signs"
