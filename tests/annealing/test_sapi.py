"""The path to a D-Wave annealer: the real client against a service on the loopback.

No test leaves this machine: the endpoint, the list of regions and the proxies are 127.0.0.1.
"""

import json
import logging
import socket
import time
import warnings
from itertools import combinations

import dimod
import numpy as np
import pytest

from kit.fake_sapi import DROP, HANG, NAME, FakeSapi, solver_data
from suite.annealing import qpu, sapi
from suite.annealing.errors import (
    BudgetSpent,
    DeadlinePassed,
    QuotaExhausted,
    SamplerError,
    SolverUnavailable,
    TokenError,
)
from suite.core.errors import ConfigError

TOKEN = "canary-ab12cd34ef56"
QUOTA = "Problem not accepted because user X has insufficient remaining solver access time in"


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No variable, file or kept connection of this machine takes part."""
    for name in ("ENDPOINT", "REGION", "SOLVER", "TOKEN", "PROXY"):
        monkeypatch.delenv(f"DWAVE_API_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sapi, "BACKOFF_S", 0.0)
    qpu.connection.cache_clear()


@pytest.fixture
def fake(monkeypatch):
    with FakeSapi() as server:
        monkeypatch.setenv("DWAVE_API_ENDPOINT", server.url)
        monkeypatch.setenv("DWAVE_API_TOKEN", TOKEN)
        yield server


def _bqm(n=8, seed=0, vartype="SPIN", labels=None):
    rng = np.random.default_rng(seed)
    labels = list(range(n)) if labels is None else labels
    pairs = {pair: rng.normal() for pair in combinations(labels, 2)}
    return dimod.BQM(dict(zip(labels, rng.normal(size=n), strict=True)), pairs, 0.5, vartype)


def _open(**options):
    return qpu.open_device("qpu", {"deadline_s": 10, **options})


# ---- without a service ----


def test_no_token_is_said_before_any_network(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    for value in (None, "", "  \n"):
        if value is not None:
            monkeypatch.setenv("DWAVE_API_TOKEN", value)
        with pytest.raises(TokenError, match="DWAVE_API_TOKEN: not set"):
            qpu.connect()


def test_a_configuration_file_supplies_neither_solver_nor_token(monkeypatch, tmp_path, fake):
    path = tmp_path / "dwave.conf"
    path.write_text(f"[defaults]\ntoken = {TOKEN}\nendpoint = {fake.url}\nsolver = Filed\n")
    monkeypatch.setenv("DWAVE_CONFIG_FILE", str(path))
    assert qpu.connect().solver.name == NAME
    fake.seen.clear()
    monkeypatch.delenv("DWAVE_API_TOKEN")
    with pytest.raises(TokenError, match="not set"):
        qpu.connect()
    assert not fake.seen


@pytest.mark.parametrize("token", [f"{TOKEN}\nX: y", f"{TOKEN} x", f"{TOKEN}\u00e9"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(monkeypatch, token):
    monkeypatch.setenv("DWAVE_API_TOKEN", token)
    with pytest.raises(TokenError, match="Copy it again") as error:
        qpu.connect()
    assert "canary" not in str(error.value)


def test_an_unreachable_port_is_tried_three_times_and_named(monkeypatch):
    with socket.socket() as taken:  # bound, not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/sapi/"
        monkeypatch.setenv("DWAVE_API_ENDPOINT", url)
        monkeypatch.setenv("DWAVE_API_TOKEN", TOKEN)
        tries, within = [], sapi.within
        monkeypatch.setattr(sapi, "within", lambda *given: tries.append(1) or within(*given))
        with pytest.raises(
            SolverUnavailable, match="region=here solver=S9: no connection"
        ) as error:
            qpu.connect("here", "S9", deadline_s=10)
    assert len(tries) == 3
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("endpoint", ["http://sapi.test/sapi/", "https://sapi.test/sapi/"])
def test_the_environments_proxy_is_used(monkeypatch, endpoint):
    with FakeSapi() as proxy:
        monkeypatch.setenv("DWAVE_API_TOKEN", TOKEN)
        monkeypatch.setenv("DWAVE_API_ENDPOINT", endpoint)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        scheme = endpoint.partition(":")[0]
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url.removesuffix("/sapi/v2/"))
        if scheme == "http":
            assert qpu.connect(deadline_s=5).solver.name == NAME
            assert proxy.proxied[0].startswith("http://sapi.test/sapi/solvers/")
        else:
            proxy.reply = lambda method, path: (502, "no") if method == "CONNECT" else None
            with pytest.raises(SolverUnavailable, match="no connection"):
                qpu.connect(deadline_s=5)
            assert proxy.proxied[0] == "sapi.test:443"
            assert all(token is None for *_, token in proxy.seen), "a proxy does not see the token"


# ---- connecting ----


def test_the_solver_is_found_and_its_answer_is_right(fake):
    sampler = _open()
    bqm = _bqm(8, labels=["a", 7, ("t", 1), "b", 3, "c", "d", "e"])
    found = sampler.sample(bqm, num_reads=60, seed=5)
    assert set(found.variables) == set(bqm.variables)
    assert found.record.energy == pytest.approx(bqm.energies(found))
    assert found.first.energy == pytest.approx(dimod.ExactSolver().sample(bqm).first.energy)
    info = found.info
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    assert info["solver"] == NAME and info["topology"] == "pegasus" and not info["simulated"]
    assert info["problem_id"] == "problem-1" and info["qpu_access_time_s"] == 0.012345
    assert fake.count("POST") == 1 and {token for *_, token in fake.seen} == {TOKEN}


def test_arguments_precede_the_environment_which_precedes_the_default(fake, monkeypatch):
    other = solver_data()
    other["identity"] = {"name": "Other", "version": {"graph_id": "02"}}
    fake.solvers.append(other)
    monkeypatch.setenv("DWAVE_API_SOLVER", "Other")
    assert qpu.connect().solver.name == "Other"
    assert qpu.connect(solver=NAME).solver.name == NAME


def test_a_region_is_looked_up_and_an_unknown_one_is_never_replaced_by_the_default(
    fake, monkeypatch
):
    monkeypatch.delenv("DWAVE_API_ENDPOINT")
    monkeypatch.setenv("DWAVE_METADATA_API_ENDPOINT", fake.url)
    fake.regions = [{"code": "eu-x", "name": "Europe", "endpoint": fake.url}]
    assert qpu.connect(region="eu-x").solver.name == NAME
    with pytest.raises(SolverUnavailable, match="region=eu-y: unknown; known are eu-x"):
        qpu.connect(region="eu-y")
    fake.reply = lambda method, path: (404, "gone")
    with pytest.raises(SolverUnavailable, match="region=eu-x: .* list of regions is unreachable"):
        qpu.connect(region="eu-x")


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_accepted_is_not_tried_again(fake, status):
    fake.reply = lambda method, path: (status, f"Invalid token {TOKEN}")
    with pytest.raises(TokenError, match="DWAVE_API_TOKEN: not accepted by region=default") as e:
        qpu.connect()
    assert len(fake.seen) == 1 and TOKEN not in str(e.value)


def test_a_retired_unknown_or_offline_solver_is_unavailable(fake):
    with pytest.raises(SolverUnavailable, match="region=default solver=Old: there is no such"):
        qpu.connect(solver="Old")
    fake.solvers = [solver_data(status="OFFLINE")]
    with pytest.raises(SolverUnavailable, match="solver=any: there is no such solver"):
        qpu.connect()
    fake.solvers = []
    with pytest.raises(SolverUnavailable, match="solver=any: there is no such solver"):
        qpu.connect()


@pytest.mark.parametrize("status", [500, 503])
def test_an_internal_error_is_tried_three_times(fake, status):
    fake.reply = lambda method, path: (status, "oops")
    with pytest.raises(SolverUnavailable, match=f"error {status}"):
        qpu.connect()
    assert len(fake.seen) == 3


def test_a_service_that_recovers_is_used(fake):
    answers = iter([(500, "oops"), (500, "oops")])
    fake.reply = lambda method, path: next(answers, None)
    assert qpu.connect().solver.name == NAME


def test_nonsense_for_an_answer_is_unavailable(fake):
    fake.reply = lambda method, path: (200, "<html>hello</html>")
    with pytest.raises(SolverUnavailable, match="unexpected response"):
        qpu.connect()


@pytest.mark.parametrize("when", ["connecting", "submitting", "polling"])
def test_a_service_that_hangs_does_not_outlive_the_deadline(fake, when):
    fake.reply = lambda method, path: HANG if when == "connecting" else None
    start = time.monotonic()
    with pytest.raises(DeadlinePassed, match=r"deadline_s=1: no answer from .*"):
        sampler = _open(deadline_s=1)
        part = "POST" if when == "submitting" else "GET"
        fake.reply = lambda method, path: HANG if method == part else None
        start = time.monotonic()
        sampler.sample(_bqm())
    assert 0.5 < time.monotonic() - start < 2.5


def test_a_problem_that_is_late_is_cancelled(fake):
    fake.status = "PENDING"
    sampler = _open(deadline_s=1)
    with pytest.raises(DeadlinePassed):
        sampler.sample(_bqm())
    until = time.monotonic() + 5
    while not fake.count("DELETE") and time.monotonic() < until:
        time.sleep(0.02)
    assert fake.count("DELETE", "problems") == 1


# ---- submitting ----


@pytest.mark.parametrize("status", [200, 400, 403, 429])
def test_a_quota_that_is_used_up_is_said_and_not_tried_again(fake, status):
    refusal = {"error_code": status, "error_msg": QUOTA}
    sampler = _open(qpu_budget_s=1.0)
    answer = [{"error_code": 400, "error_msg": QUOTA}] if status == 200 else refusal
    fake.reply = lambda method, path: (status, answer) if method == "POST" else None
    with pytest.raises(QuotaExhausted, match="insufficient remaining solver access time"):
        sampler.sample(_bqm())
    assert fake.count("POST") == 1
    assert sampler.spent_s == pytest.approx(0.0), "what was refused cost nothing"


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_may_not_submit_is_not_tried_again(fake, status):
    sampler = _open(qpu_budget_s=1.0)
    fake.reply = lambda method, path: (status, "no") if method == "POST" else None
    with pytest.raises(TokenError, match=f"not accepted by region=http.* solver={NAME}"):
        sampler.sample(_bqm())
    assert fake.count("POST") == 1 and sampler.spent_s == pytest.approx(0.0)


def test_a_refused_problem_is_passed_on_with_the_reason_but_not_the_token(fake):
    sampler = _open()
    reason = {"error_code": 400, "error_msg": f"num_reads out of range, {TOKEN}"}
    fake.reply = lambda method, path: (400, reason) if method == "POST" else None
    with pytest.raises(SamplerError, match="refused .*num_reads out of range, <DWAVE") as error:
        sampler.sample(_bqm())
    assert type(error.value) is SamplerError and error.value.__suppress_context__


def test_a_submission_that_met_an_error_is_tried_three_times_and_counted_as_spent(fake):
    sampler = _open(qpu_budget_s=1.0)
    fake.reply = lambda method, path: (500, "oops") if method == "POST" else None
    with pytest.raises(SolverUnavailable, match=f"solver={NAME}: error 500"):
        sampler.sample(_bqm())
    assert fake.count("POST") == 3
    estimate = sampler._estimate_s(16, {"num_reads": 1})
    assert sampler.spent_s == pytest.approx(3 * estimate, rel=0.1), "any of them may have run"


def test_an_accepted_problem_is_asked_for_again_and_not_submitted_again(fake):
    sampler = _open(qpu_budget_s=1.0)
    answers = iter([DROP])
    fake.reply = lambda method, path: next(answers, None) if "problems/?id" in path else None
    assert len(sampler.sample(_bqm(), num_reads=5)) == 5
    assert fake.count("POST") == 1
    assert sampler.spent_s == pytest.approx(0.012345)


def test_the_budget_holds_back_what_would_exceed_it(fake):
    sampler = _open(qpu_budget_s=0.05)
    before = 0
    with pytest.raises(BudgetSpent, match=r"qpu_budget_s=0\.05: 0\.0\d\d s are spent"):
        for _ in range(10):
            sampler.sample(_bqm())
            before = fake.count("POST")
    assert 1 <= before == fake.count("POST") < 5, "nothing was sent"
    assert sampler.spent_s <= 0.05


def test_the_budget_counts_what_was_spent_before(fake):
    sampler = qpu.open_device("qpu", {"qpu_budget_s": 5.0}, lambda: 4.999)
    with pytest.raises(BudgetSpent, match="4.999 s are spent"):
        sampler.sample(_bqm())
    assert not fake.count("POST")


def test_a_budget_that_cannot_be_kept_is_said(fake):
    fake.solvers[0]["properties"].pop("problem_timing_data")
    assert len(_open().sample(_bqm())) == 1
    with pytest.raises(BudgetSpent, match=f"{NAME} cannot estimate"):
        _open(qpu_budget_s=9.0).sample(_bqm())
    assert fake.count("POST") == 1


def test_an_unknown_solver_parameter_is_refused_before_it_is_sent(fake):
    with pytest.raises(ConfigError, match=r"parameters=anneal_time: .* Did you mean annealing_ti"):
        _open(parameters={"anneal_time": 5}).sample(_bqm())
    assert len(_open(parameters={"annealing_time": 5}).sample(_bqm())) == 1


def test_a_device_is_connected_to_once_a_process_until_it_is_unavailable(fake):
    _open(), _open()
    assert fake.count("GET", "solvers") == 2, "one connection asks twice"
    fake.reply = lambda method, path: (404, "gone") if method == "POST" else None
    with pytest.raises(SolverUnavailable):
        _open().sample(_bqm())
    _open()
    assert fake.count("GET", "solvers") == 4


def test_the_token_is_in_no_log_message_record_or_file(fake, caplog, tmp_path):
    caplog.set_level(1)  # below DEBUG: D-Wave's TRACE
    texts = []
    with warnings.catch_warnings(record=True) as said:
        sampler = _open(qpu_budget_s=9.0)
        found = sampler.sample(_bqm(), num_reads=3)
        texts += [repr(sampler), str(vars(sampler)["_solver"]), repr(found), str(found.info)]
        for reply in ((401, TOKEN), (400, TOKEN), (500, TOKEN), DROP):
            fake.reply = lambda method, path, reply=reply: reply
            for call in (lambda: sampler.sample(_bqm()), qpu.connect):
                with pytest.raises(SamplerError) as error:
                    call()
                texts += [str(error.value), repr(error.value)]
    texts += [str(w.message) for w in said]
    texts += [f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records]
    texts += [p.read_text() for p in tmp_path.rglob("*") if p.is_file()]
    assert any("dwave" in record.name for record in caplog.records), "the client did log"
    assert not [text for text in texts if TOKEN in text]


def test_however_often_a_process_connects_its_logs_are_filtered_once(fake):
    for _ in range(3):
        qpu.connect()
    assert logging.getLogger("dwave.cloud.client.base").filters.count(sapi.log_filter) == 1
