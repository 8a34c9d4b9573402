"""Where runs are tracked: a folder or a server, said before a folder is made; no password is passed on."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kit.driving import ROOT, compose
from kit.simulated import Played
from suite.core.errors import ConfigError
from suite.results.fold import load_run
from suite.track import __main__ as track
from suite.track import tracker as trackers
from suite.track.contract import TrackingError, make_tracker

RUN = "model=table_target backend=inline max_epochs=3 report=false"


class MLflowServer:
    """As much of MLflow's REST interface, on this machine's loopback, as an import calls."""

    def __init__(self) -> None:
        self.metrics: list[dict[str, Any]] = []
        self.tags: list[dict[str, Any]] = []
        self.artifacts: list[str] = []
        self.authorizations: set[str | None] = set()
        self.runs: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                mine.authorizations.add(self.headers.get("Authorization"))
                code, answer = mine.answer(self.path, body)
                text = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 (http.server names them)

            def log_message(self, *_: Any) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        call = path.partition("?")[0].partition("/mlflow")[2]
        if call.startswith("-artifacts"):
            self.artifacts.append(path.rpartition("/")[2])
            return 200, {}
        sent = json.loads(body) if body else {}
        if call == "/experiments/get-by-name":
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}
        if call == "/experiments/create":
            return 200, {"experiment_id": "1"}
        if call == "/runs/search":
            return 200, {}
        if call == "/runs/create":
            identity = f"{len(self.runs):032x}"
            info = {
                "run_id": identity, "run_uuid": identity, "experiment_id": "1", "status": "RUNNING",
                "run_name": sent["run_name"], "start_time": sent["start_time"],
                "lifecycle_stage": "active", "artifact_uri": f"mlflow-artifacts:/1/{identity}/artifacts",
            }  # fmt: skip
            self.runs.append({"info": info, "data": {"tags": sent["tags"]}})
            return 200, {"run": self.runs[-1]}
        if call == "/runs/get":
            wanted = re.search(r"run_id=(\w+)", path)
            assert wanted is not None
            return 200, {"run": self.runs[int(wanted[1], 16)]}
        if call == "/runs/log-batch":
            self.metrics += sent.get("metrics", [])
            self.tags += sent.get("tags", [])
            return 200, {}
        if call == "/runs/delete":
            self.deleted.append(sent["run_id"])
            return 200, {}
        if call == "/runs/update":
            return 200, {"run_info": self.runs[0]["info"]}
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[MLflowServer]:
    server = MLflowServer()
    yield server
    server.close()


def suite(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A run from the command line, in an empty folder."""
    unset = ("SUITE_STORE", "SUITE_RUNS", "MLFLOW_TRACKING_URI")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **environ}
    return subprocess.run(
        [sys.executable, "-m", "suite", *RUN.split(), *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def holds(server: MLflowServer, runs: Path) -> bool:
    """Whether the server was sent every epoch of every trial, and the record."""
    (journal,) = runs.rglob("journal.jsonl")
    view = load_run(journal.parent)
    n_sent = sum(metric["key"] == view.metric for metric in server.metrics)
    return n_sent == view.n_epochs > 0 and server.artifacts == ["record.json"]


# --- a server in the folder's place ---------------------------------------------------------------


def test_runs_go_to_the_server_that_tracking_uri_names(server, tmp_path):
    done = suite(tmp_path, f"tracking.uri=http://{server.host}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert holds(server, tmp_path / "runs")
    assert f"look at it: http://{server.host}" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_runs_go_to_the_server_of_the_environment_and_its_password_is_never_shown(server, tmp_path):
    uri = f"http://jane:open%20sesame-71@{server.host}"
    done = suite(tmp_path, MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stdout + done.stderr
    assert holds(server, tmp_path / "runs")
    assert f"store http://{server.host}: of the environment's MLFLOW_TRACKING_URI" in done.stdout
    expected = base64.b64encode(b"jane:open sesame-71").decode()
    assert server.authorizations == {f"Basic {expected}"}
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    for text in (done.stdout, done.stderr, *written):
        assert "sesame" not in text
    assert "sesame" not in json.dumps([server.tags, server.runs])


def test_the_address_is_no_argument_of_the_process_that_imports(tmp_path, monkeypatch):
    calls = []

    def run(command: list[str], env: dict[str, str], **_: Any) -> Any:
        calls.append((command, env))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(trackers.subprocess, "run", run)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = {"when": "after", "store": "kept"}
    trackers.MLflow(**settings, uri="http://mlflow.site").after([tmp_path])
    trackers.MLflow(**settings, uri=None).after([tmp_path])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://jane:sesame@mlflow.site")
    trackers.MLflow(**settings, uri=None).after([tmp_path])
    assert [command[3:] for command, _ in calls] == [
        [str(tmp_path)], ["--store", "kept", str(tmp_path)], [str(tmp_path)],
    ]  # fmt: skip
    assert [env.get("MLFLOW_TRACKING_URI") for _, env in calls] == [
        "http://mlflow.site", None, "http://jane:sesame@mlflow.site",
    ]  # fmt: skip
    assert not any("OMPI_COMM_WORLD_RANK" in env for _, env in calls)


def test_a_failed_import_says_how_to_repeat_it(tmp_path, capsys):
    tracker = trackers.MLflow(when="after", store=str(tmp_path / "store"), uri=None)
    assert tracker.after([tmp_path / "none"]) == 1
    assert "python -m suite.track RUN_FOLDERS imports again" in capsys.readouterr().err


# --- errors of a server, and of the system --------------------------------------------------------


@pytest.fixture
def three_runs(tmp_path, no_fsync) -> Path:
    for name in "abc":
        Played(tmp_path / "runs" / name, run_id=name).play()
    return tmp_path / "runs"


def test_a_run_that_a_server_refuses_leaves_no_empty_run_and_keeps_no_other_out(
    server, three_runs, capsys
):
    answer, created = server.answer, []

    def refuse(path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        call = path.partition("?")[0].partition("/mlflow")[2]
        if call == "/runs/create":
            created.append(json.loads(body)["tags"])
        if call == "/runs/log-batch" and {"key": "suite.run_id", "value": "b"} in created[-1]:
            return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "no \x1b[2Jsuch value"}
        return answer(path, body)

    server.answer = refuse
    assert track.main([str(three_runs), "--uri", f"http://{server.host}"]) == 1
    printed = capsys.readouterr()
    assert "track: b: " in printed.err and "no \\x1b[2Jsuch value" in printed.err
    assert printed.out.count("(completed)") == 2
    ids = [run["info"]["run_id"] for run in server.runs]
    (refused,) = [
        ids[i] for i, tags in enumerate(created) if {"key": "suite.run_id", "value": "b"} in tags
    ]
    assert server.deleted == [refused]


def test_a_server_that_goes_away_is_named_once_and_no_other_run_is_tried(
    server, three_runs, capsys, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    answer = server.answer

    def vanish(path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if len(server.runs) > 5:
            raise ConnectionResetError
        return answer(path, body)

    server.answer = vanish
    assert track.main([str(three_runs), "--uri", f"http://{server.host}"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("does not answer (") == 1 and "look at it" not in printed.out
    assert (
        len(
            {
                tag["value"]
                for run in server.runs
                for tag in run["data"]["tags"]
                if tag["key"] == "suite.run_id"
            }
        )
        == 1
    )


def test_an_answer_that_no_mlflow_gives_is_named(server, three_runs, capsys):
    server.answer = lambda path, body: (200, {"hello": "world"})
    assert track.main([str(three_runs), "--uri", f"http://{server.host}"]) == 1
    server.answer = lambda path, body: (
        401,
        {"error_code": "UNAUTHENTICATED", "message": "who are you"},
    )
    assert track.main([str(three_runs), "--uri", f"http://{server.host}"]) == 1
    assert "who are you; see that the address is an MLflow server's" in capsys.readouterr().err


def test_thousands_of_folders_are_told_to_several_processes(tmp_path, monkeypatch):
    told = []

    def run(command: list[str], **_: Any) -> Any:
        told.append(command[command.index("kept") + 1 :])
        return SimpleNamespace(returncode=int(len(told) == 2))

    monkeypatch.setattr(trackers.subprocess, "run", run)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folders = [tmp_path / str(i) for i in range(2500)]
    assert trackers.MLflow(when="after", store="kept", uri=None).after(folders) == 1
    assert [path for group in told for path in group] == [str(path) for path in folders]
    assert max(map(len, told)) <= 1000


def test_a_process_that_cannot_be_started_is_an_error_of_tracking(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers.sys, "executable", str(tmp_path / "no-python"))
    tracker = trackers.MLflow(when="after", store="kept", uri=None)
    with pytest.raises(TrackingError, match="cannot be started .No such file"):
        tracker.after([tmp_path])


def test_plan_refuses_a_wrong_tracker(tmp_path, capsys):
    from suite.launch.cli import main

    assert main(["plan", "model=table_target", "tracking.store=http://mlflow.site:5000"]) == 1
    assert "tracking.store=http://mlflow.site:5000: must be a folder" in capsys.readouterr().err


# --- refused before a folder is made --------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (
            "tracking.store=http://mlflow.site:5000",
            "must be a folder; tracking.uri names an MLflow server.",
        ),
        ("tracking.uri=mlflow.site:5000", "must be http://HOST:PORT"),
        ("tracking.uri=sqlite:///x.db", "must be http://HOST:PORT"),
        (
            "tracking.uri=http://jane:sesame@mlflow.site",
            "holds a URL with a user or password before the @",
        ),
        ("tracking.when=allways", "must be after or later."),
    ],
    # pytest puts a test's name into the environment: no password there.
    ids=["store", "scheme", "sqlite", "password", "when"],
)
def test_a_wrong_setting_is_refused_before_a_folder_is_made(word, why, tmp_path):
    done = suite(tmp_path, word)
    assert done.returncode == 1
    name = word.partition("=")[0]
    assert name in done.stderr and why in done.stderr, done.stderr
    assert "sesame" not in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_names_no_server_is_refused(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///home/jane/mlruns")
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI=file:.*must be http://HOST:PORT"):
        make_tracker(compose("tracking=after")["tracking"])


def test_a_leaf_of_0e27403_is_the_tracker_of_today(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = make_tracker({"when": "later", "store": "kept"})
    assert tracker == trackers.MLflow(when="later", store="kept", uri=None)


def test_the_command_refuses_an_address_for_a_folder_and_a_password(tmp_path, capsys, no_fsync):
    Played(tmp_path / "run").play()
    assert track.main([str(tmp_path / "run"), "--store", "http://mlflow.site"]) == 1
    assert "store=http://mlflow.site: must be a folder; --uri names an MLflow server" in (
        capsys.readouterr().err
    )
    assert track.main([str(tmp_path / "run"), "--uri", "http://jane:sesame@mlflow.site"]) == 1
    printed = capsys.readouterr().err
    assert "must hold no user or password" in printed and "sesame" not in printed
