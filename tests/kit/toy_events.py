"""Toy events in the Delphes schema and file format: for tests that need no generator."""

import bz2
import pickle

import numpy as np


def toy_event(rng, n):
    """X (n, 12), y (n, 7): tracks and towers, of which a learnable share are particles of 0.8 times
    the energy of a tower and about that of a track.
    """
    track = rng.random(n) < 0.55
    pt = rng.exponential(4.0, n) + 0.3
    eta, phi = rng.uniform(-2.4, 2.4, n), rng.uniform(-np.pi, np.pi, n)
    charge = np.where(track, rng.choice((-1.0, 1.0), n), 0.0)
    energy = pt * np.cosh(eta)
    X = np.zeros((n, 12))
    X[:, :6] = np.stack([np.where(track, 2, 1), pt, eta, np.sin(phi), np.cos(phi), energy], axis=1)
    ecal = ~track & (rng.random(n) < 0.5)
    hcal = ~track & ~ecal
    X[ecal, 6], X[hcal, 7] = energy[ecal], energy[hcal]
    outer = phi + 0.3 * charge / pt
    X[track, 6:9] = np.stack([eta, np.sin(outer), np.cos(outer)], axis=1)[track]
    X[:, 9] = charge
    kind = np.where(track, 1, np.where(ecal, 3, 2)) * (rng.random(n) < 0.85)
    scale = np.where(track, 1.0, 0.8)
    true_eta, true_phi = eta + 0.1 * rng.normal(size=n), phi + 0.1 * rng.normal(size=n)
    columns = [scale * pt, true_eta, np.sin(true_phi), np.cos(true_phi), scale * energy]
    y = np.stack([kind, charge, *columns], axis=1)
    return X, y * (kind > 0)[:, None]


def toy_events(n_events, seed=0, n=(20, 90)):
    rng = np.random.default_rng(seed)
    return [toy_event(rng, int(rng.integers(*n))) for _ in range(n_events)]


def write(path, events):
    """One file as on Zenodo: bz2 of a pickled dict of lists of float64 arrays."""
    table = {
        "X": [X for X, _ in events],
        "ygen": [y for _, y in events],
        "ycand": [np.zeros_like(y) for _, y in events],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bz2.compress(pickle.dumps(table)))
