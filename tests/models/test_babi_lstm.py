"""The bAbI network: equal to Keras' layers and optimiser, resumable, every setting at work."""

import copy
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kit.driving import ROOT
from models.babi_lstm import BabiLSTM
from models.babi_lstm import network as babi_network
from models.data import babi, babi_generator
from suite.core.errors import ConfigError, DataError, DivergedError
from suite.core.seeds import stream

# Looked for and not imported: every process of pytest collects this file.
if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("the extra tensorflow is not installed", allow_module_level=True)
GOOD = {"learning_rate": 3e-3, "dropout": 0.1, "rho": 0.9, "weight_decay": 1e-3}
WORDS = (23, 24, 12)
LIMIT = 100  # no multiple of 32: the last batch holds 4


@pytest.fixture(scope="module")
def target():
    made = BabiLSTM(data="stand_in", limit=LIMIT)
    made.stage("cpu")
    return made


def trained(target, config, epochs, seed=1):
    training = target.start(config, seed)
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch)
    return training


def state(training):
    return [array.numpy() for array in (*training.weights, *training.velocity)]


def equal(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def keras_weights(network, arrays=None):
    """The Keras model's weights in our order, after setting them to `arrays` if given."""
    parts = ["story_m", "story_c", "question_u", "lstm", "dense"]
    variables = [v for part in parts for v in network.get_layer(part).weights]
    for variable, array in zip(variables, [] if arrays is None else arrays, strict=False):
        variable.assign(array)
    return [variable.numpy() for variable in variables]


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "count"), [(WORDS, 19_467), ((29, 96, 50), 30_823)])
def test_it_has_the_published_number_of_weights(sizes, count):
    drawn = babi_network.initial_weights(sizes, 1)
    assert sum(array.size for array in drawn) == count
    assert babi_network.keras_network(sizes, 0.0).count_params() == count


def test_it_is_staged_with_the_published_sizes_at_word_level(target):
    assert target.sizes == WORDS
    assert sum(array.numpy().size for array in target.start(GOOD, 1).weights) == 19_467


def test_first_weights_are_spread_as_keras_spreads_them():
    """The same mean square, and the same range, as in Keras' own draw of the same layers."""
    ours = babi_network.initial_weights(WORDS, 3)
    theirs = keras_weights(babi_network.keras_network(WORDS, 0.0))
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == np.float32
        assert np.allclose((a**2).mean(), (b**2).mean(), rtol=0.25)
        assert np.allclose(abs(a).max(), abs(b).max(), rtol=0.25)
    assert np.allclose(ours[4] @ ours[4].T, np.eye(32), atol=1e-5), "recurrent: orthogonal"
    assert not equal(ours[:3], babi_network.initial_weights(WORDS, 4)[:3])


@pytest.mark.slow
def test_without_dropout_it_says_what_keras_layers_say(target):
    import tensorflow as tf

    story, question, _ = target.train
    training = trained(target, GOOD, 2)
    network = babi_network.keras_network(WORDS, 0.3)
    keras_weights(network, [w.numpy() for w in training.weights])
    ours = babi_network.logits(training.weights, story, question, lambda x, site: x)
    theirs = network.predict([story.numpy(), question.numpy()], verbose=0)
    assert np.allclose(tf.nn.softmax(ours), theirs, atol=1e-6)


def test_an_epoch_without_dropout_is_that_of_keras_layers_and_optimiser(target):
    """Loss, RMSprop and decoupled weight decay, the smaller last batch included.

    The gradients of embeddings are summed over equal tokens first, which Keras 3.15 omits.
    """
    import keras
    import tensorflow as tf

    config = GOOD | {"dropout": 0.0, "weight_decay": 0.1}
    training = trained(target, config, 1)
    network = babi_network.keras_network(WORDS, 0.0)
    keras_weights(network, babi_network.initial_weights(WORDS, 1))
    optimizer = keras.optimizers.RMSprop(config["learning_rate"], config["rho"], weight_decay=0.1)
    order = stream(1, "epoch", 1).permutation(LIMIT)
    total = 0.0
    for rows in np.split(order, range(32, LIMIT, 32)):
        story, question, answer = (table.numpy()[rows] for table in target.train)
        with tf.GradientTape() as tape:
            found = network([story, question])
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(answer, found))
        gradients = tape.gradient(loss, network.trainable_variables)
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(dense, network.trainable_variables)
        total += float(loss) * len(rows)
    assert total / LIMIT == pytest.approx(training.train_loss, rel=1e-5)
    for ours, theirs in zip(training.weights, keras_weights(network), strict=True):
        assert np.allclose(ours.numpy(), theirs, atol=2e-5)


