"""What MLflow shows of a run besides its numbers; imports of earlier revisions."""

import json
import sqlite3

import pytest

from kit.report_runs import write_run
from suite.report.contents import read
from suite.report.html import page
from suite.results.fold import load_run
from suite.track import __main__ as door
from suite.track import about, importer, rows
from suite.track.address import run_table

TABLE = {
    "description": {"file": "mlpf.csv", "sha256": "ab" * 32, "source": "https://example.org/x"}
}


def of_run(store, columns):
    """The tags or parameters of the search, by name."""
    with sqlite3.connect(store.folder / "mlflow.db") as data:
        return dict(data.execute(
            f"SELECT x.key, x.value FROM {columns} x JOIN tags k ON k.run_uuid = x.run_uuid "
            "AND k.key = 'suite.kind' AND k.value = 'run'"
        ))  # fmt: skip


def test_a_run_has_a_description_and_its_data_set(store, tmp_path):
    reference = {"best": 0.1, "median": 1.0}
    run = write_run(
        tmp_path / "a", best=0.1, command=["seed=0"], config={"model": TABLE}, reference=reference
    )
    importer.import_run(run, store)
    note = of_run(store, "tags")["mlflow.note.content"]
    assert "**hyperband** on **table_target**, seed 0: completed; 2 trials, 20 epochs" in note
    assert "Winner: trial 0 with `width=4`; test value 0.15." in note
    assert "`swiftbench run seed=0`" in note
    with sqlite3.connect(store.folder / "mlflow.db") as data:
        [found] = data.execute("SELECT name, digest, dataset_source, dataset_profile FROM datasets")
    assert found[:2] == ("mlpf", ("ab" * 32)[:36])
    assert json.loads(found[2]) == {"origin": "https://example.org/x"}
    assert json.loads(found[3]) == {"data": "real", "max_epochs": 8}


def test_a_run_whose_data_have_no_digest_names_none(tmp_path):
    assert about.data_set(load_run(write_run(tmp_path / "a"))) is None


def with_report(top, n=1):
    """Runs and the report on them."""
    runs = [write_run(top / f"{i}", seed=i) for i in range(n)]
    (top / "report").mkdir()
    (top / "report" / "report.html").write_text(page(read([top])))
    (top / "report" / "exam.png").write_bytes(b"PNG")
    return runs


def test_the_report_on_a_run_and_its_figures_are_its_artifacts(store, tmp_path):
    [run] = with_report(tmp_path / "top")
    assert importer.import_run(run, store).n_rows
    [kept] = store.folder.rglob("report.html")
    assert kept.read_text() == (tmp_path / "top" / "report" / "report.html").read_text()
    assert (kept.parent / "exam.png").read_bytes() == b"PNG"
    assert importer.import_run(run, store).n_rows is None
    report = tmp_path / "top" / "report" / "report.html"
    report.write_text(report.read_text() + "<!-- made again -->")
    assert importer.import_run(run, store).n_rows is not None
    assert kept.read_text().endswith("<!-- made again -->")


def test_a_report_on_other_runs_or_on_very_many_is_left_where_it_is(tmp_path, monkeypatch):
    first, _ = with_report(tmp_path / "top", n=2)
    other = write_run(tmp_path / "top" / "other", seed=9)
    assert [name for name, _ in about.report_files(load_run(first))] == ["report.html", "exam.png"]
    assert not [*about.report_files(load_run(other))]
    monkeypatch.setattr(about, "_MOST_RUNS", 1)
    assert not [*about.report_files(load_run(first))]


def test_an_import_of_an_earlier_revision_is_brought_up_to_date_once(store, tmp_path, monkeypatch):
    run = write_run(tmp_path / "a", best=0.1)
    with monkeypatch.context() as before:
        before.setattr(importer, "LAYOUT", "1")
        before.setattr(importer, "best_parameters", lambda view: {})
        before.setattr(importer, "run_counts", lambda view: {})
        before.setattr(importer, "run_rows", lambda *_: [rows.Row("best_val_loss", 0.1, 1, 20)])
        importer.import_run(run, store)
    assert "best/width" not in of_run(store, "params")
    assert importer.import_run(run, store).n_rows > 0
    assert of_run(store, "params")["best/width"] == "4"
    latest = of_run(store, "latest_metrics")
    assert latest["search/best_val_loss"] == latest["best_val_loss"] == 0.1
    assert importer.import_run(run, store).n_rows is None


def test_the_import_prints_the_address_of_the_table_of_searches(store, tmp_path, capsys):
    run = write_run(tmp_path / "a")
    assert door.main([str(run), "--store", str(store.folder)]) == 0
    said = capsys.readouterr().out
    assert "suite/table_target: http://127.0.0.1:5000/#/experiments/1/runs?workflowType=" in said
    assert run_table("http://127.0.0.1:5000", "1") in said


@pytest.mark.parametrize("server", ["https://mlflow.site", "https://mlflow.site/"])
def test_the_table_of_a_server(server):
    assert run_table(server, "7").startswith("https://mlflow.site/#/experiments/7/runs?")
