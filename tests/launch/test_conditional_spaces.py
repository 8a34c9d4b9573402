"""Whole searches of a space with conditions and constraints: every model-based searcher and scheduler, cut
and carried on.
"""

import shutil

import pytest

from kit.conditional_spaces import wrong_with
from kit.driving import compose, configured, finish, inline, result
from suite.core.errors import JournalError
from suite.core.run_settings import RunSettings
from suite.launch.assemble import assemble
from suite.launch.execute import header, run
from suite.results.fold import load_run
from suite.run import journal as journals
from suite.run.driver import Driver, reopen
from suite.run.journal import Journal
from suite.verify.checks import verify

pytestmark = pytest.mark.usefixtures("no_fsync")

SEARCHES = {
    "asha_gp": ("scheduler.n_trials=16",),
    "bohb": (),
    "grid_search": ("scheduler.n_trials=10",),
    "hyperband": ("searcher=evolution", "searcher.population_size=5"),
    "price": ("scheduler.n_epochs=70", "scheduler.outlook_node_hours=null"),
    "swift": (),
    "swift_asha": ("scheduler.n_trials=16",),
    "swift_svr": (),
}


def begun(name, folder):
    """The driver of a new search, or of the one that lies there; its backend."""
    words = (f"algorithm={name}", *SEARCHES[name], "model=table_target", "max_epochs=9", "seed=2",
             "backend=inline", "tracking=later")  # fmt: skip
    config = compose(*words)
    config["model"] = {"_target_": "kit.conditional_spaces.ConditionalTarget"}
    parts = assemble(RunSettings.of(config))
    if (folder / journals.NAME).exists():
        driver = reopen(folder, parts.conductor)
    else:
        driver = Driver(parts.conductor, Journal(folder, {"run_id": "test"}))
    leaf = config["predictor"]
    return driver, inline(folder, parts.target, leaf if leaf.get("_target_") else None, 2)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in ("bohb", "price") else [pytest.mark.slow]) for n in SEARCHES],
)
def test_no_trial_has_a_value_that_plays_no_part_or_is_forbidden_and_resumed_equals_uncut(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")
    (tmp_path / "whole").mkdir()
    whole = finish(*begun(name, tmp_path / "whole"))
    assert whole.conductor.winner is not None and not whole.conductor.given_up
    configs = [trial.config for trial in whole.conductor.trials.values()]
    assert [wrong_with(config) for config in configs] == [""] * len(configs)
    assert len({len(config) for config in configs}) > 1, "conditions never showed"

    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole", cut)
    rows = (cut / journals.NAME).read_bytes().splitlines(keepends=True)
    (cut / journals.NAME).write_bytes(b"".join(rows[: len(rows) // 2]))
    assert result(finish(*begun(name, cut))) == result(whole)


def test_such_a_run_has_a_record_that_is_verified_and_names_that_no_condition_explains_are_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")
    words = ("algorithm=random_search", "scheduler.n_trials=12", "model=table_target", "max_epochs=2",
             "backend=inline", "tracking=later", "report=false")  # fmt: skip
    config = compose(*words)
    config["model"] = {"_target_": "kit.conditional_spaces.ConditionalTarget"}
    folder = tmp_path / "run"
    outcome = run(RunSettings.of(config), folder)
    assert (outcome.status, outcome.reason) == ("completed", "")
    assert verify(folder, "run").holds
    view = load_run(folder)
    assert view.header.target.conditional == ("damping", "momentum", "nesterov")
    assert not view.doubts and (folder / "record.json").exists()
    assert [wrong_with(trial.config) for trial in view.trials.values()] == [""] * 12

    path = folder / journals.NAME
    whole = path.read_text()
    path.write_text(whole.replace('["damping","momentum","nesterov"]', '["damping","nesterov"]'))
    with pytest.raises(JournalError, match=r"config: has .*; must have .*, as others"):
        load_run(folder)
    path.write_text(whole.replace('["damping","momentum","nesterov"]', "3"))
    with pytest.raises(JournalError, match="target.conditional=3: must be"):
        load_run(folder)


def test_a_plain_spaces_header_says_nothing_of_conditions():
    settings = configured("model=table_target", "backend=inline")
    assert "conditional" not in header(settings, assemble(settings))["target"]
