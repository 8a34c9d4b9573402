"""The importer against a real MLflow store: what it holds, growth, crashes, one writer, leaks."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kit.simulated import Played, hyperband, swift
from suite.results import record
from suite.results.find import find_runs
from suite.results.fold import load_run
from suite.results.run_view import RunView
from suite.track import __main__ as door
from suite.track import importer
from suite.track.bulk import Bulk
from suite.track.client import Client
from suite.track.mlflow_store import LOCK, Store
from suite.track.rows import Row

TABLES = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")


@pytest.fixture
def run(tmp_path, no_fsync) -> Path:
    """A completed run with losses, failures, cuts and resumes; re-trained epochs are the same."""
    Played(tmp_path / "runs" / "a", swift, seed=1, p_loss=0.02, p_fail=0.03, p_cut=0.02).play()
    return tmp_path / "runs" / "a"


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"{(store.folder / 'mlflow.db').as_uri()}?mode=ro", uri=True) as data:
        return data.execute(sql).fetchall()


def dump(store: Store) -> dict[str, Counter[tuple[Any, ...]]]:
    return {table: Counter(rows(store, f"SELECT * FROM {table}")) for table in TABLES}


def metrics(store: Store, kind: str) -> Counter[tuple[Any, ...]]:
    """(trial id or None, metric, value, time, step), with how often it is there."""
    return Counter(
        rows(
            store,
            "SELECT t.value, m.key, m.value, m.timestamp, m.step FROM metrics m "
            "JOIN tags k ON k.run_uuid = m.run_uuid AND k.key = 'suite.kind' "
            f"AND k.value = '{kind}' "
            "LEFT JOIN tags t ON t.run_uuid = m.run_uuid AND t.key = 'suite.trial_id'",
        )
    )


def latest(store: Store) -> dict[str, float]:
    return dict(
        rows(
            store,
            "SELECT m.key, m.value FROM latest_metrics m JOIN tags k ON k.run_uuid = m.run_uuid "
            "AND k.key = 'suite.kind' AND k.value = 'run'",
        )
    )


def prefix(folder: Path, to: Path, n_lines: int) -> Path:
    """The run as it was when its journal had `n_lines`."""
    to.mkdir(parents=True, exist_ok=True)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (to / "journal.jsonl").write_bytes(b"".join(lines[:n_lines]))
    return to


def coarse(folder: Path) -> None:
    """Turn the journal's clock into one that ticks every 4 s: events share times, as with MPI."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for line in lines[1:]:
        times = line["time_s"]
        line["time_s"] = [t // 4 * 4 for t in times] if isinstance(times, list) else times // 4 * 4
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "journal.jsonl").write_text(text)


def n_lines(folder: Path) -> int:
    return len((folder / "journal.jsonl").read_bytes().splitlines())


def trial_points(view: RunView) -> Counter[tuple[Any, ...]]:
    """What the trials' metrics must be."""
    began = view.began.timestamp()
    return Counter(
        (str(trial.trial_id), key, value, round((began + point.time_s) * 1000), point.epoch)
        for trial in view.trials.values()
        for point in trial.epochs
        for key, value in {**point.metrics, "suite/train_s": 0.003, "suite/eval_s": 0.001}.items()
    )


# --- what the store holds -------------------------------------------------------------------------


def test_a_run_is_a_parent_whose_children_are_its_trials_with_their_curves(store, run):
    done = importer.import_run(run, store)
    view = load_run(run)
    assert done.experiment == "suite/table_target"
    assert metrics(store, "trial") == trial_points(view)
    assert done.n_rows == sum(trial_points(view).values()) + len(metrics(store, "run"))
    parent = rows(store, "SELECT run_uuid FROM tags WHERE key = 'suite.kind' AND value = 'run'")
    assert len(parent) == 1
    children = rows(store, "SELECT value FROM tags WHERE key = 'mlflow.parentRunId'")
    assert children == parent * len(view.trials)
    fates = rows(
        store,
        "SELECT t.value, s.value, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
        "AND t.key = 'suite.trial_id' JOIN tags s ON s.run_uuid = r.run_uuid "
        "AND s.key = 'suite.status'",
    )
    assert {int(i): fate for i, fate, _ in fates} == {i: x.status for i, x in view.trials.items()}
    assert {(fate, state) for _, fate, state in fates} <= {
        ("finished", "FINISHED"),
        ("stopped", "FINISHED"),
        ("cut", "FINISHED"),
        ("diverged", "FAILED"),
        ("given up", "FAILED"),
    }
    params = rows(
        store,
        "SELECT t.value, p.key, p.value FROM params p JOIN tags t ON t.run_uuid = p.run_uuid "
        "AND t.key = 'suite.trial_id'",
    )
    configs = {(str(i), k, str(v)) for i, x in view.trials.items() for k, v in x.config.items()}
    assert set(params) == configs


