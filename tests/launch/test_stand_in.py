"""A stand-in is a choice, and every line says so; without data and without that choice a run is refused."""

import json

import pytest

from suite import report
from suite.doctor import job
from suite.launch import cli
from suite.launch.plan import planned
from suite.launch.runs import Runs
from suite.report.contents import read
from suite.report.html import page
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.track.rows import run_name, run_tags

SMALL = (
    "model=openml_mlp", "model.limit=32", "max_epochs=3", "backend=inline", "report=false",
    "tracking=later",
)  # fmt: skip


@pytest.fixture
def runs(tmp_path, monkeypatch, no_fsync):
    """The folder of runs, on a machine without data."""
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SUITE_STAMP", "one")
    monkeypatch.delenv("SUITE_DATA", raising=False)
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("words", "data_set"),
    [
        (("model=openml_mlp",), "openml"),
        (("model=openml_mlp", "-m", "seed=0,1"), "openml"),
        (("plan", "model=openml_mlp"), "openml"),
        (("model=cifar10_cnn",), "cifar10"),
        (("model=cifar10_cnn_3hp",), "cifar10"),
        (("model=tiny_imagenet_resnet18",), "tiny_imagenet"),
        (("model=babi_lstm",), "babi"),
        (("model=mlpf",), "delphes"),
        (("model=mlpf_5hp",), "delphes"),
        (("model=mlpf_10hp",), "delphes"),
        (("model=mlpf_schedules",), "delphes"),
        (("model=mlpf_torch",), "delphes"),
    ],
)
def test_without_data_and_choice_nothing_begins_and_the_fetch_line_is_printed(
    runs, capsys, words, data_set
):
    assert cli.main([*words, *SMALL[2:]]) == 1
    out, err = capsys.readouterr()
    assert f"fetch it: swiftbench fetch {data_set} --to DIR" in out + err
    assert "NOT the data set: model.data=stand_in" in out + err
    assert "Traceback" not in out + err and not runs.exists()


def test_a_stand_in_is_named_in_every_line_plan_report_and_tracked_run(runs, capsys):
    words = (*SMALL, "model.data=stand_in")
    assert cli.main(["plan", *words]) == 0
    assert "(STAND-IN data)" in capsys.readouterr().out
    assert cli.main([*words]) == 0
    said = capsys.readouterr()
    assert " [STAND-IN]: completed" in said.out
    assert all(" [STAND-IN]: " in line for line in said.err.splitlines() if "epochs" in line)
    assert cli.main([*words, "resume=auto"]) == 0
    assert " [STAND-IN]: " in capsys.readouterr().out
    (folder,) = (path.parent for path in runs.rglob(journals.NAME))
    view = load_run(folder)
    assert "[STAND-IN]" in run_name(view) and run_tags(view)["suite.data"] == "STAND-IN"
    summary = report.summary([folder])
    assert "openml_mlp [STAND-IN]" in summary and "STAND-IN data" in summary
    html = page(read([folder]))
    assert "STAND-IN data" in html and "[STAND-IN]</h" in html


def test_the_doctor_warns_of_a_stand_in(runs, monkeypatch):
    plans = planned(Runs([*SMALL, "model.data=stand_in"]))
    staged = {"name": "openml", "sha256": "a" * 64, "stand_in": True}
    monkeypatch.setattr(job, "python", lambda *_, **__: (0, json.dumps(staged), ""))
    (finding,) = job.data_sets(job.Job.of(plans), [])
    assert finding.status == "warn" and "STAND-IN" in finding.value
    staged["stand_in"] = False
    (finding,) = job.data_sets(job.Job.of(plans), [])
    assert finding.status == "pass" and "STAND-IN" not in finding.value
