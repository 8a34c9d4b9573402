"""MLPF's three layers in torch against TensorFlow's network: python tests/benchmarks/mlpf_layers.py losses

losses: the same events (STAND-IN: Pythia 8 with our simplified detector), settings and seeds; validation loss
after each epoch, beside the loss with all weights 0. One JSON line a trial in --out as soon as it is trained;
a trial that is there already is not trained again. `table` prints them.
scaling: processor seconds an event of one training step and one evaluation over its number of elements, and
the slope on a log-log scale (1: linear, 2: quadratic), toy events, one event a batch, medians of --repeats.
Not a test: seconds depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"dropout": 0.1, "lr": 1e-3, "weight_decay": 1e-4}
LAYERS: dict[str, dict[str, Any]] = {
    "gnn_lsh": {"bin_size": 32},
    "attention": {"num_heads": 4, "head_dim": 16},
    "favor": {"num_heads": 4, "head_dim": 16, "num_features": 64},
}
TRAINED = ("tensorflow gnn_lsh", *(f"torch {layer}" for layer in LAYERS))


def size(options: argparse.Namespace) -> dict[str, Any]:
    n = options.layers
    return {"n_glayers_id": n, "n_glayers_reg": n, "output_dim": options.width}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in ("pileup", "events", "epochs", "layers", "width", "what", "seed"))


def losses(options: argparse.Namespace) -> None:
    from models.mlpf import MLPF
    from models.mlpf.architecture import n_parameters
    from models.mlpf.mlpf_torch import MLPFTorch

    had = {key(row) for row in rows_of(options.out)}
    targets: dict[str, Any] = {}
    for seed in range(options.seeds):
        for what in TRAINED:
            framework, layer = what.split()
            row = {
                name: getattr(options, name)
                for name in ("pileup", "events", "epochs", "layers", "width")
            }
            row |= {"what": what, "seed": seed}
            if key(row) in had:
                continue
            if framework not in targets:
                make: Any = MLPF if framework == "tensorflow" else MLPFTorch
                targets[framework] = make(
                    data="stand_in", pileup=options.pileup, limit=options.events
                )
                targets[framework].stage("cpu")
            target, began = targets[framework], time.process_time()
            config = {**SHARED, **size(options), **LAYERS[layer]}
            training = target.start(
                config if framework == "tensorflow" else {"layer": layer, **config}, seed
            )
            curve = []
            for epoch in range(1, options.epochs + 1):
                training.train_epoch(epoch)
                curve.append(training.validate()["val_loss"])
            row |= {
                "val_loss": curve, "cpu_s": round(time.process_time() - began, 2),
                "control": target.copy_input_loss(), "parameters": n_parameters(training.net),
                "elements": round(float(target.train.n.mean()), 1), "pad": target.pad,
                "n_valid": len(target.valid.n), "config": config,
            }  # fmt: skip
            options.out.parent.mkdir(parents=True, exist_ok=True)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(what, seed, curve[-1], row["control"], f"{row['cpu_s']} s", flush=True)
    table(options)


def table(options: argparse.Namespace) -> None:
    """Mean and standard deviation over seeds of the last epoch's loss; against TensorFlow's, seed by seed."""
    rows = rows_of(options.out)
    for group in sorted({key(row)[:5] for row in rows}):
        mine = [row for row in rows if key(row)[:5] == group]
        one = mine[0]
        print(
            f"\npile-up {one['pileup']} [STAND-IN], {one['events']} events of {one['elements']:.0f} elements "
            f"to train, {one['n_valid']} to validate, {one['epochs']} epochs, "
            f"{one['layers']} + {one['layers']} layers of {one['width']}; all weights 0: {one['control']:.2f}"
        )
        base = {r["seed"]: r["val_loss"][-1] for r in mine if r["what"] == TRAINED[0]}
        for what in TRAINED:
            found = {r["seed"]: r for r in mine if r["what"] == what}
            if not found:
                continue
            last = [r["val_loss"][-1] for r in found.values()]
            gaps = [r["val_loss"][-1] - base[s] for s, r in found.items() if s in base]
            spread = f"sd {statistics.stdev(last):.2f}" if len(last) > 1 else "one seed"
            print(
                f"{what:20} {statistics.mean(last):8.2f} ({spread}, n = {len(last)}), "
                f"{100 * (1 - statistics.mean(last) / one['control']):5.1f} % below the control; "
                f"differences to TensorFlow {', '.join(f'{g:+.2f}' for g in gaps)}; "
                f"{found[min(found)]['parameters']:,} weights, "
                f"{statistics.mean(r['cpu_s'] for r in found.values()):.0f} s of the processor a trial"
            )


def scaling(options: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from kit import toy_events
    from models.mlpf import events
    from models.mlpf.mlpf_torch import MLPFTorch

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    toy_events.write(folder / "delphes_standin_pu0/toy.pkl.bz2", toy_events.toy_events(12))
    target = MLPFTorch(folder=str(folder), data="stand_in", limit=8, batch_size=1)
    target.stage("cpu")
    sizes = [int(n) for n in options.sizes.split(",")]
    shape = f"{options.layers} + {options.layers} layers of {options.width}"
    print(f"{shape}, one event a batch, {options.repeats} repeats")
    print("CPU ms an event, trained (evaluated), against its number of elements; slope log-log")
    print(f"{'layer':10}" + "".join(f"{n:>18}" for n in sizes) + "   slope trained (evaluated)")
    for layer, own in LAYERS.items():
        training = target.start({"layer": layer, **SHARED, **size(options), **own, "lr": 1e-6}, 1)
        rows = []
        for n in sizes:
            batch = [toy_events.toy_event(np.random.default_rng(n), n)]
            target.train = target.valid = events.join(batch)
            spans = []
            for work in (partial(training.train, 1), training.validate):
                work()
                found = []
                for _ in range(options.repeats):
                    began = time.process_time()
                    work()
                    found.append(time.process_time() - began)
                spans.append(statistics.median(found))
            rows.append(spans)
        times = np.array(rows)
        upper = slice(len(sizes) // 2 - 1, None)
        cells = "".join(f"{1e3 * a:10.1f} ({1e3 * b:6.1f})" for a, b in rows)
        slopes = [np.polyfit(np.log(sizes), np.log(c), 1)[0] for c in times.T]
        last = [np.polyfit(np.log(sizes[upper]), np.log(c[upper]), 1)[0] for c in times.T]
        print(
            f"{layer:10}{cells}   {slopes[0]:.2f} ({slopes[1]:.2f}); from {sizes[upper][0]} on "
            f"{last[0]:.2f} ({last[1]:.2f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("losses", "table", "scaling"))
    parser.add_argument(
        "--out", type=Path, default=Path("mlpf_layers.jsonl"), help="of losses and table"
    )
    parser.add_argument("--pileup", type=int, default=0)
    parser.add_argument(
        "--events", type=int, default=300, help="to train; a quarter of it to validate"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=2, help="layers in each branch")
    parser.add_argument("--width", type=int, default=64, help="output_dim")
    parser.add_argument(
        "--sizes", default="250,500,1000,2000,4000,8000", help="of scaling: elements"
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    {"losses": losses, "table": table, "scaling": scaling}[options.part](options)


if __name__ == "__main__":
    main()
