"""Samplers of YAML leaves, and what they answer: checked, not waited for forever, recorded, replayed."""

import json

import dimod
import numpy as np
import pytest

from kit.driving import compose
from kit.samplers import FAULTS, Greedy, Wrong
from suite.annealing import answers, samplers
from suite.annealing.errors import DeadlinePassed
from suite.annealing.recordings import FILE, Recordings
from suite.annealing.samplers import Annealer
from suite.core.errors import ConfigError
from suite.predictors import QSVR

GREEDY = {"_target_": "kit.samplers.Greedy"}
X = np.random.default_rng(0).uniform(size=(12, 3))
Y = X.mean(axis=1)


@pytest.fixture(autouse=True)
def kit_is_admitted(monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")


def wrong(fault):
    return {"_target_": "kit.samplers.Wrong", "fault": fault}


def open_(sampler, **changes):
    options = {"num_reads": 4, "num_sweeps": 10, "seed": 3, "deadline_s": 60.0} | changes
    return Annealer(sampler, options.pop("options", None), **options)


def ising(n=6):
    draws = np.random.default_rng(n)
    return draws.normal(size=n), np.triu(draws.normal(size=(n, n)), 1)


SAYS = {
    "none": "a NoneType: must be a dimod.SampleSet",
    "array": "a ndarray: must be a dimod.SampleSet",
    "other vartype": r"\(BINARY\): must be -1 or 1 \(SPIN\)",
    "values": r"values as -?3 \(SPIN\): must be -1 or 1",
    "fewer variables": "5 variables: must be the 6 of the problem",
    "other variables": "6 variables: must be the 6 of the problem",
    "energies": "the energy .*: that sample has ",
    "nan": "the energy nan: that sample has ",
    "occurrences": "num_occurrences=.*must be integers >= 1",
    "empty": "must be one or more",
    "raises": "Wrong raised ZeroDivisionError: one divided by nothing",
    "hangs": "sampler_deadline_s=0.2: Wrong gave no answer in that time. Raise it",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_answer_is_refused_with_what_it_is_and_a_fallback_takes_over(fault):
    deadline_s = 0.2 if fault == "hangs" else 60.0
    with pytest.raises(samplers.SamplerError, match=SAYS[fault]) as caught:
        open_(wrong(fault), deadline_s=deadline_s).ising(*ising())
    annealer = open_(wrong(fault), deadline_s=deadline_s, fallback="exact")
    assert len(annealer.ising(*ising())) == 2**6
    assert annealer.info["fallback_why"] == f"{type(caught.value).__name__}: {caught.value}"
    assert annealer.name.startswith("exact (for Wrong: ")


def test_an_energy_in_single_precision_is_good_enough():
    class Single(Greedy):
        def sample(self, bqm, **options):
            found = super().sample(bqm, **options)
            energies = found.record.energy.astype(np.float32)
            return dimod.SampleSet.from_samples(
                (found.record.sample, list(found.variables)), energy=energies, vartype=found.vartype
            )

    assert len(open_(Single()).ising(*ising(30)))


def test_too_many_samples_are_refused(monkeypatch):
    monkeypatch.setattr(answers, "MOST_VALUES", 23)
    with pytest.raises(answers.WrongAnswer, match=r"shape \(4, 6\): must hold at most 23 values"):
        open_(GREEDY).ising(*ising())


def test_what_a_sampler_says_of_itself_must_be_of_the_type_that_a_journal_has():
    class Saying(Greedy):
        def sample(self, bqm, **options):
            found = super().sample(bqm, **options)
            found.info["max_chain_length"] = "long"
            return found

    with pytest.raises(answers.WrongAnswer, match="info.max_chain_length='long': must be a int"):
        open_(Saying()).ising(*ising())


def test_our_own_samplers_slip_is_no_failure_that_a_fallback_hides(monkeypatch):
    def broken(self, bqm, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(dimod.RandomSampler, "sample", broken)
    with pytest.raises(ZeroDivisionError):
        open_("random", fallback="exact").ising(*ising())


# --- leaves ---------------------------------------------------------------------------------------


def test_a_leaf_is_given_seed_and_sweeps_where_it_names_them_and_is_repeatable():
    heard = []

    class Hearing(Greedy):
        def sample(self, bqm, num_reads, num_sweeps, seed):
            heard.append((num_reads, num_sweeps, seed))
            return super().sample(bqm, num_reads, seed)

    for _ in range(2):
        annealer = open_(Hearing())
        annealer.ising(*ising()), annealer.ising(*ising())
    assert heard[:2] == heard[2:] and heard[0][:2] == (4, 10) and heard[0][2] != heard[1][2]
    one, two = (open_(GREEDY).ising(*ising(30)).tolist() for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("leaf", "says"),
    [
        ({}, "sampler._target_=None: must begin with suite. or models. or kit."),
        ({"_target_": "os.system"}, "sampler._target_=os.system: must begin with suite."),
        ({"_target_": "kit.samplers.Gredy"}, "cannot be imported"),
        ({"_target_": "suite.predictors.svr.SVR"}, r"must have dimod's sample\(bqm, num_reads=...\)"),
        (GREEDY | {"start": 2}, "start: unknown; known are starts. Did you mean"),
        (GREEDY | {"starts": "two"}, "sampler.starts=two: must be an integer"),
    ],
)  # fmt: skip
def test_a_leaf_that_is_no_samplers_is_refused_before_a_fit(leaf, says):
    with pytest.raises(ConfigError, match=says):
        QSVR(sampler=leaf).check()


def test_a_package_that_is_not_admitted_is_not_imported(monkeypatch):
    monkeypatch.delenv("SUITE_PLUGINS")
    with pytest.raises(ConfigError, match="SUITE_PLUGINS"):
        QSVR(sampler=GREEDY).check()


@pytest.mark.parametrize("deadline_s", [0, -1.0, float("inf"), float("nan")])
def test_a_deadline_out_of_range_is_said(deadline_s):
    with pytest.raises(ConfigError, match="sampler_deadline_s=.*greater than 0 and finite"):
        QSVR(sampler_deadline_s=deadline_s).check()


def test_a_fit_hands_its_deadline_on():
    with pytest.raises(DeadlinePassed, match=r"sampler_deadline_s=0.1"):
        QSVR(sampler=Wrong("hangs"), sampler_deadline_s=0.1, random_state=0).fit(X, Y)


@pytest.mark.parametrize("predictor", ["qsvr", "qsvr_published", "ensemble"])
def test_a_file_of_conf_sampler_is_put_where_the_predictor_has_its_sampler(predictor):
    place = "predictor.estimator" if predictor == "ensemble" else "predictor"
    leaf = compose(f"predictor={predictor}", f"sampler@{place}.sampler=dwave_hybrid")["predictor"]
    leaf = leaf.get("estimator", leaf)
    assert leaf["sampler"]["_target_"] == "suite.annealing.dwave_hybrid.DWaveHybrid"
    assert compose(f"predictor={predictor}", f"{place}.sampler=tabu")["predictor"] != leaf


def test_a_leafs_answers_are_recorded_and_replayed_alike(tmp_path):
    model = QSVR(sampler=GREEDY, random_state=0)
    model.recordings = Recordings(tmp_path)
    model.fit(X, Y)
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert len(lines) == model.sampler_info_["n_calls"] and model.sampler_used_ == "Greedy"
    again = QSVR(
        sampler="replay", sampler_options={"recording": str(tmp_path)}, random_state=0
    ).fit(X, Y)
    assert np.array_equal(again.predict(X), model.predict(X))


def test_a_recording_that_was_changed_is_no_answer(tmp_path):
    model = QSVR(sampler=GREEDY, random_state=0)
    model.recordings = Recordings(tmp_path)
    model.fit(X, Y)
    text = (tmp_path / FILE).read_text()
    line = json.loads(text.splitlines()[0])
    energy = line["samples"]["vectors"]["energy"]
    assert energy["data"]
    energy["data"] = [value + 1.0 for value in energy["data"]]
    (tmp_path / FILE).write_text(json.dumps(line) + "\n" + text.partition("\n")[2])
    replay = QSVR(sampler="replay", sampler_options={"recording": str(tmp_path)}, random_state=0)
    with pytest.raises(answers.WrongAnswer, match="replay answered the energy"):
        replay.fit(X, Y)
