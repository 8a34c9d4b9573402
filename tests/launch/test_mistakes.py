"""Mistakes that people make on the command line: the message names what was typed, the rule and the remedy;
nothing is made for a typo.
"""

import pytest

from suite.launch import cli

MISTAKES = [
    ("max_epoch=9", "max_epoch=9: unknown setting; known are", "Did you mean max_epochs?"),
    ("+max_epoch=9", "+max_epoch=9: unknown setting", "Did you mean max_epochs?"),
    ("++max_epoch=9", "++max_epoch=9: unknown setting", "Did you mean max_epochs?"),
    ("modle=mlpf", "modle=mlpf: unknown setting", "Did you mean model?"),
    ("modle.noise=3", "modle.noise=3: unknown setting", "Did you mean model.noise?"),
    ("expriment=quickstart", "expriment=quickstart: unknown setting", "Did you mean experiment?"),
    ("model.nose=1", "model.nose=1: unknown setting; known are model.", "Did you mean model.noise?"),
    ("+model.nose=1", "+model.nose=1: unknown setting; known are", "Did you mean model.noise?"),
    ("n_trials=5", "n_trials=5: unknown setting", "Did you mean budget.n_trials?"),
    ("backend.devise=cpu", "backend.devise=cpu: unknown setting", "Did you mean backend.device?"),
    ("scheduler=asha scheduler.n_trails=4", "scheduler.n_trails=4: unknown setting",
     "Did you mean scheduler.n_trials?"),
    ("common.n_curves=8", "common.n_curves=8: no YAML file sets", "write +common.n_curves=8"),
    ("task=mlpf common.n_curves=8", "common.n_curves=8: no YAML file sets", "write +common.n_curves=8"),
    ("common={n_curves:8}", "common={n_curves:8}: a group takes", "common.NAME=VALUE"),
    ("nodes=3", "nodes=3: is a word of plan;", "--sbatch"),
    ("workers=3", "workers=3: is a word of plan;", "backend.workers"),
    ("+predictor.C=3", "+predictor.C=3: unknown setting", "predictor.features"),
    ("algorithm=hyperbnad", "algorithm=hyperbnad: unknown; known are asha,", "Did you mean hyperband?"),
    ("experiment=quikstart", "experiment=quikstart: unknown; known are asha_", "Did you mean quickstart?"),
    ("backend.device=gpu", "backend.device=gpu: must be auto, cpu or cuda.", "Did you mean cuda?"),
    ("eta=two", "eta=two: must be an integer >= 2.", ""),
    ("--config-dir nowhere", "--config-dir=nowhere: no such folder", "name one"),
    ("seed=0,1", "seed=0,1: names several values", "put -m into the command"),
    ("overlap", "overlap: is no override (key=value)", ""),
    ("~seed", "seed: missing", "name it on the command line"),
    ("~searcher=4.0", "searcher=4.0: must be the name of a file", "conf/searcher/"),
    ("=nan", "=nan: names no setting", "write name=value"),
    ("@=true", "@=true: names no setting", "write name=value"),
    ("eta=" + "9" * 5000, "eta=...: a number of more than 300 digits", "shorten it"),
    ("hydra.sweeper.params.seed=1", "Could not override 'hydra.sweeper.params.seed'", "use +hydra"),
    ("model@x=3", "model@x=3: must be the name of a file", "conf/model/"),
]  # fmt: skip


CASES = [("run", *mistake) for mistake in MISTAKES] + [
    ("plan", *mistake) for mistake in MISTAKES[:3]
]


@pytest.mark.parametrize(
    ("command", "words", "says", "remedy"), CASES, ids=lambda one: str(one)[:30]
)
def test_a_mistake_is_named_with_its_remedy_and_nothing_is_made(
    command, words, says, remedy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    before = ["plan"] if command == "plan" else []
    assert cli.main([*before, "model=table_target", *words.split()]) == 1
    out, err = capsys.readouterr()
    assert out == "" and says in err and remedy in err and "hydra.cc" not in err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    ["+common.n_curves=8", "+n_seeds.hyperband=3", "++seed=3", "++model.noise=0.1", "~common"],
)  # fmt: skip
def test_what_may_be_added_may_be_added(words, capsys):
    code = cli.main(["plan", "model=table_target", *words.split()])
    err = capsys.readouterr().err
    assert "unknown setting" not in err and (code == 0) == (words != "~common"), err


@pytest.mark.parametrize("command", [[], ["plan"]])
def test_an_unknown_option_is_named_and_is_no_override(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--multirum", "seed=0,1"])
    assert stop.value.code == 2
    assert "--multirum: unknown; known are --cfg," in (err := capsys.readouterr().err)
    assert "Did you mean --multirun?" in err and err.count("\n") == 1


def test_plan_is_found_behind_options(tmp_path, capsys):
    assert cli.main(["--config-dir", str(tmp_path), "plan", "model=table_target"]) == 0
    assert "bracket" in capsys.readouterr().out


def test_the_version_is_ours(capsys):
    from suite import __version__

    assert cli.main(["--version"]) == cli.main(["plan", "--version"]) == 0
    assert capsys.readouterr().out == f"swiftbench {__version__}\n" * 2
