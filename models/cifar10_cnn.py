"""The CIFAR-10 network of the Swift-Hyperband studies: two to four 5x5 convolutions, three linear
layers.

hardware: 1 thread of a 2-core x86-64 virtual machine (AVX-512, shared with other work); versions:
torch 2.13.0 (CPU); n = 5 epochs of 4,096 images; number: 6,000 images a second with 2 layers of 16
filters, 900 with 3 of 64, that is 2.0 and 1.3 times the usual loop (torchvision transforms in a
DataLoader) in the same run; lineage: Wulff et al. 2024 (Quantum Mach. Intell. 6:59).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from models.data.locate import DataChoice, Split
from models.images.augment import Augmentation
from models.images.target import ImageTarget
from models.torch_training import Precision
from suite.core.errors import unknown_name
from suite.core.space import Choice, Float, Parameter
from suite.core.types import Config

FIVE: dict[str, Parameter] = {
    "num_layers": Choice(2, 3, 4),
    "num_filters": Choice(16, 32, 48, 64),
    "batch_size": Choice(64, 128, 256, 512),
    "learning_rate": Float(1e-4, 1e-1, log=True),
    # The published text says "10e-5" for 1e-4.
    "momentum": Float(1e-4, 0.9, log=True),
}
THREE: dict[str, Parameter] = {
    "learning_rate": Float(1e-4, 1e-1, log=True),
    "dropout": Float(0.0, 1.0),
    "weight_decay": Float(1e-5, 1e-1, log=True),
}
DEFAULT_FIVE: dict[str, Any] = {
    "num_layers": 2,
    "num_filters": 16,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "momentum": 0.9,
}
DEFAULT_THREE: dict[str, Any] = {"learning_rate": 1e-3, "dropout": 0.25, "weight_decay": 1e-5}
# Standard deviation of a standard normal cut at -2 and 2.
TRUNCATED_STD = 0.87962566103423978


class CIFAR10CNN(ImageTarget):
    """CIFAR-10: 60,000 colour images of 32x32 pixels, 10 classes (Krizhevsky 2009).

    architecture "cnn", 5 hyperparameters: no padding, ReLU, biases, torch's default weights; SGD
    with momentum, cross-entropy. Random crop of 32 from 40 (black border) and mirror.
    architecture "vgg", 3 hyperparameters, the older study: 3x3 convolutions 64-64, 128-128, 256-256
    with max pooling after each pair, dropout, one linear layer; Adadelta, batch size 64; shift by
    up to a tenth, mirror, pixels in [0, 1] without further scaling.

    Split 45,000 / 5,000 / 10,000, stratified by class; test is the official test set.
    Source: the authors' public workflow (cifar10_torch_methods.py and cifar10_tf_methods.py of
    August 2024); Wulff et al. 2024, Quantum Mach. Intell. 6:59.
    Deviations: the published code selects on the test set (`split: published` restores it); it
    loses the momentum at every rung and replays the same shuffles, which is mended and not
    restored, since a resumed trial would then differ from an uninterrupted one. "vgg" is in torch
    instead of TensorFlow; shifts are whole pixels (-3..3) where Keras interpolates; Keras's
    Adadelta is kept (rho .95, epsilon 1e-7, decay decoupled from the gradient and scaled by the
    learning rate), as are its initial weights (normal cut at two deviations, zero biases).
    """

    parameters = FIVE
    default_configuration = DEFAULT_FIVE
    default_source = (
        'PyTorch\'s tutorial "Training a Classifier" (CIFAR-10, two 5x5 convolutions and three linear '
        "layers; SGD .001, momentum .9), with batches of 64, the smallest here, for its 4, and 16 filters in "
        "both layers for its 6 and 16"
    )
    data = "real"
    dataset = "cifar10"
    n_classes = 10
    n_valid = 5_000
    n_of_data = (50_000, 10_000)
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2023, 0.1994, 0.2010)
    checkpoint_bytes = 4_000_000
    epoch_s = 27.0

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
        architecture: Literal["cnn", "vgg"] = "cnn",
    ) -> None:
        if architecture not in ("cnn", "vgg"):
            raise unknown_name("architecture", architecture, ("cnn", "vgg"))
        self.architecture = architecture
        vgg = architecture == "vgg"
        self.augmentation = Augmentation(
            side=32, crop=32, pad=3 if vgg else 4, edge=vgg, mirror=0.5
        )
        if vgg:
            # Of this object, not of the class.
            self.parameters, self.default_configuration = THREE, DEFAULT_THREE
            self.default_source = (
                "Keras' Adadelta (.001) and the dropout of its CIFAR-10 example (.25 after convolutions); "
                "the space's least weight decay, since Keras has none"
            )
            self.checkpoint_bytes, self.epoch_s = 14_200_000, 490.0
            self.mean, self.std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        super().__init__(fixed, data, folder, split, limit, published, precision, graph)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"architecture": self.architecture}

    def network(self, config: Config) -> Any:
        if self.architecture == "vgg":
            return vgg(config["dropout"])
        return cnn(config["num_layers"], config["num_filters"])

    def optimizer(self, network: Any, config: Config) -> Any:
        if self.architecture == "cnn":
            return super().optimizer(network, config)
        import torch

        weights = list(network.parameters())
        keep = 1.0 - config["learning_rate"] * config["weight_decay"]
        optimizer = torch.optim.Adadelta(
            weights,
            lr=config["learning_rate"],
            rho=0.95,
            eps=1e-7,
            capturable=self.device.startswith("cuda"),
        )

        def decay(*_: Any) -> None:
            with torch.no_grad():
                torch._foreach_mul_(weights, keep)

        optimizer.register_step_pre_hook(decay)
        return optimizer

    def batch_size(self, config: Config) -> int:
        return 64 if self.architecture == "vgg" else super().batch_size(config)


def cnn(num_layers: int, num_filters: int) -> Any:
    """(b, 3, 32, 32) -> logits (b, 10).

    Deeper means fewer weights, since nothing is padded: the maps that reach the first linear layer
    have 10, 6 or 2 pixels a side for 2, 3 or 4 layers.
    """
    from torch import nn

    f = num_filters
    blocks: list[Any] = [nn.Conv2d(3, f, 5), nn.MaxPool2d(2), nn.ReLU()]  # (b, f, 14, 14)
    for _ in range(num_layers - 2):
        blocks += [nn.Conv2d(f, f, 5), nn.ReLU()]  # 4 pixels less a side
    blocks += [nn.Conv2d(f, 2 * f, 5), nn.ReLU(), nn.Flatten()]
    side = 14 - 4 * (num_layers - 1)
    blocks += [nn.Linear(2 * f * side * side, 120), nn.ReLU()]
    blocks += [nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*blocks)


def vgg(dropout: float) -> Any:
    """(b, 3, 32, 32) -> logits (b, 10); 1,186,378 weights."""
    from torch import nn

    blocks: list[Any] = []
    channels = 3
    for f in (64, 128, 256):  # 32, 16, 8 pixels a side; 4 after the last pool
        blocks += [nn.Conv2d(channels, f, 3, padding=1), nn.ReLU()]
        blocks += [nn.Conv2d(f, f, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = f
    blocks += [nn.Flatten(), nn.Dropout(dropout), nn.Linear(4096, 10)]
    for layer in blocks:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            inputs = layer.weight[0].numel()
            std = (2.0 / inputs) ** 0.5 / TRUNCATED_STD
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            bias: Any = layer.bias
            nn.init.zeros_(bias)
    return nn.Sequential(*blocks)
