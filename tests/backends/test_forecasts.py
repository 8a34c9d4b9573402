"""Predictions with an annealer: what a device answered is kept and can be replayed, waking up never
asks it, and no secret leaves by its words.
"""

import json
import socket

import dimod
import numpy as np
import pytest

from kit.driving import power_law
from suite.annealing import qpu, samplers
from suite.annealing.errors import SamplerError
from suite.annealing.recordings import FILE
from suite.backends.forecasts import AskThread, Forecaster
from suite.core import types as t
from suite.core.predictor import training_digest
from suite.run import journal as journals
from suite.run.trials import Notes

QSVR = {"_target_": "suite.predictors.qsvr.QSVR", "rounds": 3, "num_reads": 4, "num_sweeps": 20}
TOKEN = "DEV-0123456789abcdef0123456789abcdef"


def question(n=6, first=0, key="key"):
    X = tuple(power_law(i, 8) for i in range(first, first + n))
    y = tuple(power_law(i, 27)[-1] for i in range(first, first + n))
    return t.Predict(key, X, y, tuple(power_law(i, 8) for i in range(50, 53)))


def mock(folder, **options):
    return QSVR | {
        "sampler": "mock",
        "sampler_options": {"topology": "pegasus", "shape": [4], "cache": str(folder)} | options,
    }


