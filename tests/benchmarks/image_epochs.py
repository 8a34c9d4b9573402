"""One epoch of the image targets against the loop written the usual way, on the same machine.

    python tests/benchmarks/image_epochs.py [--limit 4096] [--repeats 5] [--device cpu] [--accuracy]

The usual way: a Dataset that holds arrays and makes a Pillow image of each, torchvision's v2
transforms image by image in a DataLoader (num_workers 0, then 2), plain SGD, `loss.item()` at every
batch. Both train the same network from the same weights on the same images (the procedural
stand-in; times do not depend on what is on a picture) and are timed alternately in one process:
training epochs without evaluation, the first of each left out; median and quartiles.
--accuracy: validation accuracy of both after --epochs epochs, over --seeds seeds, mean and sd.
A GPU is taken where there is one, and synchronised before the clock is read.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from models.cifar10_cnn import CIFAR10CNN
from models.images.target import ImageTarget
from models.images.torchvision import import_torchvision
from models.tiny_imagenet_resnet18 import TinyImageNetResNet18

CIFAR = {"batch_size": 128, "learning_rate": 0.02, "momentum": 0.9}
CASES: dict[str, tuple[type[ImageTarget], dict[str, Any], int]] = {
    "cifar10_cnn L=2 f=16": (CIFAR10CNN, CIFAR | {"num_layers": 2, "num_filters": 16}, 1),
    "cifar10_cnn L=3 f=64": (CIFAR10CNN, CIFAR | {"num_layers": 3, "num_filters": 64}, 1),
    "tiny_imagenet_resnet18": (
        TinyImageNetResNet18,
        {"batch_size": 64, "learning_rate": 0.02, "momentum": 0.9},
        32,
    ),
}
"""Target, configuration, and by how much fewer images a CPU gets."""


class Pictures(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, pixels: Any, labels: Any, transform: Callable[[Any], Any]) -> None:
        self.pixels, self.labels, self.transform = pixels, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.pixels[i])), int(self.labels[i])


def transforms(target: ImageTarget) -> tuple[Any, Any]:
    """Of training and of evaluation, as the published code has them."""
    import_torchvision()
    from torchvision.transforms import v2

    how = target.augmentation
    places = (
        [v2.RandomCrop(how.side, padding=how.pad)]
        if how.pad
        else [v2.RandomCrop(how.crop), v2.Resize(how.side)]
    )
    flips = [v2.RandomHorizontalFlip(how.mirror)]
    flips += [v2.RandomVerticalFlip(how.upturn)] if how.upturn else []
    last = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(list(target.mean), list(target.std)),
    ]
    return v2.Compose([*places, *flips, *last]), v2.Compose(last)


class Usual:
    """The reference loop."""

    def __init__(
        self, target: ImageTarget, config: dict[str, Any], seed: int, workers: int
    ) -> None:
        torch.manual_seed(seed)
        self.device = target.device
        self.network = target.network(config).to(self.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=config["learning_rate"], momentum=config["momentum"]
        )
        train, judge = transforms(target)
        pad = target.augmentation.pad
        pixels = target.train[0].cpu().numpy()
        pixels = np.ascontiguousarray(pixels[:, pad:-pad, pad:-pad] if pad else pixels)
        parts = (
            Pictures(pixels, target.train[1].cpu().numpy(), train),
            Pictures(*(part.cpu().numpy() for part in target.valid), judge),
        )
        self.train, self.valid = (
            torch.utils.data.DataLoader(
                part, config["batch_size"], shuffle=k == 0, num_workers=workers
            )
            for k, part in enumerate(parts)
        )

    def train_epoch(self, epoch: int) -> None:
        self.network.train()
        running = 0.0
        for x, y in self.train:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.network(x), y)
            loss.backward()
            self.optimizer.step()
            running += loss.item()
        assert math.isfinite(running)

    def accuracy(self) -> float:
        self.network.eval()
        right = n = 0
        with torch.no_grad():
            for x, y in self.valid:
                right += int((self.network(x.to(self.device)).argmax(1).cpu() == y).sum())
                n += len(y)
        return right / n


def seconds(training: Any, epoch: int, device: str) -> float:
    begun = time.perf_counter()
    training.train_epoch(epoch)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def said(values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.3g} ({low:.3g}..{high:.3g})"


def speed(name: str, target: ImageTarget, config: dict[str, Any], repeats: int) -> None:
    trainings = {
        "ours": target.start(config, 1),
        "usual, 0 workers": Usual(target, config, 1, 0),
        "usual, 2 workers": Usual(target, config, 1, 2),
    }
    found: dict[str, list[float]] = {kind: [] for kind in trainings}
    for epoch in range(1, repeats + 2):
        for kind, training in trainings.items():
            found[kind].append(seconds(training, epoch, target.device))
    n = len(target.train[1])
    for kind, values in found.items():
        kept = values[1:]
        ratios = [a / b for a, b in zip(kept, found["ours"][1:], strict=True)]
        print(
            f"| {name} | {kind} | {n} | {said(kept)} | {n / statistics.median(kept):.0f} "
            f"| {said(ratios)} |",
            flush=True,
        )


def accuracy(name: str, target: ImageTarget, config: Any, epochs: int, seeds: int) -> None:
    found: dict[str, list[float]] = {"ours": [], "usual": []}
    for seed in range(seeds):
        ours, usual = target.start(config, seed), Usual(target, config, seed, 0)
        for epoch in range(1, epochs + 1):
            ours.train_epoch(epoch)
            usual.train_epoch(epoch)
        found["ours"].append(ours.validate()["val_accuracy"])
        found["usual"].append(usual.accuracy())
    for kind, values in found.items():
        spread = statistics.stdev(values) if seeds > 1 else math.nan
        row = ", ".join(f"{value:.3f}" for value in values)
        n = len(target.train[1])
        print(
            f"| {name} | {kind} | {n} | {epochs} | {statistics.fmean(values):.3f} ± {spread:.3f} "
            f"| {row} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=int, default=4096, help="training images (0: all)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cases", default="", help="only cases whose name holds this text")
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64, help="pixels of tiny_imagenet_resnet18")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as on a worker
    machine = torch.cuda.get_device_name() if options.device != "cpu" else "CPU"
    print(f"{machine}, {torch.get_num_threads()} thread(s), torch {torch.__version__}\n")
    if options.accuracy:
        print("| case | loop | images | epochs | validation accuracy, mean ± sd | each |")
        print("|---|---|---:|---:|---:|---|")
    else:
        print(
            "| case | loop | images | s an epoch | images/s | times ours |\n"
            "|---|---|---:|---:|---:|---:|"
        )
    for name, (cls, config, fewer) in CASES.items():
        if options.cases not in name:
            continue
        limit = options.limit // (fewer if options.device == "cpu" else 1) or None
        sides = {"side": options.side} if cls is TinyImageNetResNet18 else {}
        target = cls(data="stand_in", limit=limit, **sides)
        target.stage(options.device)
        if options.accuracy:
            accuracy(name, target, config, options.epochs, options.seeds)
        else:
            speed(name, target, config, options.repeats)


if __name__ == "__main__":
    main()
