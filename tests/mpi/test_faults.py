"""What goes wrong, how soon it is noticed, and what comes of it. Printed with pytest -s."""

import signal
import subprocess
import time

import pytest
from mpi_runs import command, curves, environment, noticed_after

SEARCH = ("model=table_target", "max_epochs=27", "model.sleep_s=0.002")


@pytest.mark.parametrize(
    ("fault", "within_s"),
    [("kill", 5), ("raise_outside", 5), ("exit", 5), ("sys_exit", 5), ("stop", 8)],
)
def test_a_worker_goes_wrong_and_the_run_goes_on(launch, tmp_path, fault, within_s):
    marker = tmp_path / "struck"
    done = launch(
        4,
        *SEARCH,
        "model._target_=suite_faults.FaultTable",
        f"+model.fault={fault}",
        "+model.fault_rank=2",
        f"+model.marker={marker}",
        "backend.report_timeout_s=3",
    )
    assert marker.exists(), "the fault was never planted"
    assert done.status == "completed", done.out
    assert done.code == 0, done.out
    assert [line["worker"] for line in done.lines if line["event"] == "lost"] == [2]
    seconds = noticed_after(done, 2)
    print(f"\n{fault}: noticed after {seconds:.2f} s, run completed, {done.seconds:.1f} s in all")
    assert seconds < within_s
    assert not curves(done.folder)["given_up"]


def test_rank_0_raising_ends_the_job(launch, tmp_path):
    marker = tmp_path / "struck"
    done = launch(
        3, *SEARCH, "scheduler._target_=suite_faults.FaultHyperband", "+scheduler.fault=escape",
        f"+scheduler.marker={marker}",
    )  # fmt: skip
    seconds = time.time() - float(marker.read_text())
    print(f"\nrank 0 raising: job over after {seconds:.2f} s, exit code {done.code}")
    assert "planted: rank 0 raises what nobody catches" in done.out
    assert done.code != 0
    assert seconds < 20


def test_rank_0_killed_ends_the_job_and_resumes(launch, tmp_path):
    marker = tmp_path / "struck"
    done = launch(
        3, *SEARCH, "scheduler._target_=suite_faults.FaultHyperband", "+scheduler.fault=kill",
        f"+scheduler.marker={marker}",
    )  # fmt: skip
    seconds = time.time() - float(marker.read_text())
    print(
        f"\nrank 0 killed: job over after {seconds:.2f} s, exit code {done.code}, journal "
        f"{done.status}"
    )
    assert done.status == "unfinished"
    assert seconds < 30
    again = launch(3, f"resume={done.folder}")
    assert again.code == 0, again.out
    assert done.status == "completed"
    whole = launch(0, *SEARCH, "backend=inline")
    assert curves(done.folder) == curves(whole.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_closes_the_journal_and_resumes(launch, tmp_path, number):
    """mpirun kills its ranks a quarter of a second after it told them to end: on a machine with
    other work that may be too soon for the closing line, never for what was written before it.
    """
    closed = []
    while not any(closed) and len(closed) < 3:
        folder = _interrupted(tmp_path / str(len(closed)), number)
        last = (folder / "journal.jsonl").read_text().splitlines()[-1]
        closed.append('"interrupted"' in last)
        done = launch(3, f"resume={folder}")
        assert done.code == 0, done.out
    assert any(closed), "three times the journal was not closed"


def _interrupted(folder, number):
    """A run folder whose mpirun got the signal after its first finished job."""
    folder.mkdir()
    runs = folder / "runs"
    process = subprocess.Popen(
        command(3, "model=table_target", "model.sleep_s=0.05"), env=environment(runs), cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(b'"finished"' in path.read_bytes() for path in runs.rglob("journal.jsonl")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    start = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    print(
        f"\n{signal.Signals(number).name}: {time.monotonic() - start:.2f} s, mpirun exit code "
        f"{process.returncode}\n{out}"
    )
    assert process.returncode != 0
    return next(runs.rglob("journal.jsonl")).parent


def test_ctrl_c_inline_exits_130(launch, tmp_path):
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        command(0, "model=table_target", "model.sleep_s=0.05", "backend=inline"),
        env=environment(runs),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not any(b'"finished"' in path.read_bytes() for path in runs.rglob("journal.jsonl")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_one_rank_is_refused(launch):
    done = launch(1, *SEARCH, "backend=mpi")
    assert done.code == 1
    assert "needs 2 or more" in done.out


def test_a_full_disk_stops_the_run_with_its_reason(launch, tmp_path):
    done = launch(
        3,
        *SEARCH,
        "model._target_=suite_faults.FaultTable",
        "+model.fault=enospc",
        f"+model.marker={tmp_path / 'm'}",
    )
    assert done.code == 1
    assert done.status == "failed"
    assert "No space left on device" in done.out
    again = launch(3, f"resume={done.folder}")
    assert again.code == 0, again.out