def test_dropout_numbers_are_uniform_and_differ_from_step_to_step():
    key = np.array([123, 456], np.uint32)
    draws = [
        babi_network.uniform((32, 24, 64), k, c).numpy().ravel()
        for k, c in ((key, 0), (key, 1), (key, 4), (key + np.uint32(1), 0))
    ]
    n = len(draws[0])
    for u in draws:
        assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 4 * (1 / 12 / n) ** 0.5
        counts = np.histogram(u, 64, (0, 1))[0]
        assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 63 + 5 * (2 * 63) ** 0.5
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 4 / n**0.5
        assert abs(np.corrcoef(u[64:], u[:-64])[0, 1]) < 4 / n**0.5
    for k, one in enumerate(draws):
        for two in draws[:k]:
            assert abs(np.corrcoef(one, two)[0, 1]) < 4 / n**0.5


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9, 1.0])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate):
    found = babi_network.drop(np.ones((100, 1000), np.float32), rate, np.uint32([1, 2]), 0).numpy()
    assert (found == 0).mean() == pytest.approx(rate, abs=4 * (0.25 / 1e5) ** 0.5)
    assert np.allclose(found[found != 0], 1 / (1 - rate) if rate < 1 else 0)


def test_each_step_and_each_epoch_drops_other_units(target):
    """On one question said a hundred times, trained without a step: only the masks can differ."""
    same = copy.copy(target)
    same.train = tuple(np.repeat(table[:1], LIMIT, axis=0) for table in target.train)
    still = GOOD | {"learning_rate": 1e-30, "dropout": 0.5}
    first = [float(same.start(still, 1).run(1, steps)[0]) for steps in (1, 2, 3)]
    second = float(same.start(still, 1).run(2, 1)[0])
    steps = [first[0], first[1] - first[0], first[2] - first[1], second]
    assert min(abs(a - b) for k, a in enumerate(steps) for b in steps[:k]) > 1e-5
    none = still | {"dropout": 0.0}
    one, two = (float(same.start(none, 1).run(1, steps)[0]) for steps in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-5)


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(GOOD))
def test_every_hyperparameter_changes_the_training(target, name):
    other = {"learning_rate": 1e-2, "dropout": 0.5, "rho": 0.5, "weight_decay": 0.1}[name]
    one, two = (trained(target, config, 2) for config in (GOOD, GOOD | {name: other}))
    moved = [
        np.abs(a.numpy() - b.numpy()).max() for a, b in zip(one.weights, two.weights, strict=True)
    ]
    assert max(moved) > 1e-4 and one.validate() != two.validate()


def test_one_and_save_and_load_and_two_is_three_epochs_bit_for_bit(target, tmp_path):
    straight, first = trained(target, GOOD, 3), trained(target, GOOD, 1)
    first.save(tmp_path / "a.ckpt")
    second = target.start(GOOD, 1)
    second.load(tmp_path / "a.ckpt")
    assert equal(state(second), state(first)) and second.validate()["val_loss"]
    for epoch in (2, 3):
        second.train_epoch(epoch)
    assert equal(state(second), state(straight))
    assert second.validate() == straight.validate() and second.test() == straight.test()


def test_another_seed_is_another_training_and_the_same_seed_the_same(target):
    one, again, other = (state(trained(target, GOOD, 1, seed)) for seed in (1, 1, 2))
    assert equal(one, again) and not equal(one, other)


def test_all_trials_of_a_worker_share_one_compilation(target):
    for config in (GOOD, GOOD | {"dropout": 0.7}, GOOD | {"learning_rate": 1e-4, "rho": 0.2}):
        trained(target, config, 1).validate()
    assert target.run_epoch.experimental_get_tracing_count() == 1
    again = BabiLSTM(data="stand_in", limit=LIMIT)
    again.stage("cpu")
    assert again.run_epoch is target.run_epoch


def test_the_ends_of_the_space_train_without_an_error_but_divergence(target):
    for config in (
        {"learning_rate": 1e-10, "dropout": 0.0, "rho": 0.0, "weight_decay": 1e-5},
        {"learning_rate": 1e-3, "dropout": 1.0, "rho": 0.5, "weight_decay": 1e-5},
    ):
        metrics = trained(target, config, 1).validate()
        assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("rate", [1e30, float("nan")])
def test_a_learning_rate_that_diverges_ends_the_trial(target, rate):
    with pytest.raises(DivergedError, match="train_loss=.* in epoch"):
        trained(target, GOOD | {"learning_rate": rate}, 3)


def test_it_memorises_a_hundred_questions(target):
    training = trained(target, GOOD | {"dropout": 0.0, "learning_rate": 1e-2}, 200)
    assert training.train_loss < 0.4  # of ln 2 = .69 for who guesses


