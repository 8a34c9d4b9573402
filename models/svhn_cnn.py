"""A convolutional network on Street View House Numbers: the trainable form of the table `baker_svhn`.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared (load 20 to 35); versions: torch 2.13.0
(CPU); n = 1 configuration on 1,024 images of the stand-in; number: see epoch_s (processor seconds an
epoch of 66,000 images, scaled up from there: depth 4, 16 filters); lineage: MetaQNN's networks of Baker
et al. 2017 (arXiv 1611.02167), whose curves are the table (arXiv 1705.10823).
"""

from __future__ import annotations

from typing import Any

from models.images.augment import Augmentation
from models.images.target import ImageTarget
from suite.core.space import Choice, Float, Int
from suite.core.types import Config

# A pool after each two convolutions: 32, 16, 8, 4 pixels a side.
PER_POOL = 2


class SVHNCNN(ImageTarget):
    """SVHN: 99,289 colour images of 32x32 pixels, the ten digits of house numbers (Netzer et al. 2011).

    depth 3x3 convolutions (padding 1, ReLU), num_filters in the first two and twice as many after each
    2x2 max pooling, which follows each second one; dropout after a pooling; the mean over what is left
    of the map; one linear layer. Adam, cross-entropy. Crop of 32 from 36 (black border), no mirror:
    digits have a hand.

    Split 66,000 / 7,257 / 26,032, stratified by class; test is the official test set, the "extra"
    images are not used. Without the files the stand-in is the procedural pictures of
    models/data/procedural.py: they are NOT house numbers. Source: the table's columns are num_params,
    depth and lr; its networks were drawn by MetaQNN from a larger space, which these five
    hyperparameters replace. Deviation: a constant learning rate.
    """

    parameters = {
        "depth": Int(1, 8),
        "num_filters": Choice(8, 16, 32, 64),
        "batch_size": Choice(64, 128, 256),
        "learning_rate": Float(1e-5, 1e-1, log=True),
        "dropout": Float(0.0, 0.5),
    }
    default_configuration = {
        "depth": 4,
        "num_filters": 32,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "dropout": 0.0,
    }
    default_source = (
        "Adam's own rate (.001, Kingma and Ba 2015), batches of 128 and no dropout; depth and filters, for "
        "which no framework has a default, are the middles of their ranges: ours"
    )
    data = "real"
    dataset = "svhn"
    n_classes = 10
    n_valid = 7_257
    n_of_data = (73_257, 26_032)
    # Of the training images' channels, as commonly used.
    mean = (0.4377, 0.4438, 0.4728)
    std = (0.1980, 0.2010, 0.1970)
    augmentation = Augmentation(side=32, crop=32, pad=2)
    checkpoint_bytes = 4_000_000
    epoch_s = 37.0

    def network(self, config: Config) -> Any:
        return cnn(config["depth"], config["num_filters"], config["dropout"])

    def optimizer(self, network: Any, config: Config) -> Any:
        import torch

        return torch.optim.Adam(
            network.parameters(),
            lr=config["learning_rate"],
            fused=True,
            capturable=self.device.startswith("cuda"),
        )


def cnn(depth: int, num_filters: int, dropout: float) -> Any:
    """(b, 3, 32, 32) -> logits (b, 10)."""
    from torch import nn

    blocks: list[Any] = []
    channels, width = 3, num_filters
    for layer in range(1, depth + 1):
        blocks += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
        if layer % PER_POOL == 0:
            blocks += [nn.MaxPool2d(2), nn.Dropout(dropout)]
            width *= 2
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
