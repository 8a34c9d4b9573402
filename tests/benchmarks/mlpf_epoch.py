"""One epoch of mlpf against Keras `fit` of the same network: python tests/benchmarks/mlpf_epoch.py

Both in this process on --threads threads, the same events, batch size, AdamW with AMSGrad, dropout
0.1; Keras as its guide says (padded arrays in memory, model.fit), first and without TensorFlow's
deterministic mode, which ours then turns on. Medians over --repeats epochs after one to warm up:
seconds on the clock and of the processor (the better figure where others use the machine too).
Not a test: figures depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = {  # n_glayers_id, n_glayers_reg, output_dim, bin_size
    "none": (0, 0, 8, 32),
    "small": (2, 2, 64, 16),
    "middle": (3, 2, 128, 32),
    "large": (3, 3, 256, 128),
}


def timed(work: Any, repeats: int) -> list[tuple[float, float]]:
    """Seconds on the clock and of this process's processors, of each repetition."""
    work()
    found = []
    for _ in range(repeats):
        start, began = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - start, time.process_time() - began))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--events", type=int, default=120, help="training events")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pileup", type=int, default=0)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--toy", action="store_true", help="toy events of the size of pile-up 0")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import keras
    import tensorflow as tf

    from kit import keras_mlpf
    from models.mlpf import MLPF

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if options.toy:
        from kit import toy_events

        folder = Path(tempfile.mkdtemp())
        events = toy_events.toy_events(options.events * 3 // 2, n=(79, 276))
        toy_events.write(folder / f"delphes_standin_pu{options.pileup}/toy.pkl.bz2", events)
        target = MLPF(folder=str(folder), data="stand_in", limit=options.events)
    else:
        target = MLPF(pileup=options.pileup, limit=options.events, data="stand_in")

    # Staged by its parts, so that deterministic mode comes after Keras.
    from models.mlpf import events as mlpf_events

    staged = mlpf_events.stage(target.source, "fixed", options.events, 0, None)
    n, pad = len(staged.train.n), staged.pad
    mean = staged.train.n.mean()
    print(f"{n} events, {mean:.0f} elements each, pad {pad}, {options.threads} thread(s)")
    X, y = keras_mlpf.padded(staged.train, pad)
    keras.utils.set_random_seed(1)
    from models.mlpf import architecture

    table: dict[str, list[list[tuple[float, float]]]] = {}
    chosen = options.networks.split(",")
    for name in chosen:
        n_id, n_reg, width, size = NETWORKS[name]
        net = architecture.Architecture(size, n_id, n_reg, width)
        model = keras_mlpf.KerasMLPF(net, 0.1)
        rate = keras.optimizers.AdamW(1e-4, weight_decay=1e-4, amsgrad=True)
        model.compile(optimizer=rate, loss=keras_mlpf.loss)

        def fit(model: Any = model) -> None:
            model.fit(X, y, batch_size=target.batch_size, verbose=0)

        table[name] = [timed(fit, options.repeats)]
    target.stage("cpu")
    for name in chosen:
        n_id, n_reg, width, size = NETWORKS[name]
        config = {
            "bin_size": size,
            "dropout": 0.1,
            "lr": 1e-4,
            "n_glayers_id": n_id,
            "n_glayers_reg": n_reg,
            "output_dim": width,
            "weight_decay": 1e-4,
        }
        training = target.start(config, 1)
        table[name].append(timed(lambda t=training: t.train_epoch(1), options.repeats))
    print("                            Keras fit       mlpf        ratio         least, most s")
    print("network   id reg width bin  clock  CPU s  clock  CPU s  clock   CPU")
    for name, runs in table.items():
        clock, cpu = ([statistics.median(t[k] for t in run) for run in runs] for k in (0, 1))
        n_id, n_reg, width, size = NETWORKS[name]
        spread = " ".join(f"[{min(r)[0]:.2f}, {max(r)[0]:.2f}]" for r in runs)
        print(
            f"{name:9} {n_id:2} {n_reg:3} {width:5} {size:3} {clock[0]:6.2f} {cpu[0]:6.2f} "
            f"{clock[1]:6.2f} {cpu[1]:6.2f} {clock[0] / clock[1]:6.2f} {cpu[0] / cpu[1]:5.2f}  "
            f"{spread}"
        )


if __name__ == "__main__":
    main()
