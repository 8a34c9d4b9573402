"""Every algorithm of conf/algorithm composes, and a tiny run of it comes to its end; every
experiment only overrides.
"""

import json
import os

import pytest
import yaml

from kit.driving import CONF, compose, configured, names
from kit.packages import assembled_or_skip
from suite.core.errors import ConfigError, DataError
from suite.core.extras import MissingExtraError
from suite.core.run_settings import RunSettings
from suite.launch import cli
from suite.launch.assemble import assemble
from suite.launch.execute import run
from suite.run import journal as journals
from suite.run.journal import read

TINY = (
    "model=table_target",
    "max_epochs=8",
    "+common.n_curves=2",
    "backend=inline",
    "tracking=later",
    "report=false",
    "overlap=false",
)


@pytest.mark.parametrize("name", names("algorithm"))
def test_an_algorithm_composes_and_is_called_as_its_file(name):
    config = compose(f"algorithm={name}")
    assert config["choices"]["algorithm"] == name
    assembled_or_skip(RunSettings.of(config))


@pytest.mark.parametrize("name", names("algorithm"))
def test_a_tiny_run_comes_to_its_end(name, tmp_path, no_fsync):
    settings = configured(f"algorithm={name}", *TINY)
    assembled_or_skip(settings)
    outcome = run(settings, tmp_path / "run")
    assert (outcome.status, outcome.reason) == ("completed", "")
    header, lines, _ = read(tmp_path / "run" / journals.NAME)
    assert (
        header["algorithm"] == name
        and lines[-1]["event"] == "closed"
        and lines[-1]["status"] == "completed"
    )
    assert any(line["event"] == "scored" for line in lines)
    assert len(list((tmp_path / "run" / "checkpoints").rglob("*.ckpt"))) == 1, (
        "only the winner's checkpoint stays"
    )
    record = tmp_path / "run" / "record.json"
    if record.exists():
        assert json.loads(record.read_text())["schema_version"]


@pytest.mark.parametrize("name", names("experiment"))
def test_an_experiment_composes_for_everything_that_it_sweeps(name):
    given = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text())
    swept = (given.get("hydra", {}).get("sweeper") or {}).get("params", {})
    first = {key: str(value).split(",")[0] for key, value in swept.items() if key != "algorithm"}
    first = {key: "0" if value.startswith("range(") else value for key, value in first.items()}
    words = [f"{k}={v}" for k, v in first.items()]
    own = {key: value for entry in given.get("defaults", []) for key, value in entry.items()}
    if own.get("override /model") in ("mlpf_5hp", "cifar10_cnn_3hp"):
        words.append("model.data=stand_in")  # Delphes' events and CIFAR-10 are not here
    known = own.get("override /algorithm", "hyperband")
    for algorithm in map(str.strip, str(swept.get("algorithm", known)).split(",")):
        try:
            # With budget.trainings this reads the table already.
            config = compose(f"experiment={name}", f"algorithm={algorithm}", *words)
            assert config["choices"]["algorithm"] == algorithm
            assemble(RunSettings.of(config))
        except MissingExtraError:
            continue
        except DataError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"its table is not here: {error}")


@pytest.mark.parametrize("name", names("experiment"))
def test_an_experiment_only_overrides_and_begins_with_its_command_line(name):
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    lines = text.splitlines()
    assert lines[0] == "# @package _global_"
    assert "swiftbench run" in lines[1] and f"experiment={name}" in lines[1]
    known = yaml.safe_load((CONF / "config.yaml").read_text())
    given = yaml.safe_load(text)
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert "_target_" not in text
    for key in given:
        # reference: of no run; compare reads it.
        assert key in {*known, *groups, "defaults", "hydra", "reference"}, (
            f"{key}: an experiment sets nothing that was not there"
        )
    for entry in given.get("defaults", []):
        assert entry == "_self_" or next(iter(entry)).startswith("override ")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("eta=1",), "eta=1: must be"),
        (("max_epochs=0",), "max_epochs=0: must be"),
        (("max_attempts=0",), "max_attempts=0"),
        (("algorithm=swift_svr", "scheduler.quantile=1.5"), "quantile=1.5: must lie"),
        (("seed=-1",), "seed=-1: must be"),
        (("scheduler=swift_hyperband",), "predictor=none: SwiftHyperband needs one"),
        (("+model.fixed.learning_rat=0.1",), "Did you mean learning_rate"),
        (("+scheduler.etaa=2",), "Did you mean scheduler.eta"),
        (("model.fixed.momentum=2.0",), "momentum=2.0: must be a number in"),
        (("seed=1.5",), "seed=1.5: must be an integer"),
        (("backend.resident_trials=0",), "backend.resident_trials=0"),
    ],
)
def test_bad_input_is_named_before_anything_is_written(
    tmp_path, monkeypatch, capsys, overrides, says
):
    with pytest.raises(ConfigError, match=says):
        assemble(configured(*overrides))
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "run"))
    assert cli.main(list(overrides)) == 1
    out, err = capsys.readouterr()
    assert says in out + err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("group", ["model", "scheduler", "predictor", "searcher", "algorithm"])
def test_an_unknown_option_lists_the_known_ones(group):
    with pytest.raises(ConfigError) as error:
        compose(f"{group}=nonsense")
    assert all(name in str(error.value) for name in names(group))


def test_a_searcher_that_is_none_is_a_config_error():
    with pytest.raises(ConfigError, match="searcher"):
        assemble(configured("searcher._target_=models.synthetic_curves.TableTarget"))
