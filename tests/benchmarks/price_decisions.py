"""Milliseconds of a decision of `price`, by the number of trials that have begun.

    python tests/benchmarks/price_decisions.py [--trials 50 200 800] [--workers 50]

Processor time of this process, one thread. A decision: one job is told, and the next is asked for, with
all that this needs (ladder, forest, prices, what can still be finished); a forest is fitted in some. Of
the decisions by which the number of trials doubles to that stated: mean, median, largest. Made-up
curves of 6 hyperparameters, R = 100, a quarter as many workers as trials, or fewer. Rank 0 keeps up with
W workers where a decision takes less than a job's length / W.
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from suite.core.seeds import stream
from suite.core.types import Curve, Train
from suite.schedulers.price import Price

R, D = 100, 6
EPOCH_MS = 1000


class Workers:
    """A machine of n workers, on which each trial's epochs take as long as they are drawn to."""

    overhead_ms = node_ms = 0
    # So far off that it is never what decides.
    has_end, end_ms = True, 3_600_000_000

    def __init__(self, n: int) -> None:
        self.n_workers = self.n_nodes = n
        self.now_ms = 0
        self.last_busy_ms: Sequence[int] = [0] * n
        self.trained: dict[int, int] = {}

    def epochs_ms(self, trial_id: int) -> Sequence[int]:
        ms = round(EPOCH_MS * stream(1, "speed", trial_id).lognormal(0.0, 0.3))
        return [ms] * self.trained.get(trial_id, 0)

    def is_resident(self, trial_id: int) -> bool:
        return False


def points(ids: Sequence[int]) -> list[tuple[float, ...]]:
    return [tuple(stream(1, "point", i).random(D).tolist()) for i in ids]


def curve(trial_id: int, to_epoch: int) -> Curve:
    x = points([trial_id])[0]
    noise = stream(1, "noise", trial_id).standard_normal(R)
    level = abs(x[0] - 0.3) + x[1] * x[2]
    return tuple(level + 1 / e**0.5 + 0.1 * noise[e - 1] / e**0.5 for e in range(1, to_epoch + 1))


def decisions(policy: str, most: int, workers: int) -> list[tuple[int, float]]:
    """(trials that have begun, ms) of each decision, until `most` trials have begun."""
    machine = Workers(workers)
    scheduler = Price(R, policy, n_trials=10 * most)  # type: ignore[arg-type]
    scheduler.on_machine(machine)
    scheduler.on_candidates(None, points)
    running: list[tuple[int, int, Train]] = []
    taken: list[tuple[int, float]] = []
    begun: set[int] = set()
    while len(begun) < most:
        told: Train | None = None
        if len(running) == workers:
            machine.now_ms, _, told = heapq.heappop(running)
            machine.trained[told.trial_id] = told.to_epoch
        values = curve(told.trial_id, told.to_epoch) if told else ()
        begin = time.process_time()
        if told is not None:
            scheduler.tell(told.trial_id, values)
        train = scheduler.ask()
        taken.append((len(begun), 1000 * (time.process_time() - begin)))
        assert isinstance(train, Train)
        if train.trial_id not in begun:
            begun.add(train.trial_id)
            scheduler.on_config(train.trial_id, points([train.trial_id])[0])
        n = train.to_epoch - machine.trained.get(train.trial_id, 0)
        ms = round(EPOCH_MS * stream(1, "speed", train.trial_id).lognormal(0.0, 0.3))
        heapq.heappush(running, (machine.now_ms + n * ms, len(taken), train))
    # The first decision of a run lays the candidates out.
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--workers", type=int, default=50)
    options = parser.parse_args()
    print("ms of processor time: mean, median, largest of n decisions")
    # Libraries are imported when they are first needed.
    decisions("price", 40, 10)
    for policy in ("price", "rank"):
        for most in options.trials:
            workers = max(min(options.workers, most // 4), 1)
            ms = [each for begun, each in decisions(policy, most, workers) if begun >= most / 2]
            print(
                f"{policy:6s} {most:5d} trials, {workers:2d} workers  {statistics.mean(ms):6.2f} "
                f"{statistics.median(ms):6.2f} {max(ms):6.1f}  n={len(ms)}"
            )


if __name__ == "__main__":
    main()
