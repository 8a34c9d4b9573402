"""ResNet-18 with the small stem on Tiny ImageNet.

hardware: 1 thread of a 2-core x86-64 virtual machine (AVX-512, shared with other work); versions:
torch 2.13.0 (CPU), torchvision 0.28.0; n = 5 epochs of 128 images, batch size 64; number: 8 images
a second, 1.4 times the usual loop in the same run (an epoch takes three hours: a GPU's work);
lineage: He et al. 2016, with the small stem used for CIFAR; Wulff et al. 2024 (Quantum Mach.
Intell. 6:59).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from models.data.locate import DataChoice, Split
from models.images import augment, torchvision
from models.images.target import ImageTarget, ImageTraining
from models.torch_training import Precision
from suite.core.errors import check_integer
from suite.core.space import Choice, Float
from suite.core.target import Training
from suite.core.types import Config


class TinyImageNetResNet18(ImageTarget):
    """Tiny ImageNet: 100,000 colour images of 64x64 pixels, 200 classes (Stanford CS231n).

    torchvision's ResNet-18, random weights, its 7x7 stem and max pooling replaced by one 3x3
    convolution; 11,271,496 weights; SGD with momentum, cross-entropy. Random crop of 56 resized to
    64, mirror, and upside down with probability .3.

    Split 90,000 / 10,000 of the training set, stratified by class; its val/ (10,000) is the test
    set, since the official test set has no labels.
    side: pixels a side; fewer than 64 only to rehearse on a CPU.

    Source: the authors' public workflow (tiny_img_torch_methods.py of August 2024); He et al. 2016
    for the network.
    Deviations: the published code selects on val/ and never leaves the training mode, so that batch
    normalisation takes its statistics from validation batches sorted by class, and keeps them.
    `published: true` restores both (with the trial's batch size; the landscape then depends on it).
    Not restored: the optimiser state lost at every rung, and labels read from a val/ folder that
    was not sorted into classes, the likely reason of the published accuracies near .01.
    """

    parameters = {
        "batch_size": Choice(64, 128, 256, 512),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "momentum": Float(1e-4, 0.9, log=True),
    }
    default_source = (
        "torchvision's training reference for ResNet on ImageNet (SGD .1, momentum .9, 8 GPUs with 32 images "
        "each)"
    )
    default_configuration = {"batch_size": 256, "learning_rate": 0.1, "momentum": 0.9}
    data = "real"
    dataset = "tiny_imagenet"
    n_classes = 200
    n_valid = 10_000
    n_of_data = (100_000, 10_000)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    checkpoint_bytes = 90_300_000
    epoch_s = 11_000.0

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        data: DataChoice = "real",
        folder: str | None = None,
        split: Split = "fixed",
        limit: int | None = None,
        published: bool = False,
        precision: Precision = "auto",
        graph: bool = True,
        side: int = 64,
    ) -> None:
        check_integer("side", side, 16, "(pixels), 64 but to rehearse")
        self.augmentation = augment.Augmentation(
            side=side, crop=side * 56 // 64, mirror=0.5, upturn=0.3
        )
        super().__init__(fixed, data, folder, split, limit, published, precision, graph)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"side": self.augmentation.side}

    def network(self, config: Config) -> Any:
        return resnet18()

    def _rows(self, y_fit: Any, y_held: Any) -> tuple[Any, Any, Any]:
        train, valid, test = super()._rows(y_fit, y_held)
        if self.published:
            # In the order of its class folders, as the published code reads it.
            valid = test = test[np.argsort(y_held[test], kind="stable")]
        return train, valid, test

    def start(self, config: Config, seed: int) -> Training:
        return _Published(self, config, seed) if self.published else super().start(config, seed)


class _Published(ImageTraining):
    """Evaluates in training mode: in batches of the trial's size, by the statistics of each batch."""

    judged_in_training_mode = True

    def _batches(self, split: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
        return zip(split[0].split(self.size), split[1].split(self.size), strict=True)


def resnet18() -> Any:
    """(b, 3, 64, 64) -> logits (b, 200).

    Maps: stem and layer 1 64 @ 64x64, layer 2 128 @ 32x32, layer 3 256 @ 16x16, layer 4 512 @ 8x8,
    their mean (b, 512). About 2.2 GMAC an image forward.
    """
    from torch import nn

    network = torchvision.import_torchvision().models.resnet18(weights=None, num_classes=200)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1)
    network.maxpool = nn.Identity()
    return network
