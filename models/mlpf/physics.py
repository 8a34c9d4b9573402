"""MLPF seen as a physicist sees it: jets and missing transverse energy of whole events.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: fastjet 3.5.2, awkward 2.14, vector
1.9; n = 300 events at pile-up 0 (1,630 jets), 1 trial; number: jet response .95, width .21, missing
energy 1.03, width .70 (of the trial in models/mlpf/__init__.py);
lineage: anti-kt jets (Cacciari, Salam, Soyez 2008), response as in Pata et al. 2021 and its
successors: reconstructed over generated, its median and its width.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
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
CLASS, PT, ETA, SIN_PHI, COS_PHI = range(5)


def missing() -> str | None:
    """Why there is no event-level view here, or None where there is one."""
    absent = [m for m in ("fastjet", "awkward", "vector") if importlib.util.find_spec(m) is None]
    if not absent:
        return None
    return f"{', '.join(absent)} not installed (extra `hep`): no jet and missing-energy response"


def event_view(truth: Sequence[Any], guess: Sequence[Any]) -> dict[str, float]:
    """Response of jets and of missing transverse energy, predictions against generator truth.

    truth, guess: one array (n, 6) an event: class (0: no particle), pt [GeV], eta, sin phi,
    cos phi, energy [GeV]. Particles are taken as massless, of momentum pt, so that energy and
    momentum cannot contradict each other.
    Width: half the distance of the 16th to the 84th percentile, over the median (for a Gaussian,
    its relative deviation). A figure that fewer than two jets or events decide is left out.
    """
    true_jets, jets = clustered(truth, GENERATED_GEV), clustered(guess, RECONSTRUCTED_GEV)
    ratios = [match(a, b) for a, b in zip(true_jets, jets, strict=True)]
    response = np.concatenate([np.zeros(0), *ratios])
    n_true = sum(len(j) for j in true_jets)
    figures = {"n_jets": float(n_true), "n_jets_matched": float(len(response))}
    if n_true:
        figures["jets_matched"] = len(response) / n_true
    figures |= summary("jet_response", response)
    true_met, met = (np.array([missing_energy(e) for e in part]) for part in (truth, guess))
    large = true_met > MISSING_GEV
    figures["n_events_met"] = float(large.sum())
    return figures | summary("met_response", met[large] / true_met[large])


def summary(name: str, response: Any) -> dict[str, float]:
    """Median and width of a response."""
    if len(response) < 2:
        return {}
    low, median, high = np.percentile(response, (16, 50, 84))
    if not median > 0:
        return {f"{name}_median": float(median)}
    width = (high - low) / (2.0 * median)
    return {f"{name}_median": float(median), f"{name}_width": float(width)}


def momenta(event: Any) -> tuple[Any, Any, Any]:
    """px, py, pz [GeV] of the event's particles; a direction is what (sin, cos) point at, of any
    length.
    """
    rows = np.asarray(event, np.float64)
    rows = rows[(rows[:, CLASS] != 0) & (rows[:, PT] > 0)]
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
    """Reconstructed pt over true pt of each matched pair of jets.

    Pairs within MATCHED, the nearest first; each jet is used once.
    """
    gap = reconstructed[None, :, 2] - true[:, None, 2]
    gap = (gap + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(reconstructed[None, :, 1] - true[:, None, 1], gap)
    ratios = []
    used_true: set[int] = set()
    used_reconstructed: set[int] = set()
    for place in np.argsort(distance, axis=None, kind="stable").tolist():
        i, k = divmod(place, len(reconstructed))
        if distance[i, k] > MATCHED:
            break
        if i not in used_true and k not in used_reconstructed:
            ratios.append(reconstructed[k, 0] / true[i, 0])
            used_true.add(i)
            used_reconstructed.add(k)
    return np.array(ratios)
