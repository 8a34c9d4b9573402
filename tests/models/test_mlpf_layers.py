"""MLPF's layers in torch: each against its formula, its symmetries, its cost."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kit import toy_events
from kit.torch_mlpf import (
    computed,
    every_layer,
    laid,
    made,
    of,
    some,
)
from models.mlpf import architecture, torch_layers
from models.mlpf import events as mlpf_events
from models.mlpf.architecture import LAYERS, N_INPUTS, N_TYPES
from models.mlpf.torch_layers import Dropout, Place

ENCODED = N_TYPES + N_INPUTS - 1


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- formulas -------------------------------------------------------------------------------------


def formula(layer, d, o, n_id, n_reg, heads=2, dim=8):
    """Trainable numbers of a network, by hand."""

    def ffn(*widths):
        return sum(a * b + b for a, b in itertools.pairwise(widths))

    def branch(n):
        if layer == "gnn_lsh":
            inputs = [d] + [o] * (n - 1)
            return sum(ffn(i, 128, 128) + 3 * i * o + o for i in inputs[:n])
        inner = heads * dim
        one = 2 * o + (3 * inner * o + 3 * inner) + (inner * o + o) + 2 * o + ffn(o, o, o)
        return n * one + (ffn(d, o) if n else 0)

    seen = d + n_id * o
    known, whole = seen + 6, seen + 6 + d + 2 * n_reg * o + 6
    heads_ = ffn(seen, 256, 128, 64, 32, 6) + ffn(seen, 256, 128, 1)
    heads_ += ffn(known, 256, 128, 64, 2) + ffn(known, 256, 128, 64, 4)
    heads_ += ffn(whole, 256, 128, 64, 6) + ffn(whole, 256, 128, 64, 2)
    return branch(n_id) + branch(n_reg) + 2 * seen + heads_


@every_layer
@pytest.mark.parametrize(("n_id", "n_reg", "width"), [(0, 0, 8), (1, 2, 16), (3, 3, 256)])
def test_it_has_as_many_parameters_as_the_formula_says(layer, n_id, n_reg, width):
    net = of(layer, n_id, n_reg, width)
    counted = sum(p.numel() for p in made(net).parameters())
    assert counted == architecture.n_parameters(net) == formula(layer, 14, width, n_id, n_reg)


def affine(weights, name, x):
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def norm(weights, name, x):
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
    return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def graph_by_hand(w, x, _):
    z = affine(w, "id0/distance/1", elu(affine(w, "id0/distance/0", x)))
    A = np.exp(-0.1 * np.sqrt(np.maximum(((z[:, None] - z) ** 2).sum(-1), 1e-6)))
    degree = 1.0 / np.sqrt(A.sum(1, keepdims=True) + 1e-6)
    theta, own, gate = np.split(w["id0/message0/kernel"], 3, axis=1)
    mix = 1 / (1 + np.exp(-(x @ gate + w["id0/message0/bias"])))
    return elu(mix * (degree * (A @ (degree * (x @ theta)))) + (1 - mix) * (x @ own))


def attention_by_hand(w, x, weigh):
    """weigh(q, k): the weights (n, n) of one head, rows sum to 1."""
    x = affine(w, "id0/embed", x)
    q, k, v = np.split(affine(w, "id0/qkv", norm(w, "id0/norm", x)), 3, axis=1)
    heads = [weigh(q[:, i : i + 8], k[:, i : i + 8]) @ v[:, i : i + 8] for i in range(0, 16, 8)]
    x = x + affine(w, "id0/out", np.concatenate(heads, axis=1))
    fed = norm(w, "id0/feed_norm", x)
    return x + affine(w, "id0/feed/1", elu(affine(w, "id0/feed/0", fed)))


def softmax(q, k):
    e = np.exp(q @ k.T / math.sqrt(q.shape[1]))
    return e / e.sum(1, keepdims=True)


def by_features(columns):
    """Positive random features as lemma 1 of the paper writes them."""

    def phi(rows):
        rows = rows * rows.shape[1] ** -0.25
        return np.exp(rows @ columns - (rows**2).sum(1, keepdims=True) / 2) / math.sqrt(
            columns.shape[1]
        )

    def weigh(q, k):
        e = phi(q) @ phi(k).T
        return e / e.sum(1, keepdims=True)

    return weigh


@every_layer
def test_a_layer_computes_what_its_formula_says(layer):
    """In float64 by hand, seven elements and a slot of padding, which stays 0."""
    net = of(layer, 1, 0, 16, bin_size=8)
    network = made(net)
    w = {name: p.detach().numpy().astype(float) for name, p in network.weights.items()}
    x = np.random.default_rng(1).normal(0, 2, (8, ENCODED))
    x[7] = 0
    place = Place(
        torch.tensor([True] * 7 + [False]), torch.zeros(8, dtype=torch.long),
        torch.ones(8, dtype=torch.long), [(0, 7, 8)],
    )  # fmt: skip
    out = torch_layers.layer(
        net, network.weights, "id0", torch.tensor(x, dtype=torch.float32), network.drawn[0],
        place, Dropout(), 0.0, architecture.KERNEL,
    )  # fmt: skip
    by_hand = graph_by_hand if layer == "gnn_lsh" else attention_by_hand
    weigh = by_features(network.drawn[0].numpy().astype(float)) if layer == "favor" else softmax
    expected = by_hand(w, x[:7], weigh)
    np.testing.assert_allclose(out.detach().numpy()[:7], expected, rtol=2e-4, atol=2e-4)
    assert not out.detach().numpy()[7].any() and expected.std() > 0.1


def test_favor_comes_nearer_to_softmax_attention_with_more_features():
    """Its error falls as one over the square root of their number (n = 20 draws a number).

    For queries and keys of moderate length; the variance grows as the exponential of their lengths squared,
    and at twice this length 512 features are not yet many (slope -.16).
    """
    rng = np.random.default_rng(0)
    q, k, v = (torch.tensor(rng.normal(0, 0.5, (1, 1, 40, 8)), dtype=torch.float32) for _ in "qkv")
    exact = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    numbers, errors = (8, 32, 128, 512), []
    for m in numbers:
        off = []
        for _ in range(20):
            columns = torch.tensor(architecture.orthogonal(rng, 8, m), dtype=torch.float32)
            off.append(float((torch_layers.favor(columns, q, k, v) - exact).pow(2).mean()))
        errors.append(math.sqrt(np.mean(off)))
    slope = np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    print(f"\nrms error by features {dict(zip(numbers, errors, strict=True))}, slope {slope:.2f}")
    assert errors == sorted(errors, reverse=True) and -0.75 < slope < -0.35
    assert errors[-1] < 0.25 * float(exact.std())


def test_random_features_are_normal_in_length_and_orthogonal_in_blocks():
    columns = architecture.orthogonal(np.random.default_rng(0), 16, 4000)
    for block in np.split(columns, 250, axis=1)[:5]:
        gram = block.T @ block
        np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-9)
    assert np.mean(columns**2) == pytest.approx(1.0, abs=0.02)
    assert np.abs(columns.mean(1)).max() < 0.06
    assert architecture.orthogonal(np.random.default_rng(0), 16, 21).shape == (16, 21)


# --- symmetries and cost --------------------------------------------------------------------------


@every_layer
@pytest.mark.parametrize("sizes", [(20, 60), (1, 2)])
def test_padding_and_other_events_change_nothing(layer, sizes):
    """One element, too."""
    chosen, net = some(sizes=sizes), of(layer)
    together, padded = computed(net, chosen), computed(net, chosen, extra=3)
    for a, b in zip(padded, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-3)
    rows = slice(chosen.first[1], chosen.first[1] + chosen.n[1])
    alone = computed(net, mlpf_events.join([(chosen.X[rows], chosen.y[rows])]))
    for a, b in zip(alone, together, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b[rows], rtol=1e-4, atol=2e-3)


@every_layer
def test_elements_in_another_order_give_the_same_in_that_order(layer):
    """Of a graph in bins only where no two elements of an event have the same code and length: ties stay in
    the order of input.
    """
    X, y = toy_events.toy_event(np.random.default_rng(4), 100)
    order = np.random.default_rng(5).permutation(len(X))
    straight = computed(of(layer), mlpf_events.join([(X, y)]))
    shuffled = computed(of(layer), mlpf_events.join([(X[order], y[order])]))
    for a, b in zip(shuffled, straight, strict=True):
        np.testing.assert_allclose(a, b[order], rtol=1e-4, atol=2e-3)


def test_equal_elements_are_where_the_graphs_symmetry_ends():
    """Attention gives copies of an element the same; bins may part them."""
    X, y = toy_events.toy_event(np.random.default_rng(4), 40)
    X[20:], y[20:] = X[0], y[0]
    chosen = mlpf_events.join([(X, y)])
    parted = {}
    for layer in LAYERS:
        _, _, momenta = computed(of(layer, bin_size=8), chosen)
        parted[layer] = float(np.ptp(momenta[20:], axis=0).max())
    assert parted["attention"] < 1e-3 and parted["favor"] < 1e-3 and parted["gnn_lsh"] > 1e-3


@pytest.mark.parametrize(("layer", "power"), [("gnn_lsh", 1), ("attention", 2), ("favor", 1)])
def test_the_cost_of_pairs_grows_with_the_elements_as_is_claimed(layer, power):
    """Counted operations of a layer but for its dense parts: 2^power for twice the elements."""

    def operations(n):
        net = of(layer, 1, 0, 16)
        X, place, _ = laid(net, some(1, (n, n + 1)))
        network = made(net)
        encoded = torch.zeros((len(X), ENCODED))
        with FlopCounterMode(display=False) as counter, sdpa_kernel([SDPBackend.MATH]):
            torch_layers.layer(
                net, network.weights, "id0", encoded, network.drawn[0], place, Dropout(), 0.0,
                architecture.KERNEL,
            )  # fmt: skip
        by_kind = counter.get_flop_counts()["Global"]
        return sum(count for kind, count in by_kind.items() if "addmm" not in str(kind))

    assert operations(1024) / operations(512) == pytest.approx(2**power, rel=0.01)


@every_layer
def test_in_bfloat16_it_computes_about_the_same(layer):
    """As on a GPU, by a CPU's autocast; momenta keep their float32 skip connections."""
    chosen, net = some(), of(layer)
    X, place, _ = laid(net, chosen)
    network = made(net)
    with torch.inference_mode():
        exact = network(X, place)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(X, place)
    assert all(part.dtype == torch.float32 for part in rough)
    size = float((exact[2] - X[:, [1, 2, 3, 4, 5]]).abs().mean())
    assert float((rough[2] - exact[2]).abs().mean()) < 0.1 * max(size, 1.0)


def test_dropout_meets_its_rate_and_a_share_has_the_whole_batchs_masks():
    def drawn(whole, first, rows, rate=0.3):
        generator = torch.Generator().manual_seed(1)
        return Dropout(generator, whole, first)(torch.ones((rows, 64)), rate).numpy()

    whole = drawn(500, 0, 500)
    assert np.mean(whole == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(whole), [0.0, 1 / 0.7], rtol=1e-4)
    assert np.array_equal(drawn(500, 200, 100), whole[200:300])
    assert np.array_equal(drawn(9, 0, 9, 0.0), np.ones((9, 64)))
