"""The CIFAR-10 networks: sizes, splits, and that every hyperparameter matters."""

import numpy as np
import pytest
import torch

from models.cifar10_cnn import CIFAR10CNN, cnn, vgg
from suite.core.errors import ConfigError, DataError, DivergedError

PUBLISHED = {
    2: {16: 409_182, 32: 832_830, 48: 1_282_078, 64: 1_756_926},
    3: {16: 169_838, 32: 366_942, 48: 602_446, 64: 876_350},
    4: {16: 53_374, 32: 146_814, 48: 291_454, 64: 487_294},
}
CNN = {
    "num_layers": 4,
    "num_filters": 16,
    "batch_size": 64,
    "learning_rate": 0.01,
    "momentum": 0.5,
}
VGG = {"learning_rate": 0.1, "dropout": 0.3, "weight_decay": 0.01}


@pytest.fixture(scope="module", params=["cnn", "vgg"])
def case(request):
    """A staged target, a configuration, and another value of each hyperparameter."""
    if request.param == "cnn":
        other = {
            "num_layers": 3,
            "num_filters": 32,
            "batch_size": 128,
            "learning_rate": 0.02,
            "momentum": 0.9,
        }
        return staged(limit=160), CNN, other
    other = {"learning_rate": 0.05, "dropout": 0.6, "weight_decay": 0.1}
    return staged(limit=64, architecture="vgg"), VGG, other


def staged(**arguments):
    target = CIFAR10CNN(data="stand_in", **arguments)
    target.stage("cpu")
    return target


def curve(target, config, seed=1, epochs=1):
    training = target.start(config, seed)
    values = []
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch)
        values.append(training.validate())
    return values


def test_it_has_the_published_numbers_of_weights():
    for layers, row in PUBLISHED.items():
        for filters, n in row.items():
            assert sum(p.numel() for p in cnn(layers, filters).parameters()) == n
    assert sum(p.numel() for p in vgg(0.5).parameters()) == 1_186_378


def test_every_hyperparameter_changes_the_training(case):
    target, config, other = case
    reference = curve(target, config)
    assert set(other) == set(config) == set(target.space)
    for name, value in other.items():
        assert curve(target, config | {name: value}) != reference, name


def test_what_it_says_of_its_data(case):
    target, *_ = case
    assert target.data == "stand-in" and target.provenance["stand_in"] is True
    assert target.provenance["n_train"] == len(target.train[1]) == target.limit
    assert target.provenance["n_valid"] == len(target.valid[1]) == target.limit // 4
    assert target.provenance["n_test"] == len(target.test[1]) == target.limit // 4
    assert target.train[0].dtype == torch.uint8
    assert len(str(target.provenance["split_sha256"])) == 64


def test_the_splits_share_no_image_and_do_not_depend_on_the_run():
    one, two = staged(limit=96), staged(limit=96)
    assert one.provenance == two.provenance
    inner = one.train[0][:, 4:-4, 4:-4]
    kinds = [
        {image.numpy().tobytes() for image in split} for split in (inner, one.valid[0], one.test[0])
    ]
    assert sum(map(len, kinds)) == len(set().union(*kinds)) == 96 + 24 + 24


def test_the_published_split_selects_on_the_held_out_set():
    for arguments in ({"split": "published"}, {"published": True}):
        target = staged(limit=64, **arguments)
        assert target.valid is target.test and target.provenance["split"] == "published"
        assert target.provenance["n_train"] == 64


def test_full_splits_are_stratified(monkeypatch):
    target = CIFAR10CNN(data="stand_in")
    y_fit, y_held = np.arange(50_000) % 10, np.arange(10_000) % 10
    train, valid, test = target._rows(y_fit, y_held)
    assert (len(train), len(valid), len(test)) == (45_000, 5_000, 10_000)
    assert len(np.union1d(train, valid)) == 50_000
    assert set(np.bincount(y_fit[valid])) == {500}
    train, valid, test = CIFAR10CNN(data="stand_in", published=True)._rows(y_fit, y_held)
    assert (len(train), len(valid), len(test)) == (50_000, 10_000, 10_000)


