"""How fast searches are simulated, beside others on the same curves.

python tests/benchmarks/simulators.py [--install] [--quick] [--only race|growth] [--profile]
(in the environment: ./bench exec ...; curves: SUITE_DATA)

Runs a second of Hyperband (R = 100, eta = 2) on the MLPF table, and what each contender does:
  ours           discrete events, 50 workers, overlapping brackets, the cluster's own conductor and
                 scheduler; epochs arrive with their job's end
  ours, journal  the same with the journal in a temporary folder, fsync as it is
  bare events    heap and numpy, 50 workers, overlapping brackets; shares no code, knows no failure
  bare loop      numpy, one bracket after the other, no clock at all
  optuna         HyperbandPruner, RandomSampler, one report an epoch, sequential, in memory
  syne-tune      ASHA with as many brackets (0.16 has no other Hyperband), simulator backend, 50
                 workers, tuner_sleep_time one epoch (60 s) and the library's own 5 s (simulated)
and events a second of ours at 100, 1,000 and 10,000 workers.
Contenders take turns, so that the machine's load meets all alike. Medians over rounds (smallest to
largest) of wall clock, and of processor time, which other people's load hardly changes and of which
the ratio is taken. With five rounds every contender has run the same ten seeds.
Peers live in an environment of their own (--peers; --install makes it); where it is missing they
are left out, and that is said. Not a test: figures depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

R, ETA, WORKERS, EPOCH_S = 100, 2, 50, 60.0
PEERS = (
    "optuna==5.0.0", "syne-tune==0.16.0", "pandas<3", "huggingface_hub", "fastparquet", "h5py",
)  # fmt: skip
"""What follows syne-tune is what its table backend needs and does not ask for."""

Tally = tuple[int, int, float]
"""Epochs trained and trials begun in one run, and the lowest value at R."""

# --- ours (the suite is imported here only: the peers' environment has none of it) ----------------


def cluster(**changes: Any) -> Any:
    """The simulated cluster of conf/, with these settings instead."""
    from omegaconf import OmegaConf

    from suite.core.plugins import make

    conf = Path(__file__).parents[2] / "conf/backend"
    leaf = OmegaConf.merge(
        OmegaConf.load(conf / "auto.yaml"), OmegaConf.load(conf / "simulate.yaml"), changes
    )
    settings = OmegaConf.to_container(leaf)
    del settings["defaults"]
    return make(settings, "backend")


class Ours:
    def __init__(self, journal: bool) -> None:
        from suite.core.plugins import make
        from suite.files import published_tables

        leaf = published_tables()["mlpf"].leaf(os.environ.get("SUITE_DATA", "data"))
        self.target = make(leaf, "model")
        # Once: a sweep, too, reads its configuration outside of what is timed here.
        self.cluster = cluster(workers=WORKERS, epoch_s=EPOCH_S)
        self.journal = journal
        self.folder = tempfile.TemporaryDirectory()
        self.n = 0

    def run(self, seed: int) -> Any:
        from suite.backends.forecasts import Forecaster
        from suite.backends.simulate import Simulation
        from suite.run.conductor import Conductor
        from suite.run.driver import Driver
        from suite.run.journal import Journal
        from suite.schedulers.hyperband import Hyperband
        from suite.searchers.random import Random

        self.n += 1
        scheduler = Hyperband(R, ETA)
        conductor = Conductor(
            scheduler, Random(), self.target.space, seed=seed, max_attempts=2, score=False
        )
        header = {"run_id": str(self.n), "seed": seed, "model": "mlpf_table"}
        folder = Path(self.folder.name) / str(self.n)
        driver = Driver(conductor, Journal(folder, header) if self.journal else None)
        Simulation(self.target, self.cluster, Forecaster(None, seed), seed, R).run(driver)
        driver.close("completed")
        return conductor

    def __call__(self, seeds: list[int]) -> list[Tally]:
        ran = [self.run(seed) for seed in seeds]
        return [(c.n_epochs, len(c.trials), c.trials[c.winner].curve[-1]) for c in ran]

    def curves(self, seed: int) -> np.ndarray:
        """What its trials 0, 1, 2, ... would show to the end: what the others are given."""
        trials = self.run(seed).trials
        return np.array([self.target.replay(t.config, t.seed).values for t in trials.values()])


# --- a bare loop that shares no code with the cluster ---------------------------------------------


def bare_plan() -> list[list[tuple[int, int, int]]]:
    """Brackets of rungs (trials, to_epoch, survivors), halves rounded to even as published."""
    s_max = int(math.log(R, ETA) + 1e-9)
    plan = []
    for s in range(s_max, -1, -1):
        n = math.ceil((s_max + 1) * ETA**s / (s + 1))
        rungs = [(n // ETA**i, round(R / ETA ** (s - i))) for i in range(s + 1)]
        plan.append([(n_i, r_i, max(n_i // ETA, 1)) for n_i, r_i in rungs])
    return plan


class BareLoop:
    def __init__(self, curves: np.ndarray) -> None:
        self.curves = curves  # seed x trial x epoch
        self.plan = bare_plan()

    def __call__(self, seeds: list[int]) -> list[Tally]:
        return [self.run(self.curves[seed]) for seed in seeds]

    def run(self, curves: np.ndarray) -> Tally:
        first, n_epochs, best = 0, 0, math.inf
        for bracket in self.plan:
            trials = np.arange(first, first + bracket[0][0])
            first += len(trials)
            before = 0
            for n, to_epoch, n_next in bracket:
                n_epochs += n * (to_epoch - before)
                before = to_epoch
                order = np.argsort(curves[trials, to_epoch - 1], kind="stable")
                trials = np.sort(trials[order[:n_next]])
            best = min(best, float(curves[trials[0], R - 1]))
        return n_epochs, first, best


class BareEvents(BareLoop):
    """A heap of (time, count), 50 workers, the oldest bracket's trials first."""

    def run(self, curves: np.ndarray) -> Tally:
        rng = np.random.default_rng(0)
        n_trials = sum(bracket[0][0] for bracket in self.plan)
        seconds = EPOCH_S * np.exp(0.3 * rng.standard_normal((n_trials, 1)))
        seconds = seconds * (1 + 0.1 * rng.standard_normal((n_trials, R)))
        ends = np.zeros((n_trials, R + 1))
        np.cumsum(seconds, axis=1, out=ends[:, 1:])
        last, n_epochs, n_free, now_s, count = [0] * n_trials, 0, WORKERS, 0.0, 0
        todo: list[list[int]] = []
        first = 0
        for bracket in self.plan:
            todo.append(list(range(first + bracket[0][0] - 1, first - 1, -1)))
            first += bracket[0][0]
        best, rung, told = math.inf, [0] * len(self.plan), [[] for _ in self.plan]
        heap: list[tuple[float, int, int, int]] = []
        while True:
            for b, waiting in enumerate(todo):
                while waiting and n_free:
                    trial, to_epoch = waiting.pop(), self.plan[b][rung[b]][1]
                    over_s = now_s + ends[trial, to_epoch] - ends[trial, last[trial]]
                    n_epochs += to_epoch - last[trial]
                    last[trial] = to_epoch
                    heapq.heappush(heap, (over_s, count, b, trial))
                    count, n_free = count + 1, n_free - 1
            if not heap:
                return n_epochs, n_trials, best
            now_s, _, b, trial = heapq.heappop(heap)
            n_free += 1
            told[b].append(trial)
            n, to_epoch, n_next = self.plan[b][rung[b]]
            if len(told[b]) == n:
                ranked = sorted((curves[i, to_epoch - 1], i) for i in told[b])
                told[b], rung[b] = [], rung[b] + 1
                if rung[b] < len(self.plan[b]):
                    todo[b] = [i for _, i in reversed(ranked[:n_next])]
                else:
                    best = min(best, float(ranked[0][0]))


