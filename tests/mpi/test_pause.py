"""The time limit, for real: SIGUSR1 or the job's end pauses, the same command continues, nothing is
trained twice.
"""

import json
import re
import signal
import time

import pytest

from kit.mpi_runs import Launch, curves, journals_in, text_in
from suite.run import journal as journals

SLEEP = "model.sleep_s=0.02"
SEARCH = ("model=table_target", "max_epochs=27", SLEEP, "resume=auto", "overlap=false")


def run(tmp_path, ranks, *overrides, usr1_after_epochs=None, **variables):
    """Exit code of rank 0, what was printed, and the run folders."""
    runs = tmp_path / "runs"
    launch = Launch(ranks, *SEARCH, *overrides, runs=runs, **{"SUITE_STAMP": "one"} | variables)
    if usr1_after_epochs is not None:
        launch.until(lambda: text_in(runs, b'"epoch"') >= usr1_after_epochs)
        # To mpirun alone, as a batch script does: it hands the signal to every rank.
        launch.process.send_signal(signal.SIGUSR1)
    out = launch.until()
    return launch.code, out, [path.parent for path in journals_in(runs)]


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


@pytest.mark.parametrize("ranks", [pytest.param(0, marks=pytest.mark.slow), 3])
def test_a_signal_pauses_and_the_same_line_goes_on_without_training_anything_twice(tmp_path, ranks):
    code, out, (folder,) = run(tmp_path, ranks, usr1_after_epochs=8)
    assert code == 75, out
    assert "paused: SIGUSR1 came; run the same command with resume=auto to continue" in out
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


@pytest.mark.slow
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
    assert code == 0 and out.count("already completed") == 3


def test_the_jobs_end_pauses_by_itself(tmp_path):
    code, seconds = 1, 12
    while code == 1 and seconds < 1000:  # a machine with other work may need longer to begin
        code, out, _ = run(
            tmp_path, 3, "model.sleep_s=0.2", "max_epochs=81", "backend.pause_before_s=2",
            SUITE_END_TIME=str(time.time() + seconds),
        )  # fmt: skip
        seconds *= 2
    assert code == 75, out
    assert re.search(r"paused: the job ends in -?\d s \(backend.pause_before_s=2\)", out), out


def test_a_job_too_short_for_an_epoch_is_refused(tmp_path):
    code, out, _ = run(tmp_path, 3, SUITE_END_TIME=str(time.time() + 60))
    assert code == 1
    assert "end of the job: 0 s are left to train (after backend.pause_before_s=120)" in out


def test_with_other_settings_it_does_not_go_on(tmp_path):
    code, out, (folder,) = run(tmp_path, 0, usr1_after_epochs=8)
    text = (folder / journals.NAME).read_bytes()
    code, out, _ = run(tmp_path, 0, "eta=4")
    assert code == 1
    assert (
        "eta=4: the run in" in out and "was begun with 2; resume=auto continues with equal" in out
    )
    assert (folder / journals.NAME).read_bytes() == text


def test_a_journal_cut_within_its_first_line_is_begun_anew(tmp_path):
    folder = tmp_path / "runs" / "run" / "one" / "hyperband-seed0"
    folder.mkdir(parents=True)
    (folder / journals.NAME).write_text('{"journal":1,"run_id')
    code, out, _ = run(tmp_path, 0, "max_epochs=3")
    assert code == 0, out


def test_a_world_of_another_size_is_refused(tmp_path):
    code, out, _ = run(tmp_path, 3, SUITE_WORLD_SIZE="5")
    assert code == 1 and "SUITE_WORLD_SIZE=5: the launcher made a world of 3 rank(s)" in out