# --- checkpoints ----------------------------------------------------------------------------------


def test_a_checkpoint_of_another_configuration_or_data_set_is_refused(target, tmp_path):
    path = tmp_path / "a.ckpt"
    trained(target, GOOD, 1).save(path)
    with pytest.raises(ConfigError, match=r"a\.ckpt: config_sha256 is"):
        target.start(GOOD | {"rho": 0.5}, 1).load(path)
    smaller = BabiLSTM(data="stand_in", limit=LIMIT)
    smaller.stage("cpu")
    smaller.provenance |= {"split_sha256": "0"}
    with pytest.raises(ConfigError, match=r"a\.ckpt: config_sha256 is"):
        smaller.start(GOOD, 1).load(path)


class Harmful:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("damage", ["cut", "empty", "pickle", "missing"])
def test_a_damaged_checkpoint_is_refused_by_name_and_never_unpickled(target, tmp_path, damage):
    path = tmp_path / "a.ckpt"
    training = trained(target, GOOD, 1)
    training.save(path)
    whole = path.read_bytes()
    if damage == "pickle":
        with path.open("wb") as file:
            np.savez(file, origin=np.array([Harmful(str(tmp_path / "ran"))], dtype=object))
    elif damage == "missing":
        with path.open("wb") as file:
            np.savez(file, origin=np.array("{}"))
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    before = state(training)
    with pytest.raises(DataError, match=r"a\.ckpt: is damaged"):
        training.load(path)
    assert equal(state(training), before) and not (tmp_path / "ran").exists()


# --- data and the published variant ---------------------------------------------------------------


def test_the_record_names_the_data_and_the_split(target):
    facts = target.provenance
    assert target.data == "stand-in" and facts["stand_in"] is True
    assert facts["origin"] == "models.data.babi_generator, seed 17"
    assert (facts["n_train"], facts["n_valid"], facts["n_test"]) == (LIMIT, 25, 25)
    assert len(facts["sha256"]) == len(facts["split_sha256"]) == 64
    assert facts["split"] == "fixed" and facts["tokens"] == "words"
    json.dumps(facts)


def test_files_of_the_folder_are_read_and_real_needs_the_archive(tmp_path):
    babi_generator.write(tmp_path / "babi", 100, 10)
    made = BabiLSTM(data="auto", folder=str(tmp_path), limit=LIMIT)
    assert made.data == "stand-in"
    made.stage("cpu")
    assert made.provenance["origin"] == "loose files of unknown origin"
    with pytest.raises(DataError, match="data=real"):
        BabiLSTM(data="real", folder=str(tmp_path))


def test_published_restores_the_test_split_and_two_idle_hyperparameters(monkeypatch):
    """With words for tokens: a network for characters takes half a minute to compile."""
    monkeypatch.setattr(babi, "characters", babi.words)
    made = BabiLSTM(data="stand_in", limit=LIMIT, published=True)
    made.stage("cpu")
    assert made.provenance["tokens"] == "characters" and made.split == "published"
    for a, b in zip(made.valid, made.test, strict=True):
        assert np.array_equal(a, b)
    one = state(trained(made, GOOD, 1))
    for name in ("learning_rate", "weight_decay"):
        assert equal(one, state(trained(made, GOOD | {name: 0.1}, 1)))
    for name in ("dropout", "rho"):
        assert not equal(one, state(trained(made, GOOD | {name: 0.5}, 1)))


@pytest.mark.exhaustive
def test_published_trains_on_characters():
    made = BabiLSTM(data="stand_in", limit=32, published=True)
    made.stage("cpu")
    assert made.sizes[0] == 29
    assert np.isfinite(trained(made, GOOD, 1).validate()["val_loss"])


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match="split=halves"):
        BabiLSTM(split="halves")
    with pytest.raises(ConfigError, match="limit=2"):
        BabiLSTM(limit=2)


def test_making_it_imports_no_tensorflow():
    script = (
        "import sys; from models.babi_lstm import BabiLSTM; BabiLSTM(data='stand_in')\n"
        "print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.exhaustive
def test_in_a_hundred_epochs_it_learns_more_than_the_majority():
    """Binomial deviation of 1,000 questions: .016."""
    made = BabiLSTM(data="stand_in")
    made.stage("cpu")
    config = {"learning_rate": 5e-3, "dropout": 0.3, "rho": 0.99, "weight_decay": 1e-5}
    training = trained(made, config, 95, seed=11)
    found = []
    for epoch in range(96, 101):
        training.train_epoch(epoch)
        found.append(training.validate()["val_accuracy"])
    assert np.mean(found) > 0.54
