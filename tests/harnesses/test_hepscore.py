"""The HEPscore workload: options, summary, and what it says where a copy fails.

A stand-in for the suite plays the copies here; the real one trains MLPF (-m exhaustive), and the image is
built and run with `-m "apptainer and exhaustive"`.
"""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from kit.driving import ROOT
from kit.image_files import build
from suite.launch.runs import Runs

FOLDER = ROOT / "benchmark" / "hepscore"
SCRIPT = FOLDER / "mlpf_hpo_bmk.py"
SUMMARY = Draft202012Validator(json.loads((FOLDER / "summary.schema.json").read_text()))
# Plays the suite: a copy trains 10 epochs of 40 events in 4 seconds, unless FAIL says what goes wrong.
SUITE = """
import json, os, pathlib, sys
fail, command = os.environ.get("FAIL", ""), sys.argv[1]
if command == "--version":
    print("swiftbench 9.9.9")
elif command == fail:
    sys.exit(f"{command}: it was told to fail")
elif command == "pythia":
    pathlib.Path(sys.argv[sys.argv.index("--to") + 1]).mkdir(parents=True)
elif command == "run":
    runs = pathlib.Path(os.environ["SUITE_RUNS"])
    limit = next(int(w.partition("=")[2]) for w in sys.argv if w.startswith("model.limit="))
    proc = runs.parent.name
    (runs / "mlpf-hpo" / "now" / "run").mkdir(parents=True)
    record = {
        "epochs": {"used": {"value": 10}}, "cost": {"worker_hours": {"value": 4 / 3600}},
        "data_sets": [{"n_train": {"value": limit}, "sha256": "ab"}],
        "result": {"best": {"validation": {"value": 1.0 if proc == "proc_1" or fail != "differ" else 2.0}}},
    }
    (runs / "mlpf-hpo" / "now" / "run" / "record.json").write_text(json.dumps(record))
"""


@pytest.fixture
def workload(tmp_path):
    """Runs the script with the stand-in; (exit code, stderr, the summary or None)."""
    package = tmp_path / "stand_in" / "swiftbench"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(SUITE)

    def run(*words, path=tmp_path / "stand_in", **environ):
        kept = os.environ | {"PYTHONPATH": str(path), "PYTHONSAFEPATH": "1"} | environ
        done = subprocess.run(
            [sys.executable, SCRIPT, "-w", tmp_path / "results", *map(str, words)],
            env=kept, capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        found = list((tmp_path / "results").rglob("mlpf-hpo_summary.json"))
        summary = json.loads(found[0].read_text()) if found else None
        if summary is not None:
            SUMMARY.validate(summary)
        return done.returncode, done.stderr, summary

    return run


def test_the_score_is_the_sum_of_what_the_copies_trained_a_second(workload, tmp_path):
    code, _, summary = workload("-W", "-c", 2, "-t", 1, "-e", 40)
    assert code == 0 and summary["report"]["log"] == "ok"
    assert summary["run_info"] == {
        "copies": 2, "threads_per_copy": 1, "events_per_thread": 40, "extra_arguments": "",
    }  # fmt: skip
    assert summary["report"]["wl-scores"] == {"mlpf-hpo": pytest.approx(200.0)}
    stats = summary["report"]["wl-stats"]["mlpf-hpo"]
    assert stats["count"] == 2 and stats["min"] == stats["max"] == pytest.approx(100.0)
    assert summary["app"]["version"] == "9.9.9" and summary["app"]["bmkdata_checksum"] == "ab"
    assert (tmp_path / "results" / "mlpf-hpo_summary.json").exists()


def test_long_options_are_those_that_hepscore_gives(workload, tmp_path):
    code, _, summary = workload("-W", "--mop", "all", "--events", 20, "--threads", 2, "--copies", 3)
    assert code == 0 and summary["run_info"]["copies"] == 3
    assert summary["report"]["wl-stats"]["mlpf-hpo"]["max"] == pytest.approx(100.0)
    assert not list((tmp_path / "results").glob("proc_*"))


def test_without_that_option_each_call_has_a_folder_of_its_own(workload, tmp_path):
    assert workload("-c", 1, "-e", 40)[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith("mlpf-hpo-c1-t1-e40-")


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        ("pythia", "ERROR: events could not be made: pythia: it was told to fail"),
        ("run", "ERROR: proc_1: exit code 1: run: it was told to fail"),
        ("export", "ERROR: export: it was told to fail"),
        ("differ", "ERROR: copies of one search found different best values: 1.0, 2.0"),
    ],
)
def test_a_copy_that_fails_gives_no_score_and_the_reason(fail, said, workload):
    code, _, summary = workload("-W", "-c", 2, "-e", 40, FAIL=fail)
    assert code == 1 and summary["report"] == {"wl-scores": {}, "wl-stats": {}, "log": said}


