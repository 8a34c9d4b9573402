"""A run that was cut: its journal's first lines in a folder of its own; what must hold when it goes on."""

from suite.launch.begin import Begin
from suite.launch.resumed import resumed_settings
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run.trials import TrialState
from suite.verify.checks import verify


def cut(rows, n, folder):
    """The first n rows of a journal, as a run; returns how many of its epochs no checkpoint had."""
    folder.mkdir()
    (folder / journals.NAME).write_text("".join(rows[:n]))
    view = load_run(folder)
    of_job = {job.job_id: (job.trial_id, job.to_epoch) for job in view.jobs}
    states: dict[int, TrialState] = {}
    for line in journals.read(folder / journals.NAME)[1]:
        if line["event"] in ("finished", "checkpointed"):
            trial_id, to_epoch = of_job[line["job_id"]]
            state = states.setdefault(trial_id, TrialState({}, 0))
            state.checkpointed(line.get("epoch", to_epoch))
    n_saved = sum(state.checkpoints[-1] for state in states.values())
    return sum(len(trial.curve) for trial in view.trials.values()) - n_saved


def gone_on(folder, *words):
    return Begin(resumed_settings(folder, words), folder, "continue").run()


def went_on(outcome, before, n_unsaved, folder):
    """The run's view. It completed, on the very lines that were there; no decision was taken otherwise, and
    nothing that a checkpoint had was trained again.
    """
    n = len(before)
    assert outcome.status == "completed", (n, outcome.reason)
    assert (folder / journals.NAME).read_text().startswith("".join(before)), n
    view = load_run(folder)
    assert view.counts.n_differences == 0 and view.counts.n_retrained <= n_unsaved, n
    verdict = verify(folder, "run")
    assert {check.status for check in verdict.checks} == {"pass"}, (n, verdict)
    return view
