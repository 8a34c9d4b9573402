"""ResNet-18 on Tiny ImageNet: its size, its stem, and which statistics judge it."""

import pytest
import torch

from models.tiny_imagenet_resnet18 import TinyImageNetResNet18, resnet18
from suite.core.errors import ConfigError

CONFIG = {"batch_size": 64, "learning_rate": 0.01, "momentum": 0.5}


@pytest.fixture(scope="module")
def target():
    return staged()


def staged(**arguments):
    target = TinyImageNetResNet18(data="stand_in", **({"limit": 72, "side": 16} | arguments))
    target.stage("cpu")
    return target


def trained(target, config=CONFIG):
    training = target.start(config, 1)
    training.train_epoch(1)
    return training


def statistics(training):
    return [b.clone() for name, b in training.network.named_buffers() if "running" in name]


def test_it_has_the_published_number_of_weights_and_keeps_the_images_size():
    network = resnet18()
    assert sum(p.numel() for p in network.parameters()) == 11_271_496
    assert network.conv1.weight.shape == (64, 3, 3, 3) and network.conv1.bias is not None
    seen = {}
    for name in ("maxpool", "layer1", "layer4"):
        part = getattr(network, name)
        part.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out.shape}))
    network(torch.zeros(1, 3, 64, 64))
    assert seen["maxpool"] == (1, 64, 64, 64) and seen["layer4"] == (1, 512, 8, 8)


def test_validation_uses_the_running_statistics_and_leaves_them_alone(target):
    training = trained(target)
    before = statistics(training)
    training.validate()
    training.test()
    assert all(torch.equal(a, b) for a, b in zip(before, statistics(training), strict=True))
    assert not training.network.training
    training.train_epoch(2)
    assert training.network.training


def test_published_restores_the_training_mode_on_sorted_classes():
    target = staged(published=True)
    assert target.valid is target.test and target.provenance["split"] == "published"
    assert target.valid[1].tolist() == sorted(target.valid[1].tolist())
    training = trained(target)
    before = statistics(training)
    first = training.validate()
    assert not all(torch.equal(a, b) for a, b in zip(before, statistics(training), strict=True))
    assert training.validate() == first


def test_crops_of_seven_eighths_are_resized(target):
    assert TinyImageNetResNet18(data="stand_in").augmentation.crop == 56
    assert target.augmentation.crop == 14 and target.train[0].shape[1:] == (16, 16, 3)


def test_smaller_images_are_means_of_squares():
    import numpy as np

    target = TinyImageNetResNet18(data="stand_in", side=32)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    small = target._shrink(pixels)
    assert small.shape == (2, 32, 32, 3)
    assert abs(small[1, 3, 5, 2] - pixels[1, 6:8, 10:12, 2].mean()) <= 0.5
    with pytest.raises(ConfigError, match="side=24"):
        TinyImageNetResNet18(data="stand_in", side=24)._shrink(pixels)
    with pytest.raises(ConfigError, match="side=8"):
        TinyImageNetResNet18(side=8)
