"""A small CNN on scikit-learn's handwritten digits: real images, nothing to download.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: torch 2.13.0 (CPU); n = 20
configurations drawn by seed; number: see epoch_s below (median s an epoch); lineage: the CIFAR-10
network of Wulff et al. 2024 (Quantum Mach. Intell. 6:59), shrunk to 8x8 grey images; data on the
device as in cifar10-airbench.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models import checkpoint, torch_checkpoint
from models.data import splits
from models.split_training import SplitTraining, one_batch
from suite.core.metric import Metric
from suite.core.seeds import stream_seed
from suite.core.space import Choice, Float, Int
from suite.core.target import Target, Training
from suite.core.types import Config

# The split belongs to the target, not to a run: every seed is judged on the same images.
SPLIT_SEED = 2024


class DigitsCNN(Target):
    """1,797 images of 8x8 pixels (UCI Optical Recognition of Handwritten Digits, via scikit-learn),
    10 classes.

    Stratified split 60 / 20 / 20 % (1,078 train, 359 validation, 360 test). The objective is the
    cross-entropy on the validation split, in nats.

    """

    parameters = {
        "num_layers": Int(1, 3),
        "num_filters": Int(4, 32, log=True),
        "batch_size": Choice(16, 32, 64, 128),
        "learning_rate": Float(1e-3, 1.0, log=True),
        "momentum": Float(0.0, 0.99),
    }
    default_configuration = {
        "num_layers": 2,
        "num_filters": 16,
        "batch_size": 32,
        "learning_rate": 0.01,
        "momentum": 0.0,
    }
    default_source = (
        "Keras' defaults (SGD: learning_rate .01, momentum 0; fit: batch_size 32); layers and filters, for "
        "which no framework has a default, are the middles of their ranges: ours"
    )
    metric = Metric("val_loss", "min")
    framework = "torch"
    data = "real"
    checkpoint_bytes = 40_000
    epoch_s = 0.04
    parallel = "models.torch_group.Group"

    def __init__(self, fixed: Mapping[str, Any] | None = None, weight_decay: float = 5e-4) -> None:
        super().__init__(fixed)
        self.weight_decay = weight_decay

    def stage(self, device: str) -> None:
        import torch
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        # Repeatable sums on GPUs too; on a CPU they are, as long as the number of threads stays.
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        images, labels = load_digits(return_X_y=True)
        rows = np.arange(len(labels))
        rest, test = train_test_split(rows, test_size=0.2, stratify=labels, random_state=SPLIT_SEED)
        train, valid = train_test_split(
            rest, test_size=0.25, stratify=labels[rest], random_state=SPLIT_SEED
        )
        mean, std = images[train].mean(), images[train].std()
        whole = np.ascontiguousarray(images, dtype="<f4")
        self.provenance = {
            "name": "digits (UCI, scikit-learn's copy)", "stand_in": False, "split": "fixed",
            "sha256": hashlib.sha256(whole.tobytes()).hexdigest(),
            "split_sha256": splits.digest(train, valid, test),
            "n_train": len(train), "n_valid": len(valid), "n_test": len(test),
        }  # fmt: skip

        def place(kept: Any) -> tuple[Any, Any]:
            x, y = (images[kept] - mean) / std, labels[kept]
            pixels = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8)
            return pixels.to(device), torch.tensor(y, dtype=torch.int64).to(device)

        self.device = device
        self.train, self.valid, self.test = place(train), place(valid), place(test)

    def warm_up(self) -> None:
        one_batch(self)

    def start(self, config: Config, seed: int) -> Training:
        return _Digits(self, config, seed)


class _Digits(SplitTraining):
    def __init__(self, target: DigitsCNN, config: Config, seed: int) -> None:
        import torch

        self.target, self.seed = target, seed
        self.batch_size = config["batch_size"]
        # Weights are drawn on the CPU: the same on every device.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "weights"))
            self.network = _network(config["num_layers"], config["num_filters"]).to(target.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config["learning_rate"],
            momentum=config["momentum"],
            weight_decay=target.weight_decay,
            nesterov=config["momentum"] > 0,
        )
        self._origin = checkpoint.identity(type(target).__name__, config, target.weight_decay)
        if target.group is not None:
            target.group.adapt(self.network, self.optimizer)

    def train_epoch(self, epoch: int) -> None:
        self.note_loss(self.train(epoch), epoch)

    def train(self, epoch: int, n_batches: int | None = None) -> float:
        """Train the epoch's first batches, None: all of them; returns their mean loss."""
        import torch
        from torch.nn.functional import cross_entropy

        images, labels = self.target.train
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "epoch", epoch))
        order = torch.randperm(len(images), generator=generator).to(images.device)
        images = _shift(images, generator)[order]
        labels = labels[order]
        if n_batches is not None:
            n = n_batches * self.batch_size
            images, labels = images[:n], labels[:n]
        self.network.train()
        total = torch.zeros((), device=images.device)
        group = self.target.group
        for x, y in zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True):
            if group is None:
                loss: Any = cross_entropy(self.network(x), y)
            else:
                low, high = group.share(0, len(y))
                loss = group.loss(self.network(x[low:high]), y[low:high])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(y)
        if group is not None:
            total = group.total(total)
        # The one synchronisation an epoch.
        return float(total) / len(labels)

    def evaluate(self, split: tuple[Any, Any]) -> dict[str, float]:
        import torch
        from torch.nn.functional import cross_entropy

        images, labels = split
        self.network.eval()
        with torch.inference_mode():
            scores = self.network(images)
            loss = float(cross_entropy(scores, labels))
            accuracy = float((scores.argmax(1) == labels).float().mean())
        return {"val_loss": loss, "val_accuracy": accuracy}

    def save(self, path: Path) -> None:
        torch_checkpoint.save(path, self.network, self.optimizer, self._origin)

    def load(self, path: Path) -> None:
        torch_checkpoint.load(path, self.network, self.optimizer, self._origin)


def _network(num_layers: int, num_filters: int) -> Any:
    """Blocks of 3x3 convolution, batch norm and ReLU; filters double and pixels halve with each;
    then one linear layer.
    """
    from torch import nn

    blocks: list[Any] = []
    channels, filters = 1, num_filters
    for _ in range(num_layers):
        blocks += [
            nn.Conv2d(channels, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        channels, filters = filters, 2 * filters
    pixels = (8 >> num_layers) ** 2
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(channels * pixels, 10))


def _shift(images: Any, generator: Any) -> Any:
    """Every image moved by -1, 0 or +1 pixels along both axes, all at once on the device."""
    import torch

    n, _, height, width = images.shape
    moves = torch.randint(0, 3, (2, n, 1), generator=generator).to(images.device)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), value=float(images.min()))
    rows = moves[0] + torch.arange(height, device=images.device)
    columns = moves[1] + torch.arange(width, device=images.device)
    picked = padded[
        torch.arange(n, device=images.device)[:, None, None],
        0,
        rows[:, :, None],
        columns[:, None, :],
    ]
    return picked[:, None]
