"""Each family's converter on small files in its publisher's format; the numbers are made up.

That the real files end in the catalogue's SHA-256 is checked whenever somebody fetches them.
"""

import io
import json
import math
import sys
import types
import zipfile

import numpy as np
import pytest

from models.data.converters import alexnet, converter, lcbench
from suite.core.errors import ConfigError
from suite.files import published_tables


def converted(family, table, files):
    header, *lines = converter(family)(table, iter(files.items())).splitlines()
    return header.split(","), [line.split(",") for line in lines]


def as_json(value):
    return json.dumps(value).encode()


def test_each_converted_family_has_a_converter_and_no_other_has():
    for entry in published_tables().values():
        if entry.is_converted:
            assert callable(converter(entry.family))
        else:
            with pytest.raises(ModuleNotFoundError):
                converter(entry.family)


def test_alexnet_keeps_every_fifth_evaluation_after_the_first():
    header = ["base_model", "training_dataset", "lr", "ss", *(f"acc_{i}" for i in range(501))]
    row = ["alexnet", "imagenet", "0.00019696571", "6667", *(str(i / 1000) for i in range(501))]
    text = "\n".join(map(",".join, [header, row])) + "\n"
    head, (line,) = converted("alexnet", "alexnet_imagenet", {"a.csv": text.encode()})
    assert head[:3] == ["lr", "ss", "v_1"] and len(line) == 2 + alexnet.N_EPOCHS
    assert line[:4] == ["0.0001969657", "6667", "0.005", "0.01"] and line[-1] == "0.5"


def test_klein_has_seconds_of_each_epoch_and_the_order_of_the_names():
    def run(lr):
        return as_json(
            {
                "config": {"log10_learning_rate": lr, "batch_size": 100.123456789},
                "learning_curve": [0.5 / epoch for epoch in range(1, 41)],
                "time_steps": [10.0 * epoch for epoch in range(1, 41)],
                "config_id": 0,
            }
        )

    files = {"data/config_2.json": run(-2), "data/config_10.json": run(-1)}
    head, lines = converted("klein", "cnn_cifar10_klein", files)
    assert head[:2] == ["batch_size", "log10_learning_rate"] and head[-1] == "t_40"
    assert [line[1] for line in lines] == ["-1", "-2"]
    assert lines[0][:4] == ["100.1235", "-1", "0.5", "0.25"] and set(lines[0][-40:]) == {"10"}


def test_rl_keeps_every_second_evaluation():
    run = {
        "gamma": 0.8, "learning_rate": -1, "clip": 0.2,
        "returns_eval": [float(i) for i in range(100)],
        "timestamps_eval": [5.0 * (i + 1) for i in range(100)],
    }  # fmt: skip
    head, (line,) = converted("rl", "rl_ppo_pong", {"a_eval.json": as_json(run)})
    assert head[:3] == ["log10_lr", "gamma", "clip"]
    assert line[:6] == ["-1", "0.8", "0.2", "1", "3", "5"] and set(line[-50:]) == {"10"}


def test_taskset_leaves_out_the_first_loss_and_ends_where_losses_explode():
    losses = [9.0, *(1.0 / i for i in range(1, 51))]
    exploded = [9.0, 1.0, 2e6, *[0.5] * 48]
    hp = {"learning_rate": 1e-3, "beta1": 0.9}
    trainings = [{"hp": hp, "valid": {"loss": each}} for each in (losses, exploded)]
    head, lines = converted("taskset", "t", {"t.json": as_json(trainings)})
    assert head[:3] == ["learning_rate", "beta1", "v_1"] and len(head) == 52
    assert lines[0][:4] == ["0.001", "0.9", "1", "0.5"]
    assert lines[1][2:] == ["1", *[""] * 49]


@pytest.mark.parametrize("accuracies", [True, False])
def test_deepobs_keeps_fifty_epochs_and_ends_where_the_loss_does(accuracies):
    run = {
        "optimizer": "AdamOptimizer", "learning_rate": 1.584893192461114, "num_epochs": 100,
        "test_losses": [9.0, *(float(i) for i in range(1, 11)), *[math.nan] * 90],
    }  # fmt: skip
    if accuracies:
        run["test_accuracies"] = [0.1, *(i / 1000 for i in range(1, 101))]
    head, (line,) = converted("deepobs", "t", {"a.json": as_json(run)})
    assert head == ["optimizer", "lr", *(f"v_{i}" for i in range(1, 51))]
    values = (
        ["0.002", "0.004", "0.006", "0.008", "0.01"] if accuracies else ["2", "4", "6", "8", "10"]
    )
    assert line == ["Adam", "1.584893", *values, *[""] * 45]


def test_nasbench_nlp_counts_the_operations_of_a_cell():
    cell = {
        "f": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0_part": {"op": "activation_sigm", "input": ["f"]},
        "h_new_0": {"op": "elementwise_prod", "input": ["f", "h_new_0_part"]},
    }
    run = {
        "recepie": json.dumps(cell), "num_params": 15066078, "status": "loss is nan!",
        "val_losses": [5.5, 5.25, math.nan], "wall_times": [100.0, 141.0, 142.0],
    }  # fmt: skip
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("log_stats_model_1.json", json.dumps(run))
    head, (line,) = converted("nasbench_nlp", "t", {"logs.zip": raw.getvalue()})
    assert dict(zip(head[:9], line[:9], strict=True)) == {
        "num_params": "1.506608e+07", "n_hidden": "2", "n_linear": "1", "n_blend": "0", "n_prod": "1",
        "n_sum": "0", "n_tanh": "0", "n_sigm": "1", "n_leaky_relu": "0",
    }  # fmt: skip
    assert line[9:14] == ["5.5", "5.25", "", "", ""] and line[59:64] == [
        "100",
        "141",
        "142",
        "141",
        "141",
    ]


