"""What goes wrong, how soon it is noticed, and what comes of it. Printed with pytest -s."""

import re
import signal
import time

import pytest

from kit.mpi_runs import Launch, curves, journals_in, noticed_after, text_in

SEARCH = ("model=table_target", "max_epochs=27", "model.sleep_s=0.002")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("kill", "died|its process is gone"),
        ("raise_outside", "RuntimeError: planted|died|its process is gone"),
        ("exit", "its process is gone"),
        pytest.param("sys_exit", "SystemExit: 1|died|its process is gone", marks=pytest.mark.slow),
        pytest.param("stop", r"silent for .* \(report_timeout_s=", marks=pytest.mark.slow),
    ],
)
def test_a_worker_goes_wrong_and_the_run_goes_on(launch, tmp_path, fault, why):
    marker = tmp_path / "struck"
    done = launch(
        4,
        *SEARCH,
        "model=fault_table",
        f"+model.fault={fault}",
        "+model.fault_rank=2",
        f"+model.marker={marker}",
        f"backend.report_timeout_s={6 if fault == 'stop' else 900}",
    )
    assert marker.exists(), "the fault was never planted"
    assert done.status == "completed", done.out
    assert done.code == 0, done.out
    lost = [line for line in done.lines if line["event"] == "lost"]
    assert [line["worker"] for line in lost] == [2]
    # What is noticed at once names its sign; nobody waited for report_timeout_s.
    assert re.search(why, lost[0]["message"]), lost
    seconds = noticed_after(done, 2)
    print(f"\n{fault}: noticed after {seconds:.2f} s, run completed, {done.seconds:.1f} s in all")
    assert not curves(done.folder)["given_up"]


def test_rank_0_raising_ends_the_job(launch, tmp_path):
    marker = tmp_path / "struck"
    done = launch(
        3, *SEARCH, "scheduler=fault_hyperband", "+scheduler.fault=escape",
        f"+scheduler.marker={marker}",
    )  # fmt: skip
    seconds = time.time() - float(marker.read_text())
    print(f"\nrank 0 raising: job over after {seconds:.2f} s, exit code {done.code}")
    assert "planted: rank 0 raises what nobody catches" in done.out
    assert done.code != 0


def test_rank_0_killed_ends_the_job_and_resumes(launch, tmp_path):
    marker = tmp_path / "struck"
    done = launch(
        3, *SEARCH, "scheduler=fault_hyperband", "+scheduler.fault=kill",
        f"+scheduler.marker={marker}",
    )  # fmt: skip
    seconds = time.time() - float(marker.read_text())
    print(
        f"\nrank 0 killed: job over after {seconds:.2f} s, exit code {done.code}, journal "
        f"{done.status}"
    )
    assert done.status == "unfinished"
    # A folder outside of the run's is never taken from the journal.
    again = launch(3, f"resume={done.folder}", f"scheduler.marker={marker}")
    assert again.code == 0, again.out
    assert done.status == "completed"
    whole = launch(0, *SEARCH, "backend=inline")
    assert curves(done.folder) == curves(whole.folder)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_ctrl_c_closes_the_journal_and_resumes(launch, tmp_path, number):
    """mpirun kills its ranks a quarter of a second after it told them to end: on a machine with
    other work that may be too soon for the closing line, never for what was written before it.
    """
    closed = []
    while not any(closed) and len(closed) < 10:
        folder = _interrupted(tmp_path / str(len(closed)), number)
        last = (folder / "journal.jsonl").read_text().splitlines()[-1]
        closed.append('"interrupted"' in last)
        done = launch(3, f"resume={folder}")
        assert done.code == 0, done.out
    assert any(closed), "ten times the journal was not closed"


def _interrupted(folder, number):
    """A run folder whose mpirun got the signal after its first finished job."""
    launch = Launch(3, "model=table_target", "model.sleep_s=0.05", runs=folder / "runs")
    launch.until(lambda: text_in(launch.runs, b'"finished"'))
    start = time.monotonic()
    launch.process.send_signal(number)
    out = launch.until()
    print(
        f"\n{signal.Signals(number).name}: {time.monotonic() - start:.2f} s, mpirun exit code "
        f"{launch.process.returncode}\n{out}"
    )
    assert launch.process.returncode != 0
    return journals_in(launch.runs)[0].parent


def test_ctrl_c_inline_exits_130(launch, tmp_path):
    one = Launch(
        0, "model=table_target", "model.sleep_s=0.05", "backend=inline", runs=tmp_path / "runs"
    )
    one.until(lambda: text_in(one.runs, b'"finished"'))
    one.process.send_signal(signal.SIGINT)
    one.until()
    assert one.process.returncode == 130


def test_one_rank_is_refused(launch):
    done = launch(1, *SEARCH, "backend=mpi")
    assert done.code == 1
    assert "0 workers at most; lower it, or start more (mpirun -n WORKERS+1" in done.out


def test_a_full_disk_stops_the_run_with_its_reason(launch, tmp_path):
    done = launch(
        3,
        *SEARCH,
        "model=fault_table",
        "+model.fault=enospc",
        f"+model.marker={tmp_path / 'm'}",
    )
    assert done.code == 1
    assert done.status == "failed"
    assert "No space left on device" in done.out
    again = launch(3, f"resume={done.folder}", f"model.marker={tmp_path / 'm'}")
    assert again.code == 0, again.out
