"""Every sampler of the annealed regressor, with controls, on the same splits of MLPF's curves, in one run.

    SUITE_DATA=... python tests/benchmarks/annealers.py --out runs/annealers.jsonl [--splits 20]
    SUITE_DATA=... python tests/benchmarks/annealers.py --out runs/annealers.jsonl --show

Task: 20 training curves, 13 features, leak-free (regressors.py, `leak_free`); QSVR's defaults (8 reads, 50
sweeps, at most 60 rounds). Samplers: those by name, and each file of conf/sampler whose package is here
(tests/annealing/environment makes one with all). Measured of each split:

R²        of curves not seen, whose configurations are not among the training ones
gap       of the dual energy at the end above the exact minimum, relative to it (a quadratic program; its own
          duality gap, printed, says how exact)
18 spins  the first problem of 9 of these curves against all 2^18 states: whether a call finds the minimum,
          and the lowest read's distance above it in units of the minimum's size
fit       processor seconds of a fit, all threads together (the clock on the wall is another's on a machine
          that is shared)

Controls: uniform random bits, with as many reads and with 50 times as many; the exact SVR of the same C,
gamma and epsilon. A line a fit is appended to --out; what stands there is not run again, split after split,
so that all samplers have met the same ones. `mock` is left out: it takes too long.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from regressors import leak_free_split

from kit.driving import compose, names
from suite.annealing.samplers import Annealer
from suite.core.errors import SuiteError
from suite.predictors import qubo, svr_dual
from suite.predictors.epsilon_svr import EpsilonSVR
from suite.predictors.qsvr import QSVR

EXACT = "exact SVR"
BY_NAME = ("simulated", "path_integral", "tabu", "steepest_descent")
RANDOM = {"random bits": 8, "random bits, 50 x reads": 400}
SMALL = 9
"""Curves of the problem whose states are all tried: 18 spins."""


def samplers() -> dict[str, dict[str, Any]]:
    """Row -> QSVR's arguments."""
    rows: dict[str, dict[str, Any]] = {name: {"sampler": name} for name in BY_NAME}
    for name in names("sampler"):
        leaf = compose("predictor=qsvr", f"sampler@predictor.sampler={name}")["predictor"][
            "sampler"
        ]
        try:
            QSVR(sampler=leaf).check()
        except SuiteError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        rows[name] = {"sampler": leaf, "sampler_deadline_s": None}
    rows |= {name: {"sampler": "random", "num_reads": n} for name, n in RANDOM.items()}
    return rows


def exact_dual(kernel: Any, y: Any, C: float, epsilon: float, xi: float) -> tuple[float, float]:
    """The dual's minimum over |beta| <= C, and how far above the true one it can be.

    Coordinate descent, and between its sweeps Newton's step on the weights that are neither 0 nor C.
    """
    A, beta, gap = kernel + 2 * xi, np.zeros(len(y)), np.inf
    problem = kernel, y, epsilon, xi
    for sweep in range(4000):
        for i in range(len(y)):
            slope = y[i] - A[i] @ beta + A[i, i] * beta[i]
            value = np.sign(slope) * max(abs(slope) - epsilon, 0.0) / A[i, i]
            beta[i] = min(max(value, -C), C)
        if sweep % 20 == 0:
            free = (beta != 0) & (abs(beta) < C)
            step, sign = beta.copy(), np.sign(beta[free])
            right = y[free] - epsilon * sign - A[np.ix_(free, ~free)] @ beta[~free]
            step[free] = np.linalg.lstsq(A[np.ix_(free, free)], right, rcond=None)[0]
            good = (np.sign(step[free]) == sign).all() and (abs(step) <= C).all()
            if good and svr_dual.dual_energy(step, *problem) <= svr_dual.dual_energy(
                beta, *problem
            ):
                beta = step
            gap = svr_dual.duality_gap(beta, *problem, C)
            if gap < 1e-9:
                break
    return float(svr_dual.dual_energy(beta, *problem)), gap