def test_the_parent_says_what_was_best_when_and_what_it_cost(store, run):
    importer.import_run(run, store)
    view = load_run(run)
    began = view.began.timestamp()
    found = [row[2:] for row in metrics(store, "run") if row[1] == "search/best_val_loss"]
    improvements = {
        (point.best, round((began + point.time_s) * 1000), point.n_epochs) for point in view.anytime
    }
    assert improvements <= set(found)
    steps = sorted(step for *_, step in found)
    assert {*range(steps[0] // 6 * 6 + 6, view.n_epochs, 6)} <= set(steps)  # 27 // 4 apart
    best = {n: min(p.best for p in view.anytime if p.n_epochs <= n) for n in steps}
    assert {(value, step) for value, _, step in found} == {(best[step], step) for step in steps}
    values = latest(store)
    assert values["cost/epochs"] == view.n_epochs
    assert values["cost/wall_s"] == view.wall_s
    assert values["search/best_val_loss"] == view.best.best
    assert values["search/winner_val_loss"] == view.trials[view.winner].curve[26]
    assert values["search/test_loss"] == 0.25
    assert values["cost/node_hours"] == pytest.approx(view.usage.node_s / 3600)
    assert {name.partition("/")[0] for name in values} == {"search", "cost", "health"}
    tags = dict(
        rows(
            store,
            "SELECT t.key, t.value FROM tags t JOIN tags k ON k.run_uuid = t.run_uuid "
            "AND k.key = 'suite.kind' AND k.value = 'run'",
        )
    )
    n_stopped = sum(x.status == "stopped" for x in view.trials.values())
    assert int(tags["suite.trials_stopped"]) == n_stopped > 0
    assert int(tags["suite.workers_lost"]) > 0
    assert (tags["suite.seed"], tags["suite.winner"]) == ("3", str(view.winner))
    params = dict(
        rows(
            store,
            "SELECT p.key, p.value FROM params p JOIN tags k ON k.run_uuid = p.run_uuid "
            "AND k.key = 'suite.kind' AND k.value = 'run'",
        )
    )
    assert params["scheduler.eta"] == "3"
    winner = view.trials[view.winner].config
    assert {k: v for k, v in params.items() if k.startswith("best/")} == {
        f"best/{name}": str(value) for name, value in winner.items()
    }
    assert params["seed"] == "3"
    assert rows(store, "SELECT DISTINCT user_id FROM runs") == [("suite",)]
    for key in ("mlflow.user", "mlflow.source.name"):
        assert rows(store, f"SELECT DISTINCT value FROM tags WHERE key = '{key}'") == [("suite",)]
    names = rows(store, "SELECT name FROM runs WHERE name NOT LIKE 'trial%'")
    assert names == [("hyperband seed 3 [SYNTHETIC]",)]  # nobody shall take it for real data


def test_the_record_is_an_artifact_and_no_absolute_path_stands_in_the_data_base(store, run):
    importer.import_run(run, store)
    (uri,) = rows(
        store,
        "SELECT r.artifact_uri FROM runs r JOIN tags k ON k.run_uuid = r.run_uuid "
        "AND k.key = 'suite.kind' AND k.value = 'run'",
    )[0]
    assert uri.startswith("mlflow-artifacts:/")
    path = store.folder / "artifacts" / uri.removeprefix("mlflow-artifacts:/") / "record.json"
    assert record.load(path) == record.build(run)
    assert str(store.folder).encode() not in (store.folder / "mlflow.db").read_bytes()


# --- importing again ------------------------------------------------------------------------------


def test_importing_twice_changes_nothing(store, run):
    assert importer.import_run(run, store).n_rows > 0
    before = dump(store)
    assert importer.import_run(run, store).n_rows is None
    assert dump(store) == before


def test_a_journal_that_grew_adds_its_new_part_and_no_more(store, run, tmp_path):
    coarse(run)
    growing, n = tmp_path / "growing", n_lines(run)
    sizes = []
    for k in (1, 2, n // 5, n // 2, n // 2 + 1, n // 2 + 2, n - 1, n):
        before = metrics(store, "trial")
        importer.import_run(prefix(run, growing, k), store)
        assert metrics(store, "trial") == trial_points(load_run(growing))
        assert before <= metrics(store, "trial")
        sizes.append(sum(metrics(store, "trial").values()))
    assert sizes == sorted(sizes)
    assert sizes[2] < sizes[3]
    assert max(metrics(store, "run").values()) == 1
    assert latest(store)["cost/epochs"] == load_run(run).n_epochs
    states = dict(rows(store, "SELECT name, status FROM runs"))
    assert states["hyperband seed 3 [SYNTHETIC]"] == "FINISHED"
    assert "RUNNING" not in states.values()


def test_of_a_longer_journal_only_the_rest_is_sent(store, run, tmp_path):
    growing, n = tmp_path / "growing", n_lines(run)
    whole = importer.import_run(prefix(run, growing, n - 8), store).n_rows
    assert importer.import_run(prefix(run, growing, n), store).n_rows < whole / 4


@pytest.mark.parametrize(
    ("way", "n_calls"), [("bulk", 0), ("bulk", 10), ("client", 0), ("client", 1), ("client", 9)]
)
def test_an_import_that_was_cut_is_repeated_without_doubling(
    store, tmp_path, no_fsync, monkeypatch, way, n_calls
):
    run = tmp_path / "run"
    Played(run, seed=1, p_fail=0.03).play()
    sink = {"bulk": Bulk, "client": Client}[way]
    log, left = sink.log, [n_calls]

    def cut(self: Any, *given: Any, **named: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("the process was killed here")
        log(self, *given, **named)

    monkeypatch.setattr(Store, "_in_bulk", lambda self: way == "bulk")
    with monkeypatch.context() as patch:
        patch.setattr(sink, "log", cut)
        with pytest.raises(OSError, match="killed"):
            importer.import_run(run, store)
    states = Counter(rows(store, "SELECT status FROM runs WHERE lifecycle_stage = 'active'"))
    assert states["RUNNING",] == 0
    assert way == "client" or not states
    importer.import_run(run, store)
    view = load_run(run)
    assert metrics(store, "trial") == trial_points(view)
    assert set(metrics(store, "run").values()) == {1}
    active = rows(store, "SELECT 1 FROM runs WHERE lifecycle_stage = 'active'")
    assert len(active) == 1 + len(view.trials)
    before = dump(store)
    assert importer.import_run(run, store).n_rows is None
    assert dump(store) == before


def test_a_resumed_run_is_one_run(store, tmp_path, no_fsync):
    played = Played(tmp_path / "run")
    for _ in range(30):
        played.step()
    played.close("interrupted", "a signal")
    importer.import_run(tmp_path / "run", store)
    states = rows(store, "SELECT DISTINCT status FROM runs ORDER BY 1")
    assert ("KILLED",) in states
    assert ("RUNNING",) not in states
    played.resume()
    played.play()
    importer.import_run(tmp_path / "run", store)
    assert rows(store, "SELECT DISTINCT status FROM runs") == [("FINISHED",)]
    assert metrics(store, "trial") == trial_points(load_run(tmp_path / "run"))


def test_another_journal_under_the_same_id_is_refused(store, tmp_path, no_fsync, capsys):
    Played(tmp_path / "runs" / "a", seed=1).play()
    Played(tmp_path / "runs" / "b", seed=2).play()
    assert importer.import_all([tmp_path / "runs"], store) == (1, 1)
    assert "the store holds another journal of this run" in capsys.readouterr().err
    before = dump(store)
    shorter = prefix(tmp_path / "runs" / "a", tmp_path / "older" / "a", 20)
    assert importer.import_all([shorter], store) == (0, 1)  # an older copy must not look like news
    assert dump(store) == before


# --- several folders ------------------------------------------------------------------------------


def test_one_damaged_folder_does_not_keep_the_others_out(store, tmp_path, no_fsync, capsys):
    for name in ("a", "b", "c"):
        Played(tmp_path / "runs" / name, run_id=name).play()
    path = tmp_path / "runs" / "b" / "journal.jsonl"
    path.write_text(path.read_text().replace('"event":"finished"', '"event":"broken', 1))
    code = door.main([str(tmp_path / "runs"), str(tmp_path / "none"), "--store", str(store.folder)])
    said = capsys.readouterr()
    assert code == 1
    assert "track: b: b/journal.jsonl: line " in said.err
    assert "track: none: no journal.jsonl" in said.err
    found = rows(store, "SELECT DISTINCT value FROM tags WHERE key = 'suite.run_id' ORDER BY 1")
    assert found == [("a",), ("c",)]
    assert said.out.splitlines()[-2] == f"look at it: ./bench ui --store {store.folder}"


def test_runs_are_found_below_folders_once_and_not_inside_of_runs(tmp_path):
    for name in ("s/1", "s/0", "t", "s/1/checkpoints/x"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "journal.jsonl").touch()
    named = [tmp_path, tmp_path / "s", tmp_path / "t" / "journal.jsonl"]
    assert find_runs(named) == [tmp_path / "s/0", tmp_path / "s/1", tmp_path / "t"]


def test_more_than_mlflow_takes_at_once_goes_in_batches(store):
    client = Client(store.tracking, "x", lambda *_: None)
    made = client.create(store.experiment("suite/x"), "x", 0, {})
    points = [("loss", i / 7, i, i) for i in range(2500)]
    params, tags = ({f"{kind}{i}": "y" * 9000 for i in range(250)} for kind in "pt")
    client.log(made.identity, [Row(*point) for point in points], params, tags)
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(2500,)]
    assert rows(store, "SELECT COUNT(*) FROM params") == [(250,)]
    assert rows(store, "SELECT COUNT(*) FROM tags WHERE key LIKE 't%'") == [(250,)]


# --- following ------------------------------------------------------------------------------------


def test_following_imports_a_live_run_to_its_end_and_those_that_appear(
    store, run, tmp_path, capsys
):
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    live = tmp_path / "live" / "a"
    live.mkdir(parents=True)

    def write() -> None:
        with open(live / "journal.jsonl", "wb", buffering=0) as file:
            for i in range(0, len(lines), 25):
                data = b"".join(lines[i : i + 25])
                file.write(data[: len(data) // 2])  # a torn line for a moment
                time.sleep(0.02)
                file.write(data[len(data) // 2 :])
        (tmp_path / "live" / "b").mkdir()
        head = json.loads(lines[0]) | {"run_id": "b"}
        rest = b"".join(lines[1:])
        (tmp_path / "live" / "b" / "journal.jsonl").write_bytes(
            json.dumps(head).encode() + b"\n" + rest
        )

    writer = threading.Thread(target=write)
    writer.start()
    failed = importer.follow([tmp_path / "live"], store, poll_s=0.05, grace_s=1.0)
    writer.join()
    assert failed == (2, 0)
    expected = trial_points(load_run(run))
    assert metrics(store, "trial") == Counter({key: 2 * n for key, n in expected.items()})
    said = capsys.readouterr().out
    assert said.count("(completed)") == 2
    assert said.count("(unfinished)") <= 1  # once when it was met, not at every look


def test_following_leaves_a_journal_that_went_quiet(store, run, tmp_path):
    dead = prefix(run, tmp_path / "dead", 50)
    began = time.monotonic()
    assert importer.follow([dead], store, poll_s=0.02, quiet_s=0.3, grace_s=60.0) == (1, 0)
    assert 0.3 <= time.monotonic() - began < 30
    assert metrics(store, "trial") == trial_points(load_run(dead))


def test_following_nothing_is_an_error(store, tmp_path, capsys):
    assert importer.follow([tmp_path], store, poll_s=0.02, quiet_s=0.1) == (0, 1)
    assert "no journal.jsonl came" in capsys.readouterr().err


# --- one writer, no network, no leak --------------------------------------------------------------


def test_a_second_importer_waits_for_the_first_and_says_so(store, run, capsys):
    handle = os.open(store.folder / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    second = threading.Thread(target=importer.import_all, args=([run], store))
    second.start()
    time.sleep(0.5)
    assert second.is_alive()
    assert rows(store, "SELECT 1 FROM runs") == []
    os.close(handle)
    second.join(60)
    assert not second.is_alive()
    assert "another import writes; waiting" in capsys.readouterr().out
    assert metrics(store, "trial") == trial_points(load_run(run))


def test_a_store_that_cannot_be_written_is_named_with_a_remedy(tmp_path, run, capsys):
    (tmp_path / "file").touch()
    assert door.main([str(run), "--store", str(tmp_path / "file" / "store")]) == 1
    assert "name a folder that can be written (--store, SUITE_STORE)" in capsys.readouterr().err


def test_importing_needs_no_network_and_leaves_the_current_folder_alone(
    made, run, tmp_path, monkeypatch, capsys
):
    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SUITE_STORE", "kept")
    shutil.copytree(made, tmp_path / "here" / "kept")
    assert door.main([str(run)]) == 0
    # Not in a checkout's own folder, where it is ./bench ui.
    assert "\nlook at it: python -m suite.track --ui\n" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["kept"]
    assert sorted(path.name for path in (tmp_path / "here" / "kept").iterdir()) == [
        "artifacts",
        "import.lock",
        "mlflow.db",
    ]


def test_no_secret_user_host_or_home_gets_into_the_store(store, tmp_path, monkeypatch, no_fsync):
    config = {"backend": {"checkpoints": "/scratch/janedoe/x"}, "note": "janedoe at login07"}
    monkeypatch.setenv("SUITE_CANARY_TOKEN", "canary-xyzzyq")
    monkeypatch.setenv("USER", "janedoe")
    monkeypatch.setattr(socket, "gethostname", lambda: "login07.cluster.example")
    played = Played(tmp_path / "run", p_fail=0.2)
    path = tmp_path / "run" / "journal.jsonl"
    played.play(80)
    head, _, rest = path.read_text().partition("\n")
    said = rest.replace("played", "canary-xyzzyq of janedoe at login07: /home/janedoe/x")
    assert said != rest
    path.write_text(json.dumps(json.loads(head) | {"config": config}) + "\n" + said)
    importer.import_run(tmp_path / "run", store)
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    for file in files:
        data = file.read_bytes()
        for word in (b"canary", b"xyzzyq", b"janedoe", b"login07", b"/home/", b"/scratch"):
            assert word not in data, (file.name, word)
    assert b"<secret> of <user> at <host>" in (store.folder / "mlflow.db").read_bytes()


def test_mlflow_is_imported_only_when_it_is_needed():
    code = "import suite.track, suite.track.mlflow_store, sys; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the UI, and a server in the store's place ----------------------------------------------------


@pytest.mark.slow
def test_the_ui_shows_the_store_to_this_machine_and_takes_imports_as_a_server(
    store, run, tmp_path, no_fsync
):
    import urllib.request

    # As hostile a name as a file system takes.
    store.tracking.engine.dispose()
    store = Store(store.folder.rename(tmp_path / "a?b#c%41 'd\""))
    importer.import_run(run, store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "suite.track", "--ui", "--store", str(store.folder)]
    shown = subprocess.Popen([*command, "--port", str(port)], cwd=tmp_path, start_new_session=True)
    beside = sorted(path.name for path in tmp_path.iterdir())
    uri = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                assert urllib.request.urlopen(f"{uri}/health", timeout=5).read() == b"OK"
                break
            except OSError:
                assert shown.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.5)
        (mlflow_id,) = rows(store, "SELECT run_uuid FROM tags WHERE value = 'run'")[0]
        artifact = f"{uri}/get-artifact?path=record.json&run_uuid={mlflow_id}"
        assert json.load(urllib.request.urlopen(artifact, timeout=30)) == record.build(run)
        Played(tmp_path / "other", hyperband, run_id="other", model="other").play()
        code = [sys.executable, "-m", "suite.track", "--uri", uri, str(tmp_path / "other")]
        for _ in range(2):
            subprocess.run(code, check=True, cwd=tmp_path, timeout=120)
        own = trial_points(load_run(tmp_path / "other"))
        assert metrics(store, "trial") == trial_points(load_run(run)) + own
    finally:
        os.killpg(shown.pid, 15)
        shown.wait(30)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*beside, "other"])
    left = sorted(path.name for path in store.folder.iterdir())
    assert left == ["artifacts", "import.lock", "mlflow.db"]


def test_a_store_that_is_a_uri_is_refused_and_no_folder_is_made(tmp_path, monkeypatch, capsys):
    """D3: at 0e27403 a folder `http:` was made, and the runs were tracked nowhere."""
    monkeypatch.chdir(tmp_path)
    assert door.main(["--store", "http://me:secret@127.0.0.1:1", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "--uri names an MLflow server" in said and "secret" not in said
    assert not list(tmp_path.iterdir())


def test_a_record_of_another_journal_is_warned_of(store, tmp_path, no_fsync, capsys):
    Played(tmp_path / "runs" / "a").play()
    record.write(tmp_path / "runs" / "a")
    text = (tmp_path / "runs" / "a" / record.NAME).read_text()
    theirs = load_run(tmp_path / "runs" / "a").journal.sha256
    (tmp_path / "runs" / "a" / record.NAME).write_text(text.replace(theirs, "0" * 64))
    assert door.main([str(tmp_path / "runs"), "--store", str(store.folder)]) == 0
    assert "track: a: warning: record.json beside the journal is not of" in capsys.readouterr().err
