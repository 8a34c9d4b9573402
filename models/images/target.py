"""The common part of the image targets: splits, staging, the epoch loop, evaluation.

hardware, versions, n, number: see models/torch_training.py, whose step it uses; lineage: one class
for two networks, so that a third image target needs its parameters, its network and one YAML file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from models import checkpoint, torch_checkpoint, torch_training
from models.data import locate
from models.data.locate import DataChoice, Split, cache_folder, check_split, choose, data_folder
from models.images import augment
from models.split_training import SplitTraining, one_batch
from suite.core.errors import ConfigError, unknown_name
from suite.core.metric import Metric
from suite.core.seeds import stream_seed
from suite.core.target import Target, Training
from suite.core.types import Config
from suite.files import open_lock_file, write_whole

# The split belongs to the target: every run is evaluated on the same images.
SPLIT_SEED = 2024
# Rehearsals take so few classes that each has about this many examples.
PER_CLASS = 128
# Images in a forward pass without gradients.
EVALUATED = {"cpu": 250, "cuda": 2000}
# Images augmented at once, at least one batch.
AUGMENTED = {"cpu": 1, "cuda": 8192}


class ImageTarget(Target):
    """Labelled RGB images, held as uint8 on the device; the objective is validation accuracy.

    data: "real" needs the staged set, "stand_in" takes a procedural image set of the same shape
    (labelled so; it is NOT the data set), "auto" the real one where its files are all there.
    folder: data root in which `<dataset>/` lies, None: the environment's SUITE_DATA.
    split: "fixed", stratified parts of the training set, the official test (or val) set held out;
    "published": all of the training set, and the held-out set both selects and tests.
    limit: rehearsals; at most so many training images and a quarter of it to validate and to test,
    of the first limit / 128 classes only.
    precision: on GPUs auto, float32, tf32 or bfloat16; a CPU computes in float32.
    graph: on GPUs, replay each step as a CUDA graph.

    Raises ConfigError for an argument out of range, DataError where data=real is not staged.
    """

    metric = Metric("val_accuracy", "max")
    framework = "torch"
    parallel = "models.torch_group.Group"
    dataset: ClassVar[str]
    n_classes: ClassVar[int]
    n_valid: ClassVar[int]
    n_of_data: ClassVar[tuple[int, int]]
    """Images in the data set's training and held-out parts."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    augmentation: augment.Augmentation

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        data: DataChoice = "real",
        folder: str | None = None,
        split: Split = "fixed",
        limit: int | None = None,
        published: bool = False,
        precision: torch_training.Precision = "auto",
        graph: bool = True,
    ) -> None:
        super().__init__(fixed)
        if precision not in torch_training.PRECISIONS:
            raise unknown_name("precision", precision, torch_training.PRECISIONS)
        self.split = check_split(split, published, limit, "images")
        self.limit, self.published = limit, published
        self.precision, self.graph = precision, graph
        self.folder = data_folder(folder, self.dataset)
        self.data = choose(data, self.dataset, self.folder)
        self.provenance: dict[str, str | int | bool] = {}

    def network(self, config: Config) -> Any:
        """The untrained network, weights drawn from torch's global generator, on the CPU."""
        raise NotImplementedError

    def optimizer(self, network: Any, config: Config) -> Any:
        """SGD without weight decay or schedule, as published."""
        import torch

        return torch.optim.SGD(
            network.parameters(),
            lr=config["learning_rate"],
            momentum=config["momentum"],
            fused=True,
        )

    def batch_size(self, config: Config) -> int:
        size: int = config["batch_size"]
        return size

    @property
    def settings(self) -> dict[str, Any]:
        """Settings besides the configuration that change a trial; part of a checkpoint's identity."""
        return {
            "data": self.data,
            "split": self.split,
            "limit": self.limit,
            "published": self.published,
        }

    # --- data -------------------------------------------------------------------------------------

    def stage(self, device: str) -> None:
        """Read the data once, split them, and put three tensors on the device.

        They are the only copy that a worker holds. Raises DataError where files are missing or damaged.
        """
        from models.data import splits

        self.device = device
        self.settled = torch_training.set_precision(self.precision, device)
        self.normalise = augment.Normalise(self.mean, self.std, device)
        x_fit, y_fit, x_held, y_held = self._arrays()
        train, valid, test = self._rows(y_fit, y_held)
        self.provenance = {
            "name": self.dataset,
            "sha256": splits.digest(x_fit, y_fit, x_held, y_held),
            "stand_in": self.data != "real",
            "split": self.split,
            "split_sha256": splits.digest(train, valid, test),
            "n_train": len(train),
            "n_valid": len(valid),
            "n_test": len(test),
            "precision": self.settled,
            "pixels": self.augmentation.side,
        }
        pixels, labels = self._place(x_fit, y_fit, train)
        self.train = (augment.pad(pixels, self.augmentation), labels)
        self.test = self._place(x_held, y_held, test)
        fixed = self.split == "fixed"
        self.valid = self._place(x_fit, y_fit, valid) if fixed else self.test

    def _arrays(self) -> tuple[Any, Any, Any, Any]:
        """x uint8 (n, 3, side, side) and y int64 (n,) of the training and the held-out part."""
        if self.data == "real":
            return tuple(locate.reader(self.dataset).load(self.folder))
        n_fit, n_held = self.n_of_data
        if self.limit is not None:
            parts = 1 if self.split == "published" else 2
            n_fit = min(n_fit, self.limit + (parts - 1) * (self.limit // 4))
            n_held = min(n_held, self.limit // 4)
        side, classes = self.augmentation.side, self._classes()
        x, y = pictures(n_fit + n_held, side, classes, keep=self.limit is None)
        return x[:n_fit], y[:n_fit], x[n_fit:], y[n_fit:]

    def _classes(self) -> int:
        if self.limit is None:
            return self.n_classes
        return min(self.n_classes, max(2, self.limit // PER_CLASS))

    def _rows(self, y_fit: Any, y_held: Any) -> tuple[Any, Any, Any]:
        """Row numbers int64 of the three splits: train and validation rows of the training part
        (with split=published, validation and test are the same rows of the held-out part).
        """
        from models.data import splits

        fit = np.flatnonzero(y_fit < self._classes())
        test = np.flatnonzero(y_held < self._classes())
        if self.limit is not None:
            rng = np.random.default_rng(SPLIT_SEED)
            fit, test = rng.permutation(fit), np.sort(rng.permutation(test)[: self.limit // 4])
        if self.split == "published":
            return np.sort(fit[: self.limit]), test, test
        if self.limit is None:
            train, valid = splits.stratified(y_fit, self.n_valid, SPLIT_SEED)
        else:
            n_valid = min(self.limit // 4, len(fit) // 5)
            valid, train = fit[:n_valid], fit[n_valid : n_valid + self.limit]
        return np.sort(train), np.sort(valid), test

    def _place(self, x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        """uint8 (n, side, side, 3) and int64 (n,) on the device."""
        import torch

        pixels = np.ascontiguousarray(self._shrink(x[rows].transpose(0, 2, 3, 1)))
        labels = torch.from_numpy(np.asarray(y[rows], dtype=np.int64))
        return torch.from_numpy(pixels).to(self.device), labels.to(self.device)

    def _shrink(self, pixels: Any) -> Any:
        """Smaller images, if a rehearsal asks for them: each pixel is the mean of a square of pixels."""
        n, data_side, side = len(pixels), pixels.shape[1], self.augmentation.side
        if data_side == side:
            return pixels
        if data_side % side:
            raise ConfigError(
                f"side={side}: must divide {data_side}, the data set's pixels a side."
            )
        k = data_side // side
        return pixels.reshape(n, side, k, side, k, 3).mean((2, 4)).round().astype(np.uint8)

    # --- trials -----------------------------------------------------------------------------------

    def warm_up(self) -> None:
        one_batch(self)

    def start(self, config: Config, seed: int) -> Training:
        return ImageTraining(self, config, seed)


class ImageTraining(SplitTraining):
    """A trial of an image target: augmented epochs, evaluation, checkpoints."""

    judged_in_training_mode = False
    """Whether evaluation uses dropout and the batch statistics of training."""

    def __init__(self, target: ImageTarget, config: Config, seed: int) -> None:
        import torch
        from torch.nn.functional import cross_entropy

        self.target, self.seed = target, seed
        self.size = target.batch_size(config)
        # The same weights on every device.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "weights"))
            network = target.network(config)
        self.network = network.to(target.device, memory_format=torch.channels_last)
        self.optimizer = target.optimizer(self.network, config)
        self.origin = checkpoint.identity(type(target).__name__, config, target.settings)
        on_gpu = target.device.startswith("cuda")
        group = self.group = target.group
        if group is not None:
            group.adapt(self.network, self.optimizer)
        self.step = torch_training.Step(
            self.network,
            self.optimizer,
            cross_entropy if group is None else group.loss,
            device=target.device,
            precision=target.settled,
            prepare=target.normalise,
            # -1: a share may be empty, and is never a graph's batch
            graph_batch=-1 if group is not None else self.size if target.graph and on_gpu else 0,
        )

    def train_epoch(self, epoch: int) -> None:
        self.note_loss(self.train(epoch), epoch)

    def train(self, epoch: int, n_batches: int | None = None) -> float:
        """Train the epoch's first batches, None: all of them; returns their mean loss."""
        import torch

        pixels, labels = self.target.train
        n, device, how = len(labels), self.target.device, self.target.augmentation
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "epoch", epoch))
        draws = augment.draw(n, how, generator, device)
        chunk = max(1, AUGMENTED[device.split(":")[0]] // self.size) * self.size
        if self.group is not None:
            # A rank augments only its share of each batch.
            chunk = self.size
        if n_batches is not None:
            n = min(n, n_batches * self.size)
        total = torch.zeros((), device=device)
        self.network.train()
        with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
            torch.manual_seed(stream_seed(self.seed, "dropout", epoch))
            for first in range(0, n, chunk):
                last = min(first + chunk, n)
                if self.group is not None:
                    low, high = self.group.share(first, last)
                    x = augment.augment(pixels, draws, low, high, how)
                    total += self.step(x, labels[draws.order[low:high]]) * (last - first)
                    continue
                images = augment.augment(pixels, draws, first, last, how)
                answers = labels[draws.order[first:last]]
                for x, y in zip(images.split(self.size), answers.split(self.size), strict=True):
                    total += self.step(x, y) * len(y)
        if self.group is not None:
            total = self.group.total(total)
        # The one synchronisation an epoch.
        return float(total) / n

    def _batches(self, split: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
        """Batches of a split, fixed in size, so that their sums repeat bit for bit."""
        size = EVALUATED[self.target.device.split(":")[0]]
        return zip(split[0].split(size), split[1].split(size), strict=True)

    def evaluate(self, split: tuple[Any, Any]) -> dict[str, float]:
        import torch
        from torch.nn.functional import cross_entropy

        self.network.train(self.judged_in_training_mode)
        loss = torch.zeros((), device=self.target.device)
        right = torch.zeros((), device=self.target.device)
        precision, device = self.target.settled, self.target.device
        with torch.no_grad(), torch_training.autocast(precision, device):
            for x, y in self._batches(split):
                scores = self.network(self.target.normalise(x)).float()
                loss += cross_entropy(scores, y, reduction="sum")
                right += (scores.argmax(1) == y).sum()
        n = len(split[1])
        loss_right = torch.stack((loss, right)).tolist()
        return {"val_loss": loss_right[0] / n, "val_accuracy": loss_right[1] / n}

    def save(self, path: Path) -> None:
        torch_checkpoint.save(path, self.network, self.optimizer, self.origin)

    def load(self, path: Path) -> None:
        torch_checkpoint.load(path, self.network, self.optimizer, self.origin)
        self.step.forget()


# --- the stand-in ---------------------------------------------------------------------------------


def pictures(n: int, side: int, n_classes: int, keep: bool) -> tuple[Any, Any]:
    """models.data.procedural's images; with `keep`, drawn once a machine and then mapped from a
    file in SUITE_CACHE, else XDG_CACHE_HOME/swiftbench, else ~/.cache/swiftbench.

    The first worker draws, the others wait for its lock. A file's name holds a digest of the
    generator's source, so another version of it never reads old pictures.
    """
    import fcntl

    from models.data import procedural

    if not keep:
        return procedural.images(n, side, n_classes, SPLIT_SEED)
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    source = hashlib.sha256(Path(procedural.__file__).read_bytes()).hexdigest()[:12]
    stem = f"pictures_{n}_{side}_{n_classes}_{SPLIT_SEED}_{source}"
    kept = [cache / f"{stem}_{part}.npy" for part in ("x", "y")]
    with os.fdopen(open_lock_file(cache / f"{stem}.lock"), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept[1].exists():  # the labels are written last
            arrays = procedural.images(n, side, n_classes, SPLIT_SEED)
            for path, array in zip(kept, arrays, strict=True):
                write_whole(path, partial(_save, array), below=cache)
    return np.load(kept[0], mmap_mode="r"), np.load(kept[1])


def _save(array: Any, path: Path) -> None:
    # A path would get ".npy" appended.
    with path.open("wb") as file:
        np.save(file, array)
