"""The MLP on a table: scaling, splits, and that every hyperparameter matters."""

import pytest
import torch

from models.openml_mlp import STAND_IN, OpenMLMLP, mlp, stand_in
from suite.core.errors import ConfigError, DataError

CONFIG = {"alpha": 0.01, "batch_size": 64, "depth": 2, "learning_rate": 0.003, "width": 32}


def staged(**arguments):
    target = OpenMLMLP(data="stand_in", **arguments)
    target.stage("cpu")
    return target


def curve(target, config, epochs=1):
    training = target.start(config, 1)
    found = []
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch)
        found.append(training.validate())
    return found


def test_its_network_has_depth_hidden_layers():
    def count(width, depth):
        return sum(p.numel() for p in mlp(12, width, depth).parameters())

    for width in (16, 1024):
        for depth in (1, 2, 3):
            hidden = 13 * width + (depth - 1) * width * (width + 1)
            assert count(width, depth) == hidden + width + 1


def test_every_hyperparameter_changes_the_training():
    target = staged(limit=256)
    reference = curve(target, CONFIG)
    other = {"alpha": 1.0, "batch_size": 128, "depth": 3, "learning_rate": 0.01, "width": 64}
    assert set(other) == set(target.space)
    for name, value in other.items():
        assert curve(target, CONFIG | {name: value}) != reference, name


def test_the_training_rows_scale_all_three_splits():
    target = staged()
    assert [target.provenance[k] for k in ("n_train", "n_valid", "n_test")] == [6400, 1600, 2000]
    for part in target.train:
        assert part.mean(0).abs().max() < 1e-5
        assert (part.std(0) - 1).abs().max() < 1e-3
    for part in (*target.valid, *target.test):
        assert 1e-4 < part.mean(0).abs().max() < 0.2


def test_published_restores_raw_values_and_selection_on_the_test_rows():
    raw, mended = staged(published=True), staged()
    X, y = stand_in()
    assert raw.provenance["n_train"] == 8000 and torch.equal(raw.valid[1], raw.test[1])
    assert raw.train[0].max() == pytest.approx(X.max(), abs=0.01)
    assert raw.train[1].std() == pytest.approx(y.std(), rel=0.02)
    assert raw.provenance["sha256"] == mended.provenance["sha256"]
    assert raw.provenance["split_sha256"] != mended.provenance["split_sha256"]
    # the same 20 % are held out: one is a linear image of the other
    both = torch.stack([raw.test[1][:, 0], mended.test[1][:, 0]])
    assert torch.corrcoef(both)[0, 1] > 0.9999
    config = CONFIG | {"batch_size": 256}  # 2,000 rows are not a multiple: means of means differ
    training = raw.start(config, 1)
    training.train_epoch(1)
    with torch.no_grad():
        plain = (training.network(raw.valid[0]) - raw.valid[1]).square().mean()
    assert training.validate()["val_loss"] != pytest.approx(float(plain), rel=1e-9)


def test_it_learns_its_stand_in():
    values = [found["val_loss"] for found in curve(staged(), CONFIG, epochs=3)]
    assert values[-1] < values[0] and values[-1] < 0.3


def test_the_stand_in_is_the_same_every_time_and_says_so():
    X, y = stand_in()
    assert X.shape == STAND_IN and y.shape == STAND_IN[:1]
    assert (stand_in()[0] == X).all()
    target = staged(limit=64)
    assert target.data == "stand-in" and target.provenance["stand_in"] is True
    assert target.provenance["n_train"] == 64 and target.provenance["n_valid"] == 16


def test_bad_arguments_are_said_at_once(tmp_path):
    for arguments, message in (
        ({"data": "fake"}, "data=fake"),
        ({"split": "random"}, "split=random"),
        ({"limit": 0}, "limit=0"),
    ):
        with pytest.raises(ConfigError, match=message):
            OpenMLMLP(**arguments)
    with pytest.raises(DataError, match="swiftbench fetch openml"):
        OpenMLMLP(folder=str(tmp_path))
