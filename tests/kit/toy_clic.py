"""Toy CLIC events in the format of MLPF's prepared EDM4HEP sets, and files as upstream writes them."""

from pathlib import Path

import numpy as np

from models.data import clic


def toy_event(rng, n_tracks, n_clusters):
    """The arrays of one event, float32, with all fields of the format: a learnable share of tracks and
    clusters are particles of the track's momentum, and of .8 of the cluster's energy.
    """

    def rows(n, width, elemtype):
        pt, eta, phi = (
            rng.exponential(6.0, n) + 0.3, rng.uniform(-2, 2, n), rng.uniform(-np.pi, np.pi, n),
        )  # fmt: skip
        X = rng.normal(size=(n, width))
        X[:, 0] = elemtype
        X[:, 1:6] = np.stack([pt, eta, np.sin(phi), np.cos(phi), pt * np.cosh(eta)], axis=1)
        return X

    def particles(X, pdg, charge, scale):
        y = np.zeros((len(X), len(clic.PARTICLE)))
        there = rng.random(len(X)) < 0.85
        y[:, 0], y[:, 1] = pdg, charge
        y[:, 2:7] = X[:, 1:6] * [scale, 1, 1, 1, scale]
        y[:, 8], y[:, 12] = 1, -1
        return y * there[:, None]

    tracks, clusters = rows(n_tracks, 16, 1), rows(n_clusters, 17, 2)
    charge = rng.choice((-1.0, 1.0), n_tracks)
    clusters[:, 6:9] *= 1000.0
    event = {
        "X_track": tracks,
        "X_cluster": clusters,
        "ytarget_track": particles(tracks, 211, charge, 1.0),
        "ytarget_cluster": particles(clusters, rng.choice((22, 130), n_clusters), 0, 0.8),
        "ycand_track": particles(tracks, 211, charge, 1.0),
        "ycand_cluster": particles(clusters, 130, 0, 1.0),
        # Of the format, and not read.
        "X_hit_tracker": rng.normal(size=(3, 12)),
        "ytarget_hit_tracker": np.zeros((3, len(clic.PARTICLE))),
        "genmet": float(rng.exponential(10.0)),
        "genjet": rng.normal(size=(2, 4)),
        "targetjet": rng.normal(size=(2, 4)),
    }
    return {k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in event.items()}


def toy_events(n_events, seed=0, n=(4, 9)):
    rng = np.random.default_rng(seed)
    return [toy_event(rng, *rng.integers(*n, 2).tolist()) for _ in range(n_events)]


def write(path: Path, events):
    """As upstream: one record, of each field a list over events, by awkward."""
    import awkward as ak

    path.parent.mkdir(parents=True, exist_ok=True)
    record = ak.Record(
        {name: ak.from_iter([event[name] for event in events]) for name in events[0]}
    )
    ak.to_parquet(record, path)
    return path
