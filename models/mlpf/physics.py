"""MLPF seen as a physicist sees it: jets, and missing or visible energy, of whole events.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: fastjet 3.5.2, awkward 2.14, vector
1.9; n = 300 events at pile-up 0 (1,630 jets), 1 trial; number: jet response .95, width .21, missing
energy 1.03, width .70 (of the trial in models/mlpf/__init__.py);
lineage: anti-kt jets (Cacciari, Salam, Soyez 2008), of e+e- the generalised kt algorithm (fastjet's
manual, Eur. Phys. J. C 72:1896, section 4.5) as jpata/particleflow has it for CLIC; response as in
Pata et al. 2021 and its successors: reconstructed over generated, its median and its width; median
and inter-quartile range over pt, against the rule-based particle flow, as E. Wulff's talk of July
2024 shows them.

A figure of a bin is called `NAME[:SERIES]/AXIS LOW..HIGH UNIT`; the report draws such figures of
any target (suite/report/binned_figure.py).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

# Largest distance in (eta, phi) between a generated jet and its reconstructed jet.
MATCHED = 0.1
# Fewer of a bin have no median and no quartiles.
FEWEST = 5
# In the names of figures of rule-based candidates.
RULE_BASED = ":rule_based"
CLASS, PT, ETA, SIN_PHI, COS_PHI = range(5)
Axis = tuple[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Energy:
    """An energy of a whole event. least: generated ones of less GeV are left out, for the response to them
    means little. edges: of bins of the generated one, GeV; each holds its lower end.
    """

    name: str
    of: Callable[[Any], float]
    least: float
    edges: tuple[float, ...]

    @property
    def axis(self) -> Axis:
        return self.name, self.edges


@dataclass(frozen=True, slots=True)
class View:
    """What is compared of an event: jets and energies.

    algorithm: fastjet's name of it; power: its exponent p, None where it has none. generated, reconstructed:
    least transverse momenta of a jet, GeV; the latter is low, so that the cut does not shape the response.
    edges: of bins of the generated jet's transverse momentum, from `generated` on.
    """

    algorithm: str
    power: float | None
    radius: float
    generated: float
    reconstructed: float
    edges: tuple[float, ...]
    energies: tuple[Energy, ...]

    @property
    def jets(self) -> Axis:
        return "pt", self.edges


def missing() -> str | None:
    """Why there is no event-level view here, or None where there is one."""
    absent = [m for m in ("fastjet", "awkward", "vector") if importlib.util.find_spec(m) is None]
    if not absent:
        return None
    return f"{', '.join(absent)} not installed (extra `hep`): no jet and missing-energy response"


def event_view(
    truth: Sequence[Any],
    guess: Sequence[Any],
    candidates: Sequence[Any] | None = None,
    view: View | None = None,
) -> dict[str, float]:
    """Response of jets and of energies of whole events, predictions against generator truth.

    view: which ones; None: PROTONS, with missing transverse energy.

    truth, guess, candidates: one array (n, 6) an event: class (0: no particle), pt [GeV], eta,
    sin phi, cos phi, energy [GeV]. candidates: of a rule-based particle flow, judged in the same
    way; `:rule_based` in the names of their figures. Particles are taken as massless, of momentum
    pt, so that energy and momentum cannot contradict each other. One that holds NaN or infinity
    counts nowhere but in n_not_finite.

    Width: half the distance of the 16th to the 84th percentile, over the median (for a Gaussian,
    its relative deviation). A figure that fewer than two jets or events decide is left out.
    In bins of the generated pt or energy: median, and iqr, the distance of the 25th to the
    75th percentile over the median; they are left out of bins with fewer than FEWEST, the number of
    jets or events stands there always.
    """
    view = view or PROTONS
    true_jets = clustered(truth, view.generated, view)
    generated = _joined([jets[:, 0] for jets in true_jets])
    figures = {"n_jets": float(len(generated)), **_counts("n_jets", view.jets, generated)}
    energies = []
    for energy in view.energies:
        true = np.array([energy.of(event) for event in truth])
        large = true > energy.least
        energies.append((energy, true, large))
        figures |= {f"n_events_{energy.name}": float(large.sum())}
        figures |= _counts(f"n_events_{energy.name}", energy.axis, true[large])
    for series, events in (("", guess), (RULE_BASED, candidates)):
        if events is None:
            continue
        figures[f"n_not_finite{series}"] = float(sum(_n_not_finite(event) for event in events))
        jets = clustered(events, view.reconstructed, view)
        figures |= _of_jets(series, view.jets, true_jets, jets)
        for energy, true, large in energies:
            response = np.array([energy.of(event) for event in events])[large] / true[large]
            name = f"{energy.name}_response"
            figures |= summary(name, response, series)
            figures |= _binned(name, series, energy.axis, true[large], response)
    return figures


def _of_jets(
    series: str, axis: Axis, true_jets: Sequence[Any], jets: Sequence[Any]
) -> dict[str, float]:
    """Matched share and response of the jets of each event."""
    generated, pairs = _joined([true[:, 0] for true in true_jets]), []
    for true, reconstructed in zip(true_jets, jets, strict=True):
        i, k = matched(true, reconstructed).T
        pairs.append(np.stack([true[i, 0], reconstructed[k, 0]], axis=1))
    at, response = np.concatenate([np.zeros((0, 2)), *pairs]).T
    response = response / at
    figures = {f"n_jets_matched{series}": float(len(at))}
    if len(generated):
        figures[f"jets_matched{series}"] = len(at) / len(generated)
    name = f"jets_matched{series}"
    n, n_matched = (_counts(name, axis, pt) for pt in (generated, at))
    figures |= {where: n_matched[where] / n[where] for where in n if n[where]}
    figures |= summary("jet_response", response, series)
    return figures | _binned("jet_response", series, axis, at, response)


def summary(name: str, response: Any, series: str = "") -> dict[str, float]:
    """Median and width of a response."""
    if len(response) < 2:
        return {}
    low, median, high = np.percentile(response, (16, 50, 84))
    if not median > 0:
        return {f"{name}_median{series}": float(median)}
    width = (high - low) / (2.0 * median)
    return {f"{name}_median{series}": float(median), f"{name}_width{series}": float(width)}


def _bins(axis: Axis, at: Any) -> Iterator[tuple[str, Any]]:
    """The end of each bin's figures' names, and which of `at` lie in it."""
    name, edges = axis
    for low, high in pairwise(edges):
        yield f"/{name} {low:g}..{high:g} GeV", (at >= low) & (at < high)


def _counts(name: str, axis: Axis, at: Any) -> dict[str, float]:
    return {f"{name}{where}": float(inside.sum()) for where, inside in _bins(axis, at)}


def _binned(name: str, series: str, axis: Axis, at: Any, response: Any) -> dict[str, float]:
    """Median and relative inter-quartile range of the response in each bin."""
    figures = {}
    for where, inside in _bins(axis, at):
        if inside.sum() < FEWEST:
            continue
        low, median, high = np.percentile(response[inside], (25, 50, 75))
        figures[f"{name}_median{series}{where}"] = float(median)
        if median > 0:
            figures[f"{name}_iqr{series}{where}"] = float((high - low) / median)
    return figures


def _joined(arrays: Sequence[Any]) -> Any:
    return np.concatenate([np.zeros(0), *arrays])


def _finite(event: Any) -> Any:
    """Which of the event's particles hold finite numbers alone."""
    return np.isfinite(np.asarray(event, np.float64)).all(axis=1)


