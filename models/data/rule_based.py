"""A simple rule-based particle flow: elements in, particles out. A learned one is judged against it.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: numpy 2.4; n = 200 Pythia events at pile-up
0 (1,065 jets); number: jet response 1.01, width .09, 97.3 % of jets matched; missing energy 1.07, width
.33; lineage: the energy flow of Delphes 3 (de Favereau et al. 2014, JHEP 02:057), which wrote `ycand` of
the published set.

OURS, for the stand-ins of models/data/detector.py: a real set brings the candidates of its own
reconstruction. Each track is a charged particle as measured. From a tower the energy of the tracks that end
in its cell is taken (electrons': from ECAL, hadrons': from HCAL; muons leave none); what is left, where it
is significant, is a photon (ECAL) or a neutral hadron (HCAL). No fit, no muon chambers, no pile-up
subtraction. That simple detector gives each particle to one cell and spreads no shower, so that these rules
come close to the best that there is: a real detector is not so kind to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.data import detector
from models.data.detector import CHARGED_HADRON, ELECTRON, MUON, NEUTRAL_HADRON, PHOTON

# Version of the rules; a folder never mixes candidates of two versions.
VERSION = 1
TOWER, TRACK = 1.0, 2.0


def candidates(X: Any, card: detector.Card = detector.CMS) -> Any:
    """Candidates (N, 7) of the elements X (N, 12), in the columns of `ygen`; a zero row is none.

    What is left of a tower counts from as many deviations on as the tower itself (card.significance). In the
    central HCAL of CMS two deviations are 9 GeV or more: from there on the truth has neutral hadrons.
    """
    X = np.asarray(X, float)
    y = np.zeros((len(X), 7))
    tracks = X[:, 0] == TRACK
    kind = np.where(X[:, 10] > 0, MUON, np.where(X[:, 11] > 0, ELECTRON, CHARGED_HADRON))
    y[tracks, 0] = kind[tracks]
    y[tracks, 1] = X[tracks, 9]
    y[tracks, 2:7] = X[tracks, 1:6]
    for grid, column, charged, neutral, sigma in (
        (card.ecal, 6, ELECTRON, PHOTON, card.ecal_sigma),
        (card.hcal, 7, CHARGED_HADRON, NEUTRAL_HADRON, card.hcal_sigma),
    ):
        towers = (X[:, 0] == TOWER) & (X[:, column] > 0)
        mine = tracks & (kind == charged)
        taken = _summed(
            X[mine, 5],
            _cells(grid, X[mine, 6], X[mine, 7], X[mine, 8]),
            _cells(grid, X[towers, 2], X[towers, 3], X[towers, 4]),
        )
        energy, eta = X[towers, 5], X[towers, 2]
        left = energy - taken
        kept = (left > 0) & (left >= card.significance * sigma(energy, eta))
        rows = np.flatnonzero(towers)[kept]
        y[rows, 0] = neutral
        y[rows, 2] = left[kept] / np.cosh(X[rows, 2])
        y[rows, 3:6] = X[rows, 2:5]
        y[rows, 6] = left[kept]
    return y


def _summed(energy: Any, cell: Any, wanted: Any) -> Any:
    """Sum of the energies of each wanted cell."""
    _, place = np.unique(np.concatenate([wanted, cell]), return_inverse=True)
    return np.bincount(place[len(wanted) :], energy, len(place) + 1)[place[: len(wanted)]]


def _cells(grid: detector.Grid, eta: Any, sin_phi: Any, cos_phi: Any) -> Any:
    """A number of the cell of each direction; -1 outside of the calorimeter."""
    ring = np.searchsorted(grid.eta_edges, eta, side="right") - 1
    inside = (ring >= 0) & (ring < len(grid.n_phi))
    n_phi = grid.n_phi[np.where(inside, ring, 0)]
    turn = (np.arctan2(sin_phi, cos_phi) + np.pi) / (2 * np.pi)
    column = np.minimum(np.floor(turn * n_phi).astype(int), n_phi - 1)
    return np.where(inside, ring * detector.RING + column, -1)
