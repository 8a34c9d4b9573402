"""`mpirun swiftbench retrain`: the numbers of one process, with a worker that dies too."""

import json
import shutil
import subprocess
import sys

import pytest

from kit.mpi_runs import environment

N = 3


@pytest.fixture(
    scope="module", params=["table", pytest.param("digits", marks=pytest.mark.exhaustive)]
)
def trained(request, launch_module, tmp_path_factory):
    """A run whose target kills rank 2 once, where the marker is absent; its retrain.json of one process."""
    folder = tmp_path_factory.mktemp(request.param)
    done = launch_module(
        0, f"model=fault_{request.param}", "algorithm=random_search", "scheduler.n_trials=2",
        "max_epochs=4", "+model.fault=kill", "+model.fault_rank=2",
        f"+model.marker={folder / 'struck'}",
    )  # fmt: skip
    assert done.status == "completed", done.out
    alone = retrained(done.folder, folder / "alone", ranks=0)
    return done.folder, folder, alone


def retrained(run, copy, ranks, *words):
    """What retrain writes of a copy of the run."""
    shutil.copytree(run, copy)
    start = [sys.executable, "-m", "swiftbench", "retrain", str(copy), "--n", str(N), *words]
    if ranks:
        start = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", str(ranks), *start]
    env = environment(copy / "runs")
    done = subprocess.run(start, capture_output=True, text=True, env=env, cwd=copy, timeout=600)
    if not (copy / "retrain.json").exists():
        return done
    assert done.returncode == 0 or ranks, done.stderr
    return json.loads((copy / "retrain.json").read_text())


def numbers(report):
    """What must not depend on who trained."""
    trials = [{k: v for k, v in trial.items() if k != "train"} for trial in report["trials"]]
    return trials, report["gap"], report["gain"]


def test_three_ranks_give_the_numbers_of_one(trained):
    run, folder, alone = trained
    (folder / "struck").touch()
    done = retrained(run, folder / "whole", 3)
    assert (alone["workers"]["value"], done["workers"]["value"]) == (1, 2)
    assert [trial["role"] for trial in done["trials"]] == ["winner", "runner-up", "default"]
    assert [trial["n"]["value"] for trial in done["trials"]] == [N, N, N]
    assert numbers(done) == numbers(alone)
    assert (folder / "whole" / "retrain.png").exists()


def test_a_killed_worker_loses_nothing(trained):
    run, folder, alone = trained
    (folder / "struck").unlink(missing_ok=True)
    done = retrained(run, folder / "killed", 3)
    assert (folder / "struck").exists(), "the fault was never planted"
    assert numbers(done) == numbers(alone)
    assert not any(trial["failures"] for trial in done["trials"])


def test_wrong_words_end_every_rank(trained):
    run, folder, _ = trained
    done = retrained(run, folder / "wrong", 3, "--nn", "3")
    assert done.returncode != 0
    assert done.stderr.count("--nn: unknown") == 1
    done = retrained(folder, folder.parent / f"{folder.name}-no-run", 3)
    assert done.returncode != 0 and "Traceback" not in done.stderr
