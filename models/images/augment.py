"""Augmentation and normalisation of images in bulk, on the device that holds them.

hardware, versions, n, number: see tests/benchmarks/image_epochs.py; lineage: data on the device and
whole-epoch augmentation as in cifar10-airbench. All random numbers of an epoch are drawn at once, on
the CPU.

Shapes: images are uint8 (n, height, width, 3), so a line is one contiguous row of 3 * width bytes. A
crop copies lines, and `permute(0, 3, 1, 2)` of a batch is torch's channels-last layout at no cost
(channels last is 1.5 times faster on CPUs too, measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Augmentation:
    """The changes to a training image, in this order, before it is normalised.

    pad: pixels added on each side (0, or the nearest pixel with `edge`); crop: side of the random
    crop in pixels, resized to `side` where smaller; mirror, upturn: probabilities of a horizontal
    and a vertical flip.
    """

    side: int
    crop: int
    pad: int = 0
    edge: bool = False
    mirror: float = 0.0
    upturn: float = 0.0

    @property
    def moves(self) -> int:
        """Places of the crop along one axis."""
        return self.side + 2 * self.pad - self.crop + 1


class Draws(NamedTuple):
    """The random choices of an epoch, each of shape (n,).

    order: of the images. The others are in that order: tops, lefts: upper left corner of the crop in
    pixels; mirrored, upturned: whether the image is flipped.
    """

    order: Any
    tops: Any
    lefts: Any
    mirrored: Any
    upturned: Any


def draw(n: int, how: Augmentation, generator: Any, device: str) -> Draws:
    """The choices for n images, on `device`.

    They are drawn on the CPU, so that an epoch is a function of (seed, epoch) on every device.
    """
    import torch

    order = torch.randperm(n, generator=generator)
    corners = torch.randint(0, how.moves, (2, n), generator=generator)
    flips = torch.rand((2, n), generator=generator)
    choices = (order, corners[0], corners[1], flips[0] < how.mirror, flips[1] < how.upturn)
    return Draws(*(tensor.to(device) for tensor in choices))


def augment(pixels: Any, draws: Draws, first: int, last: int, how: Augmentation) -> Any:
    """The images at places first..last-1 of the order, uint8 (b, side, side, 3).

    pixels: uint8 (n, side + 2 pad, side + 2 pad, 3), padded already.
    """
    chosen = Draws(*(tensor[first:last] for tensor in draws))
    images = crop(pixels, chosen.order, chosen.tops, chosen.lefts, how.crop)
    if how.crop != how.side:
        images = resize(images, how.side)
    if how.mirror:
        images = flip(images, chosen.mirrored, 2)
    if how.upturn:
        images = flip(images, chosen.upturned, 1)
    return images


def pad(pixels: Any, how: Augmentation) -> Any:
    """uint8 (n, side, side, 3) -> (n, side + 2 pad, side + 2 pad, 3), once, when data are staged.

    The padded images replace the others: a worker holds one copy of its training set.
    """
    import torch

    if how.pad == 0:
        return pixels
    n, height, width, channels = pixels.shape
    p = how.pad
    padded = pixels.new_zeros((n, height + 2 * p, width + 2 * p, channels))
    padded[:, p:-p, p:-p] = pixels
    if how.edge:
        at = torch.arange(-p, height + p).clamp(0, height - 1).to(pixels.device) + p
        padded[:, :p], padded[:, -p:] = padded[:, at[:p]], padded[:, at[-p:]]
        padded[:, :, :p], padded[:, :, -p:] = padded[:, :, at[:p]], padded[:, :, at[-p:]]
    return padded


def crop(pixels: Any, rows: Any, tops: Any, lefts: Any, side: int) -> Any:
    """One window of side x side pixels from each image named: uint8 (b, side, side, 3).

    All windows of all images are a strided view, so one gather copies whole lines of them.
    """
    n, height, width, channels = pixels.shape
    line = width * channels
    windows = pixels.as_strided(
        (n, height - side + 1, width - side + 1, side, side * channels),
        (height * line, line, channels, line, 1),
    )
    return windows[rows, tops, lefts].view(-1, side, side, channels)


def flip(images: Any, chosen: Any, axis: int) -> Any:
    """The chosen images mirrored along one axis; chosen: bool (b,)."""
    import torch

    return torch.where(chosen[:, None, None, None], images.flip(axis), images)


def resize(images: Any, side: int) -> Any:
    """uint8 (b, h, w, 3) -> (b, side, side, 3), bilinear; to whole numbers, as Pillow does."""
    from torch.nn.functional import interpolate

    planes = images.permute(0, 3, 1, 2).float()
    larger = interpolate(planes, size=(side, side), mode="bilinear", align_corners=False)
    return larger.round_().byte().permute(0, 2, 3, 1)


class Normalise:
    """uint8 (b, h, w, 3) -> float32 (b, 3, h, w), channels last: (x / 255 - mean) / std."""

    def __init__(self, mean: Any, std: Any, device: str) -> None:
        import torch

        middle, spread = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
        self.scale = (1.0 / (255.0 * spread)).to(device)
        self.shift = (-middle / spread).to(device)

    def __call__(self, images: Any) -> Any:
        return images.permute(0, 3, 1, 2).float().mul_(self.scale).add_(self.shift)
