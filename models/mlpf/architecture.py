"""What MLPF's networks are made of, whatever the framework: shapes of weights, first weights, layout.

hardware: none; versions: numpy 2.4; n, number: see models/mlpf/__init__.py; lineage: the TensorFlow network
of particleflow in August 2022 (PFNetDense; Pata et al. 2021, Eur. Phys. J. C 81:381).

Layout: a batch of events is ONE axis of T slots, each event padded only to the next multiple of
bin_size, so that no layer works on the padding that the loss is divided by. T changes from batch to
batch; compiled steps take any T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# N_INPUTS: numbers of an element in the Delphes format.
N_TYPES, N_INPUTS, N_CLASSES = 3, 12, 6
LAYERS = ("gnn_lsh", "attention", "favor")
GNN_LSH, ATTENTION, FAVOR = LAYERS
# Units of a hidden layer of the distance network, where no other number is asked for.
HIDDEN = 128
# Largest number of codes; the codebook holds half as many directions.
MAX_BINS = 100
# The factor of the adjacency exp(-0.1 d), d the distance, and its least value: dist_mult, clip_value_low.
KERNEL = (0.1, 0.0)
TERMS = ("class", "charge", "pt", "eta", "sin_phi", "cos_phi", "energy")
COEFFICIENTS = (1.0, 1.0, 100.0, 100.0, 100.0, 100.0, 100.0)
HUBER_DELTAS = (1.0, 0.1, 0.1, 0.1, 1.0)
ID_HEAD, CHARGE_HEAD, MOMENTUM_HEAD = (256, 128, 64, 32), (256, 128), (256, 128, 64)
# The default of Keras's random_normal.
NORMAL_STD = 0.05


@dataclass(frozen=True, slots=True)
class Architecture:
    """What decides the shape of the weights and of the compiled step.

    layer: gnn_lsh, a graph in learned bins of bin_size elements; attention, of every element to all of its
    event; favor, the same by n_features positive random features. n_id, n_reg: layers of the classifying and
    of the regressing branch. width: of a layer's output. n_heads, head_dim: of attention and favor.
    published: bins are counted by the padding and ties stay in the order of input, so that
    neighbours depend on both; else bins are counted by an event's own elements and ties are broken
    by the projection, so that an event is treated alike in any order and with any padding.
    hidden, n_hidden: units and number of the distance network's hidden layers. layernorm: of a graph layer's
    input. normalize: messages by the square roots of both elements' degrees. n_inputs: numbers of an element.
    """

    bin_size: int
    n_id: int
    n_reg: int
    width: int
    distance_dim: int = 128
    n_messages: int = 1
    published: bool = False
    hidden: int = HIDDEN
    n_hidden: int = 1
    layernorm: bool = False
    normalize: bool = True
    layer: str = GNN_LSH
    n_heads: int = 8
    head_dim: int = 16
    n_features: int = 64
    n_inputs: int = N_INPUTS

    @property
    def encoded(self) -> int:
        """The one-hot type and the other inputs."""
        return N_TYPES + self.n_inputs - 1

    @property
    def n_layers(self) -> int:
        return self.n_id + self.n_reg

    @property
    def id_encoding(self) -> int:
        return self.encoded + self.n_id * self.width

    @property
    def reg_encoding(self) -> int:
        """Each layer's output is there twice, as in the public code."""
        return self.encoded + 2 * self.n_reg * self.width


# --- weights --------------------------------------------------------------------------------------