def lines(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def through_the_journal(answer):
    line = json.loads(json.dumps(journals.encode([answer], [], Notes()), allow_nan=False))
    assert journals.decode(line) == [answer]
    return line


# --- recordings -----------------------------------------------------------------------------------


def test_what_a_device_answered_is_kept_beside_the_journal_and_can_be_replayed(tmp_path):
    run, again = tmp_path / "run", tmp_path / "again"
    asked = [question(), question(5, 20)]
    forecaster = Forecaster(mock(tmp_path / "chains"), 7, folder=run)
    first = [forecaster.answer(request) for request in asked]
    assert all(isinstance(answer, t.Forecast) for answer in first), first
    assert [line["n_variables"] for line in lines(run)] == [12] * 3 + [10] * 3
    info = first[0].sampler_info
    assert (info["sampler"], info["n_calls"], info["solver"]) == ("mock", 3, "mock_pegasus_4")
    replay = QSVR | {"sampler": "replay", "sampler_options": {"recording": str(run)}}
    replayed = Forecaster(replay, 7, folder=again)
    for request, answer in zip(asked, first, strict=True):
        assert replayed.answer(request).values == answer.values
    assert not again.exists() or not (again / FILE).exists()


def test_a_replay_of_another_question_says_what_is_missing(tmp_path):
    Forecaster(mock(tmp_path / "chains"), 7, folder=tmp_path).answer(question())
    spec = QSVR | {"sampler": "replay", "sampler_options": {"recording": str(tmp_path)}}
    failed = Forecaster(spec, 7).answer(question(first=30))
    assert isinstance(failed, t.ForecastFailed) and failed.reason == "RecordingMissing"
    other = QSVR | {"sampler": "replay", "sampler_options": {"recording": str(tmp_path / "no")}}
    failed = Forecaster(other, 7).answer(question())
    assert failed.reason == "DataError" and "recording=" in failed.message


def test_local_samplers_and_runs_without_a_folder_keep_nothing(tmp_path):
    assert isinstance(Forecaster(QSVR, 7, folder=tmp_path).answer(question()), t.Forecast)
    assert not list(tmp_path.iterdir())
    unkept = Forecaster(mock(tmp_path / "chains"), 7).answer(question())
    assert isinstance(unkept, t.Forecast), unkept


def test_a_model_that_is_asked_again_says_what_annealed_but_counts_nothing_twice(tmp_path):
    forecaster = Forecaster(QSVR, 7)
    first, second = (forecaster.answer(question(key=key)) for key in ("a", "b"))
    assert first.values == second.values and first.sampler == second.sampler == "simulated"
    assert first.sampler_info == {"sampler": "simulated", "n_calls": 3, "n_reads": 12}
    assert second.sampler_info is None
    assert "sampler_info" in through_the_journal(first)
    assert "sampler_info" not in through_the_journal(second)


def test_a_predictor_that_anneals_nothing_says_nothing_of_it():
    answer = Forecaster({"_target_": "suite.predictors.svr.SVR"}, 7).answer(question())
    assert (answer.sampler, answer.sampler_info) == (None, None)


def test_the_answer_is_a_function_of_the_seed_and_the_training_set():
    spec = QSVR | {"max_samples": 4}
    one, two, other = (Forecaster(spec, seed).answer(question()).values for seed in (7, 7, 8))
    assert one == two != other
    assert training_digest(question().X, question().y) != training_digest(
        question(first=1).X, question(first=1).y
    )


# --- waking up ------------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch):
    """Whoever asks for a device, an address or a connection is written down and refused."""
    asked = []

    def refuse(name):
        def called(*args, **options):
            asked.append(name)
            raise OSError(f"planted: {name}")

        return called

    monkeypatch.delenv("DWAVE_API_TOKEN", raising=False)
    monkeypatch.setattr(qpu, "open_device", refuse("open_device"))
    monkeypatch.setattr(socket.socket, "connect", refuse("connect"))
    monkeypatch.setattr(socket, "getaddrinfo", refuse("getaddrinfo"))
    return asked


@pytest.mark.parametrize(
    "target",
    ["qsvr.QSVR", "ensemble.Ensemble"],
)
def test_waking_up_never_asks_a_device(target, offline, monkeypatch):
    spec = QSVR | {"sampler": "qpu", "fallback": "simulated"}
    if target.startswith("ensemble"):
        spec = {"_target_": f"suite.predictors.{target}", "estimator": spec}
    sampled, inner = [], samplers.Annealer._sample

    def spy(self, bqm):
        sampled.append(self.name)
        return inner(self, bqm)

    monkeypatch.setattr(samplers.Annealer, "_sample", spy)
    Forecaster(spec, 0).warm_up()
    assert set(sampled) == {"simulated"} and offline == []


def test_the_thread_wakes_up_first_and_then_answers(offline, tmp_path):
    thread = AskThread(Forecaster(QSVR | {"sampler": "qpu"}, 0, folder=tmp_path))
    try:
        assert thread.answers() == []
        thread.submit(question())
        while not (answers := thread.answers()):
            pass
    finally:
        thread.close()
    assert isinstance(answers[0], t.ForecastFailed) and offline == ["open_device"]


def test_a_predictor_that_cannot_be_made_wakes_up_in_peace():
    for spec in ({"_target_": "suite.predictors.qsvr.QSVR", "C": -1}, {"_target_": "suite.x.Y"}):
        Forecaster(spec, 0).warm_up()
        assert isinstance(Forecaster(spec, 0).answer(question()), t.ForecastFailed)


# --- failures, and what they may say --------------------------------------------------------------


class _Device:
    """In a device's place."""

    def __init__(self, error=None, **info):
        self.error, self.info = error, info

    def sample(self, bqm, **options):
        if self.error:
            raise self.error
        found = dimod.RandomSampler().sample(bqm, num_reads=4, seed=1)
        found.info.update(self.info)
        return found


@pytest.fixture
def device(monkeypatch):
    """Puts a device behind sampler=qpu, with the token in the environment."""
    monkeypatch.setenv("DWAVE_API_TOKEN", TOKEN)

    def put(*args, **info):
        made = _Device(*args, **info)
        monkeypatch.setattr(qpu, "open_device", lambda *_: made)
        return QSVR | {"sampler": "qpu"}

    return put


@pytest.mark.parametrize("kind", [SamplerError, RuntimeError, ValueError])
@pytest.mark.parametrize("before", [0, 460])
def test_a_failing_sampler_fails_the_forecast_and_tells_no_secret(kind, before, device):
    spec = device(kind(f"{'x' * before} refused: X-Auth-Token: {TOKEN} (401)"))
    failed = Forecaster(spec, 0).answer(question())
    assert isinstance(failed, t.ForecastFailed) and failed.reason == kind.__name__
    assert TOKEN[:8] not in failed.message and len(failed.message) <= 500
    assert before or "<secret>" in failed.message
    through_the_journal(failed)


def test_a_fallback_is_said_without_the_secret(device):
    spec = device(SamplerError(f"refused: {TOKEN}")) | {"fallback": "simulated"}
    answer = Forecaster(spec, 0).answer(question())
    assert answer.sampler == "simulated (for qpu: SamplerError)"
    assert answer.sampler_info["fallback_why"] == "SamplerError: refused: <secret>"
    assert TOKEN not in json.dumps(through_the_journal(answer))
    plain = Forecaster(QSVR, 0).answer(question())
    assert answer.values == plain.values


def test_a_devices_words_reach_the_journal_without_the_secret(device, tmp_path):
    spec = device(
        solver=f"made_1 {TOKEN}", chain_break_fraction=np.float64(0.25), qpu_access_time_s=0.5
    )
    answer = Forecaster(spec, 0, folder=tmp_path).answer(question())
    line = through_the_journal(answer)
    assert line["sampler_info"]["solver"] == "made_1 <secret>"
    assert line["sampler_info"]["chain_break_fraction"] == pytest.approx(0.25)
    assert line["sampler_info"]["qpu_access_time_s"] == pytest.approx(1.5)
    assert len(lines(tmp_path)) == 3


def test_a_devices_numpy_numbers_can_be_journaled(device):
    spec = device(solver="made_1", max_chain_length=np.int64(7))
    through_the_journal(Forecaster(spec, 0).answer(question()))


def test_a_recording_holds_no_secret(device, tmp_path):
    spec = device(solver=f"made_1 {TOKEN}")
    Forecaster(spec, 0, folder=tmp_path).answer(question())
    assert TOKEN not in (tmp_path / FILE).read_text()


def test_the_budget_counts_what_earlier_fits_and_runs_spent(tmp_path, monkeypatch):
    """Device seconds of the recording are said to whoever opens a device."""
    heard = []
    made = _Device(qpu_access_time_s=0.5)

    def opened(name, options, spent_s):
        heard.append(spent_s())
        return made

    monkeypatch.setattr(qpu, "open_device", opened)
    spec = QSVR | {"sampler": "qpu"}
    forecaster = Forecaster(spec, 0, folder=tmp_path)
    for first in (0, 20):
        forecaster.answer(question(first=first))
    Forecaster(spec, 0, folder=tmp_path).answer(question(first=40))
    assert heard == pytest.approx([0.0, 1.5, 3.0])
