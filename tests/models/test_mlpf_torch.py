"""MLPF in torch: its trials, beside TensorFlow's, its checkpoints, bad input."""

import math

import numpy as np
import pytest
import torch

from kit import toy_events
from kit.torch_mlpf import (
    CONFIGS,
    SHARED,
    every_layer,
)
from models import checkpoint
from models.data import delphes
from models.mlpf import torch_layers
from models.mlpf.mlpf_torch import MLPFTorch
from suite.core import types as t
from suite.core.errors import ConfigError, DataError, DivergedError
from suite.worker.worker import Worker


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    toy_events.write(root / "delphes_standin_pu0" / "toy.pkl.bz2", toy_events.toy_events(60))
    return root


_targets = {}


@pytest.fixture
def staged(folder):
    """Targets are staged once each, as in a worker."""

    def get(**arguments):
        key = tuple(sorted(arguments.items()))
        if key not in _targets:
            _targets[key] = MLPFTorch(
                **{"data": "stand_in", "folder": str(folder), "limit": 24, **arguments}
            )
            _targets[key].stage("cpu")
        return _targets[key]

    return get


# --- trials ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_copy_input_loss_is_what_all_weights_zero_give(staged, split):
    target = staged()
    chosen = getattr(target, split)
    X, y = (np.asarray(part, np.float64) for part in (chosen.X, chosen.y))
    hit = y[:, 0] != 0
    pt = X[:, 5] / np.cosh(np.clip(X[:, 2], -8, 8))
    total = len(X) * math.log(6) + (y[hit, 1] ** 2).sum()
    for column, guess, delta in (
        (2, pt, 1.0), (3, X[:, 2], 0.1), (4, X[:, 3], 0.1), (5, X[:, 4], 0.1), (6, X[:, 5], 1.0),
    ):  # fmt: skip
        off = np.abs(y[:, column] - guess)[hit]
        total += 100 * np.where(off <= delta, 0.5 * off**2, delta * (off - 0.5 * delta)).sum()
    expected = total / (len(chosen.n) * target.pad)
    assert target.copy_input_loss(split) == pytest.approx(expected, rel=1e-5)


@every_layer
def test_it_learns_more_than_to_copy_its_input(staged, layer):
    target = staged()
    training = target.start(CONFIGS[layer], 1)
    for epoch in range(1, 9):
        training.train_epoch(epoch)
    assert training.validate()["val_loss"] < 0.6 * target.copy_input_loss("valid")


@every_layer
def test_a_trial_that_was_saved_and_loaded_goes_on_bit_for_bit(staged, layer, tmp_path):
    """Its rate falls within the epoch, and dropout draws."""
    target = staged(staircase=False)
    straight, first, second = (target.start(CONFIGS[layer], 1) for _ in range(3))
    for epoch in (1, 2):
        straight.train_epoch(epoch)
    first.train_epoch(1)
    first.save(tmp_path / "1.ckpt")
    with torch.no_grad():
        second.network.drawn.zero_()
    second.load(tmp_path / "1.ckpt")
    second.train_epoch(2)
    assert dict(second.validate()) == dict(straight.validate())
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


@every_layer
def test_gradients_reach_every_weight(staged, layer):
    target = staged()
    training = target.start(CONFIGS[layer] | {"dropout": 0.0}, 1)
    training.train(1, n_batches=1)
    dead = {n for n, p in training.network.weights.items() if not bool(p.grad.any())}
    assert not dead


@pytest.mark.slow
@pytest.mark.timeout(1800)  # to import TensorFlow took over five minutes on a loaded machine
def test_with_equal_weights_the_graph_is_tensorflows(staged, folder):
    """Weights of a seed, predictions, metrics, three steps, and the loss with all weights 0."""
    from models.mlpf import MLPF

    target = staged()
    other = MLPF(data="stand_in", folder=str(folder), limit=24)
    other.stage("cpu")
    assert target.copy_input_loss() == pytest.approx(other.copy_input_loss(), rel=1e-6)
    for bin_size in (16, 128):
        config = SHARED | {"bin_size": bin_size, "dropout": 0.0}
        ours, theirs = target.start({"layer": "gnn_lsh", **config}, 1), other.start(config, 1)
        for a, b in zip(
            ours.predictions(target.valid)[1], theirs.predictions(other.valid)[1], strict=True
        ):
            np.testing.assert_allclose(a[:, 1:], b[:, 1:], rtol=1e-4, atol=5e-3)
        assert ours.validate() == pytest.approx(theirs.validate(), rel=1e-5)

    def weights():
        return np.concatenate([p.detach().numpy().ravel() for p in ours.network.weights.values()])

    # Of the last, which has all of an event in one bin: no rounding moves an element into another.
    before = weights()
    np.testing.assert_array_equal(before, theirs.state[0].numpy())
    ours.train(1, n_batches=3)
    theirs.train(1, n_batches=3)
    moved = np.abs(weights() - before).mean()
    assert np.abs(weights() - theirs.state[0].numpy()).mean() < 0.001 * moved