def _n_not_finite(event: Any) -> int:
    return int((~_finite(event)).sum())


def momenta(event: Any) -> tuple[Any, Any, Any]:
    """px, py, pz [GeV] of the event's particles; a direction is what (sin, cos) point at, of any
    length.
    """
    rows = np.asarray(event, np.float64)
    rows = rows[_finite(rows) & (rows[:, CLASS] != 0) & (rows[:, PT] > 0)]
    length = np.hypot(rows[:, SIN_PHI], rows[:, COS_PHI])
    length[length == 0] = 1.0
    pt = rows[:, PT]
    pz = pt * np.sinh(np.clip(rows[:, ETA], -8.0, 8.0))
    return pt * rows[:, COS_PHI] / length, pt * rows[:, SIN_PHI] / length, pz


def missing_energy(event: Any) -> float:
    """Length of the sum of transverse momenta, GeV."""
    px, py, _ = momenta(event)
    return math.hypot(float(px.sum()), float(py.sum()))


def missing_momentum(event: Any) -> float:
    """Length of the sum of momenta, GeV: of e+e- the beams have none together."""
    return float(np.linalg.norm([part.sum() for part in momenta(event)]))


def visible_energy(event: Any) -> float:
    """Sum of energies, GeV, of particles taken as massless."""
    return float(np.sqrt(sum(part * part for part in momenta(event))).sum())


