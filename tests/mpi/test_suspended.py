"""A job that is stopped and continued (Slurm's suspend, gang scheduling, a paused virtual machine)."""

import os
import signal
import time

import pytest

from kit.mpi_runs import Launch, curves, journals_in, text_in
from suite.run import journal as journals

SEARCH = ("model=table_target", "max_epochs=27")
TIMEOUT_S = 5


@pytest.mark.slow  # it is stopped for 15 s
@pytest.mark.parametrize(
    "who",
    ["all ranks", "rank 0", pytest.param("all ranks and mpirun", marks=pytest.mark.exhaustive)],
)
def test_stopped_for_three_times_the_timeout_it_ends_with_the_equal_result(launch, tmp_path, who):
    one = Launch(
        3, *SEARCH, "model.sleep_s=0.02", f"backend.report_timeout_s={TIMEOUT_S}",
        runs=tmp_path / "runs",
    )  # fmt: skip
    one.until(lambda: text_in(one.runs, b'"finished"'))
    assert one.process.poll() is None, "it was over before it could be stopped"
    ranks = {"all ranks": "012", "rank 0": "0", "all ranks and mpirun": "012-"}[who]
    stopped = [pid for pid, rank in one.processes().items() if rank in ranks]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3 * TIMEOUT_S)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    out = one.until()
    assert len(stopped) >= len(ranks) and one.code == 0, out
    folder = journals_in(one.runs)[0].parent
    assert not [
        line for line in journals.read(folder / journals.NAME)[1] if line["event"] == "lost"
    ]
    whole = launch(0, *SEARCH, "backend=inline", "name=whole")
    assert curves(folder) == curves(whole.folder)