def algoperf_files(algorithm, values, trial=1, **settings):
    folder = f"logs/{algorithm}/study_0/wmt_jax/trial_{trial}"
    rows = ["validation/bleu,accumulated_submission_time"]
    rows += [f"{value},{80.0 * i + 60}" for i, value in enumerate(values)]
    given = {
        "learning_rate": 1e-3, "one_minus_beta1": 0.1, "beta2": 0.99, "weight_decay": 0.1,
        "warmup_factor": 0.02, "dropout_rate": 0.1, "label_smoothing": 0.0, **settings,
    }  # fmt: skip
    return {
        f"{folder}/eval_measurements.csv": "\n".join([*rows, ""]).encode(),
        f"{folder}/hparams.json": as_json(given),
    }


def test_algoperf_carries_what_reached_the_target_and_fails_what_stopped_early():
    full = [0.0, *(float(i) for i in range(1, 16))]
    files = (
        algoperf_files("baseline", full)
        | algoperf_files(
            "nadamp_submission", [0.0, 20.0, 30.9, 30.85], beta1=0.9, one_minus_beta1=0.2
        )
        | algoperf_files("shampoo_submission", [0.0, 31.0, 30.0], one_minus_beta2=0.25)
        | algoperf_files("lawa", [0.0, *[""] * 6, 3.0, 4.0, *[5.0] * 8], trial=2)
        | algoperf_files("cyclic", [*full, 16.0, 17.0])
        | algoperf_files("baseline", full, trial=3)
    )
    # An algorithm that stops after a few evaluations, and one without a learning rate.
    files |= algoperf_files("stops", [0.0, 31.0])
    free = algoperf_files("free", full)
    free["logs/free/study_0/wmt_jax/trial_1/hparams.json"] = b'{"weight_decay": 0.3}'
    head, lines = converted("algoperf", "algoperf_wmt", files | free)
    rows = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert [line[0] for line in lines] == ["baseline", "baseline", "cyclic", "lawa"]
    assert rows["baseline"]["v_1"] == "1" and rows["baseline"]["t_1"] == "140"
    assert {rows["baseline"][f"t_{i}"] for i in range(2, 16)} == {"80"}
    assert rows["cyclic"]["v_15"] == "15" and rows["lawa"]["v_15"] == ""


def test_algoperf_carries_by_the_last_value():
    long = [0.0, *(float(i) for i in range(1, 16))]
    many = {}
    for trial in range(1, 6):
        many |= algoperf_files("baseline", long, trial=trial)
    files = (
        many
        | algoperf_files("reached", [0.0, *[20.0] * 5, 30.85])
        | algoperf_files("lost", [0.0, 31.0, *[20.0] * 5])
        | algoperf_files("near", long[:15])
    )
    head, lines = converted("algoperf", "algoperf_wmt", files)
    rows = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert rows["reached"]["v_7"] == rows["reached"]["v_15"] == "30.85"
    assert rows["lost"]["v_6"] == "20" and rows["lost"]["v_7"] == rows["lost"]["v_15"] == ""
    assert rows["near"]["v_14"] == rows["near"]["v_15"] == "14"
    assert rows["reached"]["t_15"] == "80" and rows["reached"]["warmup"] == "0.02"


def test_lcbench_asks_the_network_for_the_tables_task(monkeypatch):
    asked = {}

    class Session:
        def __init__(self, content, options, providers):
            asked["content"] = content

        def run(self, _, inputs):
            asked.update(inputs)
            epoch = inputs["x_cont"][:, :1]
            # Seconds that fall after epoch 2 are no step back.
            seconds = np.where(epoch == 3, 1.0, 2.0 * epoch)
            return [np.hstack([seconds, 50 + epoch / 10, *[epoch] * 4])]

    monkeypatch.setitem(
        sys.modules,
        "onnxruntime",
        types.SimpleNamespace(InferenceSession=Session, SessionOptions=types.SimpleNamespace),
    )
    head, lines = converted("lcbench", "lcbench_167104", {"model.onnx": b"network"})
    assert asked["content"] == b"network" and set(asked["x_cat"][:, 0].tolist()) == {6}
    assert asked["x_cont"].shape == (500 * 52, 8) and asked["x_cont"][:3, 0].tolist() == [1, 2, 3]
    assert head[:7] == [*lcbench.SPACE] and len(lines) == 500
    # The first configuration of the table that everybody has.
    assert lines[0][:7] == ["371", "0.01066737", "0.6967312", "0.04158477", "3", "847", "0.6133687"]
    assert lines[0][7:9] == ["50.1", "50.2"] and lines[0][59:63] == ["2", "2", "0.001", "4"]


def test_without_onnxruntime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"swiftbench\[lcbench\]"):
        converter("lcbench")("lcbench_34539", iter({"model.onnx": b""}.items()))
