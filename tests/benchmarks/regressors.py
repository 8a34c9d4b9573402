"""QSVR on the recorded MLPF curves: the published protocol and a leak-free one, with controls.

    SUITE_DATA=... python tests/benchmarks/regressors.py [--splits 100] [--slow-splits 30]

Task: 20 training curves; 13 features (every 2nd of the first 25 epochs); the loss at the end.
Both protocols of suite.predictor_study, the first as published to the row and epoch:
published   all 295 recordings (the one with the largest last loss left out), target epoch 98 of
            0..99, quantile scalers fitted on all rows before splitting, half tested (random_state =
            123 + split). The published tables hold R² with its arguments swapped; both are shown.
leak_free   one recording of each configuration, half of the configurations tested, scalers fitted
            on the training rows, R² of the loss itself.
Controls on the same splits: the annealer replaced by uniform random bits (also with 50 times the
reads), no refinement, both; steepest descent; the exact SVR of the same C, gamma and epsilon.
Timings of one process: median, and the fastest and slowest quarter's edge.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from suite.predictors import qsvr_published, qubo, svr_dual
from suite.predictors.qsvr import QSVR

Split = tuple[Any, Any, Any, Any]
"""X_train (20, 13), y_train (20,), X_test, y_test."""


def table() -> tuple[Any, Any]:
    """Configurations (296, 7) and curves (296, 100) in the file's order."""
    path = Path(os.environ.get("SUITE_DATA", "../shared/data")) / "curves" / "mlpf_delphes.csv"
    rows = np.genfromtxt(path, delimiter=",", skip_header=1)
    return rows[:, :7], rows[:, 7:]


def published_split(number: int, n_train: int = 20) -> Split:
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import QuantileTransformer

    curves = table()[1]
    curves = np.delete(curves, curves[:, -1].argmax(), axis=0)
    X = QuantileTransformer(n_quantiles=50).fit_transform(curves[:, :25:2])
    y = QuantileTransformer(n_quantiles=50).fit_transform(curves[:, -2:-1])[:, 0]
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=123 + number)
    return X[:n_train], y[:n_train], X_test, y_test


def leak_free_split(number: int) -> Split:
    configs, curves = table()
    _, group = np.unique(configs, axis=0, return_inverse=True)
    rng = np.random.default_rng([7, number])
    order = rng.permutation(group.max() + 1)
    rows = np.array([rng.choice(np.flatnonzero(group == g)) for g in order])
    half = len(rows) // 2
    X, y = curves[rows][:, :25:2], curves[rows][:, -1]
    return X[:20], y[:20], X[half:], y[half:]


class Scaled:
    """A scikit-learn regressor between min-max scalers of X and y fitted on the training rows."""

    def __init__(self, inner: Any) -> None:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import MinMaxScaler

        self.model = TransformedTargetRegressor(
            make_pipeline(MinMaxScaler(), inner), transformer=MinMaxScaler()
        )
        self.fit, self.predict = self.model.fit, self.model.predict


def candidates(protocol: str) -> dict[str, tuple[bool, Callable[[int], Any]]]:
    """Name -> (slow, maker from a seed)."""
    from sklearn.svm import SVR

    as_given = protocol == "published"  # the published protocol scales beforehand

    def classical(C: float, gamma: float) -> Callable[[int], Any]:
        inner = SVR(C=C, gamma=gamma, epsilon=0.02)
        return lambda seed: inner if as_given else Scaled(inner)

    def annealed(make: Callable[..., QSVR] = QSVR, **options: Any) -> Callable[[int], Any]:
        scale = None if as_given else "minmax"
        if make is QSVR:
            options = {"C": 15.0} | options
        return lambda seed: make(scale=scale, random_state=seed, **options)

    return {
        "SVR C=67.61 gamma=.1": (False, classical(67.61, 0.1)),
        "SVR C=1.756 gamma=.1": (False, classical(1.756, 0.1)),
        "SVR C=15 gamma=.05 (exact zoom)": (False, classical(15.0, 0.05)),
        "SVR C=5 gamma=.05": (False, classical(5.0, 0.05)),
        "QSVR zoom": (False, annealed()),
        "QSVR zoom C=5 (conf/predictor)": (False, annealed(C=5.0)),
        "  random bits": (False, annealed(sampler="random")),
        "  random bits, 50 x the reads": (False, annealed(sampler="random", num_reads=400)),
        "  refine=False": (False, annealed(refine=False)),
        "  random bits, refine=False": (False, annealed(sampler="random", refine=False)),
        "  steepest descent": (False, annealed(sampler="steepest_descent")),
        "QSVR published, all ways": (True, annealed(QSVR.published)),
        "QSVR published, log-cosh softmax": (
            True, annealed(QSVR.published, combine="logcosh_softmax"),
        ),
        "  random bits (published)": (True, annealed(QSVR.published, sampler="random")),
    }  # fmt: skip


def study(protocol: str, n: int, n_slow: int) -> dict[str, list[tuple[float, float, float]]]:
    """Name -> per split (R², R² swapped, seconds of the fit)."""
    from sklearn.metrics import r2_score

    split = published_split if protocol == "published" else leak_free_split
    splits = [split(i) for i in range(max(n, n_slow))]
    found: dict[str, list[tuple[float, float, float]]] = {}
    for name, (slow, make) in candidates(protocol).items():
        found[name] = []
        for seed, (X, y, X_test, y_test) in enumerate(splits[: n_slow if slow else n]):
            model, begun = make(seed), time.perf_counter()
            model.fit(X, y)
            fit_s = time.perf_counter() - begun
            values = model.predict(X_test)
            found[name].append((r2_score(y_test, values), r2_score(values, y_test), fit_s))
        print(f"  {protocol}: {name.strip()}", file=sys.stderr, flush=True)
    return found


