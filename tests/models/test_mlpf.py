"""MLPF: the network against one written in Keras, its symmetries, its data, its checkpoints."""

import itertools
import json
import math

import numpy as np
import pytest

from kit import toy_events
from models.data import delphes
from models.mlpf import MLPF, architecture, network
from models.mlpf import events as mlpf_events
from models.mlpf.architecture import Architecture
from suite.core.errors import ConfigError, DataError, DivergedError

CONFIG = {
    "bin_size": 16,
    "dropout": 0.1,
    "lr": 1e-3,
    "n_glayers_id": 1,
    "n_glayers_reg": 2,
    "output_dim": 16,
    "weight_decay": 1e-4,
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("SUITE_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    toy_events.write(root / "delphes_standin_pu0" / "toy.pkl.bz2", toy_events.toy_events(120))
    return root


_targets = {}


@pytest.fixture
def staged(folder):
    """Targets are staged once each, as in a worker."""

    def get(**arguments):
        key = tuple(sorted(arguments.items()))
        if key not in _targets:
            _targets[key] = MLPF(**{"data": "stand_in", "folder": str(folder), **arguments})
            _targets[key].stage("cpu")
        return _targets[key]

    return get


def computed(net, chosen, seed=3, group=None, extra=0, scale=1.0):
    """Logits, charge and momenta of the real elements, in order of input; and the loss terms."""
    weights, books = architecture.initial(net, np.random.default_rng(seed))
    group = np.arange(len(chosen.n)) if group is None else group
    where = architecture.layout(chosen.first[group], chosen.n[group], net.bin_size, -1, extra=extra)
    real = where.rows >= 0
    X = np.zeros((len(real), 12), np.float32)
    y = np.zeros((len(real), 7), np.float32)
    X[real], y[real] = chosen.X[where.rows[real]], chosen.y[where.rows[real]]
    named = network.unpack(net, weights * np.float32(scale))
    out = network.forward(net, named, books, X, where.event, where.directions)
    terms = network.loss_terms(X, y, *out).numpy()
    return [part.numpy()[real] for part in out], terms


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers_and_width, n",
    [
        ((0, 0, 8), 281_425),
        ((2, 2, 64), 726_097),
        ((3, 2, 128), 1_428_945),
        ((3, 3, 256), 3_293_009),
        ((4, 4, 256), 4_441_425),
    ],
)
def test_it_has_as_many_parameters_as_the_public_code(layers_and_width, n):
    for bin_size in (8, 128):
        assert architecture.n_parameters(Architecture(bin_size, *layers_and_width)) == n


@pytest.mark.slow
def test_it_computes_and_learns_what_the_same_network_in_keras_does(staged):
    """Events end to end and one vector of weights, against padded arrays and Keras's layers."""
    import keras
    import tensorflow as tf

    from kit import keras_mlpf

    target = staged(published=True)
    config = CONFIG | {"bin_size": 8, "dropout": 0.0, "n_glayers_id": 2, "n_glayers_reg": 1}
    training = target.start(config, 1)
    X, y = keras_mlpf.padded(target.valid, target.pad)

    def twin():
        model = keras_mlpf.KerasMLPF(training.net, 0.0)
        model(X[:1])
        model.take(training.net, training.state[0].numpy(), training.books.numpy())
        return model

    keras.utils.set_random_seed(1)
    reference = twin()
    out = np.asarray(reference(X))
    _, guess = training.predictions(target.valid)
    for event, (n, ours) in enumerate(zip(target.valid.n, guess, strict=True)):
        np.testing.assert_allclose(ours[:, 1:], out[event, :n, 7:], rtol=1e-4, atol=5e-3)
    expected = float(np.mean(keras_mlpf.loss(y, out)))
    assert training.validate()["val_loss"] == pytest.approx(expected, rel=1e-5)

    rate, decay = 1e-3, 0.3  # Keras scales the decay by the rate
    optimizer = keras.optimizers.AdamW(rate, weight_decay=decay, amsgrad=True, epsilon=1e-7)
    training.config |= {"lr": rate, "weight_decay": rate * decay}
    before = reference.energy_weights()
    for _ in range(3):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(keras_mlpf.loss(y[:5], reference(X[:5], training=True)))
        weights = reference.trainable_variables
        optimizer.apply(tape.gradient(value, weights), weights)
        for batch in target.batches(training.net, target.valid, [np.arange(5)]):
            rates = training._rates(1.0 / (5 * target.pad))
            training.compiled.step(
                training.state, training.books, training.kernel, *batch, rates,
                np.array([1, 0], np.int64),
            )  # fmt: skip
    moved = np.abs(reference.energy_weights() - before).mean()
    apart = np.abs(twin().energy_weights() - reference.energy_weights()).mean()
    assert apart < 0.01 * moved


@pytest.mark.parametrize("bin_size", [8, 16, 32, 64, 128])
def test_an_event_is_treated_alike_alone_or_with_others_or_with_more_padding(staged, bin_size):
    """One event, and one bin, too: where the public code's squeezed axes made it fail."""
    chosen = staged().valid
    net = Architecture(bin_size, 1, 1, 16)
    together, terms = computed(net, chosen)
    padded, padded_terms = computed(net, chosen, extra=3)
    np.testing.assert_allclose(padded_terms, terms, rtol=1e-5)
    for a, b in zip(padded, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)
    event = int(np.argmin(chosen.n))
    alone, _ = computed(net, chosen, group=np.array([event]))
    assert chosen.n[event] <= 64
    rows = slice(chosen.first[event], chosen.first[event] + chosen.n[event])
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b[rows], rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_twice_the_padding_is_half_the_loss_and_nothing_else(staged):
    one, two = staged(pad=128), staged(pad=256)
    a, b = (target.start(CONFIG, 1) for target in (one, two))
    assert b.validate()["val_loss"] == pytest.approx(a.validate()["val_loss"] / 2, rel=1e-12)
    for x, y in zip(a.predictions(one.valid)[1], b.predictions(two.valid)[1], strict=True):
        assert np.array_equal(x, y)


@pytest.mark.parametrize("bin_size", [8, 32])
def test_elements_in_another_order_give_the_same_in_that_order(staged, bin_size):
    chosen = staged().valid
    net = Architecture(bin_size, 1, 1, 16)
    event = int(np.argmax(chosen.n))
    rows = chosen.first[event] + np.arange(chosen.n[event])
    X, y = np.array(chosen.X[rows]), np.array(chosen.y[rows])
    order = np.random.default_rng(5).permutation(len(X))
    straight, _ = computed(net, mlpf_events.join([(X, y)]))
    shuffled, _ = computed(net, mlpf_events.join([(X[order], y[order])]))
    assert len(X) > 2 * bin_size
    for a, b in zip(shuffled, straight, strict=True):
        np.testing.assert_allclose(a, b[order], rtol=1e-4, atol=2e-3)


def placed_in_bins(net, X, event, directions, seed=0):
    """z (T, d) and the order of slots, of a random distance network."""
    rng = np.random.default_rng(seed)
    z = (X @ rng.normal(0, 1, (12, net.distance_dim))).astype(np.float32)
    book = rng.normal(0, 0.05, (net.distance_dim, architecture.MAX_BINS // 2)).astype(np.float32)
    mask = X[:, 0] != 0
    order, back = network.bins(net, z, book, mask, event, directions)
    return z, order.numpy(), back.numpy(), mask


def test_bins_are_neighbourhoods_within_one_event():
    rng = np.random.default_rng(2)
    n = np.array([300, 500])
    where = architecture.layout(np.array([0, 300]), n, 16, 800)
    centres = rng.normal(size=(10, 12))
    X = (centres[rng.integers(0, 10, 801)] + 0.1 * rng.normal(size=(801, 12))).astype(np.float32)
    X[:, 0], X[800] = 1, 0
    X = X[where.rows]
    net = Architecture(16, 1, 0, 8)
    z, order, back, mask = placed_in_bins(net, X, where.event, where.directions)
    assert np.array_equal(np.sort(order), np.arange(len(X)))
    assert np.array_equal(order[back], np.arange(len(X)))
    cut = order.reshape(-1, 16)
    assert (where.event[cut] == where.event[cut][:, :1]).all()
    held = mask[order]
    for event in (0, 1):  # padding comes last
        inside = held[where.event[order] == event]
        assert not inside[np.argmin(inside) :].any()

    def spread(bins):
        gaps = [
            np.linalg.norm(z[a] - z[b], axis=-1)
            for a, b in itertools.combinations(bins[mask[bins].all(1)].T, 2)
        ]
        return float(np.mean(gaps))

    mixed = np.concatenate([rng.permutation(np.flatnonzero(where.event == e)) for e in (0, 1)])
    assert spread(cut) < 0.6 * spread(mixed.reshape(-1, 16))


def test_gradients_reach_the_distance_network_and_every_layer(staged):
    import tensorflow as tf

    chosen = staged().valid
    net = Architecture(16, 2, 2, 16, n_messages=2)
    weights, books = architecture.initial(net, np.random.default_rng(3))
    where = architecture.layout(chosen.first, chosen.n, 16, len(chosen.X))
    X = np.concatenate([chosen.X, np.zeros((1, 12), np.float32)])[where.rows]
    y = np.concatenate([chosen.y, np.zeros((1, 7), np.float32)])[where.rows]
    vector = tf.constant(weights)
    with tf.GradientTape() as tape:
        tape.watch(vector)
        named = network.unpack(net, vector)
        out = network.forward(net, named, books, X, where.event, where.directions)
        total = tf.reduce_sum(network.loss_terms(X, y, *out))
    gradient = network.unpack(net, tape.gradient(total, vector))
    dead = {name for name, part in gradient.items() if not np.any(part.numpy())}
    assert not dead
    assert all("distance" not in name for name in dead)


def test_dropout_meets_its_rate_and_is_a_function_of_its_seed():
    import tensorflow as tf

    x = tf.ones((500, 64))

    def drawn(seed, rate=0.3):
        drop = network.Dropout(np.array(seed, np.int64))
        return [drop(x, rate).numpy() for _ in range(2)]

    first, second = drawn((1, 0))
    assert np.mean(first == 0) == pytest.approx(0.3, abs=0.01)
    assert first.mean() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(np.unique(first), [0.0, 1 / 0.7], rtol=1e-4)
    assert not np.array_equal(first, second) and not np.array_equal(first, drawn((1, 256))[0])
    assert np.array_equal(first, drawn((1, 0))[0])
    assert np.array_equal(drawn((1, 0), 0.0)[0], x.numpy())


# --- the loss -------------------------------------------------------------------------------------


def huber(off, delta):
    off = np.abs(off)
    return np.where(off <= delta, 0.5 * off**2, delta * (off - 0.5 * delta)).sum()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_copy_input_loss_is_what_all_weights_zero_give(staged, split):
    target = staged()
    chosen = getattr(target, split)
    X, y = (np.asarray(part, np.float64) for part in (chosen.X, chosen.y))
    hit = y[:, 0] != 0
    pt = X[:, 5] / np.cosh(np.clip(X[:, 2], -8, 8))
    total = len(X) * math.log(6) + (y[hit, 1] ** 2).sum()
    for column, guess, delta in (
        (2, pt, 1.0), (3, X[:, 2], 0.1), (4, X[:, 3], 0.1), (5, X[:, 4], 0.1), (6, X[:, 5], 1.0),
    ):  # fmt: skip
        total += 100 * huber((y[:, column] - guess)[hit], delta)
    expected = total / (len(chosen.n) * target.pad)
    assert target.copy_input_loss(split) == pytest.approx(expected, rel=1e-5)


def test_it_learns_more_than_to_copy_its_input(staged):
    target = staged()
    training = target.start(CONFIG, 1)
    for epoch in (1, 2, 3, 4):
        training.train_epoch(epoch)
    assert training.validate()["val_loss"] < 0.5 * target.copy_input_loss("valid")


@pytest.mark.slow
def test_published_weight_decay_is_not_scaled_by_the_rate_and_ends_at_the_copied_input(staged):
    """The plateau of the recorded table, at a ratio of decay to rate above about 100."""
    config = CONFIG | {"lr": 1e-4, "weight_decay": 0.1, "dropout": 0.0}
    found = {}
    for published in (False, True):
        target = staged(published=published)
        training = target.start(config, 1)
        for epoch in range(1, 7):
            training.train_epoch(epoch)
        found[published] = training.validate()["val_loss"] / target.copy_input_loss("valid")
    assert found[True] == pytest.approx(1.0, abs=0.02)
    assert found[False] < 0.6


# --- trials ---------------------------------------------------------------------------------------


def after_one_epoch(target, config):
    training = target.start(config, 4)
    training.train_epoch(1)
    return training.validate()["val_loss"]


def test_trials_of_one_architecture_share_one_trace(staged):
    target = staged(limit=16)
    config = CONFIG | {"output_dim": 32}
    for k, (lr, dropout, decay) in enumerate(((1e-3, 0.1, 1e-4), (1e-5, 0.4, 1e-2))):
        training = target.start(config | {"lr": lr, "dropout": dropout, "weight_decay": decay}, k)
        training.train_epoch(1)
        training.validate()
    assert training.compiled.step.experimental_get_tracing_count() == 1
    assert training.compiled.evaluate.experimental_get_tracing_count() == 1


def test_a_loss_that_is_no_number_ends_the_trial(staged):
    training = staged(limit=16).start(CONFIG, 1)
    training.state[0].assign(np.full(training.state[0].shape, np.nan, np.float32))
    with pytest.raises(DivergedError, match="val_loss=nan"):
        training.validate()
    with pytest.raises(DivergedError, match="train_loss=nan in epoch 3"):
        training.train_epoch(3)


def test_a_checkpoint_of_another_configuration_or_a_damaged_one_is_refused_by_name(
    staged, tmp_path
):
    target = staged(limit=16)
    training = target.start(CONFIG, 1)
    path = tmp_path / "trial.ckpt"
    training.save(path)
    training.load(path)
    for config in (CONFIG | {"lr": 2e-3}, CONFIG | {"output_dim": 8}):
        with pytest.raises(ConfigError, match=r"trial\.ckpt: config_sha256"):
            target.start(config, 1).load(path)
    with pytest.raises(ConfigError, match="config_sha256"):
        staged(published=True).start(CONFIG, 1).load(path)
    whole = path.read_bytes()
    for damaged in (whole[:1000], b"", b"not one", whole[:-3000]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"trial\.ckpt: is damaged"):
            training.load(path)


def test_a_checkpoint_holds_arrays_only(staged, tmp_path):
    training = staged(limit=16).start(CONFIG, 1)
    training.save(tmp_path / "trial.ckpt")
    with np.load(tmp_path / "trial.ckpt", allow_pickle=False) as file:
        assert json.loads(str(file["origin"]))["target"] == "MLPF"
        assert all(file[name].dtype != object for name in file.files)


# --- data -----------------------------------------------------------------------------------------


def files_of(root, n_files, per_file=6, name="delphes_standin_pu0/part_{}.pkl.bz2"):
    for k in range(n_files):
        toy_events.write(root / name.format(k), toy_events.toy_events(per_file, seed=k, n=(10, 30)))


def stage(root, **arguments):
    target = MLPF(**{"data": "auto", "folder": str(root), **arguments})
    target.stage("cpu")
    return target


def starts(chosen):
    """The first element's energy: a name for an event."""
    return {float(chosen.X[first, 5]) for first in chosen.first}


def test_events_of_several_files_are_split_by_file(tmp_path):
    files_of(tmp_path, 20)
    target = stage(tmp_path)
    splits = [starts(part) for part in (target.train, target.valid, target.test)]
    assert [len(names) for names in splits] == [96, 12, 12]
    assert not splits[0] & splits[1] and not (splits[0] | splits[1]) & splits[2]
    files = [
        {float(np.float32(X[0, 5])) for X, _ in toy_events.toy_events(6, seed=k, n=(10, 30))}
        for k in range(20)
    ]
    for names in splits:
        assert all(file <= names or not file & names for file in files)
    assert target.provenance["split_by"] == "file" and target.provenance["stand_in"] is True


def test_the_published_split_is_the_first_four_fifths_and_selects_on_the_rest(tmp_path):
    files_of(tmp_path, 10)
    target = stage(tmp_path, published=True)
    assert target.provenance["split"] == "published" and target.valid is not target.train
    assert starts(target.valid) == starts(target.test) and len(target.valid.n) == 12
    first = {float(np.float32(X[0, 5])) for X, _ in toy_events.toy_events(6, seed=0, n=(10, 30))}
    assert first <= starts(target.train) and not starts(target.train) & starts(target.valid)


def test_a_limit_keeps_few_events_and_the_splits_apart(folder):
    target = MLPF(data="stand_in", folder=str(folder), limit=20)
    target.stage("cpu")
    found = [starts(part) for part in (target.train, target.valid, target.test)]
    assert [len(names) for names in found] == [20, 5, 5]
    assert len(found[0] | found[1] | found[2]) == 30


def test_what_is_read_once_is_mapped_afterwards_and_the_same(tmp_path, monkeypatch):
    files_of(tmp_path, 3)
    first = stage(tmp_path)
    monkeypatch.setattr(delphes, "read_whole", lambda path: pytest.fail("read again"))
    second = stage(tmp_path)
    assert second.provenance == first.provenance and isinstance(second.train.X, np.memmap)
    assert np.array_equal(first.train.X, second.train.X)
    monkeypatch.undo()


def test_a_changed_file_is_not_taken_from_the_cache(tmp_path):
    files_of(tmp_path, 2)
    first = stage(tmp_path)
    toy_events.write(
        tmp_path / "delphes_standin_pu0/part_1.pkl.bz2", toy_events.toy_events(7, seed=99)
    )
    assert stage(tmp_path).provenance["sha256"] != first.provenance["sha256"]


def test_events_that_are_damaged_or_too_large_are_counted_and_none_is_cut(tmp_path, monkeypatch):
    """The reader may refuse such events itself; what it hands up is looked at again."""
    events = [*toy_events.toy_events(30, n=(40, 50)), *toy_events.toy_events(1, n=(140, 150))]
    X, y = toy_events.toy_events(1, seed=9)[0]
    empty = (np.zeros((0, 12)), np.zeros((0, 7)))
    events += [(np.where(np.isclose(X, X[3, 5]), np.nan, X), y), empty]
    events = [(X, y, np.zeros_like(y)) for X, y in events]
    (tmp_path / "delphes_standin_pu0").mkdir()
    (tmp_path / "delphes_standin_pu0" / "a.pkl.bz2").touch()
    monkeypatch.setattr(delphes, "read_whole", lambda path: events)
    target = stage(tmp_path, pad=128)
    assert target.provenance["n_damaged"] == 2 and target.provenance["n_too_large"] == 1
    assert sum(len(part.n) for part in (target.train, target.valid, target.test)) == 30
    monkeypatch.setattr(delphes, "read_whole", lambda path: events[-3:-2] * 20)
    (tmp_path / "delphes_standin_pu0" / "b.pkl.bz2").touch()
    with pytest.raises(DataError, match=r"pad=128.*raise pad"):
        stage(tmp_path, pad=128)


def test_the_padding_is_the_largest_event_rounded_up(staged):
    target = staged()
    largest = max(int(part.n.max()) for part in (target.train, target.valid, target.test))
    assert target.pad == -(-largest // 128) * 128 == target.provenance["pad"]


def test_real_events_are_asked_for_by_name_and_nothing_else_is_taken(tmp_path, folder):
    line = r"data=real.*: swiftbench fetch delphes --to .*; or .* NOT the data set: model.data=stand_in"
    with pytest.raises(DataError, match=line):
        MLPF(folder=str(folder))
    files_of(tmp_path, 2, name="delphes/tev14_pythia8_ttbar_0_{}.pkl.bz2")
    assert MLPF(folder=str(tmp_path)).data == "real"
    assert MLPF(folder=str(tmp_path), data="stand_in").data == "stand-in"
    assert MLPF(folder=str(folder), data="auto").data == "stand-in"
    target = stage(tmp_path, data="real")
    assert target.provenance["name"] == "delphes" and target.provenance["stand_in"] is False
    (tmp_path / "delphes" / "stand_in.json").touch()  # generated into the real set's folder
    with pytest.raises(DataError, match="data=real"):
        MLPF(folder=str(tmp_path))


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"data": "reel"}, "Did you mean real"),
        ({"pileup": 7}, "pileup=7"),
        ({"pad": 200}, "pad=200: must be a multiple of 128"),
        ({"space": "upstream_2026"}, "space=upstream_2026: unknown; known are first_stage"),
        ({"held": {"depth": 3}}, "held=depth: unknown"),
        ({"held": {"lr": 0.1}}, r"held\.lr=0\.1: the space searches it; hold it by fixed\.lr"),
        ({"held": {"distance_dim": 7}}, r"held\.distance_dim=7: must be one of 8, 16"),
        (
            {"held": {"lr_schedule": "cosinedecay"}},
            "schedule_epochs=null: lr_schedule=cosinedecay needs",
        ),
        ({"space": "first_stage_schedules"}, "schedule_epochs=null"),
        ({"schedule_epochs": 0}, "schedule_epochs=0"),
        (
            {
                "space": "first_stage",
                "schedule_epochs": 9,
                "held": {"lr_schedule": "cosinedecay"},
                "fixed": {"expdecay_decay_steps": 20},
            },
            r"fixed\.expdecay_decay_steps=20: plays no part",
        ),
        ({"split": "random"}, "split=random"),
        ({"limit": 2}, "limit=2"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_an_argument_out_of_range_is_named(arguments, said):
    with pytest.raises(ConfigError, match=said):
        MLPF(**arguments)


def test_without_events_and_generator_the_remedy_is_said(tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pythia8mc" else found(name)
    )
    target = MLPF(data="stand_in", folder=str(tmp_path), pileup=140)
    with pytest.raises(DataError, match="extra `hep`"):
        target.stage("cpu")
