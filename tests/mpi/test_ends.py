"""A run ends by itself: by hand, as its budget would; and with its batch job, whatever a worker does."""

import json
import os
import signal
import subprocess
import time

import pytest

from kit.mpi_runs import ROOT, Launch, environment, journals_in, text_in
from suite.results.fold import load_run
from suite.verify.checks import verify

SEARCH = (
    "model=table_target", "model.sleep_s=0.03", "max_epochs=8", "algorithm=price_rank",
    "scheduler.n_trees=4",
)  # fmt: skip


def ended(launch, number, n):
    """The record of a run that got the signal after its n-th finished job."""
    launch.until(lambda: text_in(launch.runs, b'"finished"') >= n)
    launch.process.send_signal(number)
    out = launch.until()
    assert launch.process.returncode == 0, out
    folder = journals_in(launch.runs)[0].parent
    assert verify(folder, "run").holds, verify(folder, "run")
    return folder, json.loads((folder / "record.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [0, 3])
def test_ctrl_c_ends_a_run_as_its_budget_would_and_a_resume_goes_on(tmp_path, ranks):
    """mpirun answers Ctrl-C itself, by killing its ranks; SIGUSR2 it hands on."""
    number = signal.SIGUSR2 if ranks else signal.SIGINT
    words = (*SEARCH, "budget.hours=1", f"backend={'mpi' if ranks else 'inline'}")
    first = Launch(ranks, *words, runs=tmp_path / "runs")
    folder, record = ended(first, number, 8)
    assert record["status"] == "completed"
    assert record["reason"].startswith("Ctrl-C: ended by hand; "), record["reason"]
    assert "resume=auto goes on" in record["reason"]
    assert record["result"]["winner"]["test"] is not None
    before = load_run(folder)
    again = Launch(ranks, f"resume={folder}", runs=tmp_path / "runs")
    _, after = ended(again, number, text_in(again.runs, b'"finished"') + 6)
    assert after["epochs"]["used"]["value"] > before.n_epochs
    assert after["epochs"]["retrained"]["value"] == 0
    view = load_run(folder)
    assert all(view.trials[i].curve[: len(t.curve)] == t.curve for i, t in before.trials.items())


@pytest.mark.slow
def test_bench_hands_the_first_ctrl_c_on_and_mpirun_lives(tmp_path):
    """Its functions alone: the whole would make an environment."""
    functions = (ROOT / "bench").read_text().partition("command=${1")[0]
    script = tmp_path / "launch.sh"
    script.write_text(f'{functions}\nlaunch_mpi -n 3 python -m suite "$@"\n')
    runs = tmp_path / "runs"
    words = (*SEARCH, "budget.hours=1", "tracking=later", "report=false")
    launched = subprocess.Popen(
        ["sh", str(script), *words], env=environment(runs), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    while text_in(runs, b'"finished"') < 8:
        assert launched.poll() is None, launched.stdout.read()
        time.sleep(0.1)
    # As a terminal does: to the whole group.
    os.killpg(launched.pid, signal.SIGINT)
    out, _ = launched.communicate(timeout=300)
    assert launched.returncode == 0, out
    (path,) = journals_in(runs)
    record = json.loads((path.parent / "record.json").read_text())
    assert record["reason"].startswith("Ctrl-C: ended by hand; "), record["reason"]


@pytest.mark.slow
def test_rank_0_killed_in_a_run_with_a_budget_is_a_legal_continuation(tmp_path):
    """A sample: kill -9 after some finished jobs. What the journal holds is decided alike, and goes on."""
    words = (*SEARCH, "budget.node_hours=1")
    first = Launch(3, *words, runs=tmp_path / "runs")
    first.until(lambda: text_in(first.runs, b'"finished"') >= 12)
    os.kill(int((tmp_path / "verdict.pid").read_text()), signal.SIGKILL)
    first.until()
    folder = journals_in(first.runs)[0].parent
    before = load_run(folder)
    assert before.status == "unfinished"
    again = Launch(3, f"resume={folder}", runs=tmp_path / "runs")
    _, record = ended(again, signal.SIGUSR2, text_in(again.runs, b'"finished"') + 6)
    assert record["epochs"]["used"]["value"] > before.n_epochs
    # At most what two jobs had reported and no checkpoint held.
    assert record["epochs"]["retrained"]["value"] <= 2 * 8
    assert record["epochs"]["differing"]["value"] == 0


@pytest.mark.slow
def test_a_second_ctrl_c_cuts(tmp_path):
    slow = ("model.sleep_s=3", "budget.hours=1", "backend=inline", "max_epochs=4")
    one = Launch(0, *SEARCH, *slow, runs=tmp_path / "runs")
    one.until(lambda: text_in(one.runs, b'"epoch"'))
    one.process.send_signal(signal.SIGINT)
    one.until(lambda: b"once more cuts it" in one._out.read_bytes())
    one.process.send_signal(signal.SIGINT)
    out = one.until()
    assert one.process.returncode == 130 and "interrupted" in out, out


@pytest.mark.exhaustive
def test_a_worker_that_never_ends_its_epoch_does_not_keep_the_run_beyond_its_job(tmp_path):
    """Stopped in an epoch. Its job goes on in the next batch job; the winner is another worker's business."""
    marker = tmp_path / "struck"
    words = (
        *SEARCH, "model=fault_table", "+model.fault=stop", "+model.fault_rank=2",
        f"+model.marker={marker}", "budget.end=job", "budget.allow_short=true",
        "backend.pause_before_s=16",
    )  # fmt: skip
    end_s = time.time() + 60
    launch = Launch(3, *words, runs=tmp_path / "runs", SUITE_END_TIME=f"{end_s:.0f}")
    out = launch.until()
    over_s = time.time() - end_s
    assert marker.exists() and launch.process.returncode == 0, out
    folder = journals_in(launch.runs)[0].parent
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "completed" and record["result"]["winner"]["test"] is not None
    assert record["workers"]["lost"]["value"] == 1
    assert verify(folder, "run").holds
    print(f"ended {-over_s:.1f} s before the job's end: {record['reason']}")
