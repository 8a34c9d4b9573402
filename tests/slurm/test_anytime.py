"""A search that ends with its batch job by itself, and goes on in the next one, in the same folder."""

import json
import subprocess

import pytest

from suite.results.fold import load_run
from suite.run import journal as journals
from suite.verify.checks import verify

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(900)]

FOUR = ("--nodes=4", "--ntasks-per-node=2", "--gres=gpu:1")
SEARCH = (
    "model=digits_cnn", "algorithm=price_rank", "max_epochs=9", "budget.end=job",
    "budget.allow_short=true", "report=false",
)  # fmt: skip


def checked(job):
    """The run's view and record: whole, and every decision of its journal taken again."""
    assert job.code == 0, job.out
    (folder,) = job.folders
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, verdict
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "completed", record["reason"]
    assert record["reason"].startswith("budget.end=job: "), record["reason"]
    assert record["result"]["winner"]["test"] is not None
    return load_run(folder), record


def went_on(before, after):
    """Nothing was lost, nothing trained twice, and more was found out."""
    assert after.counts.n_retrained == 0 and after.n_epochs > before.n_epochs
    for i, trial in before.trials.items():
        assert after.trials[i].curve[: len(trial.curve)] == trial.curve
    numbers = [said.job for said in after.allocations]
    assert len(set(numbers)) == 2 and numbers[0] == before.allocations[0].job


def test_a_search_is_ended_by_the_batch_system_s_signal_and_goes_on_in_the_next_job(cluster):
    """The signal stands for the job's end, so that this takes seconds."""
    views = []
    for _ in range(2):
        # Of what the job before has left, none counts: the signal must find a run that trains.
        n = cluster.words()
        given = ("--time=10", *FOUR)
        job, out = cluster.start("run.sbatch", given, SEARCH, SUITE_STAMP="anytime")
        cluster.until_epochs(job, out, n + 24, timeout=180)
        subprocess.run(["scancel", "--batch", "--signal=USR1", job], check=True)
        views.append(checked(cluster.wait(job, out))[0])
    went_on(*views)


@pytest.mark.exhaustive
def test_jobs_of_four_minutes_end_by_themselves_before_their_limit(cluster):
    """Eight minutes. Printed with -s: what each job had, and how long before its end it was over."""
    given = ("--time=4", "--signal=B:USR1@15", *FOUR)
    views = []
    for _ in range(2):
        job = cluster.submit(
            "run.sbatch", given, (*SEARCH, "backend.pause_before_s=30"), SUITE_STAMP="anytime"
        )
        assert job.seconds < 240, job.out
        view, record = checked(job)
        views.append(view)
        winner = record["result"]["winner"]
        print(
            f"\n{job.seconds:.0f} s of 240; {view.n_epochs} epochs, {len(view.trials)} trials, "
            f"{sum(len(t.curve) == 9 for t in view.trials.values())} at max_epochs; validation "
            f"{winner['validation']['value']:.4f}, test {winner['test']['value']:.4f}; {record['reason']}"
        )
    went_on(*views)
    _, lines, _ = journals.read(job.folders[0] / journals.NAME)
    assert sum(line["event"] == "resumed" for line in lines) == 1
