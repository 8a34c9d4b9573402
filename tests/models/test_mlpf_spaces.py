"""MLPF's spaces: what was published, which YAML has it, and that each hyperparameter reaches the network."""

import math

import numpy as np
import pytest

from kit import toy_events
from kit.driving import CONF, compose
from models.mlpf import MLPF, architecture, network, schedules, spaces
from models.mlpf import events as mlpf_events
from models.mlpf.mlpf_torch import MLPFTorch
from suite.compare.figures_of_merit import references
from suite.core.errors import ConfigError
from suite.core.ordered import Ordered
from suite.core.space import Choice, Float, Int
from suite.core.target import make_target

WIDTHS, ONE_TO_FOUR = Choice(32, 64, 128, 256), Int(1, 4)
PUBLISHED = {
    # E. Wulff, "Hyperparameter Optimization for Deep Learning using High Performance Computing", July 2024.
    "first_stage": {
        "lr": Float(1e-4, 3e-2, log=True),
        "expdecay_decay_steps": Ordered(*range(10, 2001, 10)),
        "dropout": Float(0.0, 0.5),
        "clip_value_low": Float(0.0, 0.2),
        "dist_mult": Float(0.01, 0.2),
    },
    "second_stage": {
        "layernorm": Choice(False, True),
        **dict.fromkeys(("ffn_dist_hidden_dim", "distance_dim", "output_dim"), WIDTHS),
        "ffn_dist_num_layers": ONE_TO_FOUR,
        "num_node_messages": ONE_TO_FOUR,
        "num_graph_layers_common": ONE_TO_FOUR,
        "num_graph_layers_energy": ONE_TO_FOUR,
        "bin_size": Choice(16, 32, 40, 64, 80),
        "normalize_degrees": Choice(True, False),
    },
    # jpata/particleflow at 7e8a710 (August 2026), mlpf/raytune/search_space.py.
    "upstream_2026": {
        "optimizer": Choice("adamw", "lamb"),
        "lr": Choice(2e-4, 4e-4, 8e-4),
        "num_convs": Int(1, 5),
        "num_heads": Choice(8, 16, 32),
        "head_dim": Choice(8, 16, 32),
        "dropout_ff": Choice(0.0, 0.01, 0.1, 0.2),
        "activation": Choice("elu", "relu", "relu6", "leakyrelu"),
    },
}
BEST = {  # of the same talk
    "first_stage": (0.001998, 0.120898, 0.016312, 0.001129),
    "second_stage": (64, 64, 128, 3, False, True, 3, 2, 3, 64),
}
YAMLS = {
    "mlpf": "recorded", "mlpf_5hp": "first_stage", "mlpf_10hp": "second_stage",
    "mlpf_schedules": "first_stage_schedules",
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_space_has_the_names_ranges_and_kinds_of_its_source(name):
    assert dict(spaces.published_spaces()[name].parameters) == PUBLISHED[name]


@pytest.mark.parametrize("name", BEST)
def test_the_published_best_configuration_is_told_and_lies_within_its_space(name):
    space = spaces.published_spaces()[name]
    assert sorted(map(str, space.best.values())) == sorted(map(str, BEST[name]))
    for key, value in space.best.items():
        assert space.parameters[key].check(value) is None


@pytest.mark.parametrize("name", YAMLS)
def test_each_yaml_searches_its_space_and_its_default_is_a_point_of_it(name):
    target = make_target(compose(f"model={name}")["model"] | {"data": "stand_in"})
    assert dict(target.space) == dict(spaces.find(YAMLS[name]).parameters)
    assert target.space.free == tuple(target.space)
    assert target.default is not None and "jpata/particleflow" in target.default_source
    needed = {*target.held, *spaces.by_network_names(target.default)}
    assert needed == set(spaces.HELD), "every value of the network is searched or held"


def test_the_torch_target_searches_its_own_space_and_takes_every_other_of_the_network():
    target = make_target(compose("model=mlpf_torch")["model"] | {"data": "stand_in"})
    assert list(target.space) == list(spaces.find("three_layers", spaces.THREE_LAYERS).parameters)
    assert target.default["layer"] == "gnn_lsh" and "num_heads" not in target.default
    assert {*target.held, *target.default} == set(spaces.THREE_LAYERS.held)
    for layer, own in (
        ("attention", {"num_heads": 8, "head_dim": 16}),
        ("favor", {"num_features": 64}),
    ):
        held = MLPFTorch(data="stand_in", fixed={"layer": layer}).default
        assert held["layer"] == layer and own.items() <= held.items() and "bin_size" not in held
    with pytest.raises(ConfigError, match="space=three_layers: unknown"):
        MLPF(data="stand_in", space="three_layers")
    for name in YAMLS.values():
        held = {"layer": "favor", "num_features": 32}
        other = MLPFTorch(data="stand_in", space=name, held=held, schedule_epochs=9)
        assert dict(other.space) == dict(spaces.find(name).parameters)
        assert other.shape_of({**other.held, **other.default}).n_features == 32


def test_every_held_value_is_one_that_the_network_takes():
    assert set(spaces.TAKEN) == set(spaces.HELD)
    for one in (spaces.LSH_2022, spaces.THREE_LAYERS):
        assert set(one.taken) == set(one.held)
        for space in spaces.published_spaces().values():
            for name, value in {**one.held, **space.held}.items():
                assert one.taken[name].check(value) is None


def test_with_the_cosine_the_decay_steps_leave_the_space():
    leaf = compose("model=mlpf_5hp", "model.held.lr_schedule=cosinedecay", "max_epochs=50")["model"]
    target = make_target(leaf | {"data": "stand_in"})
    assert list(target.space) == ["lr", "dropout", "clip_value_low", "dist_mult"]
    assert list(target.default) == list(target.space) and target.schedule_epochs == 50
    fixed = {"lr_schedule": "exponentialdecay"}
    MLPF(data="stand_in", space="first_stage_schedules", fixed=fixed)  # needs no schedule_epochs


@pytest.mark.slow
@pytest.mark.parametrize("staircase", [True, False])
def test_the_schedules_are_those_of_keras(staircase):
    import keras

    decay = keras.optimizers.schedules.ExponentialDecay(0.01, 40, 0.99, staircase=staircase)
    cosine = keras.optimizers.schedules.CosineDecay(0.01, 100)
    for step in (0, 1, 39, 40, 79, 99, 100, 130):
        given = {"decay_steps": 40, "staircase": staircase, "total_steps": 100}
        for ours, theirs in ((spaces.EXPONENTIAL, decay), (spaces.COSINE, cosine)):
            rate = schedules.learning_rate(ours, 0.01, step, **given)
            assert rate == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-8)