def report(protocol: str, found: dict[str, list[tuple[float, float, float]]]) -> None:
    print(f"\n## {protocol}\n")
    print("| | R² mean ± sd (worst) | R² swapped mean ± sd (worst) | n | fit [ms] |")
    print("|---|---|---|---:|---:|")
    for name, rows in found.items():
        r2, swapped, fit_s = zip(*rows, strict=True)
        said = [
            f"{statistics.fmean(x):.4f} ± {statistics.stdev(x):.4f} ({min(x):.3f})"
            for x in (r2, swapped)
        ]
        print(f"| {name} | {said[0]} | {said[1]} | {len(rows)} | {_ms(fit_s)} |")
    exact, zoom = found["SVR C=15 gamma=.05 (exact zoom)"], found["QSVR zoom"]
    for k, what in ((0, "proper"), (1, "swapped")):
        paired(f"zoom - exact SVR, {what}", zoom, exact, k)
    paired("zoom - published (all ways), proper", zoom, found["QSVR published, all ways"], 0)


def paired(what: str, one: list[Any], two: list[Any], column: int) -> None:
    apart = [a[column] - b[column] for a, b in zip(one, two, strict=False)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart) / len(apart) ** 0.5
    wins = sum(a > 0 for a in apart)
    print(f"\n{what}: {mean:+.4f} ± {error:.4f} (standard error), {wins} of {len(apart)} above 0")


def timings(found: dict[str, list[tuple[float, float, float]]]) -> None:
    """Fits on the same splits in one process; prediction; QUBO build."""
    fit_s = {name: [row[2] for row in rows] for name, rows in found.items()}
    slow, fast = fit_s["QSVR published, all ways"], fit_s["QSVR zoom"]
    ratios = sorted(a / b for a, b in zip(slow, fast, strict=False))
    print("\n## time\n")
    print(f"fit: published 1000 x 1000 {_ms(slow)} ms, zoom {_ms(fast[: len(slow)])} ms;")
    print(f"ratio on the same splits: median {statistics.median(ratios):.0f}", end=" ")
    print(f"({ratios[0]:.0f}..{ratios[-1]:.0f}, n = {len(ratios)})")
    X, y, X_test, _ = published_split(0)
    model = QSVR(C=15.0, scale=None, random_state=0).fit(X, y)
    predict_s = _repeat(lambda: model.predict(X_test), 300)
    print(
        f"predict {len(X_test)} rows: {_ms(predict_s)} ms; published path (quoted): 1490 ms,",
        end="",
    )
    print(f" ratio {1490 / (1e3 * statistics.median(predict_s)):.0f}")
    kernel = svr_dual.rbf_kernel(X, X, 0.1)
    build_s = _repeat(lambda: qsvr_published.build(kernel, y, 3, 0.02, 0.01), 300)
    print(f"QUBO build, 20 samples, 120 variables: {_ms(build_s)} ms; published: 460 quoted")
    center = np.zeros(20)
    ising_s = _repeat(lambda: qubo.build_ising(kernel, y, center, 4.0, 2, 0.02, 0.5), 300)
    print(f"Ising build, 20 samples, 40 variables: {_ms(ising_s)} ms")


def through_chains(n: int) -> None:
    """60 samples (120 spins) end to end on a simulated Pegasus P16, published protocol."""
    from sklearn.metrics import r2_score
    from sklearn.svm import SVR

    from suite.predictors.ensemble import Ensemble

    zoom = QSVR(C=15.0, scale=None)
    makers: dict[str, Callable[[int], Any]] = {
        "exact SVR, 60 samples": lambda seed: SVR(C=15, gamma=0.05, epsilon=0.02),
        "QSVR zoom, 60 samples": lambda seed: QSVR(C=15.0, scale=None, random_state=seed),
        "  through chains": lambda seed: QSVR(
            C=15.0, scale=None, random_state=seed, sampler="mock"
        ),
        "Ensemble of 3 x 20": lambda seed: Ensemble(zoom, random_state=seed),
    }
    print(f"\n## 60 samples, simulated P16, n = {n}\n")
    print("| | R² mean ± sd (worst) | fit [s] | broken chains |")
    print("|---|---|---:|---:|")
    for name, make in makers.items():
        r2, fit_s, broken = [], [], []
        for number in range(n):
            X, y, X_test, y_test = published_split(number, 60)
            model, begun = make(number), time.perf_counter()
            model.fit(X, y)
            fit_s.append(time.perf_counter() - begun)
            r2.append(r2_score(y_test, model.predict(X_test)))
            info = getattr(model, "sampler_info_", None) or {}
            broken.append(info.get("chain_break_fraction", math.nan))
        said = f"{statistics.fmean(r2):.4f} ± {statistics.stdev(r2):.4f} ({min(r2):.3f})"
        chains = f"{statistics.fmean(broken):.0%}" if broken[0] == broken[0] else "-"
        print(f"| {name} | {said} | {statistics.median(fit_s):.2f} | {chains} |")


def _repeat(call: Callable[[], Any], n: int) -> list[float]:
    found = []
    for _ in range(n):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return found


def _ms(seconds: Any) -> str:
    low, middle, high = (1e3 * float(q) for q in np.quantile(seconds, (0.25, 0.5, 0.75)))
    return f"{middle:.3g} ({low:.3g}..{high:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--slow-splits", type=int, default=30, help="of the published encoding")
    parser.add_argument("--protocols", default="published,leak_free")
    options = parser.parse_args()
    for protocol in options.protocols.split(","):
        found = study(protocol, options.splits, options.slow_splits)
        report(protocol, found)
        if protocol == "published":
            timings(found)
    through_chains(10)


if __name__ == "__main__":
    main()
