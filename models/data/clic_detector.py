"""CLIC's detector as a card of formulas, and its events in the columns of models/data/clic.py.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: numpy 2.4; n, number: docs/clic.md; lineage:
delphes_card_CLICdet_Stage1.tcl of Delphes 3 (Leogrande, Roloff, Schnoor and Weber 2019, arXiv:1909.12728),
its formulas written in numpy over models/data/detector.py. A STAND-IN: a particle leaves its energy in one
cell of each calorimeter, and a cell is a cluster; no showers, no material, no displaced vertices.

Deviations from the card: charged hadrons below 3 GeV and electrons below 1 GeV leave tracks everywhere (there
in no, or in the central part only); efficiencies are rounded; a track's direction has an error (ours).
OURS alone, so that each column of the format holds something: chi2, ndf, D0, Z0, num_hits and the widths of
clusters, drawn without a detector behind them; dEdx, its error and the time are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.data import clic, detector, rule_based
from models.data.detector import CHARGED_HADRON, ELECTRON, MUON, NEUTRAL_HADRON, NONE, PHOTON, Grid

# Version of the formulas; a folder never mixes events of two versions.
VERSION = 1
FIELD = 4.0
BARREL_MM, ENDCAP_MM = 1500.0, 2310.0
# Depth behind the surface at which a cluster is put.
ECAL_MM, HCAL_MM = 80.0, 600.0
INNERMOST_MM = 31.0
# pt [GeV] = this * field [T] / |omega [1 / mm]|, as upstream computes it.
CURVATURE = 3e-4
NDF = 21


def _ecal() -> Grid:
    edges = [i * 0.003 for i in range(401)]  # to 1.2
    edges += [1.2 + i * 0.02 for i in range(1, 66)] + [2.5 + i * 0.02 for i in range(1, 26)]
    return detector.mirrored(edges, [1800] * 400 + [450] * 65 + [360] * 25)


def _hcal() -> Grid:
    edges = [i * 0.02 for i in range(46)] + [0.9 + i * 0.1 for i in range(1, 22)]
    return detector.mirrored(edges, [360] * 45 + [60] * 21)


def ecal_sigma(E: Any, eta: Any) -> Any:
    """Resolution of an electromagnetic cluster of energy E."""
    a = np.abs(eta)
    stochastic = np.where(a <= 0.78, 0.156, np.where(a <= 0.83, 0.175, 0.151))
    return np.sqrt((0.01 * E) ** 2 + stochastic**2 * E)


def hcal_sigma(E: Any, eta: Any) -> Any:
    """Resolution of a hadronic cluster of energy E."""
    ring = np.searchsorted([0.3, 0.78, 1.099], np.abs(eta))
    noise, stochastic, constant = (
        np.array(values)[ring]
        for values in (
            (1.38, 1.25, 1.159, 1.09), (0.308, 0.322, 0.341, 0.319), (0.050, 0.048, 0.049, 0.052)
        )
    )  # fmt: skip
    return np.sqrt(noise**2 + stochastic**2 * E + (constant * E) ** 2)


def efficiency(kind: Any, pt: Any, eta: Any) -> Any:
    """Probability that a charged particle leaves a track."""
    a = np.abs(eta)
    least = np.where(kind == MUON, 1.0, 0.2)
    return np.where((pt >= least) & (a <= 2.54), np.where(a <= 2.34, 0.999, 0.995), 0.0)


# By |eta|: slope in 1 / GeV and constant of sigma(pT) / pT; beyond 1.74 twice the last.
_RINGS = (0.18, 0.45, 0.88, 1.32, 1.74)
_RESOLUTION = {
    CHARGED_HADRON: (
        (1.32845e-5, 1.28327e-5, 1.16768e-5, 1.12382e-5, 8.56036e-5),
        (0.00209325, 0.00220587, 0.00255204, 0.00391722, 0.0148987),
    ),
    ELECTRON: (
        (1.40722e-5, 1.3307e-5, 1.15518e-5, 1.0915e-5, 8.62283e-5),
        (0.00292138, 0.00317807, 0.00398644, 0.00663766, 0.0177556),
    ),
    MUON: (
        (1.29686e-5, 1.20149e-5, 1.1959e-5, 9.81626e-6, 4.57439e-5),
        (0.0020392, 0.00219291, 0.00242417, 0.00379895, 0.0149328),
    ),
}


def pt_resolution(kind: Any, pt: Any, eta: Any) -> Any:
    """sigma(pT) / pT of a track."""
    ring = np.searchsorted(_RINGS, np.abs(eta))
    near, twice = np.minimum(ring, 4), np.where(ring == 5, 2.0, 1.0)

    def of(which: int) -> Any:
        slope, constant = _RESOLUTION[which]
        return twice * np.hypot(np.array(slope)[near] * pt, np.array(constant)[near])

    return np.where(
        kind == MUON, of(MUON), np.where(kind == ELECTRON, of(ELECTRON), of(CHARGED_HADRON))
    )


CARD = detector.Card(
    FIELD, BARREL_MM / 1000, ENDCAP_MM / 1000, _ecal(), _hcal(), ecal_sigma, hcal_sigma, efficiency,
    pt_resolution, direction=0.001, least_ecal=0.5, least_hcal=1.0, significance=1.0, least_neutral=0.0,
    no_tracks=2.54,
)  # fmt: skip


def detect(particles: detector.Particles, rng: np.random.Generator) -> dict[str, Any]:
    """The six arrays of one event, by the names of models/data/clic.py.

    The rules know a track's electron or muon from the truth, as those of the Delphes stand-in do; the format
    has no column for it, so that a network must find it out from the clusters.
    """
    X, y = detector.detect(particles, rng, card=CARD)
    cand = rule_based.candidates(X, CARD)
    tracks = X[:, 0] == rule_based.TRACK
    return {
        "X_track": _tracks(X[tracks], rng),
        "X_cluster": _clusters(X[~tracks], rng),
        "ytarget_track": _particles(y[tracks]),
        "ytarget_cluster": _particles(_neutral(y[~tracks])),
        "ycand_track": _particles(cand[tracks]),
        "ycand_cluster": _particles(_neutral(cand[~tracks])),
    }


def _tracks(X: Any, rng: np.random.Generator) -> Any:
    n = len(X)
    out = np.zeros((n, len(clic.TRACK)))
    out[:, 0] = clic.IS_TRACK
    out[:, 1:6] = X[:, 1:6]
    out[:, 6], out[:, 7] = rng.chisquare(NDF, n), NDF
    out[:, 10], out[:, 11] = INNERMOST_MM, np.sinh(X[:, 2])
    out[:, 12], out[:, 14] = rng.normal(0, 0.01, n), rng.normal(0, 0.02, n)
    out[:, 13] = X[:, 9] * CURVATURE * FIELD / X[:, 1]
    return out


def _clusters(X: Any, rng: np.random.Generator) -> Any:
    n = len(X)
    energy, eta = X[:, 5], X[:, 2]
    is_hcal = X[:, 7] > 0
    theta = 2.0 * np.arctan(np.exp(-eta))
    # On the surface, in this direction, and behind it.
    length = np.minimum(
        BARREL_MM / np.sin(theta), ENDCAP_MM / np.maximum(np.abs(np.cos(theta)), 1e-9)
    )
    length = length + np.where(is_hcal, HCAL_MM, ECAL_MM)
    out = np.zeros((n, len(clic.CLUSTER)))
    out[:, 0] = clic.IS_CLUSTER
    out[:, 1:6] = X[:, 1:6]
    out[:, 6] = length * np.sin(theta) * X[:, 4]
    out[:, 7] = length * np.sin(theta) * X[:, 3]
    out[:, 8] = length * np.cos(theta)
    out[:, 9] = theta
    out[:, 10], out[:, 11] = X[:, 6], X[:, 7]
    out[:, 13] = 1.0 + rng.poisson(np.where(is_hcal, 8.0, 20.0) * energy)
    width = np.where(is_hcal, 60.0, 10.0)[:, None]
    out[:, 14:17] = width * rng.gamma(20.0, 1 / 20.0, (n, 3))
    return out


def _neutral(y: Any) -> Any:
    """As upstream: what a cluster stands for is neutral, an electron's is a photon."""
    y = y.copy()
    kind = y[:, 0]
    kind = np.where(kind == ELECTRON, PHOTON, kind)
    y[:, 0] = np.where((kind == CHARGED_HADRON) | (kind == MUON), NEUTRAL_HADRON, kind)
    y[:, 1] = 0.0
    return y


def _particles(y: Any) -> Any:
    """(n, 14) of (n, 7): the PDG number for the class; status 1 of the generator; in no jet."""
    out = np.zeros((len(y), len(clic.PARTICLE)))
    out[:, :7] = y
    out[:, 0] = np.array(clic.CODES, float)[y[:, 0].astype(int)]
    out[:, clic.PARTICLE.index("generatorStatus")] = y[:, 0] != NONE
    out[:, clic.PARTICLE.index("jet_idx")] = -1.0
    return out