# --- peers: this file, run by their environment's python ------------------------------------------


def optuna_run(curves: np.ndarray, seed: int) -> Tally:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    n_epochs = 0

    def objective(trial: Any) -> float:
        nonlocal n_epochs
        trial.suggest_int("row", 0, len(curves) - 1)  # the sampler's cost; its row would repeat
        for epoch, value in enumerate(curves[trial.number], start=1):
            n_epochs += 1
            trial.report(float(value), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(value)

    study = optuna.create_study(
        study_name=str(seed),
        sampler=optuna.samplers.RandomSampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(1, R, ETA),
    )
    study.optimize(objective, n_trials=len(curves))
    return n_epochs, len(study.get_trials(deepcopy=False)), float(study.best_value)


def syne_run(curves: np.ndarray, seed: int, sleep_s: float) -> Tally:
    import logging
    from contextlib import redirect_stdout

    import pandas
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
    from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
    from syne_tune.config_space import randint
    from syne_tune.optimizer.baselines import ASHA

    logging.disable(logging.WARNING)
    n = len(curves)
    space = {"row": randint(0, n - 1)}
    times = np.cumsum(np.full(curves.shape, EPOCH_S), axis=1)
    table = BlackboxTabular(
        pandas.DataFrame({name: range(n) for name in space}), space, {"epoch": randint(1, R)},
        np.stack([curves, times], axis=-1)[:, None], objectives_names=["loss", "elapsed"],
    )  # fmt: skip
    table.objectives_names = ["loss", "elapsed"]  # 0.16 drops the argument
    scheduler = ASHA(
        space, "loss", "epoch", R, reduction_factor=ETA, brackets=len(bare_plan()),
        points_to_evaluate=[dict.fromkeys(space, i) for i in range(n)], random_seed=seed,
    )  # fmt: skip
    np.random.seed(seed)  # its brackets are drawn from numpy's global generator
    callback = SimulatorCallback()
    tuner = Tuner(
        UserBlackboxBackend(table, "elapsed", seed=0, tuner_sleep_time=sleep_s), scheduler,
        StoppingCriterion(max_num_trials_started=n), WORKERS, sleep_time=0, callbacks=[callback],
        save_tuner=False, wait_trial_completion_when_stopping=True,
    )  # fmt: skip
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        tuner.run()
    results = callback.results
    best = min((float(r["loss"]) for r in results if r["epoch"] == R), default=math.inf)
    return len(results), len({r["trial_id"] for r in results}), best


RUNS: dict[str, Any] = {
    "optuna": optuna_run,
    "syne-tune, 60 s steps": lambda curves, seed: syne_run(curves, seed, EPOCH_S),
    "syne-tune, 5 s steps": lambda curves, seed: syne_run(curves, seed, 5.0),
}


def serve(name: str, path: str) -> None:
    """A peer's process: seeds in, seconds and tallies out, a line each."""
    curves = np.load(path)
    try:
        RUNS[name](curves[0], 0)  # imports and first-time costs are nobody's business
        version = {p: metadata.version(p) for p in (name.partition(",")[0], "numpy", "pandas")}
        print(json.dumps({"python": sys.version.split()[0], **version}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        raise
    for line in sys.stdin:
        found = timed(lambda some: [RUNS[name](curves[i], i) for i in some], json.loads(line))
        print(json.dumps(found), flush=True)


class Peer:
    def __init__(self, name: str, python: Path, curves: Path, folder: Path) -> None:
        self.process = subprocess.Popen(
            [python, __file__, "--peer", name, str(curves)], text=True, cwd=folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(folder / "stderr").open("w"),
            env={**os.environ, "SYNETUNE_FOLDER": str(folder / "syne-tune")},
        )  # fmt: skip
        self.versions = self._read()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line[0] in "{[":
                return json.loads(line)
        return {"error": "ended without a word"}

    def round(self, seeds: list[int]) -> Any:
        assert self.process.stdin is not None
        print(json.dumps(seeds), file=self.process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def install(folder: Path) -> None:
    import venv

    venv.create(folder, with_pip=True, clear=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *PEERS], check=True)


# --- measuring ------------------------------------------------------------------------------------


def timed(work: Any, seeds: list[int]) -> tuple[float, float, list[Tally]]:
    wall, cpu = time.perf_counter(), time.process_time()
    tallies = work(seeds)
    return time.perf_counter() - wall, time.process_time() - cpu, tallies


def spread(values: list[float]) -> str:
    middle = f"{statistics.median(values):9,.1f}"
    return f"{middle} ({min(values):,.1f} to {max(values):,.1f})"


def race(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Runs a second of all contenders, in turns."""
    ours, journaled = Ours(False), Ours(True)
    n_seeds = 4 if options.quick else 10
    curves = np.stack([ours.curves(seed) for seed in range(n_seeds)])
    np.save(folder / "curves.npy", curves)
    works: dict[str, Any] = {
        "ours": (lambda s: timed(ours, s), n_seeds),
        "ours, journal": (lambda s: timed(journaled, s), n_seeds),
        "bare events": (lambda s: timed(BareEvents(curves), s * 10), n_seeds * 10),
        "bare loop": (lambda s: timed(BareLoop(curves), s * 50), n_seeds * 50),
    }
    python = options.peers / "bin" / "python"
    peers: list[Peer] = []
    versions: dict[str, Any] = {"ours": {"python": sys.version.split()[0], "numpy": np.__version__}}
    versions["ours"]["swiftbench"] = metadata.version("swiftbench")
    for name in RUNS:
        if not python.exists():
            print(f"{name}: left out, no environment in {options.peers}; --install makes it")
            continue
        peer = Peer(name, python, folder / "curves.npy", folder)
        peers.append(peer)
        versions[name] = peer.versions
        if "error" in peer.versions:
            print(f"{name}: left out, {peer.versions['error']} (in {options.peers})")
            continue
        works[name] = (lambda s, peer=peer: peer.round(s[:2]), 2)
    found: dict[str, Any] = {name: {"wall": [], "cpu": [], "tallies": []} for name in works}
    for work, _ in works.values():
        work([0])
    for turn in range(options.rounds):  # peers run two of the seeds, other ones in each round
        seeds = [(2 * turn + i) % n_seeds for i in range(n_seeds)]
        for name, (work, n) in works.items():
            wall, cpu, tallies = work(seeds)
            found[name]["wall"].append(n / wall)
            found[name]["cpu"].append(n / cpu)
            found[name]["tallies"] += tallies
    for peer in peers:
        peer.close()
    columns = f"{'of wall clock':31} {'of processor time':33} ours/it  epochs  trials  best at R"
    print(f"\n{'runs a second':22} {columns}")
    for name, it in found.items():
        epochs, trials, best = (
            statistics.fmean(column) for column in zip(*it["tallies"], strict=True)
        )
        ratio = statistics.median(found["ours"]["cpu"]) / statistics.median(it["cpu"])
        print(
            f"{name:22} {spread(it['wall']):31} {spread(it['cpu']):33} {ratio:7.2f} "
            f"{epochs:7.0f} {trials:7.0f} {best:8.2f}"
        )
    print(f"n = {options.rounds} rounds; versions: {json.dumps(versions)}")
    return {"runs_per_s": found, "versions": versions}


def growth(options: argparse.Namespace) -> dict[str, Any]:
    """Events a second of ours, random curves, ten trials a worker."""
    from suite.backends.forecasts import Forecaster
    from suite.backends.simulate import Simulation
    from suite.core.curve_table import Recording
    from suite.core.metric import Metric
    from suite.core.space import Float
    from suite.core.target import Target
    from suite.run.conductor import Conductor
    from suite.run.driver import Driver
    from suite.schedulers.asha import Asha
    from suite.schedulers.random_search import RandomSearch
    from suite.schedulers.successive_halving import SuccessiveHalving
    from suite.searchers.random import Random

    pool = [Recording(tuple(row)) for row in np.random.default_rng(0).random((512, 27)).tolist()]

    class Noise(Target):
        parameters = {"x": Float(0.0, 1.0), "y": Float(1e-4, 1.0, log=True)}
        metric = Metric("val_loss", "min")
        framework, data = "numpy", "synthetic"

        def replay(self, config: Any, seed: int) -> Recording:
            return pool[seed % len(pool)]

        start = stage = None  # type: ignore[assignment]

    schedulers = {
        "random_search R=9": lambda n: (RandomSearch(9, n), 9),
        "asha R=27 eta=3": lambda n: (Asha(27, n, 3), 27),
        "halving R=27 eta=3": lambda n: (SuccessiveHalving(27, 3, n), 27),
    }
    sizes = (100, 1000) if options.quick else (100, 1000, 10_000)
    found: dict[str, Any] = {}
    print(f"\nevents a second of processor time, n_trials = 10 x workers; workers: {sizes}")
    for name, make in schedulers.items():
        rates: dict[int, list[float]] = {}
        for workers in sizes:
            for repeat in range(3):
                scheduler, longest = make(10 * workers)
                count = [0]

                def observe(event: Any, conductor: Any, count: list[int] = count) -> None:
                    count[0] += 1

                target = Noise()
                conductor = Conductor(
                    scheduler, Random(), target.space, seed=repeat, max_attempts=2, score=False
                )
                backend = Simulation(
                    target, cluster(workers=workers), Forecaster(None, 0), repeat, longest
                )
                gc.collect()  # of the run before
                begun = time.process_time()
                backend.run(Driver(conductor, None, [observe]))
                rates.setdefault(workers, []).append(count[0] / (time.process_time() - begun))
        middle = {workers: statistics.median(some) for workers, some in rates.items()}
        grown = middle[sizes[0]] / middle[sizes[-1]]
        allowed = math.log(sizes[-1] * 10) / math.log(sizes[0] * 10)
        said = "  ".join(f"{w:,}: {v:,.0f} (n = {len(rates[w])})" for w, v in middle.items())
        print(f"{name:20} {said}   cost an event grew {grown:.2f} fold (n log n: {allowed:.2f})")
        found[name] = rates
    return found


def profile() -> None:
    import cProfile
    import pstats

    ours = Ours(False)
    ours([0])
    profiler = cProfile.Profile()
    profiler.runcall(ours, list(range(20)))
    root = f"{Path(__file__).parents[2]}/"
    by_file: dict[str, float] = {}
    stats: Any = pstats.Stats(profiler)
    for (file, _, name), (_, _, own, _, _) in stats.stats.items():
        where = name if file == "~" else file.removeprefix(root)
        by_file[where] = by_file.get(where, 0.0) + own
    total = sum(by_file.values())
    print("\nwhere ours spends its own time (cProfile, 20 runs):")
    for where, own in sorted(by_file.items(), key=lambda item: -item[1])[:14]:
        print(f"  {100 * own / total:5.1f} %  {where}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="make the peers' environment first")
    peers = Path(tempfile.gettempdir()) / "swiftbench-peers"
    parser.add_argument("--peers", type=Path, default=peers, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer seeds, at most 1,000 workers")
    parser.add_argument("--only", choices=("race", "growth"))
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        serve(*options.peer)
        return
    if options.install:
        install(options.peers)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average {load} before the first round")
    found: dict[str, Any] = {}
    if options.only != "growth":
        with tempfile.TemporaryDirectory() as folder:
            found = race(options, Path(folder))
    if options.only != "race":
        found["events_per_s"] = growth(options)
    if options.profile:
        profile()
    print(f"load average {', '.join(f'{x:.1f}' for x in os.getloadavg())} at the end")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