class Problem:
    """A split, the exact minimum of its dual, and the small problem with all its states' energies."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.X, self.y, self.X_test, self.y_test = leak_free_split(number)
        model = QSVR()
        scaled = model._scale(self.X, self.y)
        target = scaled - scaled.mean()
        kernel = svr_dual.rbf_kernel(model.support_vectors_, model.support_vectors_, 0.05)
        self.lowest, self.certificate = exact_dual(kernel, target, 5.0, 0.02, 0.5)
        small = kernel[:SMALL, :SMALL], target[:SMALL]
        self.h, self.J = qubo.build_ising(*small, np.zeros(SMALL), 4.0, 2, 0.02, 0.5)
        states = 2.0 * (np.arange(2**18)[:, None] >> np.arange(18) & 1) - 1
        self.lowest_small = float(self._energies(states).min())

    def _energies(self, spins: Any) -> Any:
        return spins @ self.h + ((spins @ self.J) * spins).sum(axis=1)

    def row(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        from sklearn.metrics import r2_score

        exact = name == EXACT
        model = EpsilonSVR() if exact else QSVR(random_state=self.number, **arguments)
        wall, cpu = time.perf_counter(), time.process_time()
        model.fit(self.X, self.y)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        row = {"name": name, "split": self.number, "cpu_s": cpu, "wall_s": wall}
        row["r2"] = float(r2_score(self.y_test, model.predict(self.X_test)))
        if exact:
            return row | {"certificate": self.certificate / abs(self.lowest)}
        annealer = Annealer(
            arguments["sampler"], None, num_reads=arguments.get("num_reads", 8), num_sweeps=50,
            seed=self.number, deadline_s=None,
        )  # fmt: skip
        found = float(self._energies(annealer.ising(self.h, self.J).astype(float)).min())
        above = (found - self.lowest_small) / abs(self.lowest_small)
        return row | {
            "gap": (model.dual_energy_ - self.lowest) / abs(self.lowest), "small": above,
            "calls": model.sampler_info_["n_calls"], "reads": model.sampler_info_["n_reads"],
        }  # fmt: skip


def measure(out: Path, n: int) -> None:
    done = {(row["name"], row["split"]) for row in read(out)}
    rows = {EXACT: {}, **samplers()}
    warm = np.linspace(0, 1, 12).reshape(6, 2)
    for arguments in rows.values():
        # Imports and first kernels are no fit's.
        if arguments:
            QSVR(random_state=0, rounds=2, **arguments).fit(warm, warm[:, 0])
    for number in range(n):
        todo = [name for name in rows if (name, number) not in done]
        problem = Problem(number) if todo else None
        for name in todo:
            line = json.dumps(problem.row(name, rows[name]))
            with out.open("a") as file:
                file.write(line + "\n")
        print(f"split {number + 1} of {n}", file=sys.stderr, flush=True)


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def show(rows: list[dict[str, Any]]) -> None:
    """The table, over the splits that every sampler has met."""
    order = list(dict.fromkeys(row["name"] for row in rows))
    shared = set.intersection(*({r["split"] for r in rows if r["name"] == name} for name in order))
    rows = [row for row in rows if row["split"] in shared]
    print(f"n = {len(shared)} splits; 20 training curves\n")
    columns = (
        "sampler", "R²: mean ± sd (worst, best)", "gap: median (largest)",
        "18 spins: minimum found, mean distance", "reads a fit", "fit [processor s]: median (quartiles)",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---|---:|---|")
    exact = {row["split"]: row["r2"] for row in rows if row["name"] == EXACT}
    for name in order:
        mine = [row for row in rows if row["name"] == name]
        r2 = [row["r2"] for row in mine]
        cells = [
            f"{statistics.fmean(r2):.3f} ± {statistics.stdev(r2):.3f} ({min(r2):.3f}, {max(r2):.3f})"
        ]
        if name == EXACT:
            cells += ["0", "-", "-"]
        else:
            gaps, small = [r["gap"] for r in mine], [r["small"] for r in mine]
            cells.append(f"{statistics.median(gaps):.1%} ({max(gaps):.1%})")
            found = sum(s < 1e-9 for s in small)
            cells.append(f"{found} of {len(small)}, {statistics.fmean(small):.1%}")
            cells.append(f"{statistics.median(r['reads'] for r in mine):.0f}")
        low, middle, high = np.quantile([row["cpu_s"] for row in mine], (0.25, 0.5, 0.75))
        cells.append(f"{middle:.2g} ({low:.2g}..{high:.2g})")
        print(f"| {name} | {' | '.join(cells)} |")
    print("\nR² less the exact SVR's, same splits: mean ± standard error, splits above 0")
    for name in order:
        if name != EXACT:
            apart = [r["r2"] - exact[r["split"]] for r in rows if r["name"] == name]
            error = statistics.stdev(apart) / len(apart) ** 0.5
            above = sum(a > 0 for a in apart)
            print(
                f"  {name}: {statistics.fmean(apart):+.4f} ± {error:.4f}, {above} of {len(apart)}"
            )
    worst = max(row["certificate"] for row in rows if row["name"] == EXACT)
    share = statistics.median(row["cpu_s"] / row["wall_s"] for row in rows)
    print(f"\nexact minimum: duality gap at most {worst:.1e} of it")
    print(f"the machine: processor over wall-clock seconds, median {share:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="the table of what was measured")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if not options.show:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        measure(options.out, options.splits)
    show(read(options.out))


if __name__ == "__main__":
    main()
