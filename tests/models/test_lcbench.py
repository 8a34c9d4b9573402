"""The live LCBench target over a fixture network, which the real onnxruntime reads.

Of the shipped conformance suite: tests/conformance/test_models.py.
"""

import hashlib

import numpy as np
import pytest

from kit.onnx_file import linear_network, write_lcbench
from models.data.converters import lcbench
from models.data.sources import SOURCES
from models.lcbench import LCBench
from suite.core.errors import ConfigError, DataError
from suite.core.target import make_target
from suite.files import published_tables
from suite.launch import cli
from suite.launch.compose import compose
from suite.results.fold import load_run

CONFIG = {
    "batch_size": 64, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.01, "num_layers": 3,
    "max_units": 256, "max_dropout": 0.5,
}  # fmt: skip


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_lcbench(tmp_path / "data")
    monkeypatch.setenv("SUITE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def target(root, task="126026", sha256=None):
    return LCBench(task, str(root), sha256)


def test_the_network_answers_any_configuration_with_its_seconds(root):
    recording = target(root).replay(CONFIG, 0)
    assert len(recording.values) == len(recording.train_s) == 52
    base = 0.64 + 0.05 + 9 + 0.05 + 1.5 + 0.256 - 1.5
    assert recording.values[:3] == pytest.approx([base + 1, base + 2, base + 3], rel=1e-5)
    # Of the second task: category 2. Seconds since the begin, as an epoch's own.
    assert recording.train_s[:3] == pytest.approx([4, 2, 2])
    assert target(root, "34539").replay(CONFIG, 0).train_s[0] == pytest.approx(2 + 33)
    assert target(root).replay({**CONFIG, "momentum": 0.8}, 0).values[0] == pytest.approx(base)


def test_it_keeps_the_contract(root):
    made = make_target({**compose(["model=lcbench"])["model"], "sha256": None})
    assert made.data == "surrogate" and made.most_epochs == 52
    assert made.provenance == {
        "name": "lcbench task 126026",
        "sha256": hashlib.sha256((root / "lcbench" / "model.onnx").read_bytes()).hexdigest(),
    }


def test_the_yaml_names_the_published_network():
    entry = next(e for e in published_tables().values() if e.family == "lcbench")
    assert compose(["model=lcbench"])["model"]["sha256"] == entry.published.sha256
    (file,) = SOURCES["lcbench"].files
    assert file.checksum == f"sha256:{entry.published.sha256}" and file.addresses == (
        entry.address,
    )
    assert [*LCBench.parameters] == [*lcbench.SPACE]


SMALL = ["model=lcbench", "backend=simulate", "tracking=later", "report=false", "model.sha256=null"]


def test_a_search_has_the_networks_seconds_and_is_labelled(root, tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main([*SMALL, "max_epochs=9", "eta=3", f"hydra.run.dir={run}"]) == 0
    assert "on lcbench [SURROGATE]: completed" in capsys.readouterr().out
    view = load_run(run)
    trial = max(view.trials.values(), key=lambda trial: len(trial.epochs))
    assert len(trial.epochs) == 9 and trial.epochs[1].train_s == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["max_epochs=53"], "max_epochs=53: the curves of lcbench have 52 epochs"),
        (["model.task=77"], "model.task=77: no task of LCBench; known are 126025,"),
        (["model.folder=null"], "model.folder=null: names no data root; set SUITE_DATA"),
        (["model.folder=elsewhere"], "no such file; fetch it: swiftbench fetch lcbench --to"),
        ([f"model.sha256={'0' * 64}"], "give model.sha256=null for a network of your own"),
    ],
)
def test_bad_input_is_refused_before_a_folder_is_made(root, tmp_path, capsys, words, said):
    assert cli.main([*SMALL, f"hydra.run.dir={tmp_path / 'run'}", *words]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_another_file_is_no_network(root):
    (root / "lcbench" / "model.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match="onnxruntime cannot read it"):
        target(root).stage("cpu")


def test_a_network_with_other_inputs_is_refused(root):
    (root / "lcbench" / "model.onnx").write_bytes(
        linear_network(np.zeros((3, 2)), np.zeros((1, 2)))
    )
    with pytest.raises(DataError, match=r"needs the inputs x_cat \(n x 1\) and x_cont \(n x 8\)"):
        target(root).replay(CONFIG, 0)


def test_an_unknown_task_is_named():
    with pytest.raises(ConfigError, match="model.task=3946"):
        LCBench("3946", "/nowhere", None)
