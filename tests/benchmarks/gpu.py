"""What a GPU makes of the targets, in under ten minutes: python tests/benchmarks/gpu.py

    python tests/benchmarks/gpu.py --device cpu --quick      a try of the script itself, without a GPU

Parts, each with its share of --minutes (8); what would begin after its part's time is left out and named:

images    cifar10_cnn (two shapes) and tiny_imagenet_resnet18 on procedural images [STAND-IN]: epochs a
          second and peak memory of this suite's step with a CUDA graph, without one, and compiled
          (torch.compile, no graph; the first epoch, which compiles, apart), beside the usual loop of
          tests/benchmarks/image_epochs.py on the same card with 0 and 2 loading processes; medians of
          --repeats epochs.
accuracy  cifar10_cnn: validation accuracy of this suite's training and of the usual loop after 6 epochs,
          over three seeds, mean and standard deviation.
mlpf      mlpf_torch's three layers on toy events of as many elements as an event has at pile-up 20 (872)
          and 140 (4,500): ms a trained event and peak memory, in bfloat16 where the card can, and in float32.
shared    one search of cifar10_cnn by one worker and by two that share the card (mpirun;
          backend.share_gpus=true): seconds on the wall.

One JSON line a row in --out as soon as it is measured, and a line on the screen. Not a test: seconds depend
on the machine and its load. Not run on a GPU so far.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import image_epochs
import mlpf_layers
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
ELEMENTS = {20: 872, 140: 4_500}
"""Pile-up -> elements of an event: at 20 the mean of the Pythia 8 stand-in, at 140 an estimate."""


class Bench:
    """The options, and where rows go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def row(self, **said: Any) -> None:
        on_gpu = self.options.device != "cpu"
        machine = torch.cuda.get_device_name() if on_gpu else "CPU: not a measurement of a GPU"
        row = {"machine": machine, "torch": torch.__version__, **said}
        with self.options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(" | ".join(f"{k} {v}" for k, v in said.items()), flush=True)


def synchronised_s(work: Callable[[], object], device: str) -> float:
    began = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def peak_mb(device: str) -> float | None:
    """Since the last call; None on a CPU."""
    if device == "cpu":
        return None
    peak = torch.cuda.max_memory_allocated() / 1e6
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 1)


def images(bench: Bench, deadline: float) -> None:
    # Compiling may take minutes: all cases have the other rows before.
    for kinds in (("graph", "no graph", "usual, 0 workers", "usual, 2 workers"), ("compiled",)):
        _images(bench, deadline, kinds)


def _images(bench: Bench, deadline: float, kinds: tuple[str, ...]) -> None:
    options = bench.options
    for name, (cls, config, fewer) in image_epochs.CASES.items():
        limit = options.images // (8 * fewer if options.quick else 1)
        for kind in kinds:
            if time.monotonic() > deadline:
                bench.row(part="images", case=name, kind=kind, left_out="no time left")
                continue
            target: Any = cls(data="stand_in", limit=limit, graph=kind == "graph")
            target.stage(options.device)
            if kind == "compiled":
                plain = target.network
                target.network = lambda config, plain=plain: torch.compile(plain(config))
            peak_mb(options.device)
            training: Any
            if kind.startswith("usual"):
                training = image_epochs.Usual(target, config, 1, int(kind.split()[1]))
            else:
                training = target.start(config, 1)
            spans = [
                image_epochs.seconds(training, epoch, options.device)
                for epoch in range(1, options.repeats + 2)
            ]
            s = statistics.median(spans[1:])
            bench.row(
                part="images", case=name, kind=kind, images=limit, first_epoch_s=round(spans[0], 3),
                epochs_a_second=round(1 / s, 3), images_a_second=round(limit / s), n=options.repeats,
                peak_mb=peak_mb(options.device),
            )  # fmt: skip


