"""The time limit, for real: SIGUSR1 or the job's end pauses, the same line goes on, nothing is
trained twice.
"""

import json
import os
import signal
import subprocess
import time

import pytest
from mpi_runs import command, curves, environment

from suite.run import journal as journals

SLEEP = "model.sleep_s=0.02"
SEARCH = ("model=table_target", "max_epochs=27", SLEEP, "resume=auto", "overlap=false")


def run(tmp_path, ranks, *overrides, usr1_after_epochs=None, **variables):
    """Exit code of rank 0, what was printed, and the run folders."""
    runs = tmp_path / "runs"
    env = environment(runs) | {"SUITE_STAMP": "one"} | variables
    verdict = tmp_path / "verdict"
    verdict.unlink(missing_ok=True)
    process = subprocess.Popen(
        command(ranks, *SEARCH, *overrides), env=env, cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    if usr1_after_epochs is not None:
        deadline = time.monotonic() + 60
        while _n_lines(runs) < usr1_after_epochs:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        # To mpirun alone, as a batch script does: it hands the signal to every rank.
        os.kill(process.pid, signal.SIGUSR1)
    out = process.communicate(timeout=120)[0]
    code = int(verdict.read_text()) if verdict.exists() else process.returncode
    return code, out, sorted(path.parent for path in runs.rglob(journals.NAME))


def _n_lines(runs):
    return sum(path.read_bytes().count(b'"epoch"') for path in runs.rglob(journals.NAME))


def epochs(folder):
    """Every (trial, epoch) that was reported, in order."""
    trial_of, found = {}, []
    for line in journals.read(folder / journals.NAME)[1]:
        for what in line.get("do", []):
            if what[0] == "start":
                trial_of[what[2]] = what[3]
        if line["event"] == "epoch":
            many = line["epoch"] if isinstance(line["epoch"], list) else [line["epoch"]]
            found += [(trial_of[line["job_id"]], epoch) for epoch in many]
    return found


@pytest.mark.parametrize("ranks", [0, 3])
def test_a_signal_pauses_and_the_same_line_goes_on_without_training_anything_twice(tmp_path, ranks):
    code, out, (folder,) = run(tmp_path, ranks, usr1_after_epochs=8)
    assert code == 75, out
    assert "paused: SIGUSR1 came; the same line with resume=auto goes on" in out
    assert journals.read(folder / journals.NAME)[1][-1]["status"] == "interrupted"
    code, out, folders = run(tmp_path, ranks, SLURM_RESTART_COUNT="1")
    assert (code, folders) == (0, [folder]), out
    lines = journals.read(folder / journals.NAME)[1]
    (resumed,) = [line for line in lines if line["event"] == "resumed"]
    assert resumed["settings"]["restart_count"] == 1
    record = json.loads((folder / "record.json").read_text())
    assert record["journal"]["restarts"]["value"] == 1
    found = epochs(folder)
    assert len(found) == len(set(found)), "an epoch was trained twice"
    code, out, folders = run(tmp_path, 0, "name=whole", "model.sleep_s=0")
    (whole,) = set(folders) - {folder}
    assert code == 0 and curves(folder) == curves(whole)


def test_a_sweep_pauses_as_a_whole_and_goes_on_with_what_is_missing(tmp_path):
    sweep = ("-m", "seed=0,1,2")
    code, out, folders = run(tmp_path, 3, *sweep, usr1_after_epochs=60)
    assert code == 75, out
    n_before = len(folders)
    assert n_before < 3
    code, out, folders = run(tmp_path, 3, *sweep)
    assert code == 0 and len(folders) == 3, out
    for folder in folders:
        assert journals.read(folder / journals.NAME)[1][-1]["status"] == "completed"
    code, out, _ = run(tmp_path, 3, *sweep)
    assert code == 0 and out.count("completed: before") == 3


def test_the_jobs_end_pauses_by_itself(tmp_path):
    code, out, _ = run(
        tmp_path, 3, "model.sleep_s=0.2", "backend.pause_before_s=2",
        SUITE_END_TIME=str(time.time() + 12),
    )  # fmt: skip
    assert code == 75, out
    assert "paused: the job ends in 2 s (backend.pause_before_s=2)" in out


def test_a_job_too_short_for_an_epoch_is_refused(tmp_path):
    code, out, _ = run(tmp_path, 3, SUITE_END_TIME=str(time.time() + 60))
    assert code == 1
    assert "end of the job: 0 s are left to train (after backend.pause_before_s=120)" in out


def test_with_other_settings_it_does_not_go_on(tmp_path):
    code, out, (folder,) = run(tmp_path, 0, usr1_after_epochs=8)
    text = (folder / journals.NAME).read_bytes()
    code, out, _ = run(tmp_path, 0, "eta=4")
    assert code == 1
    assert "eta=4: the run in" in out and "was begun with 2; resume=auto goes on with equal" in out
    assert (folder / journals.NAME).read_bytes() == text


def test_a_journal_cut_within_its_first_line_is_begun_anew(tmp_path):
    folder = tmp_path / "runs" / "run" / "one" / "hyperband-seed0"
    folder.mkdir(parents=True)
    (folder / journals.NAME).write_text('{"journal":1,"run_id')
    code, out, _ = run(tmp_path, 0, "max_epochs=3")
    assert code == 0, out


def test_a_world_of_another_size_is_refused_within_ten_seconds(tmp_path):
    start = time.monotonic()
    code, out, _ = run(tmp_path, 3, SUITE_WORLD_SIZE="5")
    assert code == 1 and "SUITE_WORLD_SIZE=5: the launcher made a world of 3 rank(s)" in out
    assert time.monotonic() - start < 10
