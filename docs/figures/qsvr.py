"""The figure of the README's corner on the QSVR: a regression, its couplings, and its minimum.

    python docs/figures/qsvr.py [PNG]        (default: qsvr.png beside this file)

A toy of eight points, drawn by seed; the estimator is the suite's own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

# The checkout, where the package is not installed.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from suite.predictors import qubo, svr_dual
from suite.predictors.qsvr import QSVR
from suite.report import style

ROUNDS = {1: style.FAINT, 3: style.OKABE_ITO[5], 30: style.OKABE_ITO[0]}
_TOY: dict[str, Any] = {"C": 5.0, "gamma": 8.0, "epsilon": 0.05, "random_state": 1}


def data() -> tuple[Any, Any]:
    """Eight epochs-of-training against loss, say; X (8, 1), y (8,)."""
    rng = np.random.default_rng(4)
    x = np.linspace(0.02, 1.0, 8)
    return x[:, None], 0.25 + 0.6 * np.exp(-4 * x) + 0.12 * np.sin(9 * x) + rng.normal(0, 0.02, 8)


def draw(path: Path) -> Path:
    X, y = data()
    with style.rc():
        figure = style.canvas(2.9)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.15, 0.9, 1.05))
        _regression(left, X, y)
        _couplings(figure, middle, X, y)
        _minimum(right, X, y)
        words = (
            "QSVR, zoom encoding, 2 spins a point, simulated annealing: 8 reads x 50 sweeps a round"
        )
        return style.footed(figure, words, "toy", False, path)


def _regression(axes: Any, X: Any, y: Any) -> None:
    fine = np.linspace(-0.02, 1.04, 200)[:, None]
    for rounds, colour in ROUNDS.items():
        model = QSVR(rounds=rounds, **_TOY).fit(X, y)
        said = f"{rounds} round{'s' * (rounds > 1)}"
        axes.plot(fine, model.predict(fine), color=colour, label=said, linewidth=1.6)
    tube = _TOY["epsilon"] * np.ptp(y)
    axes.fill_between(
        fine[:, 0], model.predict(fine) - tube, model.predict(fine) + tube,
        color=style.OKABE_ITO[0], alpha=0.12, linewidth=0, label="tube of 30",
    )  # fmt: skip
    axes.plot(X, y, "o", color=style.INK, markersize=4.5, zorder=3)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.legend(loc="upper right")
    style.title(axes, "The regression", "")


def _couplings(figure: Any, axes: Any, X: Any, y: Any) -> None:
    kernel = svr_dual.rbf_kernel(X, X, _TOY["gamma"])
    scaled = (y - y.mean()) / np.ptp(y)
    h, J = qubo.build_ising(kernel, scaled, np.zeros(8), 1.0, 2, _TOY["epsilon"], 0.5)
    whole = J + J.T + np.diag(h)
    edge = np.abs(whole).max()
    image = axes.imshow(whole, cmap="RdBu_r", vmin=-edge, vmax=edge)
    axes.grid(False)
    axes.set_xlabel("spin")
    axes.set_ylabel("spin")
    figure.colorbar(image, ax=axes, shrink=0.8)
    style.title(axes, "What is annealed", "")


def _minimum(axes: Any, X: Any, y: Any) -> None:
    rounds = [1, 2, 3, 5, 8, 12, 18, 30]
    lowest = QSVR(rounds=200, num_reads=64, **_TOY).fit(X, y).dual_energy_
    marks: dict[str, tuple[dict[str, Any], str]] = {
        "annealed": ({}, style.OKABE_ITO[0]),
        "random bits": ({"sampler": "random"}, style.OKABE_ITO[1]),
        "random, 50 x reads": ({"sampler": "random", "num_reads": 400}, style.OKABE_ITO[4]),
    }
    for name, (options, colour) in marks.items():
        found = [QSVR(rounds=k, **_TOY | options).fit(X, y).dual_energy_ for k in rounds]
        above = np.maximum(np.array(found) - lowest, 1e-7) / abs(lowest)
        axes.plot(rounds, above, "o-", markersize=3.5, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("round")
    axes.set_ylabel("energy above the lowest (relative)", fontsize=8.5)
    axes.legend(loc="lower left")
    style.title(axes, "How near it comes", "")


if __name__ == "__main__":
    print(draw(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("qsvr.png"))))
