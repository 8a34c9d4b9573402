"""A sweep of simulated runs on all cores: the same journals, hours said before, one lost run, a restart."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from suite.launch import cli, side_by_side
from suite.launch.processes import _PATIENCE_S
from suite.launch.side_by_side import Kind, completed, n_processes
from suite.run import journal as journals

SMALL = ["-m", "model=table_target", "backend=simulate", "max_epochs=9", "eta=3", "report=false",
         "tracking=later", "algorithm=hyperband,asha"]  # fmt: skip


def run(folder, *words):
    return cli.main([*SMALL, f"hydra.sweep.dir={folder}", *words])


def lines(folder):
    """Of each run's journal, by its folder's name, all but the header: that has a date and an id."""
    return {path.name: journals.read(path / journals.NAME)[1] for path in folder.iterdir()}


def test_the_journals_are_those_of_one_process(tmp_path, capfd):
    assert run(tmp_path / "one", "seed=range(17)", "n_jobs=1") == 0
    assert "simulated runs in" not in capfd.readouterr().err
    assert run(tmp_path / "two", "seed=range(17)", "n_jobs=2") == 0
    out, err = capfd.readouterr()
    assert lines(tmp_path / "one") == lines(tmp_path / "two")
    assert out.count(": completed") == 34
    assert re.search(
        r"34 simulated runs in 2 processes \(n_jobs\): about \d+ s \(a run of an algorithm took .* s\)",
        err,
    )
    header = journals.read_header(tmp_path / "two" / "0-hyperband-seed0" / journals.NAME)
    assert "n_jobs" not in header["config"]


def test_one_process_where_a_run_trains_or_the_sweep_is_small(monkeypatch):
    settings = type("Settings", (), {"n_jobs": None})
    kinds = [Kind((settings,), 40)]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert n_processes(kinds, 40) == 8
    assert n_processes(kinds, 31) == 1
    assert n_processes([], 40) == 1
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "4")
    assert n_processes(kinds, 40) == 4
    settings.n_jobs = 3
    assert (n_processes(kinds, 2), n_processes(kinds, 40)) == (2, 3)
    monkeypatch.setattr(side_by_side.launcher, "launched", lambda: True)
    assert n_processes(kinds, 40) == 1


def test_no_processes_are_none(tmp_path, capsys):
    assert run(tmp_path / "none", "seed=range(3)", "n_jobs=0") == 1
    assert "n_jobs=0: must be an integer >= 1 and <= 4096 or null" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def command(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "suite", *SMALL, f"hydra.sweep.dir={folder}", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for_a_run(folder):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if folder.is_dir() and completed(folder).total():
            return
        time.sleep(0.01)
    raise AssertionError("no run ended")


@pytest.mark.slow
def test_ctrl_c_ends_the_sweep_and_resume_runs_the_rest(tmp_path):
    words = ["seed=range(30)", "n_jobs=2"]
    process = command(tmp_path / "cut", *words)
    wait_for_a_run(tmp_path / "cut")
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in err
    # Runs of less than a second are closed, and nobody waits for more.
    assert time.monotonic() - began < _PATIENCE_S
    n_done = completed(tmp_path / "cut").total()
    assert 0 < n_done < 60 and out.count(": completed") <= n_done
    assert (
        cli.main([f"resume={tmp_path / 'cut'}", "report=false", "tracking=later", "n_jobs=2"]) == 0
    )
    assert completed(tmp_path / "cut") == {"hyperband": 30, "asha": 30}


@pytest.mark.slow
def test_ctrl_c_while_the_hours_are_measured_ends_the_command_and_begins_no_run(tmp_path):
    process = command(tmp_path / "cut", "seed=range(30)", "n_jobs=2")
    for line in process.stderr:
        if "measuring a run" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "completed" not in out
    assert not (tmp_path / "cut").exists()


@pytest.mark.slow
def test_sigusr1_pauses_the_sweep_as_a_batch_script_asks(tmp_path):
    words = ("seed=range(30)", "n_jobs=2", "resume=auto")
    process = command(tmp_path / "runs", *words)
    wait_for_a_run(tmp_path / "runs")
    # mpirun and srun send it to every process.
    os.killpg(process.pid, signal.SIGUSR1)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75 and "paused: SIGUSR1 came" in err
    assert "ended by signal" not in err
    n_done = completed(tmp_path / "runs").total()
    assert 0 < n_done < 60
    assert run(tmp_path / "runs", *words) == 0
    assert completed(tmp_path / "runs").total() == 60


@pytest.mark.slow
def test_a_killed_process_costs_one_run(tmp_path):
    process = command(tmp_path / "runs", "seed=range(30)", "n_jobs=2")
    wait_for_a_run(tmp_path / "runs")
    os.kill(children(process.pid)[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert err.count("its process was ended by signal 9") == 2  # as it ended, and at the end
    assert "1 of 60 runs did not complete" in err
    assert completed(tmp_path / "runs").total() == 59


def children(pid):
    """The processes that a process has begun and that run tasks, in order."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as line:
                if (
                    int(stat.read().rpartition(")")[2].split()[1]) == pid
                    and "spawn_main" in line.read()
                ):
                    found.append(int(name))
        except (OSError, ValueError):
            continue
    return sorted(found)
