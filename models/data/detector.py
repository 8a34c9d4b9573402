"""A parametric detector: stable particles in, tracks and calorimeter towers out.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: numpy 2.4; n, number: see
tests/benchmarks/pythia_events.py; lineage: the CMS card of Delphes 3 (de Favereau et al. 2014, JHEP
02:057; delphes_card_CMS_PileUp.tcl), its formulas written in numpy. A STAND-IN: no displaced
vertices, no beam spot, no pile-up subtraction, no isolation.

Schema of what comes out: models/data/delphes.py. Lengths in m, energies in GeV, field in T.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# Version of the formulas; a folder never mixes events of two versions.
VERSION = 2
NEUTRINOS = (12, 14, 16)
# A cell's number is its ring's times this, plus its place round phi.
RING = 4096

NONE, CHARGED_HADRON, NEUTRAL_HADRON, PHOTON, ELECTRON, MUON = range(6)


@dataclass(frozen=True)
class Particles:
    """Stable particles of one event; arrays (n,). pid: PDG number; charge in e."""

    pid: Any
    charge: Any
    px: Any
    py: Any
    pz: Any
    E: Any

    @classmethod
    def joined(cls, parts: list[Particles]) -> Particles:
        names = ("pid", "charge", "px", "py", "pz", "E")
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def rotated(self, phi: float) -> Particles:
        c, s = np.cos(phi), np.sin(phi)
        px, py = c * self.px - s * self.py, s * self.px + c * self.py
        return Particles(self.pid, self.charge, px, py, self.pz, self.E)


@dataclass(frozen=True)
class Grid:
    """Calorimeter cells: eta_edges (m + 1,), ascending; n_phi (m,): cells round phi of each."""

    eta_edges: Any
    n_phi: Any


def mirrored(edges: list[float], n_phi: list[int]) -> Grid:
    """From edges 0 = e0 < e1 < ... and the cells of [e(i), e(i+1)]."""
    both = np.array([-e for e in edges[:0:-1]] + edges)
    return Grid(both, np.array(n_phi[::-1] + n_phi))


def _ecal() -> Grid:
    fine = [i * 0.0174 for i in range(86)]  # to 1.479
    fine += [1.5 + i * 0.0174 for i in range(84)]  # to 2.944
    coarse = [2.958, 3.125, 3.3, 3.475, 3.65, 3.825, 4.0, 4.175, 4.35, 4.525, 4.7, 5.0]
    return mirrored(fine + coarse, [360] * len(fine) + [36] * (len(coarse) - 1))


def _hcal() -> Grid:
    fine = [i * 0.087 for i in range(20)]  # to 1.653
    coarse = [
        1.74, 1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 2.95, 3.125, 3.3, 3.475, 3.65,
        3.825, 4.0, 4.175, 4.35, 4.525, 4.7, 5.0,
    ]  # fmt: skip
    n_phi = [72] * (len(fine) - 1) + [36] * (len(coarse) - 1) + [18]
    n_phi[-2:] = [18, 18]
    return mirrored(fine + coarse, n_phi)


ECAL, HCAL = _ecal(), _hcal()


def ecal_sigma(E: Any, eta: Any) -> Any:
    """Resolution of an electromagnetic tower of energy E."""
    a = np.abs(eta)
    core = np.sqrt((0.008 * E) ** 2 + 0.11**2 * E + 0.40**2)
    barrel, endcap = (1 + 0.64 * a**2) * core, (2.16 + 5.6 * (a - 2) ** 2) * core
    forward = np.sqrt((0.107 * E) ** 2 + 2.08**2 * E)
    return np.where(a <= 1.5, barrel, np.where(a <= 2.5, endcap, forward))


def hcal_sigma(E: Any, eta: Any) -> Any:
    """Resolution of a hadronic tower of energy E."""
    near = np.sqrt((0.05 * E) ** 2 + 1.5**2 * E)
    return np.where(np.abs(eta) <= 3, near, np.sqrt((0.13 * E) ** 2 + 2.7**2 * E))


def efficiency(kind: Any, pt: Any, eta: Any) -> Any:
    """Probability that a charged particle leaves a track. kind: CHARGED_HADRON, ELECTRON, MUON."""
    a = np.abs(eta)
    low, near = pt <= 1.0, a <= 1.5

    def table(barrel_low: float, barrel: Any, endcap_low: float, endcap: Any) -> Any:
        return np.where(near, np.where(low, barrel_low, barrel), np.where(low, endcap_low, endcap))

    falling = np.where(pt > 1000.0, np.exp(0.5 - 5e-4 * pt), 1.0)
    hadron = table(0.70, 0.95, 0.60, 0.85)
    electron = table(0.73, np.where(pt > 100, 0.99, 0.95), 0.50, np.where(pt > 100, 0.90, 0.83))
    muon = table(0.75, 0.99 * falling, 0.70, 0.98 * falling)
    efficiency = np.where(kind == MUON, muon, np.where(kind == ELECTRON, electron, hadron))
    return np.where((pt > 0.1) & (a <= 2.5), efficiency, 0.0)


def pt_resolution(kind: Any, pt: Any, eta: Any) -> Any:
    """sigma(pT) / pT of a track."""
    ring = np.searchsorted([0.5, 1.5], np.abs(eta))
    b = np.array([1.3e-3, 1.7e-3, 3.1e-3])[ring]
    hadron = np.hypot(np.array([0.06, 0.10, 0.25])[ring], b * pt)
    electron = np.hypot(np.array([0.03, 0.05, 0.15])[ring], b * pt)
    muon_b = np.array([1.0e-4, 1.5e-4, 3.5e-4])[ring]
    muon = np.hypot(np.array([0.01, 0.015, 0.025])[ring], muon_b * pt)
    return np.where(kind == MUON, muon, np.where(kind == ELECTRON, electron, hadron))


@dataclass(frozen=True)
class Card:
    """What a detector can measure: of CMS here, of CLIC in models/data/clic_detector.py.

    field in T; radius and half_length of the calorimeter's surface in m; grids, and the resolution of a
    tower by (energy, eta), in GeV; efficiency and pt_resolution by (kind, pt, eta); direction: error of a
    track's eta and phi; least_ecal, least_hcal: a tower's thresholds in GeV; significance: in deviations
    of it; least_neutral: a neutral hadron of less GeV is no target; no_tracks: |eta| beyond which none are.
    """

    field: float
    radius: float
    half_length: float
    ecal: Grid
    hcal: Grid
    ecal_sigma: Callable[[Any, Any], Any]
    hcal_sigma: Callable[[Any, Any], Any]
    efficiency: Callable[[Any, Any, Any], Any]
    pt_resolution: Callable[[Any, Any, Any], Any]
    direction: float
    least_ecal: float
    least_hcal: float
    significance: float
    least_neutral: float
    no_tracks: float


CMS = Card(
    3.8, 1.29, 3.00, ECAL, HCAL, ecal_sigma, hcal_sigma, efficiency, pt_resolution,
    direction=0.01, least_ecal=0.5, least_hcal=1.0, significance=2.0, least_neutral=9.0, no_tracks=2.5,
)  # fmt: skip


def at_calorimeter(charge: Any, pt: Any, eta: Any, phi: Any, card: Card = CMS) -> tuple[Any, Any]:
    """(eta, phi) where each particle, from the origin, meets the calorimeter's surface.

    A helix of radius rho = pT / (0.2998 B |q|): turn angle 2a after an arc 2 rho a; particles that
    never reach the barrel (2 rho < R) go to an endcap. Neutral ones go straight.
    """
    curved = charge != 0
    rho = pt / (0.2998 * card.field * np.where(curved, np.abs(charge), 1.0))
    reach = np.minimum(card.radius / (2 * rho), 1.0)
    barrel = np.where(2 * rho >= card.radius, 2 * rho * np.arcsin(reach), np.inf)
    endcap = card.half_length / np.maximum(np.abs(np.sinh(eta)), 1e-9)
    arc = np.minimum(barrel, endcap)
    a = arc / (2 * rho)
    r = np.maximum(np.abs(2 * rho * np.sin(a)), 1e-6)
    eta_out = np.arcsinh(arc * np.sinh(eta) / r)
    beyond = np.where(np.sin(a) < 0, np.pi, 0.0)  # past half a circle, seen from the axis
    phi_out = _wrapped(phi - np.sign(charge) * a + beyond)
    return np.where(curved, eta_out, eta), np.where(curved, phi_out, phi)


def detect(
    particles: Particles, rng: np.random.Generator, published: bool = False, card: Card = CMS
) -> Any:
    """X (N, 12) and y (N, 7) of one event: tracks, then ECAL, then HCAL towers.

    published: the truth as in the published set: a track's charge is the sign of its PDG number
    (so an electron's is +1), a tower's charged hadron has charge +1, and what deposits in both
    calorimeters is the target of two towers. Else charges are the particles' own, and such a
    particle counts once: for its HCAL tower (70 % of its energy), or where that was dropped, ECAL.
    """
    p = _visible(particles)
    pt = np.maximum(np.hypot(p.px, p.py), 1e-6)
    eta, phi = np.arcsinh(p.pz / pt), np.arctan2(p.py, p.px)
    eta_out, phi_out = at_calorimeter(p.charge, pt, eta, phi, card)
    kind = _kinds(p.pid, p.charge)
    tracked = rng.random(len(pt)) < np.where(p.charge != 0, card.efficiency(kind, pt, eta), 0.0)
    charge = np.sign(p.pid) if published else p.charge
    truth = np.stack([kind, charge, pt, eta, np.sin(phi), np.cos(phi), p.E], axis=1)

    width = card.pt_resolution(kind, pt, eta)[tracked]
    spread = np.log1p(width**2)  # log-normal, the mean kept
    measured = pt[tracked] * np.exp(rng.normal(-spread / 2, np.sqrt(spread)))
    eta_t, phi_t = (x[tracked] + rng.normal(0, card.direction, tracked.sum()) for x in (eta, phi))
    out = eta_out[tracked], np.sin(phi_out[tracked]), np.cos(phi_out[tracked])
    tracks = np.stack(
        [
            np.full(len(measured), 2.0), measured, eta_t, np.sin(phi_t), np.cos(phi_t),
            measured * np.cosh(eta_t), *out, p.charge[tracked],
            kind[tracked] == MUON, kind[tracked] == ELECTRON,
        ],
        axis=1,
    )  # fmt: skip
    Xs, ys = [tracks], [truth[tracked]]
    shares = _shares(p.pid, kind)
    ecal, hcal = (
        _towers(grid, share * p.E, sigma, least, card.significance, column, eta_out, phi_out, rng)
        for share, grid, sigma, least, column in (
            (shares[0], card.ecal, card.ecal_sigma, card.least_ecal, 6),
            (shares[1], card.hcal, card.hcal_sigma, card.least_hcal, 7),
        )
    )
    owned = [towers.of >= 0 for towers in (ecal, hcal)]
    if not published:
        twice = owned[0] & owned[1]
        in_hcal = twice.copy()
        in_hcal[twice] = hcal.kept[hcal.of[twice]]
        owned = [owned[0] & ~in_hcal, owned[1] & (in_hcal | ~twice)]
    for towers, mine in zip((ecal, hcal), owned, strict=True):
        y = _tower_targets(towers, p, kind, mine & ~tracked, published, card)
        Xs.append(towers.X[towers.kept])
        ys.append(y[towers.kept])
    return np.concatenate(Xs), np.concatenate(ys)


def _visible(particles: Particles) -> Particles:
    seen = ~np.isin(np.abs(particles.pid), NEUTRINOS) & (particles.E > 0)
    return Particles(
        *(getattr(particles, name)[seen] for name in ("pid", "charge", "px", "py", "pz", "E"))
    )


def _kinds(pid: Any, charge: Any) -> Any:
    a = np.abs(pid)
    hadron = np.where(charge != 0, CHARGED_HADRON, NEUTRAL_HADRON)
    return np.where(a == 22, PHOTON, np.where(a == 11, ELECTRON, np.where(a == 13, MUON, hadron)))


def _shares(pid: Any, kind: Any) -> tuple[Any, Any]:
    """Share of its energy that each particle leaves in ECAL and in HCAL."""
    a = np.abs(pid)
    electromagnetic = np.isin(kind, (PHOTON, ELECTRON)) | (a == 111)
    mixed = np.isin(a, (310, 3122))  # K0 short and Lambda; K0 long is like a neutron
    ecal = np.where(electromagnetic, 1.0, np.where(mixed, 0.3, 0.0))
    return np.where(kind == MUON, 0.0, ecal), np.where(kind == MUON, 0.0, 1.0 - ecal)


class _Towers(NamedTuple):
    """Of one calorimeter. X (towers, 12), center (towers,): eta; kept (towers,): over the
    thresholds; of (particles,): the tower of each, -1 where it leaves nothing.
    """

    X: Any
    center: Any
    kept: Any
    of: Any


def _towers(
    grid: Grid, deposit: Any, sigma: Any, least: float, significance: float, column: int, eta: Any,
    phi: Any, rng: np.random.Generator,
) -> _Towers:  # fmt: skip
    ring = np.searchsorted(grid.eta_edges, eta, side="right") - 1
    hit = (deposit > 0) & (ring >= 0) & (ring < len(grid.n_phi))
    ring, deposit = ring[hit], deposit[hit]
    n_phi = grid.n_phi[ring]
    column_phi = np.floor((_wrapped(phi[hit]) + np.pi) / (2 * np.pi) * n_phi).astype(int)
    cell = ring * RING + np.minimum(column_phi, n_phi - 1)
    cells, tower = np.unique(cell, return_inverse=True)
    energy = np.bincount(tower, deposit, len(cells))
    ring, n_phi = cells // RING, grid.n_phi[cells // RING]
    low, high = grid.eta_edges[ring], grid.eta_edges[ring + 1]
    center = (low + high) / 2
    spread = np.log1p((sigma(energy, center) / np.maximum(energy, 1e-9)) ** 2)
    measured = energy * np.exp(rng.normal(-spread / 2, np.sqrt(spread)))
    eta_t = rng.uniform(low, high)
    phi_t = (cells % RING + rng.random(len(cells))) / n_phi * 2 * np.pi - np.pi
    X = np.zeros((len(cells), 12))
    X[:, 0], X[:, 1], X[:, 2] = 1, measured / np.cosh(eta_t), eta_t
    X[:, 3], X[:, 4], X[:, 5], X[:, column] = np.sin(phi_t), np.cos(phi_t), measured, measured
    kept = (measured >= least) & (measured >= significance * sigma(measured, center))
    of = np.full(len(hit), -1)
    of[hit] = tower
    return _Towers(X, center, kept, of)


def _tower_targets(
    towers: _Towers, p: Particles, kind: Any, counted: Any, published: bool, card: Card
) -> Any:
    """Sum of the four-vectors of the counted particles in each tower; the class is the kind that
    has most of the energy. Shape (towers, 7); zero rows where there is no target.
    """
    n, tower = len(towers.X), towers.of[counted]
    px, py, pz, E, charge, kinds = (x[counted] for x in (p.px, p.py, p.pz, p.E, p.charge, kind))
    px, py, pz, total = (np.bincount(tower, x, n) for x in (px, py, pz, E))
    leading = np.bincount(6 * tower + kinds, E, 6 * n).reshape(n, 6).argmax(axis=1)
    far = (leading == CHARGED_HADRON) & (
        np.abs(towers.center) > card.no_tracks
    )  # there are no tracks
    leading = np.where(far, NEUTRAL_HADRON, leading)
    sign = np.ones(n)
    if not published:  # the charge of the particle with most energy
        order = np.argsort(E, kind="stable")
        sign[tower[order]] = charge[order]
    charged = np.isin(leading, (CHARGED_HADRON, ELECTRON, MUON))
    pt = np.maximum(np.hypot(px, py), 1e-9)
    phi = np.arctan2(py, px)
    y = np.stack(
        [
            leading, np.where(charged, sign, 0.0), pt, np.arcsinh(pz / pt), np.sin(phi),
            np.cos(phi), total,
        ],
        axis=1,
    )  # fmt: skip
    none = (total <= 0) | ((leading == NEUTRAL_HADRON) & (total < card.least_neutral))
    y[none] = 0.0
    return y


def _wrapped(phi: Any) -> Any:
    return (phi + np.pi) % (2 * np.pi) - np.pi
