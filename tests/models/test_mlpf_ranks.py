"""Two ranks train MLPF as one does, as threads of one process: all three layers."""

import functools
import math
import threading

import pytest
import torch

from kit import toy_events
from kit.rank_threads import Threads
from models.mlpf.mlpf_torch import MLPFTorch

MLPF_LAYERS = {
    "gnn_lsh": {"bin_size": 16},
    "attention": {"num_heads": 2, "head_dim": 8},
    "favor": {"num_heads": 2, "head_dim": 8, "num_features": 16},
}


@functools.cache
def particle_flow(folder):
    target = MLPFTorch(data="stand_in", folder=str(folder), limit=21)
    target.stage("cpu")
    assert len(target.train.n) % target.batch_size == 1, (
        "the last batch has one event: a share is empty"
    )
    return target


@pytest.mark.parametrize(
    ("layer", "tolerance"), [("gnn_lsh", 1e-2), ("attention", 1e-4), ("favor", 1e-4)]
)
def test_two_ranks_train_mlpf_as_one_does(tmp_path_factory, layer, tolerance):
    """Dropout included. tolerance: of the loss, in two epochs. Sums are taken in another order; where bins
    are cut by a sort, a rounding may move an element into another one (seen: 1e-3).
    """
    folder = tmp_path_factory.getbasetemp() / "mlpf"
    if not folder.exists():
        toy_events.write(folder / "delphes_standin_pu0" / "a.pkl.bz2", toy_events.toy_events(40))
    config = {
        "layer": layer, "dropout": 0.1, "lr": 1e-3, "n_glayers_id": 1, "n_glayers_reg": 1,
        "output_dim": 16, "weight_decay": 1e-4, **MLPF_LAYERS[layer],
    }  # fmt: skip
    torch.set_num_threads(1)
    target = particle_flow(folder)
    alone: list[float] = []
    curve_of(target.start(config, 1), alone)
    parts, meeting = [None, None], threading.Barrier(2, timeout=300)
    trainings = []
    try:
        for rank in range(2):
            target.group = Threads(rank, parts, meeting)
            trainings.append(target.start(config, 1))
    finally:
        target.group = None
    curves = [[], []]
    ranks = [
        threading.Thread(target=curve_of, args=pair) for pair in zip(trainings, curves, strict=True)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    apart = max(abs(a / b - 1) for a, b in zip(curves[0], alone, strict=True))
    print(f"\n{layer}: curves differ by {apart:.2g} of the loss")
    assert curves[0] == curves[1] and all(map(math.isfinite, alone))
    assert curves[0] == pytest.approx(alone, rel=tolerance)


def curve_of(training, found):
    for epoch in (1, 2):
        training.train_epoch(epoch)
        found.append(training.validate()["val_loss"])
