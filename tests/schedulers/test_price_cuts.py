"""Searches that fill the machine until an end, cut at lines of their journals: a sample, and every line.

In simulated time. tests/run/test_job_end_cuts.py has those that end with a batch job, in real time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.cuts import cut, gone_on, went_on
from kit.driving import configured
from suite.launch.execute import run
from suite.results.fold import load_run
from suite.run import journal as journals

WORDS = (
    "model=table_target", "max_epochs=4", "seed=2", "backend=simulate", "backend.epoch_s=60",
    "tracking=later", "report=false",
)  # fmt: skip
FEW = ("scheduler.n_trees=2", "scheduler.n_candidates=8", "scheduler.n_least=4")
# On one worker what was in flight begins again at the very time at which it had begun.
CASES = {
    "rank, hours": ("algorithm=price_rank", *FEW, "backend.workers=1", "budget.hours=0.35"),
    "price, hours": ("algorithm=price", *FEW, "backend.workers=1", "budget.hours=0.35"),
    "rank, node-hours, releases": (
        "algorithm=price_rank", *FEW, "backend.workers=3", "budget.node_hours=0.6",
    ),
    "price, node-hours, releases": (
        "algorithm=price", *FEW, "backend.workers=4", "budget.node_hours=0.9",
    ),
    "rank, a price": (
        "algorithm=price_rank", *FEW, "backend.workers=1", "budget.hours=3", "budget.price=3",
    ),
    "looped hyperband": ("algorithm=hyperband_looped", "backend.workers=1", "budget.hours=0.5"),
    "looped hyperband, three workers": (
        "algorithm=hyperband_looped", "backend.workers=3", "budget.hours=0.25",
    ),
    "looped bohb": ("algorithm=bohb_looped", "backend.workers=2", "budget.hours=0.25"),
}  # fmt: skip
SAMPLE = 4


@dataclass(frozen=True)
class Whole:
    """A run that nobody cut, and its journal's rows."""

    folder: Path
    rows: list[str]


@pytest.fixture(scope="module", params=CASES.items(), ids=lambda case: case[0])
def whole(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    outcome = run(configured(*WORDS, *request.param[1]), folder)
    assert outcome.status == "completed", outcome.reason
    assert ("budget.price" in outcome.reason) == ("a price" in request.param[0])
    rows = (folder / journals.NAME).read_text().splitlines(keepends=True)
    n_releases = sum(c[0] == "release" for row in rows for c in json.loads(row).get("do", ()))
    assert bool(n_releases) == ("releases" in request.param[0])
    return Whole(folder, rows)


def goes_on_after(whole, n, folder):
    """Cut after n lines it goes on. Returns whether it had to be, and is, the uncut run."""
    uncut = load_run(whole.folder)
    n_unsaved = cut(whole.rows, n, folder)
    view = went_on(gone_on(folder), whole.rows[:n], n_unsaved, folder)
    # After it no job begins again: what was in flight is not trained.
    at = next((i for i, row in enumerate(whole.rows) if '"budget_used"' in row), len(whole.rows))
    if uncut.header.n_workers > 1 or n_unsaved or n > at:
        return False
    # The same durations.
    assert {i: trial.curve for i, trial in view.trials.items()} == {
        i: trial.curve for i, trial in uncut.trials.items()
    }, n
    assert (view.winner, view.test_value) == (uncut.winner, uncut.test_value), n
    return True


def test_cut_at_a_line_it_goes_on_and_trains_no_checkpointed_epoch_again(whole, tmp_path, no_fsync):
    """The part before the cut decides alike, or the resume would refuse it; the whole replays too."""
    n = len(whole.rows)
    for i in range(SAMPLE):
        at = 1 + i * (n - 2) // (SAMPLE - 1)
        goes_on_after(whole, at, tmp_path / str(at))


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_so_it_does_at_every_line(whole, tmp_path, no_fsync):
    """Printed with -s: how many cuts, and how many of them ended as the uncut run."""
    n = len(whole.rows)
    n_equal = sum(goes_on_after(whole, at, tmp_path / str(at)) for at in range(1, n))
    one_worker = load_run(whole.folder).header.n_workers == 1
    assert n_equal > n / 3 if one_worker else n_equal == 0
    print(f"\n{n - 1} cuts, {n_equal} of them to the uncut run's result")
