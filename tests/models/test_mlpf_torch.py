"""MLPF in torch: each layer against its formula, its symmetries, its cost, its checkpoints, bad input."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kit import toy_events
from models import checkpoint
from models.data import delphes
from models.mlpf import architecture, torch_layers
from models.mlpf import events as mlpf_events
from models.mlpf.architecture import ENCODED, LAYERS, Architecture
from models.mlpf.mlpf_torch import MLPFTorch
from models.mlpf.torch_layers import Dropout, Place
from models.mlpf.torch_network import Network, place_of
from suite.core import types as t
from suite.core.errors import ConfigError, DataError, DivergedError
from suite.worker.worker import Worker

OWN = {
    "gnn_lsh": {"bin_size": 16},
    "attention": {"num_heads": 2, "head_dim": 8},
    "favor": {"num_heads": 2, "head_dim": 8, "num_features": 16},
}
SHARED = {
    "dropout": 0.1, "lr": 1e-3, "n_glayers_id": 1, "n_glayers_reg": 2, "output_dim": 16, "weight_decay": 1e-4,
}  # fmt: skip
CONFIGS = {layer: {"layer": layer, **SHARED, **own} for layer, own in OWN.items()}
HEADS = {"n_heads": 2, "head_dim": 8, "n_features": 16}
every_layer = pytest.mark.parametrize("layer", LAYERS)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    toy_events.write(root / "delphes_standin_pu0" / "toy.pkl.bz2", toy_events.toy_events(60))
    return root


_targets = {}


@pytest.fixture
def staged(folder):
    """Targets are staged once each, as in a worker."""

    def get(**arguments):
        key = tuple(sorted(arguments.items()))
        if key not in _targets:
            _targets[key] = MLPFTorch(
                **{"data": "stand_in", "folder": str(folder), "limit": 24, **arguments}
            )
            _targets[key].stage("cpu")
        return _targets[key]

    return get


def of(layer, n_id=1, n_reg=1, width=16, bin_size=16, **others):
    size = bin_size if layer == "gnn_lsh" else 1
    return Architecture(size, n_id, n_reg, width, layer=layer, **HEADS, **others)


def made(net, seed=3):
    return Network(net, *architecture.initial(net, np.random.default_rng(seed)))


def laid(net, chosen, extra=0):
    """X of each slot, where the slots belong, and which hold an element."""
    where = architecture.layout(chosen.first, chosen.n, net.bin_size, -1, extra=extra)
    real = where.rows >= 0
    X = np.zeros((len(real), 12), np.float32)
    X[real] = chosen.X[where.rows[real]]
    return torch.from_numpy(X), place_of(X, where.event, where.directions, "cpu"), real


def computed(net, chosen, extra=0):
    """Logits, charge and momenta of the real elements, in order of input."""
    X, place, real = laid(net, chosen, extra)
    with torch.inference_mode():
        return [part.numpy()[real] for part in made(net)(X, place)]


def some(n=3, sizes=(20, 60), seed=0):
    return mlpf_events.join(toy_events.toy_events(n, seed=seed, n=sizes))


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


@pytest.mark.slow
@pytest.mark.timeout(1800)  # to import TensorFlow took over five minutes on a loaded machine
def test_with_equal_weights_the_graph_is_tensorflows(staged, folder):
    """Weights of a seed, predictions, metrics, three steps, and the loss with all weights 0."""
    from models.mlpf import MLPF

    target = staged()
    other = MLPF(data="stand_in", folder=str(folder), limit=24)
    other.stage("cpu")
    assert target.copy_input_loss() == pytest.approx(other.copy_input_loss(), rel=1e-6)
    for bin_size in (16, 128):
        config = SHARED | {"bin_size": bin_size, "dropout": 0.0}
        ours, theirs = target.start({"layer": "gnn_lsh", **config}, 1), other.start(config, 1)
        for a, b in zip(
            ours.predictions(target.valid)[1], theirs.predictions(other.valid)[1], strict=True
        ):
            np.testing.assert_allclose(a[:, 1:], b[:, 1:], rtol=1e-4, atol=5e-3)
        assert ours.validate() == pytest.approx(theirs.validate(), rel=1e-5)

    def weights():
        return np.concatenate([p.detach().numpy().ravel() for p in ours.network.weights.values()])

    # Of the last, which has all of an event in one bin: no rounding moves an element into another.
    before = weights()
    np.testing.assert_array_equal(before, theirs.state[0].numpy())
    ours.train(1, n_batches=3)
    theirs.train(1, n_batches=3)
    moved = np.abs(weights() - before).mean()
    assert np.abs(weights() - theirs.state[0].numpy()).mean() < 0.001 * moved


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


# --- trials ---------------------------------------------------------------------------------------


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
        off = np.abs(y[:, column] - guess)[hit]
        total += 100 * np.where(off <= delta, 0.5 * off**2, delta * (off - 0.5 * delta)).sum()
    expected = total / (len(chosen.n) * target.pad)
    assert target.copy_input_loss(split) == pytest.approx(expected, rel=1e-5)


@every_layer
def test_it_learns_more_than_to_copy_its_input(staged, layer):
    target = staged()
    training = target.start(CONFIGS[layer], 1)
    for epoch in range(1, 9):
        training.train_epoch(epoch)
    assert training.validate()["val_loss"] < 0.6 * target.copy_input_loss("valid")


@every_layer
def test_a_trial_that_was_saved_and_loaded_goes_on_bit_for_bit(staged, layer, tmp_path):
    """Its rate falls within the epoch, and dropout draws."""
    target = staged(staircase=False)
    straight, first, second = (target.start(CONFIGS[layer], 1) for _ in range(3))
    for epoch in (1, 2):
        straight.train_epoch(epoch)
    first.train_epoch(1)
    first.save(tmp_path / "1.ckpt")
    with torch.no_grad():
        second.network.drawn.zero_()
    second.load(tmp_path / "1.ckpt")
    second.train_epoch(2)
    assert dict(second.validate()) == dict(straight.validate())
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


@every_layer
def test_gradients_reach_every_weight(staged, layer):
    target = staged()
    training = target.start(CONFIGS[layer] | {"dropout": 0.0}, 1)
    training.train(1, n_batches=1)
    dead = {n for n, p in training.network.weights.items() if not bool(p.grad.any())}
    assert not dead


def test_dropout_meets_its_rate_and_a_share_has_the_whole_batchs_masks():
    def drawn(whole, first, rows, rate=0.3):
        generator = torch.Generator().manual_seed(1)
        return Dropout(generator, whole, first)(torch.ones((rows, 64)), rate).numpy()

    whole = drawn(500, 0, 500)
    assert np.mean(whole == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(whole), [0.0, 1 / 0.7], rtol=1e-4)
    assert np.array_equal(drawn(500, 200, 100), whole[200:300])
    assert np.array_equal(drawn(9, 0, 9, 0.0), np.ones((9, 64)))


# --- bad input ------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_layer_framework_or_configuration_is_refused_by_name(
    staged, tmp_path
):
    target, path = staged(), tmp_path / "trial.ckpt"
    training = target.start(CONFIGS["attention"], 1)
    training.save(path)
    training.load(path)
    with pytest.raises(ConfigError, match=r"layer is attention, this trial's is favor"):
        target.start(CONFIGS["favor"], 1).load(path)
    with pytest.raises(ConfigError, match="config_sha256"):
        target.start(CONFIGS["attention"] | {"lr": 2e-3}, 1).load(path)
    with pytest.raises(ConfigError, match="written by a target of torch, this trial's is of tens"):
        checkpoint.refuse_other_framework(path, "tensorflow")
    whole = path.read_bytes()
    for damaged in (whole[:1000], b"", b"not one", whole[:-3000]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"trial\.ckpt: is damaged"):
            training.load(path)
    with path.open("wb") as file:
        np.savez(file, weights=np.zeros(3), origin="{}")
    with pytest.raises(
        ConfigError, match="written by a target of tensorflow, this trial's is of t"
    ):
        training.load(path)


def test_a_checkpoint_holds_what_was_drawn_and_not_trained(staged, tmp_path):
    """Codebooks and random features; the generator of dropout has no state: it is made anew each batch."""
    for layer in ("gnn_lsh", "favor"):
        training = staged().start(CONFIGS[layer], 1)
        training.save(tmp_path / "a.ckpt")
        drawn = torch.load(tmp_path / "a.ckpt", weights_only=True)["network"]["drawn"]
        assert torch.equal(drawn, training.network.drawn) and drawn.std() > 0.01


def test_a_loss_that_is_no_number_ends_the_trial(staged):
    training = staged().start(CONFIGS["favor"], 1)
    with torch.no_grad():
        training.network.weights["class/0/kernel"].fill_(math.nan)
    with pytest.raises(DivergedError, match="val_loss=nan"):
        training.validate()
    with pytest.raises(DivergedError, match="train_loss=nan in epoch 3"):
        training.train_epoch(3)


def test_events_that_cannot_be_are_counted_and_the_rest_is_trained(tmp_path, monkeypatch):
    """Nothing in them, NaN, a kind of element or a class that there is not, more elements than the pad."""
    events = [*toy_events.toy_events(30, n=(40, 50)), *toy_events.toy_events(1, n=(140, 150))]
    X, y = toy_events.toy_events(1, seed=9)[0]
    broken = [(np.zeros((0, 12)), np.zeros((0, 7))), (X * np.nan, y)]
    for column, value, of_y in ((0, 7.0, False), (0, 0.0, False), (0, 9.0, True), (0, -1.0, True)):
        a, b = X.copy(), y.copy()
        (b if of_y else a)[5, column] = value
        broken.append((a, b))
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "delphes_standin_pu0").mkdir()
    (tmp_path / "delphes_standin_pu0" / "a.pkl.bz2").touch()
    whole = [(a, b, np.zeros_like(b)) for a, b in [*events, *broken]]
    monkeypatch.setattr(delphes, "read_whole", lambda path: whole)
    target = MLPFTorch(data="stand_in", folder=str(tmp_path), pad=128)
    target.stage("cpu")
    assert target.provenance["n_damaged"] == 6 and target.provenance["n_too_large"] == 1
    target.start(CONFIGS["gnn_lsh"], 1).train(1, n_batches=1)


def test_a_truncated_file_of_events_is_refused_by_name(tmp_path):
    path = tmp_path / "delphes_standin_pu0" / "a.pkl.bz2"
    toy_events.write(path, toy_events.toy_events(12))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a\.pkl\.bz2: .*fetch it again"):
        MLPFTorch(data="stand_in", folder=str(tmp_path), limit=8).stage("cpu")


@pytest.mark.parametrize("where", ["train_epoch", "start"])
def test_a_trial_that_does_not_fit_in_memory_fails_alone_and_its_worker_lives(
    staged, monkeypatch, where
):
    """What torch's allocator refuses, as on a machine with too little memory for an attention."""
    target = staged()
    attend = torch_layers.scaled_dot_product_attention

    def all_pairs_of_a_huge_event(q, k, v):
        return attend(q, k, v) + torch.empty((2**50,))[0]

    if where == "train_epoch":
        monkeypatch.setattr(torch_layers, "scaled_dot_product_attention", all_pairs_of_a_huge_event)
    else:
        placed = target.placed
        monkeypatch.setattr(
            target, "placed",
            lambda net, *w: torch.empty((2**50,)) if net.layer == "attention" else placed(net, *w),
        )  # fmt: skip
    worker, events = Worker(target, None), []
    for number, layer in enumerate(("attention", "favor")):
        worker.run(1, t.Job(number, number, 0, 1, CONFIGS[layer], 5), events.append)
    failed, report, finished = events
    assert isinstance(failed, t.JobFailed) and failed.reason == "retry"
    assert failed.message.startswith("MemoryError") and "allocate" in failed.message
    assert isinstance(report, t.EpochReport) and isinstance(finished, t.JobFinished)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"precision": "half"}, "precision=half"),
        ({"space": "upstream_2026"}, "space=upstream_2026: unknown"),
        ({"held": {"layer": "favor"}}, r"held\.layer=favor: the space searches it"),
        ({"space": "recorded", "held": {"layer": "performer"}}, r"held\.layer=performer: must be"),
        ({"space": "recorded", "held": {"num_heads": 0}}, r"held\.num_heads=0"),
        ({"fixed": {"layer": "transformer"}}, "layer=transformer"),
    ],
)
def test_an_argument_out_of_range_is_named(arguments, said):
    with pytest.raises(ConfigError, match=said):
        MLPFTorch(data="stand_in", **arguments)
