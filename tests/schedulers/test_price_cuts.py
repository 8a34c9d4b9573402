"""A run of price with a budget of time, cut at every line of its journal."""

import pytest

from kit.driving import configured
from suite.launch.begin import Begin
from suite.launch.execute import run
from suite.launch.resumed import resumed_settings
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run.trials import TrialState
from suite.verify.checks import verify

WORDS = (
    "model=table_target", "max_epochs=4", "algorithm=price_rank", "seed=2", "backend=simulate",
    "backend.epoch_s=60", "scheduler.n_trees=2", "scheduler.n_candidates=8", "scheduler.n_least=4",
    "tracking=later", "report=false",
)  # fmt: skip
# One worker: what was in flight begins again at the very time at which it had begun.
CASES = {
    "one worker, hours": ("backend.workers=1", "budget.hours=0.35"),
    "three workers, node-hours": ("backend.workers=3", "budget.node_hours=0.6"),
}


@pytest.fixture(scope="module", params=CASES.items(), ids=lambda case: case[0])
def whole(request, tmp_path_factory):
    """A run that nobody cut, and its journal's rows."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run(configured(*WORDS, *request.param[1]), folder).status == "completed"
    return folder, (folder / journals.NAME).read_text().splitlines(keepends=True)


def cut(rows, n, folder):
    """The run's first n lines, and what of its epochs no checkpoint had."""
    folder.mkdir()
    (folder / journals.NAME).write_text("".join(rows[:n]))
    trials = load_run(folder).trials.values()
    return sum(len(trial.curve) for trial in trials) - _saved(rows[:n], folder)


def _saved(rows, folder):
    states: dict[int, TrialState] = {}
    of_job = {job.job_id: (job.trial_id, job.to_epoch) for job in load_run(folder).jobs}
    _, lines, _ = journals.read(folder / journals.NAME)
    for line in lines:
        if line["event"] in ("finished", "checkpointed"):
            trial_id, to_epoch = of_job[line["job_id"]]
            state = states.setdefault(trial_id, TrialState({}, 0))
            state.checkpointed(line.get("epoch", to_epoch))
    return sum(state.checkpoints[-1] for state in states.values())


def gone_on(folder):
    return Begin(resumed_settings(folder, ()), folder, "continue").run()


@pytest.mark.slow
def test_cut_at_any_line_it_goes_on_and_trains_no_checkpointed_epoch_again(
    whole, tmp_path, no_fsync
):
    """The part before the cut decides alike, or the resume would refuse it; the whole replays too."""
    before, rows = whole
    uncut = load_run(before)
    one_worker = uncut.header.n_workers == 1
    # After it no job begins again: what was in flight is not trained.
    n_before_end = next((n for n, row in enumerate(rows) if '"budget_used"' in row), len(rows))
    n_equal = 0
    for n in range(1, len(rows)):
        folder = tmp_path / str(n)
        n_unsaved = cut(rows, n, folder)
        outcome = gone_on(folder)
        assert outcome.status == "completed", (n, outcome.reason)
        view = load_run(folder)
        assert view.counts.n_differences == 0 and view.counts.n_retrained <= n_unsaved, n
        verdict = verify(folder, "run")
        assert {check.status for check in verdict.checks} == {"pass"}, (n, verdict)
        if one_worker and not n_unsaved and n <= n_before_end:
            # The same durations: the resumed run is the uncut one.
            assert curves(view) == curves(uncut), n
            assert (view.winner, view.test_value) == (uncut.winner, uncut.test_value), n
            n_equal += 1
    assert n_equal > len(rows) / 3 if one_worker else n_equal == 0


def curves(view):
    return {i: trial.curve for i, trial in view.trials.items()}