def test_it_learns_its_stand_in():
    target = staged(limit=320)
    config = CNN | {"num_layers": 2, "learning_rate": 0.03, "momentum": 0.9}
    values = [found["train_loss"] for found in curve(target, config, epochs=15)]
    assert values[-1] < 0.9 * values[0]


def test_a_loss_that_is_not_finite_is_said():
    training = staged(limit=64).start(CNN, 1)
    with torch.no_grad():
        next(training.network.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="epoch 1"):
        training.train_epoch(1)


def test_keras_adadelta_decays_weights_by_rate_times_decay():
    """Decoupled: where all gradients are zero, weights still shrink by 1 - rate * decay."""
    target = staged(limit=64, architecture="vgg")
    training = target.start(VGG, 1)
    before = [p.detach().clone() for p in training.network.parameters()]
    for p in training.network.parameters():
        p.grad = torch.zeros_like(p)
    training.optimizer.step()
    for old, new in zip(before, training.network.parameters(), strict=True):
        assert torch.allclose(new, old * (1 - 0.1 * 0.01))


def test_bad_arguments_are_said_at_once(tmp_path):
    for arguments, message in (
        ({"data": "fake"}, "data=fake"),
        ({"split": "random"}, "split=random"),
        ({"architecture": "resnet"}, "architecture=resnet"),
        ({"precision": "bf16"}, "precision=bf16"),
        ({"limit": 2}, "limit=2"),
    ):
        with pytest.raises(ConfigError, match=message):
            CIFAR10CNN(**arguments)
    line = (
        rf": swiftbench fetch cifar10 --to {tmp_path}; or .* NOT the data set: model.data=stand_in"
    )
    with pytest.raises(DataError, match=line):
        CIFAR10CNN(folder=str(tmp_path))
    assert CIFAR10CNN(data="auto", folder=str(tmp_path)).data == "stand-in"


def test_the_whole_stand_in_is_drawn_once_a_machine_and_then_read(tmp_path, monkeypatch):
    from models.data import procedural
    from models.images.target import pictures

    monkeypatch.setenv("SUITE_CACHE", str(tmp_path))
    x, y = pictures(40, 16, 4, keep=True)
    wanted = pictures(40, 16, 4, keep=False)
    assert np.array_equal(x, wanted[0]) and np.array_equal(y, wanted[1])
    monkeypatch.setattr(procedural, "images", None)
    again = pictures(40, 16, 4, keep=True)
    assert np.array_equal(again[0], x) and np.array_equal(again[1], y)


class Reader:
    """In a data module's place: 300 images, the first 200 to train."""

    def present(self, folder):
        return folder.name == "cifar10"

    def load(self, folder):
        rng = np.random.default_rng(1)
        x = rng.integers(0, 256, (300, 3, 32, 32), dtype=np.uint8)
        y = np.arange(300) % 10
        return x[:200], y[:200], x[200:], y[200:]


def test_real_images_are_read_split_and_labelled_real(tmp_path, monkeypatch):
    from models.data import locate

    monkeypatch.setattr(locate, "reader", lambda dataset: Reader())
    monkeypatch.setattr(CIFAR10CNN, "n_valid", 20)
    target = CIFAR10CNN(folder=str(tmp_path))
    target.stage("cpu")
    assert target.data == "real" and target.provenance["stand_in"] is False
    assert [target.provenance[k] for k in ("n_train", "n_valid", "n_test")] == [180, 20, 100]
    x, y, x_test, _ = Reader().load(tmp_path)
    assert (target.test[0].numpy() == x_test.transpose(0, 2, 3, 1)).all()
    assert sorted(target.valid[1].tolist()) == sorted(2 * list(range(10)))
    first = target.train[0][0, 4:-4, 4:-4].numpy().transpose(2, 0, 1)
    (row,) = (k for k in range(200) if (x[k] == first).all())
    assert int(target.train[1][0]) == y[row]
    few = CIFAR10CNN(folder=str(tmp_path), limit=16)
    few.stage("cpu")
    assert (
        len(few.train[1]) == 16 and len(few.valid[1]) == 4 and set(few.train[1].tolist()) <= {0, 1}
    )
