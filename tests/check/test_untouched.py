"""No false alarm: runs as they were written break no rule."""

from __future__ import annotations

import pytest

from kit.driving import configured, names
from kit.golden_runs import as_run, settings_of
from kit.packages import assembled_or_skip
from kit.submissions import run, submission
from suite.check.findings import Asked
from suite.check.run import check_run
from suite.check.submission import check

SMALL = ("max_epochs=8", "overlap=false", "name=small", "report=false", "tracking=later")


def broken(checked):
    return [(one.rule, one.text) for one in checked.findings if one.status in ("fail", "skip")]


# The journal of `joint` has a searcher beside it that no run may have.
GOLDEN = [name for name in settings_of().OURS if name != "joint"]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_journal_breaks_no_rule(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")
    checked = check_run(as_run(name, tmp_path / "run"), "run", Asked())
    assert not broken(checked)


SAMPLE = ("hyperband", "swift_svr", "swift", "price", "asha_svr")
EVERY = [
    pytest.param(name, marks=() if name in SAMPLE else (pytest.mark.exhaustive,))
    for name in names("algorithm")
]


def skip_without_packages(words):
    """Another group's optimizer may not be installed."""
    assembled_or_skip(
        configured(*("+" + word if word.startswith("common.") else word for word in words))
    )


@pytest.mark.parametrize("algorithm", EVERY)
def test_a_simulated_run_breaks_no_rule(algorithm, tmp_path):
    """Each algorithm, with lost workers and made-up seconds."""
    more = (
        ("scheduler.n_trials=6",)
        if algorithm in ("asha", "asha_gp", "random_search", "one_epoch")
        else ()
    )
    if algorithm in ("asha_svr", "asha_constant", "asha_qsvr"):
        more = ("scheduler.n_trials=20", "scheduler.eta=2")
    words = (
        *SMALL, *more, f"algorithm={algorithm}", "model=table_target", "backend=simulate",
        "backend.workers=3", "backend.deaths_per_hour=0.05", "backend.return_s=60.0", "common.n_curves=3",
    )  # fmt: skip
    skip_without_packages(words)
    folder = run(tmp_path / "run", words)
    (checked,) = check([submission(tmp_path / "s" / "submission", [folder])], Asked())
    assert not broken(checked.runs[0]) and checked.verdict == "pass"


@pytest.mark.parametrize("overlap", ["true", "logical"])
def test_a_run_with_overlap_breaks_no_rule(overlap, tmp_path):
    words = ("algorithm=swift_svr", "model=table_target", "backend=simulate", "backend.workers=5",
             "max_epochs=8", f"overlap={overlap}", "name=small", "common.n_curves=3")  # fmt: skip
    checked = check_run(run(tmp_path / "run", words), "run", Asked())
    assert not broken(checked)


def test_a_run_that_a_budget_ended_breaks_no_rule(tmp_path):
    words = ("algorithm=swift_svr", "model=table_target", "backend=simulate", "backend.workers=2",
             "budget.hours=0.5", "budget.allow_short=true", *SMALL, "common.n_curves=3")  # fmt: skip
    checked = check_run(run(tmp_path / "run", words), "run", Asked())
    assert not broken(checked)