# --- bad input ------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_layer_framework_or_configuration_is_refused_by_name(
    staged, tmp_path
):
    target, path = staged(), tmp_path / "trial.ckpt"
    training = target.start(CONFIGS["attention"], 1)
    training.save(path)
    training.load(path)
    with pytest.raises(ConfigError, match=r"layer is attention, this trial's is favor"):
        target.start(CONFIGS["favor"], 1).load(path)
    with pytest.raises(ConfigError, match="config_sha256"):
        target.start(CONFIGS["attention"] | {"lr": 2e-3}, 1).load(path)
    with pytest.raises(ConfigError, match="written by a target of torch, this trial's is of tens"):
        checkpoint.refuse_other_framework(path, "tensorflow")
    whole = path.read_bytes()
    for damaged in (whole[:1000], b"", b"not one", whole[:-3000]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"trial\.ckpt: is damaged"):
            training.load(path)
    with path.open("wb") as file:
        np.savez(file, weights=np.zeros(3), origin="{}")
    with pytest.raises(
        ConfigError, match="written by a target of tensorflow, this trial's is of t"
    ):
        training.load(path)


def test_a_checkpoint_holds_what_was_drawn_and_not_trained(staged, tmp_path):
    """Codebooks and random features; the generator of dropout has no state: it is made anew each batch."""
    for layer in ("gnn_lsh", "favor"):
        training = staged().start(CONFIGS[layer], 1)
        training.save(tmp_path / "a.ckpt")
        drawn = torch.load(tmp_path / "a.ckpt", weights_only=True)["network"]["drawn"]
        assert torch.equal(drawn, training.network.drawn) and drawn.std() > 0.01


def test_a_loss_that_is_no_number_ends_the_trial(staged):
    training = staged().start(CONFIGS["favor"], 1)
    with torch.no_grad():
        training.network.weights["class/0/kernel"].fill_(math.nan)
    with pytest.raises(DivergedError, match="val_loss=nan"):
        training.validate()
    with pytest.raises(DivergedError, match="train_loss=nan in epoch 3"):
        training.train_epoch(3)


def test_events_that_cannot_be_are_counted_and_the_rest_is_trained(tmp_path, monkeypatch):
    """Nothing in them, NaN, a kind of element or a class that there is not, more elements than the pad."""
    events = [*toy_events.toy_events(30, n=(40, 50)), *toy_events.toy_events(1, n=(140, 150))]
    X, y = toy_events.toy_events(1, seed=9)[0]
    broken = [(np.zeros((0, 12)), np.zeros((0, 7))), (X * np.nan, y)]
    for column, value, of_y in ((0, 7.0, False), (0, 0.0, False), (0, 9.0, True), (0, -1.0, True)):
        a, b = X.copy(), y.copy()
        (b if of_y else a)[5, column] = value
        broken.append((a, b))
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "delphes_standin_pu0").mkdir()
    (tmp_path / "delphes_standin_pu0" / "a.pkl.bz2").touch()
    whole = [(a, b, np.zeros_like(b)) for a, b in [*events, *broken]]
    monkeypatch.setattr(delphes, "read_whole", lambda path: whole)
    target = MLPFTorch(data="stand_in", folder=str(tmp_path), pad=128)
    target.stage("cpu")
    assert target.provenance["n_damaged"] == 6 and target.provenance["n_too_large"] == 1
    target.start(CONFIGS["gnn_lsh"], 1).train(1, n_batches=1)


def test_a_truncated_file_of_events_is_refused_by_name(tmp_path):
    path = tmp_path / "delphes_standin_pu0" / "a.pkl.bz2"
    toy_events.write(path, toy_events.toy_events(12))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a\.pkl\.bz2: .*fetch it again"):
        MLPFTorch(data="stand_in", folder=str(tmp_path), limit=8).stage("cpu")


@pytest.mark.parametrize("where", ["train_epoch", "start"])
def test_a_trial_that_does_not_fit_in_memory_fails_alone_and_its_worker_lives(
    staged, monkeypatch, where
):
    """What torch's allocator refuses, as on a machine with too little memory for an attention."""
    target = staged()
    attend = torch_layers.scaled_dot_product_attention

    def all_pairs_of_a_huge_event(q, k, v):
        return attend(q, k, v) + torch.empty((2**50,))[0]

    if where == "train_epoch":
        monkeypatch.setattr(torch_layers, "scaled_dot_product_attention", all_pairs_of_a_huge_event)
    else:
        placed = target.placed
        monkeypatch.setattr(
            target, "placed",
            lambda net, *w: torch.empty((2**50,)) if net.layer == "attention" else placed(net, *w),
        )  # fmt: skip
    worker, events = Worker(target, None), []
    for number, layer in enumerate(("attention", "favor")):
        worker.run(1, t.Job(number, number, 0, 1, CONFIGS[layer], 5), events.append)
    failed, report, finished = events
    assert isinstance(failed, t.JobFailed) and failed.reason == "retry"
    assert failed.message.startswith("MemoryError") and "allocate" in failed.message
    assert isinstance(report, t.EpochReport) and isinstance(finished, t.JobFinished)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"precision": "half"}, "precision=half"),
        ({"space": "upstream_2026"}, "space=upstream_2026: unknown"),
        ({"held": {"layer": "favor"}}, r"held\.layer=favor: the space searches it"),
        ({"space": "recorded", "held": {"layer": "performer"}}, r"held\.layer=performer: must be"),
        ({"space": "recorded", "held": {"num_heads": 0}}, r"held\.num_heads=0"),
        ({"fixed": {"layer": "transformer"}}, "layer=transformer"),
    ],
)
def test_an_argument_out_of_range_is_named(arguments, said):
    with pytest.raises(ConfigError, match=said):
        MLPFTorch(data="stand_in", **arguments)