PROTONS = View(
    "antikt", None, 0.4, 20.0, 3.0, (20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 200.0, math.inf),
    (Energy("met", missing_energy, 10.0, (10.0, 20.0, 40.0, 80.0, math.inf)),),
)  # fmt: skip
"""Anti-kt jets, and missing transverse energy: along the beams an unknown part is lost."""

ELECTRONS = View(
    "ee_genkt", -1.0, 0.4, 5.0, 1.0, (5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, math.inf),
    (
        Energy("visible", visible_energy, 10.0, (10.0, 100.0, 200.0, 300.0, 350.0, math.inf)),
        Energy("missing", missing_momentum, 10.0, (10.0, 20.0, 40.0, 80.0, 120.0, math.inf)),
    ),
)  # fmt: skip
"""Of e+e- at 380 GeV: jets as jpata/particleflow has them for CLIC (ee_genkt, R = 0.4, p = -1, from 5 GeV
on), all visible energy, and the missing momentum in three dimensions. Bins are ours."""


def clustered(events: Sequence[Any], least_pt: float, view: View = PROTONS) -> list[Any]:
    """Jets (k, 3) of each event: pt, eta, phi, the hardest first."""
    import awkward as ak
    import fastjet
    import vector

    vector.register_awkward()
    parts = [momenta(event) for event in events]
    counts = np.array([len(px) for px, _, _ in parts])
    px, py, pz = (np.concatenate([np.zeros(0), *column]) for column in zip(*parts, strict=True))
    flat = {"px": px, "py": py, "pz": pz, "E": np.sqrt(px * px + py * py + pz * pz)}
    particles = ak.zip(
        {k: ak.unflatten(v, counts) for k, v in flat.items()}, with_name="Momentum4D"
    )
    settings = (view.radius,) if view.power is None else (view.radius, view.power)
    definition = fastjet.JetDefinition(getattr(fastjet, f"{view.algorithm}_algorithm"), *settings)
    jets = fastjet.ClusterSequence(particles, definition).inclusive_jets(min_pt=least_pt)
    tables = []
    for x, y, z in zip(*(ak.to_list(jets[k]) for k in ("px", "py", "pz")), strict=True):
        jx, jy, jz = np.array(x, float), np.array(y, float), np.array(z, float)
        pt = np.hypot(jx, jy)
        table = np.stack([pt, np.arcsinh(jz / np.maximum(pt, 1e-9)), np.arctan2(jy, jx)], axis=1)
        tables.append(table[np.argsort(-pt, kind="stable")])
    return tables


def match(true: Any, reconstructed: Any) -> Any:
    """Reconstructed pt over true pt of each matched pair of jets (k, 3)."""
    i, k = matched(true, reconstructed).T
    return reconstructed[k, 0] / true[i, 0]


def matched(true: Any, reconstructed: Any) -> Any:
    """(pairs, 2): the numbers of a true jet and of its reconstructed one.

    Pairs within MATCHED, the nearest first; each jet is used once.
    """
    gap = reconstructed[None, :, 2] - true[:, None, 2]
    gap = (gap + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(reconstructed[None, :, 1] - true[:, None, 1], gap)
    pairs: list[tuple[int, int]] = []
    used_true: set[int] = set()
    used_reconstructed: set[int] = set()
    for place in np.argsort(distance, axis=None, kind="stable").tolist():
        i, k = divmod(place, len(reconstructed))
        if distance[i, k] > MATCHED:
            break
        if i not in used_true and k not in used_reconstructed:
            pairs.append((i, k))
            used_true.add(i)
            used_reconstructed.add(k)
    return np.array(pairs, int).reshape(-1, 2)
