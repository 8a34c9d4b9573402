"""How well `price` says what further node-hours will gain: expected against what came, in SIMULATED time.

    python tests/benchmarks/price_outlook.py [--tasks mlpf ptb ...] [--seeds 10] [--workers 8] [--policy rank]

Each run ends at 6 mean trainings; as many node-hours as 5 trainings take are looked ahead. A pair is an
outlook of the run's record, and how much the best trial at R became better in the node-hours after it, as
far as the run reaches. Of each table: seeds, pairs, mean expected, mean that came, their ratio, the share of
pairs in which something came, and Kendall's tau of the two over pairs. Pairs of one run overlap.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scipy.stats import kendalltau

from kit.driving import configured
from suite.launch.assemble import made_backend, search_of
from suite.launch.epoch_seconds import epoch_s
from suite.launch.execute import run
from suite.results.fold import load_run

TRAININGS, AHEAD = 6, 5


def pairs(task: str, seed: int, workers: int, policy: str) -> list[tuple[float, float]]:
    """(expected, came) of each outlook of one run, in units of the metric."""
    words = (
        f"task={task}", f"seed={seed}", "algorithm=price_rank", f"scheduler.policy={policy}",
        "backend=simulate", f"backend.workers={workers}", "tracking=later", "report=false",
        f"budget.trainings={TRAININGS}",
    )  # fmt: skip
    settings = configured(*words)
    target, backend = search_of(settings).target, made_backend(settings)
    ahead = AHEAD * settings.max_epochs * epoch_s(target, backend)[0] / 3600
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(
            configured(*words, f"scheduler.outlook_node_hours={ahead}"), Path(folder) / "r"
        )
        if outcome.status != "completed":
            raise SystemExit(outcome.reason)
        view = load_run(Path(folder) / "r")
    most = settings.max_epochs
    ends = sorted(
        (x.epochs[most - 1].time_s * workers / 3600, x.epochs[most - 1].objective)
        for x in view.trials.values()
        if len(x.epochs) >= most
    )
    found = []
    for _, used, best, expected in view.measured["scheduler"]["outlook"]["samples"]:
        if used + ahead <= view.time_s * workers / 3600:
            later = min((o for at, o in ends if at <= used + ahead), default=best)
            found.append((expected, max(best - later, 0.0)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["mlpf", "ptb", "lcbench_126026"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--policy", default="rank")
    args = parser.parse_args()
    for task in args.tasks:
        found = [
            pair
            for seed in range(args.seeds)
            for pair in pairs(task, seed, args.workers, args.policy)
        ]
        expected, came = (statistics.fmean(one) for one in zip(*found, strict=True))
        tau = kendalltau(*zip(*found, strict=True)).statistic
        share = sum(b > 0 for _, b in found) / len(found)
        print(
            f"{task}: SIMULATED, {args.seeds} seeds, {len(found)} pairs: expected {expected:.4g}, came "
            f"{came:.4g}, ratio {expected / came if came else float('inf'):.2f}, came at all {share:.2f}, "
            f"tau {tau:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
