"""MLPF seen as a physicist sees it: jets and missing transverse energy of whole events.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: fastjet 3.5.2, awkward 2.14, vector
1.9; n = 300 events at pile-up 0 (1,630 jets), 1 trial; number: jet response .95, width .21, missing
energy 1.03, width .70 (of the trial in models/mlpf/__init__.py);
lineage: anti-kt jets (Cacciari, Salam, Soyez 2008), response as in Pata et al. 2021 and its
successors: reconstructed over generated, its median and its width; median and inter-quartile range
over pt, against the rule-based particle flow, as E. Wulff's talk of July 2024 shows them.

A figure of a bin is called `NAME[:SERIES]/AXIS LOW..HIGH UNIT`; the report draws such figures of
any target (suite/report/binned_figure.py).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

# Radius of the anti-kt jets.
RADIUS = 0.4
# Largest distance in (eta, phi) between a generated jet and its reconstructed jet.
MATCHED = 0.1
# Least transverse momentum of a generated jet.
GENERATED_GEV = 20.0
# Least transverse momentum of a reconstructed jet: low, so that the cut does not shape the response.
RECONSTRUCTED_GEV = 3.0
# Least generated missing transverse energy; the response to less means little.
MISSING_GEV = 10.0
# Bins of the generated jet's pt and of the generated missing energy, GeV; each holds its lower end.
JETS = ("pt", (GENERATED_GEV, 30.0, 40.0, 60.0, 80.0, 120.0, 200.0, math.inf))
MET = ("met", (MISSING_GEV, 20.0, 40.0, 80.0, math.inf))
# Fewer of a bin have no median and no quartiles.
FEWEST = 5
# In the names of figures of rule-based candidates.
RULE_BASED = ":rule_based"
CLASS, PT, ETA, SIN_PHI, COS_PHI = range(5)


def missing() -> str | None:
    """Why there is no event-level view here, or None where there is one."""
    absent = [m for m in ("fastjet", "awkward", "vector") if importlib.util.find_spec(m) is None]
    if not absent:
        return None
    return f"{', '.join(absent)} not installed (extra `hep`): no jet and missing-energy response"


def event_view(
    truth: Sequence[Any], guess: Sequence[Any], candidates: Sequence[Any] | None = None
) -> dict[str, float]:
    """Response of jets and of missing transverse energy, predictions against generator truth.

    truth, guess, candidates: one array (n, 6) an event: class (0: no particle), pt [GeV], eta,
    sin phi, cos phi, energy [GeV]. candidates: of a rule-based particle flow, judged in the same
    way; `:rule_based` in the names of their figures. Particles are taken as massless, of momentum
    pt, so that energy and momentum cannot contradict each other. One that holds NaN or infinity
    counts nowhere but in n_not_finite.

    Width: half the distance of the 16th to the 84th percentile, over the median (for a Gaussian,
    its relative deviation). A figure that fewer than two jets or events decide is left out.
    In bins of the generated pt or missing energy: median, and iqr, the distance of the 25th to the
    75th percentile over the median; they are left out of bins with fewer than FEWEST, the number of
    jets or events stands there always.
    """
    true_jets = clustered(truth, GENERATED_GEV)
    generated = _joined([jets[:, 0] for jets in true_jets])
    true_met = np.array([missing_energy(event) for event in truth])
    large = true_met > MISSING_GEV
    figures = {"n_jets": float(len(generated)), **_counts("n_jets", JETS, generated)}
    figures |= {"n_events_met": float(large.sum())}
    figures |= _counts("n_events_met", MET, true_met[large])
    for series, events in (("", guess), (RULE_BASED, candidates)):
        if events is None:
            continue
        figures[f"n_not_finite{series}"] = float(sum(_n_not_finite(event) for event in events))
        figures |= _of_jets(series, true_jets, clustered(events, RECONSTRUCTED_GEV))
        met = np.array([missing_energy(event) for event in events])[large] / true_met[large]
        figures |= summary("met_response", met, series)
        figures |= _binned("met_response", series, MET, true_met[large], met)
    return figures


def _of_jets(series: str, true_jets: Sequence[Any], jets: Sequence[Any]) -> dict[str, float]:
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
    n, n_matched = (_counts(name, JETS, pt) for pt in (generated, at))
    figures |= {where: n_matched[where] / n[where] for where in n if n[where]}
    figures |= summary("jet_response", response, series)
    return figures | _binned("jet_response", series, JETS, at, response)


def summary(name: str, response: Any, series: str = "") -> dict[str, float]:
    """Median and width of a response."""
    if len(response) < 2:
        return {}
    low, median, high = np.percentile(response, (16, 50, 84))
    if not median > 0:
        return {f"{name}_median{series}": float(median)}
    width = (high - low) / (2.0 * median)
    return {f"{name}_median{series}": float(median), f"{name}_width{series}": float(width)}


Axis = tuple[str, Sequence[float]]


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


def clustered(events: Sequence[Any], least_pt: float) -> list[Any]:
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
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS)
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
