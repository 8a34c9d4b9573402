"""What a resume may say of a budget: more of what there is, never less, and never another price."""

import pytest

from kit.driving import configured
from suite.core.errors import ConfigError
from suite.launch.begin import Begin
from suite.launch.resumed import resumed_settings
from suite.run import journal as journals

SIMULATED = (
    "model=table_target", "max_epochs=9", "backend=simulate", "backend.epoch_s=60", "backend.workers=4",
    "tracking=later", "report=false", "algorithm=price_rank", "scheduler.n_trees=2",
    "scheduler.n_candidates=8",
)  # fmt: skip
ENDED = ("budget.hours=0.5", "budget.node_hours=3", "budget.all_epochs=60", "budget.price=0.3")


def auto(folder, *words):
    return Begin(configured(*SIMULATED, *words, "resume=auto"), folder, "auto").run()


def gone_on(folder, *words):
    return Begin(resumed_settings(folder, words), folder, "continue").run()


@pytest.fixture(params=ENDED)
def ended(request, tmp_path, no_fsync):
    """A run that this budget has ended: its folder, and the word."""
    folder = tmp_path / "run"
    outcome = auto(folder, request.param)
    assert outcome.status == "completed" and outcome.reason.startswith(request.param), outcome
    return folder, request.param


def test_a_resume_cannot_lower_any_and_changes_nothing(ended):
    folder, word = ended
    name, _, given = word.partition("=")
    before = (folder / journals.NAME).read_bytes()
    less = f"{float(given) / 2:g}"
    rule = "(not budget.price: a run that it has ended is over)" if name == "budget.price" else (
        f"must be larger than {given}, which the run has"
    )  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        gone_on(folder, f"{name}={less}")
    assert rule in str(refused.value)
    outcome = auto(folder, f"{name}={less}")
    assert outcome.status == "failed" and outcome.reason.startswith(f"{name}={less}"), outcome
    assert f"was completed with {given}" in outcome.reason
    assert (f"resume=FOLDER {name}=" in outcome.reason) == (name != "budget.price")
    assert (folder / journals.NAME).read_bytes() == before


def test_more_goes_on_but_where_a_price_ended_the_run(tmp_path, no_fsync):
    folder = tmp_path / "run"
    assert "budget.price=0.3" in auto(folder, "budget.price=0.3", "budget.node_hours=20").reason
    before = (folder / journals.NAME).read_bytes()
    for words in (("budget.node_hours=40",), ()):
        assert gone_on(folder, *words).reason.startswith("already completed")
    for price in ("0.6", "null"):
        with pytest.raises(ConfigError, match="not budget.price"):
            gone_on(folder, f"budget.price={price}")
    assert (folder / journals.NAME).read_bytes() == before
