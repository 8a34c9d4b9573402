"""Seconds an event of mlpf against its number of elements: python tests/benchmarks/mlpf_scaling.py

A training step and an evaluation of one batch of toy events, medians over --repeats, in seconds of
the processor an event: for each bin_size the slope on a log-log scale (1: linear, as is claimed; an
all-to-all graph has 2), and at the largest size the seconds against bin_size. With --memory N: only
the peak resident memory of training steps on --batch events of N elements.
Not a test: figures depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", default="250,500,1000,2000,4000,8000")
    parser.add_argument("--bins", default="8,16,32,64,128")
    parser.add_argument("--layers", type=int, default=2, help="graph layers in each branch")
    parser.add_argument("--width", type=int, default=128, help="output_dim")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--memory", type=int, default=0, metavar="N")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import numpy as np

    from kit import toy_events
    from models.mlpf import MLPF, events

    folder = Path(tempfile.mkdtemp())
    toy_events.write(folder / "delphes_standin_pu0/toy.pkl.bz2", toy_events.toy_events(12))
    target = MLPF(folder=str(folder), data="stand_in", limit=8, batch_size=options.batch)
    target.stage("cpu")
    rng = np.random.default_rng(1)

    def trial(bin_size: int) -> Any:
        config = {
            "bin_size": bin_size,
            "dropout": 0.1,
            "lr": 1e-5,
            "n_glayers_id": options.layers,
            "n_glayers_reg": options.layers,
            "output_dim": options.width,
            "weight_decay": 1e-5,
        }
        return target.start(config, 1)

    def measured(training: Any, size: int) -> tuple[float, float]:
        """Seconds an event, trained and evaluated."""
        batch = [toy_events.toy_event(rng, size) for _ in range(options.batch)]
        target.train = target.valid = events.join(batch)
        found = []
        for work in (lambda: training.train_epoch(1), training.validate):
            work()
            spans = []
            for _ in range(options.repeats):
                began = time.process_time()
                work()
                spans.append(time.process_time() - began)
            found.append(statistics.median(spans) / options.batch)
        return found[0], found[1]

    if options.memory:
        bin_size = int(options.bins.split(",")[0])
        train_s, _ = measured(trial(bin_size), options.memory)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{options.batch} events of {options.memory} elements, bin_size {bin_size}, "
            f"{options.layers} + {options.layers} layers of {options.width}: peak {peak:.2f} GiB, "
            f"{train_s:.2f} CPU s an event trained"
        )
        return
    sizes = [int(n) for n in options.sizes.split(",")]
    print(f"{options.layers} + {options.layers} layers of {options.width}, batch {options.batch}")
    print("CPU ms an event, trained (evaluated), against its number of elements; slope log-log")
    print("bin_size " + "".join(f"{n:>16}" for n in sizes) + "   slope trained (evaluated)")
    for bin_size in map(int, options.bins.split(",")):
        training = trial(bin_size)
        table = np.array([measured(training, n) for n in sizes])
        slopes = [np.polyfit(np.log(sizes), np.log(column), 1)[0] for column in table.T]
        cells = "".join(f"{1e3 * t:9.1f} ({1e3 * e:5.1f})" for t, e in table)
        print(f"{bin_size:8} {cells}   {slopes[0]:.3f} ({slopes[1]:.3f})", flush=True)


if __name__ == "__main__":
    main()
