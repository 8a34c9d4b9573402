"""Seconds an epoch of the bAbI network: our compiled epoch against Keras `fit`, in one process.

    python tests/benchmarks/babi_epoch.py [--repeats 5] [--published] [--device cuda]

Both train the same network on the same 9,000 generated questions in batches of 32, in turn, on one
thread unless OMP_NUM_THREADS says otherwise. Without validation; both start compiled (the seconds
of the first epoch are shown). fit is as a user would write it: arrays in memory, shuffled, default
settings (on a CPU it refuses jit_compile=True for this network).
Processor seconds are shown too: on a loaded machine they say more.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from models.babi_lstm import BabiLSTM
from models.babi_lstm import network as babi_network

CONFIG = {"learning_rate": 3e-3, "dropout": 0.2, "rho": 0.9, "weight_decay": 1e-5}


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--published", action="store_true", help="characters instead of words")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when TensorFlow is imported, in stage()

    target = BabiLSTM(data="stand_in", published=args.published)
    print(f"stage (data, compilation): {timed(lambda: target.stage(args.device))[0]:.1f} s")
    for trial in (1, 2):
        start = timed(lambda: target.start(CONFIG, trial))[0]  # noqa: B023
        training = target.start(CONFIG | {"dropout": 0.1 * trial}, trial)
        first = timed(lambda: training.train_epoch(1))[0]  # noqa: B023
        judged = timed(training.validate)[0]
        again = timed(training.validate)[0]
        print(
            f"trial {trial}: start {1e3 * start:.1f} ms, first epoch {first:.3f} s, "
            f"validation {judged:.3f} then {again:.3f} s"
        )

    import keras

    story, question, answer = (table.numpy() for table in target.train)

    keras.utils.set_random_seed(1)  # Keras needs one where operations must be deterministic
    network = babi_network.keras_network(target.sizes, CONFIG["dropout"])
    network.compile(
        keras.optimizers.RMSprop(CONFIG["learning_rate"], CONFIG["rho"]),
        keras.losses.SparseCategoricalCrossentropy(),
    )
    epoch = iter(range(2, 10_000))
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: training.train_epoch(next(epoch)),
        "Keras fit": lambda: network.fit([story, question], answer, batch_size=32, verbose=0),
    }
    compiled = {name: timed(run)[0] for name, run in sides.items()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, run in sides.items():
            found[name].append(timed(run))
    print(f"\nn = {args.repeats}, in turn; s an epoch of {len(answer)} questions")
    print("| | first | wall median | min | max | processor median |")
    print("|---|---|---|---|---|---|")
    for name, pairs in found.items():
        wall, cpu = ([pair[k] for pair in pairs] for k in (0, 1))
        print(
            f"| {name} | {compiled[name]:.2f} | {statistics.median(wall):.3f} | {min(wall):.3f} | "
            f"{max(wall):.3f} | {statistics.median(cpu):.3f} |"
        )


if __name__ == "__main__":
    main()
