"""What the image targets share: data on the device, augmentation in bulk, one optimiser step, and
the epoch loop.

hardware: 1 thread of a 2-core x86-64 virtual machine (AVX-512); versions: torch 2.13.0 (CPU),
torchvision 0.28.0; n, number: tests/benchmarks/image_epochs.py, its figures stand in the targets'
files; lineage: data on the device and whole-epoch augmentation as in cifar10-airbench; channels
last and the fused optimiser are the faster ones on CPUs too (1.5 times, measured), so both are
always on.

Shapes: images are uint8 (n, height, width, 3): one contiguous row of 3 * width bytes a line, so a
crop copies lines, and `permute(0, 3, 1, 2)` of a batch is torch's channels-last layout for free.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from suite.core.errors import ConfigError, DataError, unknown_name

CHECKPOINT_VERSION = 1
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")
WARM_UP_STEPS = 3  # before a capture: cuDNN chooses its algorithms, the allocator grows
_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError)
_libraries: list[Any] = []  # torch.library forgets a schema when its Library is collected


def import_torchvision() -> Any:
    """torchvision, on any build of torch.

    Its wheel on the package index is linked against CUDA. On a CPU build of torch its C++ library
    does not load, nor are its operators known, and `import torchvision` ends in "operator
    torchvision::nms does not exist". Where the library does not load, the two schemas that the
    import asks for are defined first, without an implementation: models and transforms work,
    torchvision.ops.nms and image decoding do not (this project reads images with Pillow).
    This is the only place that imports torchvision.

    Raises ConfigError where it is not installed.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "torchvision: is not installed; install the version that belongs to torch "
            f"{torch.__version__} without its dependencies (pip install --no-deps torchvision)."
        )
    operators: Any = torch.ops
    library: Any = torch.library.Library
    for path in sorted(Path(spec.origin).parent.glob("_C.*")):
        with contextlib.suppress(OSError, ImportError):
            operators.load_library(path)
    for name, schema in (
        ("nms", "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
        ("qnms", "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
    ):
        if not hasattr(operators.torchvision, name):
            _libraries.append(library("torchvision", "FRAGMENT"))
            _libraries[-1].define(schema)
    import torchvision

    return torchvision


# --- augmentation: every random number of an epoch is drawn at once, on the CPU -------------------


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image, in this order, before it is normalised.

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
    """One epoch's random choices, each of shape (n,): the order of the images; then, at each place
    of that order, the crop's upper left corner in pixels and whether the image is flipped.
    """

    order: Any
    tops: Any
    lefts: Any
    mirrored: Any
    upturned: Any


def draw(n: int, how: Augmentation, generator: Any, device: str) -> Draws:
    """Drawn on the CPU, so that an epoch is a function of (seed, epoch) on every device."""
    import torch

    order = torch.randperm(n, generator=generator)
    corners = torch.randint(0, how.moves, (2, n), generator=generator)
    flips = torch.rand((2, n), generator=generator)
    found = (order, corners[0], corners[1], flips[0] < how.mirror, flips[1] < how.upturn)
    return Draws(*(tensor.to(device) for tensor in found))


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


# --- one step, on CPUs and GPUs -------------------------------------------------------------------


def setting(precision: str, device: str) -> str:
    """The precision that `auto` stands for on this device; sets torch's TF32 switches on GPUs.

    A CPU always computes in float32, so that its results repeat bit for bit. Raises ConfigError for
    an unknown name.
    """
    import torch

    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if not device.startswith("cuda"):
        return "float32"
    if precision == "auto":
        precision = "bfloat16" if torch.cuda.is_bf16_supported() else "tf32"
    allowed = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    return precision


def autocast(precision: str, device: str) -> Any:
    import torch

    if precision != "bfloat16":
        return contextlib.nullcontext()
    # Without the cache of cast weights: a captured step must cast them anew in every replay.
    return torch.autocast(device.split(":")[0], torch.bfloat16, cache_enabled=False)


class Step:
    """Forward, loss, backward, update; returns the batch's mean loss, still on the device.

    graph: on a GPU, full batches replay one CUDA graph, which saves the launches that bound small
    networks. Captured at the first full batch; a smaller last batch runs step by step.
    A graph and not torch.compile: a trial of a few minutes with its own shapes would spend up to
    one of them compiling.
    """

    def __init__(
        self,
        network: Any,
        optimizer: Any,
        loss: Callable[[Any, Any], Any],
        *,
        device: str,
        precision: str = "float32",
        prepare: Callable[[Any], Any] | None = None,
        graph_batch: int = 0,
    ) -> None:
        self.network, self.optimizer, self.loss = network, optimizer, loss
        self.device, self.precision = device, precision
        self.prepare = prepare or (lambda x: x)
        self.graph_batch = graph_batch
        self.forget()

    def forget(self) -> None:
        """Drop the captured graph: the optimiser's state lies elsewhere now (a checkpoint was
        loaded).
        """
        self._graph: Any = None

    def __call__(self, x: Any, y: Any) -> Any:
        if len(x) != self.graph_batch:
            return self._eager(x, y)
        if self._graph is None:
            self._capture(x, y)
        self._x.copy_(x)
        self._y.copy_(y)
        self._graph.replay()
        return self._loss

    def _eager(self, x: Any, y: Any) -> Any:
        with autocast(self.precision, self.device):
            value = self.loss(self.network(self.prepare(x)), y)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        self.optimizer.step()
        return value.detach()

    def _capture(self, x: Any, y: Any) -> None:
        import torch

        self._x, self._y = x.clone(), y.clone()
        new_stream: Any = torch.cuda.Stream
        aside = new_stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside), untouched(self.network, self.optimizer):
            for _ in range(WARM_UP_STEPS):
                self._eager(self._x, self._y)
        torch.cuda.current_stream().wait_stream(aside)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._loss = self._eager(self._x, self._y)
        self._graph = graph


@contextlib.contextmanager
def untouched(network: Any, optimizer: Any) -> Any:
    """Steps within leave weights, buffers and optimiser state as they were, at the same addresses.

    State that they create is set to 0: where SGD's momentum, Adam's moments and step count, and
    Adadelta's averages begin.
    """
    import torch

    def tensors() -> dict[Any, Any]:
        found: dict[Any, Any] = {("network", k): v for k, v in network.state_dict().items()}
        for parameter, state in optimizer.state.items():
            for k, v in state.items():
                if isinstance(v, torch.Tensor):
                    found[id(parameter), k] = v
        return found

    before = {key: value.clone() for key, value in tensors().items()}
    yield
    with torch.no_grad():
        for key, value in tensors().items():
            value.copy_(before[key]) if key in before else value.zero_()


# --- checkpoints ----------------------------------------------------------------------------------


def identity(target: str, config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its origin: version, target and a digest of all settings."""
    text = json.dumps([dict(config), dict(settings)], sort_keys=True, default=str)
    return {
        "version": CHECKPOINT_VERSION,
        "target": target,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def save(path: Path, network: Any, optimizer: Any, origin: Mapping[str, Any]) -> None:
    import torch

    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**state, "origin": dict(origin)}, path)


def load(path: Path, network: Any, optimizer: Any, origin: Mapping[str, Any]) -> None:
    """Read what `save` wrote; runs no code from the file.

    Raises DataError for a damaged file, ConfigError for one of another configuration or version.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["origin"]
    except torch.OutOfMemoryError:
        raise
    except _DAMAGED as e:
        raise DataError(
            f"checkpoint={path}: is damaged or none of ours ({type(e).__name__}); remove it, the "
            "trial then starts from an older one or anew."
        ) from e
    for key, value in origin.items():
        if not isinstance(found, dict) or found.get(key) != value:
            had = found.get(key) if isinstance(found, dict) else None
            raise ConfigError(
                f"checkpoint={path}: {key} is {had}, this trial's is {value}; resume with the "
                "configuration and version that wrote it, or remove it."
            )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