def test_layers_and_normalisation_have_as_many_parameters_as_their_formulas_say():
    plain = architecture.n_parameters(architecture.Architecture(16, 1, 2, 64))
    norms = 2 * (14 + 14 + 64)  # gamma and beta of each layer's input
    assert (
        architecture.n_parameters(architecture.Architecture(16, 1, 2, 64, layernorm=True))
        == plain + norms
    )
    deeper = architecture.Architecture(16, 1, 2, 64, hidden=32, n_hidden=3)
    inputs = 14 + 14 + 64
    before = inputs * 128 + 3 * (128 + 128 * 128 + 128)
    after = inputs * 32 + 3 * (32 + 2 * (32 * 32 + 32) + 32 * 128 + 128)
    assert architecture.n_parameters(deeper) == plain - before + after


@pytest.mark.parametrize(
    "shape", [{"layernorm": True}, {"normalize": False}, {"hidden": 32, "n_hidden": 2}]
)
def test_every_shape_treats_an_event_alike_with_more_padding(shape):
    chosen = mlpf_events.join([(X, y) for X, y in toy_events.toy_events(3, n=(20, 60))])
    net = architecture.Architecture(16, 1, 1, 16, **shape)
    weights, books = architecture.initial(net, np.random.default_rng(3))
    outs = []
    for extra in (0, 2):
        group = np.arange(3)
        where = architecture.layout(chosen.first[group], chosen.n[group], 16, -1, extra=extra)
        real = where.rows >= 0
        X = np.zeros((len(real), 12), np.float32)
        X[real] = chosen.X[where.rows[real]]
        named = network.unpack(net, weights)
        place = X, where.event, where.directions
        outs.append(
            [
                p.numpy()[real]
                for p in network.forward(net, named, books, *place, kernel=(0.15, 0.1))
            ]
        )
    for a, b in zip(*outs, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-3)


def test_the_graphs_kernel_falls_with_the_distance_down_to_its_least_value():
    """A layer whose messages are not normalised: an element's sum over its neighbours, from the formula."""
    import tensorflow as tf

    net = architecture.Architecture(8, 1, 0, 8, normalize=False)
    weights, books = architecture.initial(net, np.random.default_rng(0))
    named = dict(network.unpack(net, weights))
    X = np.random.default_rng(1).normal(0, 3, (8, net.encoded)).astype(np.float32)
    place = tf.constant([True] * 7 + [False]), tf.zeros(8, tf.int32), tf.ones(8, tf.int32)
    hidden = np.asarray(tf.nn.elu(network.dense(named, "id0/distance/0", X)))
    z = np.asarray(network.dense(named, "id0/distance/1", hidden))[:7].astype(float)
    distance = np.sqrt(((z[:, None] - z) ** 2).sum(-1))
    theta, own, gate = np.split(named["id0/message0/kernel"].numpy().astype(float), 3, axis=1)
    for mult, low in ((0.1, 0.0), (0.2, 0.4)):
        A = np.clip(np.exp(-mult * distance), low, 1.0)
        mix = 1 / (1 + np.exp(-(X[:7] @ gate + named["id0/message0/bias"].numpy())))
        sums = mix * (A @ (X[:7] @ theta)) + (1 - mix) * (X[:7] @ own)
        expected = np.where(sums > 0, sums, np.expm1(np.minimum(sums, 0)))
        drop = network.Dropout(None)
        out = network.graph_layer(net, named, "id0", X, books[0], place, drop, 0.0, (mult, low))
        np.testing.assert_allclose(
            out.numpy()[:7], expected, rtol=1e-3, atol=3e-3
        )  # 1 - 2ab: float32
        assert not out.numpy()[7:].any()
    assert (np.exp(-0.2 * distance) < 0.4).any() and math.isclose(A.min(), 0.4)


@pytest.mark.parametrize(
    ("name", "schedule", "hours"),
    [
        (
            "published_mlpf_bohb",
            "exponentialdecay",
            105.5,
        ),  # of the same talk, on 12 nodes with 4 A100
        ("published_mlpf_bohb_cosine", "cosinedecay", 98.4),
    ],
)
def test_the_published_search_states_its_node_hours_and_can_be_composed(name, schedule, hours):
    (reference,) = references(CONF / "experiment" / f"{name}.yaml")
    assert (reference.figure, reference.value, reference.unit) == ("node_hours", hours, "h")
    settings = compose(f"experiment={name}")
    leaf, budget = settings["model"], settings["budget"]
    assert (leaf["space"], leaf["held"]["lr_schedule"]) == ("first_stage", schedule)
    assert budget["n_trials"] == 200 and settings["choices"]["algorithm"] == "bohb_looped"
    assert "reference" not in settings
