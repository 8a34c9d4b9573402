"""Two ranks train TensorFlow's targets as one does, as threads of one process; pytest -s prints."""

import importlib.util

import numpy as np
import pytest

from kit import toy_events
from kit.rank_threads import in_arrays, together
from models.babi_lstm import BabiLSTM
from models.mlpf import MLPF

# Looked for and not imported: every process of pytest collects this file.
if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("the extra tensorflow is not installed", allow_module_level=True)

BABI = {"learning_rate": 3e-3, "dropout": 0.3, "rho": 0.9, "weight_decay": 1e-3}
MLPF_CONFIG = {
    "bin_size": 16, "dropout": 0.1, "lr": 1e-3, "n_glayers_id": 1, "n_glayers_reg": 1,
    "output_dim": 16, "weight_decay": 1e-4,
}  # fmt: skip


def babi(_):
    target = BabiLSTM(data="stand_in", limit=97)
    target.stage("cpu")
    assert len(target.train[0]) % 32 == 1, "the last batch has one question: a share is empty"
    return target, BABI


def particle_flow(folder):
    toy_events.write(folder / "delphes_standin_pu0" / "a.pkl.bz2", toy_events.toy_events(40))
    target = MLPF(data="stand_in", folder=str(folder), limit=21)
    target.stage("cpu")
    assert len(target.train.n) % target.batch_size == 1, "the last batch has one event"
    return target, MLPF_CONFIG


def curve(training, epochs):
    found = []
    for epoch in epochs:
        training.train_epoch(epoch)
        found.append((training.train_loss, training.validate()["val_loss"]))
    return found


def weights(training):
    held = training.weights if hasattr(training, "weights") else training.state[:1]
    return np.concatenate([part.numpy().ravel() for part in held])


@pytest.mark.slow
@pytest.mark.parametrize(("make", "tolerance"), [(babi, 1e-4), (particle_flow, 1e-2)])
def test_two_ranks_train_as_one_does(tmp_path, make, tolerance):
    """Dropout included. tolerance: of the losses, in two epochs; sums are taken in another order, and where
    MLPF's bins are cut by a sort, a rounding may move an element into another one.
    """
    target, config = make(tmp_path)
    alone = target.start(config, 1)
    expected = curve(alone, (1, 2))
    trainings = []
    try:
        for target.group in in_arrays(2):
            trainings.append(target.start(config, 1))
        curves = together([lambda t=t: curve(t, (1, 2)) for t in trainings])
    finally:
        target.group = None
    assert curves[0] == curves[1]
    one, other = map(weights, trainings)
    assert np.array_equal(one, other)
    apart = np.abs(np.array(curves[0]) / np.array(expected) - 1).max()
    moved = np.abs(one - weights(alone)).max()
    print(f"\n{make.__name__}: losses differ by {apart:.2g} of them, weights by {moved:.2g}")
    assert apart <= tolerance
    assert abs(expected[1][0] / expected[0][0] - 1) > 10 * apart, "it did not learn"

    # A checkpoint of a group is one of a single rank, and the other way round.
    trainings[0].save(tmp_path / "group.ckpt")
    restored = target.start(config, 1)
    restored.load(tmp_path / "group.ckpt")
    assert np.array_equal(weights(restored), one)
    for training in trainings:
        training.load(tmp_path / "group.ckpt")
    third = curve(restored, (3,))
    ours = together([lambda t=t: curve(t, (3,)) for t in trainings])
    assert ours[0] == ours[1]
    assert ours[0][0] == pytest.approx(third[0], rel=tolerance)