def test_without_the_suite_it_says_so(workload, tmp_path):
    isolated = tmp_path / "nothing"
    isolated.mkdir()
    (isolated / "swiftbench.py").write_text(
        "raise ModuleNotFoundError('No module named swiftbench')"
    )
    code, _, summary = workload("-W", "-c", 1, path=isolated)
    assert code == 1 and "No module named swiftbench" in summary["report"]["log"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-e", 481), "events=481 x threads=1: must be 8 to 480 together"),
        (("-e", 4), "must be 8 to 480 together"),
        (("-c", 0), "0: must be 1 or more"),
        (("-c", "two"), "invalid _count value"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_runs(words, said, workload):
    code, err, summary = workload("-W", *words)
    assert code == 2 and said in err and summary is None


def test_the_search_is_one_that_the_suite_can_compose():
    spec = importlib.util.spec_from_file_location("mlpf_hpo_bmk", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    words = [
        *module.SEARCH,
        "model.limit=40",
        "model.folder=/x",
        "backend.threads=1",
        "name=mlpf-hpo",
    ]
    (run,) = Runs(words)
    assert run.config["max_epochs"] == 4 and run.config["model"]["n_events"] == module.N_EVENTS


def test_a_summary_of_another_layout_is_refused():
    good = {
        "run_info": {"copies": 8, "threads_per_copy": 1, "events_per_thread": 5, "extra_arguments": ""},
        "report": {
            "wl-scores": {"gen": 25.7, "sim": 7.9},
            "wl-stats": {"gen": {"count": 8, "max": 3.2, "avg": 3.2, "median": 3.2, "min": 3.2}},
            "log": "ok",
        },
        "app": {"version": "v2.0", "description": "a workload", "cvmfs_checksum": "78",
                "bmkdata_checksum": "f6", "bmk_checksum": "0f", "containment": "singularity"},
    }  # fmt: skip
    SUMMARY.validate(good)
    for part in good:
        with pytest.raises(ValidationError):
            SUMMARY.validate({key: value for key, value in good.items() if key != part})
    with pytest.raises(ValidationError):
        SUMMARY.validate(good | {"report": {"wl-scores": {}, "log": "ok"}})


def test_hepscores_configuration_names_what_the_script_writes():
    settings = yaml.safe_load((FOLDER / "hepscore-mlpf.yaml").read_text())["hepscore"]
    (benchmark,) = settings["benchmarks"].values()
    assert benchmark["results_file"] == "mlpf-hpo_summary.json"
    assert (
        set(benchmark["ref_scores"]) == {"mlpf-hpo"}
        and settings["settings"]["method"] == "geometric_mean"
    )


@pytest.mark.parametrize("works", [True, False])
def test_the_images_own_test_fails_where_the_workload_does(works, tmp_path):
    """It said nothing, once: removing its folder was the last command."""
    text = (ROOT / "containers" / "hepscore.def").read_text().partition("%test\n")[2]
    python = "/opt/suite/venv/bin/python"
    assert python in text
    script = text.replace(python, "true" if works else "false")
    done = subprocess.run(["sh", "-c", script], env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode == 0) == works and not list(tmp_path.iterdir())


@pytest.mark.exhaustive
def test_two_real_copies_train_and_are_scored(workload):
    code, err, summary = workload("-W", "-c", 2, "-t", 1, "-e", 16, path=ROOT)
    assert code == 0, (err, summary)
    assert summary["report"]["wl-scores"]["mlpf-hpo"] > 0


@pytest.mark.apptainer
@pytest.mark.exhaustive
def test_the_image_runs_as_hepscore_runs_it(tmp_path):
    image = build("hepscore")
    (tmp_path / "results").mkdir()
    words = ["apptainer", "run", "-i", "-c", "-e", "-B", f"{tmp_path / 'results'}:/results", image]
    done = subprocess.run(
        [*words, "-W", "--copies", "1", "--threads", "1", "--events", "16"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "results" / "mlpf-hpo_summary.json").read_text())
    assert summary["report"]["wl-scores"]["mlpf-hpo"] > 0
    assert summary["app"]["containment"] == "singularity"