def blocks(net: Architecture) -> list[tuple[str, tuple[int, ...], str]]:
    """(name, shape, initialisation) of every trainable array, in the order of the vector."""
    arrays: list[tuple[str, tuple[int, ...], str]] = []

    def dense(name: str, inputs: int, outputs: int) -> None:
        arrays.append((f"{name}/kernel", (inputs, outputs), "glorot"))
        arrays.append((f"{name}/bias", (outputs,), "zeros"))

    def norm(name: str, width: int) -> None:
        arrays.append((f"{name}/gamma", (width,), "ones"))
        arrays.append((f"{name}/beta", (width,), "zeros"))

    def head(name: str, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        for k, (a, b) in enumerate(zip((inputs, *hidden), (*hidden, outputs), strict=True)):
            dense(f"{name}/{k}", a, b)

    for branch, n in (("id", net.n_id), ("reg", net.n_reg)):
        inputs = net.encoded
        for k in range(n if net.layer == GNN_LSH else 0):
            if net.layernorm:
                norm(f"{branch}{k}/norm", inputs)
            head(f"{branch}{k}/distance", inputs, [net.hidden] * net.n_hidden, net.distance_dim)
            for m in range(net.n_messages):
                # Columns: Theta (to neighbours), W_h (itself), W_t (gate): one product for all.
                shape = (inputs, 3 * net.width)
                arrays.append((f"{branch}{k}/message{m}/kernel", shape, "normal"))
                arrays.append((f"{branch}{k}/message{m}/bias", (net.width,), "normal"))
                inputs = net.width
        for k in range(0 if net.layer == GNN_LSH else n):
            if k == 0:
                dense(f"{branch}0/embed", net.encoded, net.width)
            norm(f"{branch}{k}/norm", net.width)
            dense(f"{branch}{k}/qkv", net.width, 3 * net.n_heads * net.head_dim)
            dense(f"{branch}{k}/out", net.n_heads * net.head_dim, net.width)
            norm(f"{branch}{k}/feed_norm", net.width)
            head(f"{branch}{k}/feed", net.width, [net.width], net.width)
    norm("norm", net.id_encoding)
    seen = net.id_encoding + N_CLASSES
    energetic = seen + net.reg_encoding + N_CLASSES
    head("class", net.id_encoding, ID_HEAD, N_CLASSES)
    head("charge", net.id_encoding, CHARGE_HEAD, 1)
    head("eta", seen, MOMENTUM_HEAD, 2)
    head("phi", seen, MOMENTUM_HEAD, 4)
    head("energy", energetic, MOMENTUM_HEAD, N_CLASSES)
    head("pt", energetic, MOMENTUM_HEAD, 2)
    return arrays


def n_parameters(net: Architecture) -> int:
    return sum(math.prod(shape) for _, shape, _ in blocks(net))


def initial(net: Architecture, rng: np.random.Generator) -> tuple[Any, Any]:
    """Weights (n_parameters,) and what is drawn once and not trained, float32.

    Not trained: of gnn_lsh codebooks (layers, distance_dim, MAX_BINS / 2), of favor features (layers,
    head_dim, n_features), of attention nothing (layers, 0). Keras's own: Glorot-uniform kernels, zero biases;
    graph convolutions and codebooks normal with deviation 0.05.
    """
    parts = []
    for _, shape, how in blocks(net):
        if how == "glorot":
            limit = math.sqrt(6.0 / (shape[0] + shape[1]))
            parts.append(rng.uniform(-limit, limit, shape))
        elif how == "normal":
            parts.append(rng.normal(0.0, NORMAL_STD, shape))
        else:
            parts.append(np.full(shape, 1.0 if how == "ones" else 0.0))
    weights = np.concatenate([part.ravel() for part in parts]).astype(np.float32)
    if net.layer == ATTENTION:
        return weights, np.zeros((net.n_layers, 0), np.float32)
    if net.layer == FAVOR:
        drawn = [orthogonal(rng, net.head_dim, net.n_features) for _ in range(net.n_layers)]
        shape = (net.n_layers, net.head_dim, net.n_features)
        return weights, np.reshape(drawn, shape).astype(np.float32)
    shape = (net.n_layers, net.distance_dim, MAX_BINS // 2)
    return weights, rng.normal(0.0, NORMAL_STD, shape).astype(np.float32)


def orthogonal(rng: np.random.Generator, n: int, n_columns: int) -> Any:
    """Columns (n, n_columns), each distributed as n independent standard normal numbers, and orthogonal in
    blocks of n: they estimate a softmax kernel with less variance (Choromanski et al. 2021, section 3.3).
    """
    parts = []
    for _ in range(-(-n_columns // n)):
        q, r = np.linalg.qr(rng.normal(size=(n, n)))
        # With these signs every orthogonal matrix is as likely as any other.
        lengths = np.linalg.norm(rng.normal(size=(n, n)), axis=0)
        parts.append(q * np.sign(np.diag(r)) * lengths)
    return np.concatenate(parts, axis=1)[:, :n_columns]


# --- layout ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """One batch on one axis of T slots.

    rows: int32 (T,), the element in each slot (`padding`, the row of zeros, where there is none);
    event: int32 (T,), 0 .. B-1; directions: int32 (T,), how many of the codebook's directions the
    slot's event uses; n_events: B.
    """

    rows: Any
    event: Any
    directions: Any
    n_events: int


def slots(n: Any, bin_size: int) -> Any:
    """Slots of events of n elements: whole bins."""
    return -(-n // bin_size) * bin_size


def layout(
    first: Any, n: Any, bin_size: int, padding: int, pad: int | None = None, extra: int = 0
) -> Layout:
    """Lay events with elements first[e] .. first[e] + n[e] - 1 end to end.

    pad: slots an event by which bins are counted as published; None: by its own elements.
    extra: more bins of padding an event, which must change nothing (for tests).
    """
    first, n = np.asarray(first, np.int64), np.asarray(n, np.int64)
    bins = slots(n, bin_size) // bin_size
    n_slots = (bins + extra) * bin_size
    event = np.repeat(np.arange(len(n)), n_slots)
    place = np.arange(len(event)) - np.repeat(np.cumsum(n_slots) - n_slots, n_slots)
    rows = np.where(place < n[event], first[event] + place, padding)
    counted = bins if pad is None else np.full_like(bins, pad // bin_size)
    # Published: bins // 2 directions of a padding that has an even number of bins; here rounded up.
    half = (counted + 1) // 2 if pad is None else counted // 2
    directions = np.clip(half, 1, MAX_BINS // 2)[event]
    return Layout(
        rows.astype(np.int32), event.astype(np.int32), directions.astype(np.int32), len(n)
    )
