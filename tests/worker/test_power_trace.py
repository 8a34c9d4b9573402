"""The trace of power and utilisation: what it says, its bound, and a disk that refuses."""

from __future__ import annotations

import json

import pytest

from kit.submissions import REAL, run
from suite.core.errors import ConfigError
from suite.verify.checks import examine
from suite.worker import power_trace
from suite.worker.power_trace import PowerTrace, period_s


class FakeMeter:
    """100 W until t = 10 s, 300 W after; half of a device busy."""

    def __init__(self, clock, metered=True):
        self._clock, self._metered = clock, metered

    def joules(self):
        t = self._clock()
        return 100.0 * t + max(t - 10.0, 0.0) * 200.0 if self._metered else None

    def busy(self):
        return 0.5 if self._metered else None

    def facts(self):
        return (
            {"source": "rapl", "scope": "package"}
            if self._metered
            else {"source": "none", "why": "rapl: none"}
        )


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def traced(folder, steps, *, most=power_trace.MOST, metered=True):
    clock = Clock()
    trace = PowerTrace(
        FakeMeter(clock, metered), folder, 1, 1.0, most=most, clock=clock, processor=lambda: clock.now / 4,
        threaded=False,
    )  # fmt: skip
    for _ in range(steps):
        clock.now += 1.0
        trace.sample()
    return trace, [json.loads(line) for line in trace.path.read_text().splitlines()]


def test_a_sample_is_the_mean_since_the_one_before(tmp_path):
    _, (head, *samples) = traced(tmp_path, 12)
    assert (head["source"], head["scope"]) == ("rapl", "package")
    assert [s["watts"] for s in samples] == [100.0] * 10 + [300.0] * 2
    assert {(s["device_busy"], s["processor_busy"]) for s in samples} == {(0.5, 0.25)}
    assert samples[-1]["time_s"] == 12.0


def test_the_file_is_bounded_and_keeps_the_whole_run_and_its_energy(tmp_path):
    _, (_, *samples) = traced(tmp_path, 100, most=16)
    assert len(samples) <= 16 and samples[-1]["time_s"] == 100.0
    starts = [0.0, *(s["time_s"] for s in samples[:-1])]
    joules = sum(s["watts"] * (s["time_s"] - t) for s, t in zip(samples, starts, strict=True))
    assert joules == pytest.approx(100 * 100 + 90 * 200, rel=1e-3)


def test_without_a_meter_there_is_utilisation(tmp_path):
    _, (head, *samples) = traced(tmp_path, 2, metered=False)
    assert head["why"] == "rapl: none"
    assert [(s["watts"], s["processor_busy"]) for s in samples] == [(None, 0.25)] * 2


def test_a_resume_has_a_file_of_its_own_and_a_link_is_not_followed(tmp_path):
    assert [traced(tmp_path, 1)[0].path.name for _ in range(2)] == [
        "power-1.jsonl",
        "power-1-2.jsonl",
    ]
    (tmp_path / "power-1-3.jsonl").symlink_to(tmp_path / "elsewhere")
    traced(tmp_path, 1)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_refuses_ends_the_trace_and_not_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    clock = Clock()
    trace = PowerTrace(FakeMeter(clock), tmp_path / "file", 1, 1.0, clock=clock, threaded=False)
    assert trace.failed is not None
    trace.close()


@pytest.mark.parametrize("text", ["abc", "0", "-1", "nan", "inf", "0.01"])
def test_a_period_that_is_none_is_named(text):
    with pytest.raises(ConfigError, match="SUITE_POWER_TRACE_S="):
        period_s({"SUITE_POWER_TRACE_S": text})


def test_there_is_no_trace_unless_it_is_asked_for():
    assert period_s({}) is None and period_s({"SUITE_POWER_TRACE_S": "2.5"}) == 2.5


def test_a_run_leaves_its_trace_beside_the_journal_and_decides_the_same(tmp_path, monkeypatch):
    words = ("model=table_target", *REAL[4:5], "max_epochs=4", "common.n_curves=2", *REAL[7:])
    plain = run(tmp_path / "plain", words)
    monkeypatch.setenv("SUITE_POWER_TRACE_S", "0.1")
    traced_run = run(tmp_path / "traced", words)
    lines = (traced_run / "power-0.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["source"] and json.loads(lines[-1])["time_s"] > 0
    assert not list(plain.glob("power-*"))
    assert all(check.status == "pass" for check in examine(traced_run).checks)
