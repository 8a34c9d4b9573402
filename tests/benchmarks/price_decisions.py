"""Milliseconds of a decision of `price`, by the number of trials that have begun.

    python tests/benchmarks/price_decisions.py [--trials 50 200 800] [--workers 50] [--repeats 3]

Processor time of this process, one thread. A decision: one job is told, and the next is asked for, with
all that this needs (ladder, forest, prices, what can still be finished); a forest is fitted in some. Of
the decisions by which the number of trials doubles to that stated: mean, median, largest, each as the median
over repeats of the same decisions; and the least and the most of the means. Without and with the outlook
(outlook_node_hours=10, one each sixteenth of the budget). Made-up curves of 6 hyperparameters, R = 100, a
quarter as many workers as trials, or fewer. Rank 0 keeps up with W workers where a decision takes less than a
job's length / W.
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
    # So far off that it is never what decides; where shares of it matter: `end_ms` of `main`.
    has_end = True

    def __init__(self, n: int, end_ms: int) -> None:
        self.n_workers = self.n_nodes = n
        self.end_ms = end_ms
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


FAR_MS = 3_600_000_000
"""An end that is never what decides, nor a share of which is ever over."""
OUTLOOKS: dict[str, dict[str, float | None]] = {
    "none": {"outlook_node_hours": None},
    "outlook": {"outlook_node_hours": 10.0},
    # So low that the search goes on.
    "a price": {"outlook_node_hours": None, "stop_price": 1e-12},
}


def decisions(
    policy: str, most: int, workers: int, outlook: str = "none", end_ms: int = FAR_MS
) -> tuple[list[tuple[int, float]], int]:
    """(trials that have begun, ms) of each decision, until `most` trials have begun; and the time then."""
    machine = Workers(workers, end_ms)
    scheduler = Price(R, policy, n_trials=10 * most, **OUTLOOKS[outlook])  # type: ignore[arg-type]
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
    return taken[1:], machine.now_ms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(
        f"ms of processor time: mean [least, most of {options.repeats}], median, largest of n decisions"
    )
    # Libraries are imported when they are first needed.
    decisions("price", 40, 10, "outlook")
    for policy in ("price", "rank"):
        for most in options.trials:
            workers = max(min(options.workers, most // 4), 1)
            # The run is a quarter of its budget: four of the sixteen outlooks.
            _, end_ms = decisions(policy, most, workers)
            for outlook in OUTLOOKS:
                runs = []
                for _ in range(options.repeats):
                    taken, _ = decisions(policy, most, workers, outlook, 4 * end_ms)
                    runs.append([ms for begun, ms in taken if begun >= most / 2])
                means = [statistics.mean(ms) for ms in runs]
                middle = statistics.median(statistics.median(ms) for ms in runs)
                largest = statistics.median(max(ms) for ms in runs)
                print(
                    f"{policy:6s} {most:5d} trials, {workers:2d} workers, {outlook:8s} "
                    f"{statistics.median(means):6.2f} [{min(means):.2f}, {max(means):.2f}] "
                    f"{middle:6.2f} {largest:6.1f}  n={len(runs[0])}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