def accuracy(bench: Bench, deadline: float) -> None:
    options = bench.options
    cls, config, _ = image_epochs.CASES["cifar10_cnn L=2 f=16"]
    target: Any = cls(data="stand_in", limit=options.images // (8 if options.quick else 1))
    target.stage(options.device)
    epochs = 1 if options.quick else 6
    found: dict[str, list[float]] = {"ours": [], "usual": []}
    for seed in range(3):
        if time.monotonic() > deadline:
            bench.row(part="accuracy", seed=seed, left_out="no time left")
            break
        ours, usual = target.start(config, seed), image_epochs.Usual(target, config, seed, 0)
        for epoch in range(1, epochs + 1):
            ours.train_epoch(epoch)
            usual.train_epoch(epoch)
        found["ours"].append(ours.validate()["val_accuracy"])
        found["usual"].append(usual.accuracy())
    for kind, values in found.items():
        if len(values) > 1:
            bench.row(
                part="accuracy", kind=kind, epochs=epochs, n=len(values),
                mean=round(statistics.fmean(values), 4), sd=round(statistics.stdev(values), 4),
            )  # fmt: skip


def mlpf(bench: Bench, deadline: float) -> None:
    from kit import toy_events
    from models.mlpf import events
    from models.mlpf.mlpf_torch import MLPFTorch

    options = bench.options
    folder = Path(tempfile.mkdtemp())
    toy_events.write(folder / "delphes_standin_pu0/toy.pkl.bz2", toy_events.toy_events(12))
    shape = {"n_glayers_id": 1, "n_glayers_reg": 1, "output_dim": 32} if options.quick else {
        "n_glayers_id": 2, "n_glayers_reg": 2, "output_dim": 64}  # fmt: skip
    batch = 1 if options.quick else 5
    for precision in ("auto", "float32"):
        target = MLPFTorch(
            folder=str(folder), data="stand_in", limit=8, batch_size=batch, precision=precision
        )
        target.stage(options.device)
        for pileup, n in ELEMENTS.items():
            n = n // 8 if options.quick else n
            drawn = [toy_events.toy_event(np.random.default_rng(i), n) for i in range(batch)]
            target.train = target.valid = events.join(drawn)
            for layer, own in mlpf_layers.LAYERS.items():
                said = {"part": "mlpf", "layer": layer, "pileup": pileup, "elements": n,
                        "events_a_batch": batch, "precision": target.settled}  # fmt: skip
                if time.monotonic() > deadline:
                    bench.row(**said, left_out="no time left")
                    continue
                peak_mb(options.device)
                try:
                    config = {"layer": layer, **mlpf_layers.SHARED, **shape, **own, "lr": 1e-6}
                    training = target.start(config, 1)
                    spans = [
                        synchronised_s(lambda t=training, e=e: t.train(e), options.device)
                        for e in range(1, options.repeats + 2)
                    ]
                except MemoryError as error:
                    bench.row(**said, left_out=f"does not fit: {error}"[:200])
                    continue
                ms = 1e3 * statistics.median(spans[1:]) / batch
                bench.row(
                    **said, ms_an_event=round(ms, 2), n=options.repeats,
                    peak_mb=peak_mb(options.device),
                )  # fmt: skip


def shared(bench: Bench, deadline: float) -> None:
    options = bench.options
    if shutil.which("mpirun") is None:
        bench.row(part="shared", left_out="no mpirun on the PATH")
        return
    epochs, images = (2, options.images // 8) if options.quick else (8, options.images)
    for workers in (1, 2):
        if (left_s := deadline - time.monotonic()) < 1:
            bench.row(part="shared", workers=workers, left_out="no time left")
            continue
        with tempfile.TemporaryDirectory() as runs:
            words = [
                "mpirun", "--oversubscribe", "-n", str(workers + 1), sys.executable, "-m", "suite",
                "model=cifar10_cnn", "model.data=stand_in", f"model.limit={images}",
                "model.fixed={num_layers: 2, num_filters: 16, batch_size: 128}",
                "algorithm=random_search", "scheduler.n_trials=4", f"max_epochs={epochs}",
                f"backend.device={options.device.partition(':')[0]}", "backend.share_gpus=true",
                "tracking=later", "report=false", "seed=1",
            ]  # fmt: skip
            env = os.environ | {"SUITE_RUNS": runs, "PYTHONPATH": str(ROOT)}
            try:
                done = subprocess.run(
                    words, env=env, capture_output=True, text=True, timeout=left_s
                )
            except subprocess.TimeoutExpired:
                bench.row(part="shared", workers=workers, left_out="no time left")
                continue
            record = next(iter(Path(runs).rglob("record.json")), None)
            if done.returncode or record is None:
                bench.row(part="shared", workers=workers, failed=(done.stdout + done.stderr)[-500:])
                continue
            wall = json.loads(record.read_text())["time"]["wall"]["value"]
        bench.row(part="shared", workers=workers, trials=4, epochs=epochs, wall_s=round(wall, 2))


PARTS = {
    "images": (images, 0.45),
    "accuracy": (accuracy, 0.2),
    "mlpf": (mlpf, 0.2),
    "shared": (shared, 0.15),
}
"""Part -> its function and its share of the time."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--images", type=int, default=8192, help="training images")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the script")
    options = parser.parse_args()
    if unknown := set(options.parts.split(",")) - set(PARTS):
        parser.error(f"--parts {min(unknown)}: must be some of {', '.join(PARTS)}")
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error(
            f"--device {options.device}: torch sees no GPU here; --device cpu --quick tries the script"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # as on a worker
    bench = Bench(options)
    deadline = time.monotonic()
    for name, (part, share) in PARTS.items():
        # What a part leaves of its time, the next ones have.
        deadline += 60 * options.minutes * share
        if name in options.parts.split(","):
            part(bench, deadline)


if __name__ == "__main__":
    main()
