"""Real runs over mpirun as jobs: cut by their time, continued, nothing finished trained again.

Under the STAND-IN of PBS (kit.pbs), and under Grid Engine itself (kit.gridengine). -s prints figures.
"""

import json
import os
import signal

import pytest

from kit.mpi_runs import Launcher, curves
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.verify.checks import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RANKS = 3
SEARCH = ("model=table_target", "max_epochs=9", "overlap=false", "report=false")


def checked(folder):
    """The run's lines: whole, its decisions taken again, its record what the journal gives."""
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict
    return journals.read(folder / journals.NAME)[1]


def repeated(lines):
    """Epochs that were trained twice, (trial, epoch), and those of them that a finished job had trained."""
    trial_of, by_job, finished, seen, twice = {}, {}, set(), set(), []
    for line in lines:
        for what in line.get("do", []):
            if what[0] == "start":
                trial_of[what[2]] = what[3]
        if line["event"] == "finished":
            finished |= by_job.get(line["job_id"], set())
        if line["event"] == "epoch":
            many = line["epoch"] if isinstance(line["epoch"], list) else [line["epoch"]]
            for each in ((trial_of[line["job_id"]], epoch) for epoch in many):
                if each in seen:
                    twice.append((each, each in finished))
                seen.add(each)
                by_job.setdefault(line["job_id"], set()).add(each)
    return [each for each, _ in twice], [each for each, was_finished in twice if was_finished]


def as_inline(folder, tmp_path):
    """Its decisions and curves are those of a run in one process, without a batch system."""
    (tmp_path / "inline").mkdir()
    inline = Launcher(tmp_path / "inline")(0, *SEARCH, "backend=inline")
    assert curves(folder) == curves(inline.folder)


@pytest.mark.parametrize("system", ["pbs"], indirect=True)
def test_a_job_that_is_signalled_pauses_and_its_continuation_decides_the_same(system, tmp_path):
    job = system.submit(RANKS, 600, *SEARCH, "model.sleep_s=0.1")
    system.until(lambda: system.epochs() >= 8)
    system.pause(job)
    done = system.wait(job)
    assert "SIGUSR1 came, handed on" in done.out and "start 2" in done.out, done.out
    (folder,) = system.folders()
    lines = checked(folder)
    (resumed,) = [line for line in lines if line["event"] == "resumed"]
    assert resumed["settings"]["restart_count"] == 1
    assert repeated(lines) == ([], [])
    as_inline(folder, tmp_path)


@pytest.mark.exhaustive
def test_a_run_longer_than_its_job_pauses_by_itself_is_started_again_and_decides_the_same(
    system, tmp_path
):
    """Three minutes each: jobs of 100 s, of which the last 15 are for the pause."""
    job = system.submit(RANKS, 100, *SEARCH, "model.sleep_s=2.4", "backend.pause_before_s=15")
    done = system.wait(job)
    (folder,) = system.folders()
    lines = checked(folder)
    n = sum(line["event"] == "resumed" for line in lines)
    assert n >= 1 and f"start {n + 1}" in done.out and f"start {n + 2}" not in done.out, done.out
    assert repeated(lines) == ([], [])
    as_inline(folder, tmp_path)
    print(
        f"\n{type(system).__name__}: {done.seconds:.0f} s, {n + 1} starts of 100 s, 0 epochs trained twice"
    )


@pytest.mark.exhaustive
def test_a_job_cut_by_its_walltime_continues_in_the_next_and_repeats_no_finished_training(
    system, tmp_path
):
    """Rank 0 hangs (SIGSTOP) at some moment, so the job is not over when its time is, and all its processes
    are killed. The stand-in's SIGTERM gives the script time to submit the continuation; Grid Engine's
    SIGKILL does not, so the same line is submitted again.
    """
    words = (*SEARCH, "model.sleep_s=1", "backend.pause_before_s=1")
    job = system.submit(RANKS, 120, *words, SUITE_STAMP="cut")
    system.until(lambda: system.epochs() >= 10)
    os.kill(system.rank_0(), signal.SIGSTOP)
    done = system.wait(job)
    is_continued = "start 2" in done.out
    assert is_continued == (system.script == "batch/pbs.sh"), done.out
    if not is_continued:
        (folder,) = system.folders()
        # What is killed may wake for a moment, and say that it is interrupted.
        assert journals.read(folder / journals.NAME)[1][-1].get("status") != "completed", done.out
        done = system.wait(system.submit(RANKS, 600, *words, SUITE_STAMP="cut"))
    (folder,) = system.folders()
    lines = checked(folder)
    assert lines[-1]["status"] == "completed"
    twice, finished_twice = repeated(lines)
    assert finished_twice == [] and len(twice) <= (RANKS - 1) * 9
    as_inline(folder, tmp_path)
    print(f"\n{type(system).__name__}: cut; {len(twice)} epochs of unfinished jobs trained again")


@pytest.mark.exhaustive
def test_a_search_until_the_job_s_end_goes_on_in_the_next_job(system):
    """budget.end=job: every job leaves a whole record, and says which job it was."""
    views = []
    for _ in range(2):
        words = (
            *SEARCH,
            "max_epochs=27",
            "model.sleep_s=0.9",
            "budget.end=job",
            "budget.allow_short=true",
        )
        job = system.submit(RANKS, 100, *words, "backend.pause_before_s=15", SUITE_STAMP="anytime")
        done = system.wait(job)
        assert f"job {job} ends with 0" in done.out and done.seconds < 110, done.out
        (folder,) = system.folders()
        checked(folder)
        record = json.loads((folder / "record.json").read_text())
        assert record["reason"].startswith("budget.end=job: "), record["reason"]
        views.append(load_run(folder))
    before, after = views
    assert after.n_epochs > before.n_epochs and after.counts.n_retrained == 0
    assert len({said.job for said in after.allocations}) == 2
    print(f"\n{type(system).__name__}: {before.n_epochs}, then {after.n_epochs} epochs")


@pytest.mark.exhaustive
def test_a_lost_rank_0_is_started_again(system, tmp_path):
    job = system.submit(RANKS, 600, *SEARCH, "model.sleep_s=0.3")
    system.until(lambda: system.epochs() >= 8)
    os.kill(system.rank_0(), signal.SIGKILL)
    done = system.wait(job)
    assert "rank 0 is lost" in done.out and "start 2" in done.out, done.out
    (folder,) = system.folders()
    assert repeated(checked(folder))[1] == []
    as_inline(folder, tmp_path)


@pytest.mark.exhaustive
def test_tasks_of_an_array_train_each_an_entry_of_the_sweep(system):
    number = system.submit(RANKS, 1800, *SEARCH, "seed=0,1", "algorithm=hyperband,asha", array=4)
    done = system.wait(number)
    names = sorted(folder.name for folder in system.folders())
    assert names == ["0-hyperband-seed0", "1-asha-seed0", "2-hyperband-seed1", "3-asha-seed1"], (
        done.out
    )
    assert {folder.parent.name for folder in system.folders()} == {f"job-{number}"}
    for folder in system.folders():
        checked(folder)


@pytest.mark.exhaustive
def test_a_job_that_its_user_ends_stays_ended_and_its_processes_with_it(system):
    job = system.submit(RANKS, 600, *SEARCH, "model.sleep_s=1")
    system.until(lambda: system.epochs() >= 4)
    rank_0 = system.rank_0()
    system.end(job)
    done = system.wait(job)
    assert "start 2" not in done.out
    system.until(lambda: not os.path.exists(f"/proc/{rank_0}"))
