"""The layers of MLPF: weights in one vector, events laid end to end, learned bins, decoders, loss.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: tensorflow-cpu 2.21.0; n, number:
see models/mlpf/__init__.py; lineage: the TensorFlow network of particleflow in August 2022 (PFNetDense with
CombinedGraphLayer and GHConvDense; Pata et al. 2021, Eur. Phys. J. C 81:381), rewritten from its
formulas.

Layout: a batch of events is ONE axis of T slots, each event padded only to the next multiple of
bin_size, so that no layer works on the padding that the loss is divided by. T changes from batch to
batch; compiled steps take any T.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

N_TYPES, N_INPUTS, N_CLASSES = 3, 12, 6
# One-hot type and the other eleven inputs: 14.
ENCODED = N_TYPES + N_INPUTS - 1
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

    published: bins are counted by the padding and ties stay in the order of input, so that
    neighbours depend on both; else bins are counted by an event's own elements and ties are broken
    by the projection, so that an event is treated alike in any order and with any padding.
    hidden, n_hidden: units and number of the distance network's hidden layers. layernorm: of a graph layer's
    input. normalize: messages by the square roots of both elements' degrees.
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

    @property
    def n_layers(self) -> int:
        return self.n_id + self.n_reg

    @property
    def id_encoding(self) -> int:
        return ENCODED + self.n_id * self.width

    @property
    def reg_encoding(self) -> int:
        """Each layer's output is there twice, as in the public code."""
        return ENCODED + 2 * self.n_reg * self.width


# --- weights --------------------------------------------------------------------------------------


def blocks(net: Architecture) -> list[tuple[str, tuple[int, ...], str]]:
    """(name, shape, initialisation) of every trainable array, in the order of the vector."""
    arrays: list[tuple[str, tuple[int, ...], str]] = []

    def dense(name: str, inputs: int, outputs: int) -> None:
        arrays.append((f"{name}/kernel", (inputs, outputs), "glorot"))
        arrays.append((f"{name}/bias", (outputs,), "zeros"))

    def head(name: str, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        for k, (a, b) in enumerate(zip((inputs, *hidden), (*hidden, outputs), strict=True)):
            dense(f"{name}/{k}", a, b)

    for branch, n in (("id", net.n_id), ("reg", net.n_reg)):
        inputs = ENCODED
        for k in range(n):
            if net.layernorm:
                arrays.append((f"{branch}{k}/norm/gamma", (inputs,), "ones"))
                arrays.append((f"{branch}{k}/norm/beta", (inputs,), "zeros"))
            head(f"{branch}{k}/distance", inputs, [net.hidden] * net.n_hidden, net.distance_dim)
            for m in range(net.n_messages):
                # Columns: Theta (to neighbours), W_h (itself), W_t (gate): one product for all.
                shape = (inputs, 3 * net.width)
                arrays.append((f"{branch}{k}/message{m}/kernel", shape, "normal"))
                arrays.append((f"{branch}{k}/message{m}/bias", (net.width,), "normal"))
                inputs = net.width
    arrays.append(("norm/gamma", (net.id_encoding,), "ones"))
    arrays.append(("norm/beta", (net.id_encoding,), "zeros"))
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
    """Weights (n_parameters,) and codebooks (layers, distance_dim, MAX_BINS / 2), float32.

    Keras's own: Glorot-uniform kernels, zero biases; graph convolutions and codebooks normal with
    deviation 0.05. Codebooks are not trained.
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
    shape = (net.n_layers, net.distance_dim, MAX_BINS // 2)
    return weights, rng.normal(0.0, NORMAL_STD, shape).astype(np.float32)


def unpack(net: Architecture, vector: Any) -> dict[str, Any]:
    """The named arrays within the vector. Split and not sliced: a slice's gradient is as long as
    the vector.
    """
    import tensorflow as tf

    arrays = blocks(net)
    parts = tf.split(vector, [math.prod(shape) for _, shape, _ in arrays])
    return {
        name: tf.reshape(part, shape) for (name, shape, _), part in zip(arrays, parts, strict=True)
    }


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


def layout(
    first: Any, n: Any, bin_size: int, padding: int, pad: int | None = None, extra: int = 0
) -> Layout:
    """Lay events with elements first[e] .. first[e] + n[e] - 1 end to end.

    pad: slots an event by which bins are counted as published; None: by its own elements.
    extra: more bins of padding an event, which must change nothing (for tests).
    """
    first, n = np.asarray(first, np.int64), np.asarray(n, np.int64)
    bins = -(-n // bin_size)
    slots = (bins + extra) * bin_size
    event = np.repeat(np.arange(len(n)), slots)
    place = np.arange(len(event)) - np.repeat(np.cumsum(slots) - slots, slots)
    rows = np.where(place < n[event], first[event] + place, padding)
    counted = bins if pad is None else np.full_like(bins, pad // bin_size)
    # Published: bins // 2 directions of a padding that has an even number of bins; here rounded up.
    half = (counted + 1) // 2 if pad is None else counted // 2
    directions = np.clip(half, 1, MAX_BINS // 2)[event]
    return Layout(
        rows.astype(np.int32), event.astype(np.int32), directions.astype(np.int32), len(n)
    )


# --- layers ---------------------------------------------------------------------------------------


class Dropout:
    """Inverted dropout whose masks are a function of the seed and of how many were drawn before.

    seed: int64 (2,), or None: nothing is dropped. Sixteen random bits an element, so that the rate
    is met to 1e-5: drawing floats took a quarter of a step.
    """

    def __init__(self, seed: Any) -> None:
        self.seed, self.drawn = seed, 0

    def __call__(self, x: Any, rate: Any) -> Any:
        import tensorflow as tf

        if self.seed is None:
            return x
        self.drawn += 1
        seed = self.seed + tf.constant([0, self.drawn], tf.int64)
        rows, width = tf.shape(x)[0], x.shape[1] // 2  # widths are even
        drawn = tf.random.stateless_uniform((rows, width), seed, None, None, tf.uint32)
        bits = tf.reshape(tf.bitcast(drawn, tf.uint16), (rows, 2 * width))
        least = tf.round(rate * 65536.0)
        kept = tf.cast(bits >= tf.cast(tf.cast(least, tf.int32), tf.uint16), x.dtype)
        return x * (kept * (65536.0 / (65536.0 - least)))


def dense(weights: Mapping[str, Any], name: str, x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.bias_add(tf.matmul(x, weights[f"{name}/kernel"]), weights[f"{name}/bias"])


def head(
    weights: Mapping[str, Any], name: str, x: Any, n_hidden: int, drop: Dropout, rate: Any
) -> Any:
    import tensorflow as tf

    for k in range(n_hidden):
        x = drop(tf.nn.elu(dense(weights, f"{name}/{k}", x)), rate)
    return dense(weights, f"{name}/{n_hidden}", x)


def normalized(weights: Mapping[str, Any], name: str, x: Any, epsilon: float) -> Any:
    """Layer normalisation of the last axis."""
    import tensorflow as tf

    mean, variance = tf.nn.moments(x, axes=[1], keepdims=True)
    x = (x - mean) * tf.math.rsqrt(variance + epsilon)
    return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def permuted(x: Any, order: Any, back: Any) -> Any:
    """x[order]. Its gradient is gathered too: TensorFlow's own would scatter, which is slower."""
    import tensorflow as tf

    def gather(values: Any) -> Any:
        return tf.gather(values, order), lambda gradient: tf.gather(gradient, back)

    return tf.custom_gradient(gather)(x)


def bins(
    net: Architecture, z: Any, codebook: Any, mask: Any, event: Any, directions: Any
) -> tuple[Any, Any]:
    """Order of slots (T,) in which every bin_size of them are a bin, and its inverse.

    z: (T, distance_dim). An element's code is the nearest of its event's directions +r, -r; slots
    are sorted by (event, code) and cut, padding last within its event.
    """
    import tensorflow as tf

    h = tf.matmul(tf.stop_gradient(z), codebook)  # (T, 50)
    half = MAX_BINS // 2
    h = tf.where(tf.range(half)[None, :] < directions[:, None], h, 0.0)
    signed = tf.concat([h, -h], axis=1)
    code = tf.argmax(signed, axis=1, output_type=tf.int32)
    code = tf.where(code >= half, code - half + directions, code)
    code = tf.where(mask, code, 2 * MAX_BINS)
    key = tf.cast(event, tf.int64) * (4 * MAX_BINS) + tf.cast(code, tf.int64)
    if not net.published:  # the bits of a float >= 0 sort as the float does
        strength = tf.where(mask, tf.reduce_max(signed, axis=1), 0.0)
        key = key * 2**32 + tf.cast(tf.bitcast(tf.abs(strength), tf.int32), tf.int64)
    order = tf.argsort(key, stable=True)
    back = tf.math.invert_permutation(order)
    return order, back


def graph_layer(
    net: Architecture,
    weights: Mapping[str, Any],
    name: str,
    x: Any,
    codebook: Any,
    place: tuple[Any, Any, Any],
    drop: Dropout,
    rate: Any,
    kernel: Any = KERNEL,
) -> Any:
    """CombinedGraphLayer: x (T, d) -> (T, width); cost T * bin_size for the pairs.

    place: mask bool (T,), event and directions as in Layout. kernel: dist_mult and clip_value_low. No axis
    is squeezed: one event, or one bin, is as good as many (the public code failed there).
    """
    import tensorflow as tf

    mask, event, directions = place
    if net.layernorm:
        x = normalized(weights, f"{name}/norm", x, 1e-6)
    z = head(weights, f"{name}/distance", x, net.n_hidden, drop, rate)  # (T, distance_dim)
    order, back = bins(net, z, codebook, mask, event, directions)
    real = tf.cast(tf.gather(mask, order), x.dtype)
    real = tf.reshape(real, (-1, net.bin_size, 1))  # (n, bin_size, 1)
    z = tf.reshape(permuted(z, order, back), (-1, net.bin_size, net.distance_dim)) * real
    square = tf.reduce_sum(z * z, axis=2, keepdims=True)
    gap = square - 2.0 * tf.matmul(z, z, transpose_b=True) + tf.transpose(square, (0, 2, 1))
    adjacency = tf.exp(-kernel[0] * tf.sqrt(tf.maximum(gap, 1e-6)))  # (n, s, s)
    adjacency = tf.maximum(adjacency, kernel[1]) * (real * tf.transpose(real, (0, 2, 1)))
    norm = real
    if net.normalize:
        degree = tf.reduce_sum(adjacency, axis=2, keepdims=True)
        norm = tf.math.rsqrt(degree + 1e-6) * real
    x = permuted(x, order, back)
    flat = tf.reshape(real, (-1, 1))
    for m in range(net.n_messages):
        message = f"{name}/message{m}"
        near, self_, gate = tf.split(tf.matmul(x, weights[f"{message}/kernel"]), 3, axis=1)
        near = tf.reshape(near, (-1, net.bin_size, net.width)) * norm
        near = tf.reshape(tf.matmul(adjacency, near) * norm, (-1, net.width))
        gate = tf.sigmoid(gate + weights[f"{message}/bias"])
        x = tf.nn.elu(gate * near + (1.0 - gate) * self_) * flat
    return permuted(drop(x, rate), back, order)


def forward(
    net: Architecture,
    weights: Mapping[str, Any],
    codebooks: Any,
    X: Any,
    event: Any,
    directions: Any,
    rate: Any = 0.0,
    seed: Any = None,
    kernel: Any = KERNEL,
) -> tuple[Any, Any, Any]:
    """X (T, 12) -> logits (T, 6), charge (T, 1), momenta (T, 5): pt, eta, sin phi, cos phi, energy.

    GeV; zero in padded slots. rate: the decoders' dropout, half of it in graph layers. kernel: dist_mult and
    clip_value_low of the adjacency.
    """
    import tensorflow as tf

    drop = Dropout(seed)
    kind = tf.cast(X[:, 0], tf.int32)
    mask = kind != 0
    real = tf.cast(mask, X.dtype)[:, None]
    encoded = tf.concat([tf.one_hot(kind, N_TYPES, dtype=X.dtype), X[:, 1:]], axis=1)  # (T, 14)
    place = (mask, event, directions)
    seen: dict[str, list[Any]] = {"id": [encoded], "reg": [encoded]}
    layer = 0
    for branch, n, copies in (("id", net.n_id, 1), ("reg", net.n_reg, 2)):
        x = encoded
        for k in range(n):
            book = codebooks[layer]
            name = f"{branch}{k}"
            x = graph_layer(net, weights, name, x, book, place, drop, rate / 2.0, kernel)
            seen[branch] += [x] * copies
            layer += 1
    encoding = tf.concat(seen["id"], axis=1) * real
    encoding = normalized(weights, "norm", encoding, 1e-3)

    logits = head(weights, "class", encoding, len(ID_HEAD), drop, rate) * real
    charge = head(weights, "charge", encoding, len(CHARGE_HEAD), drop, rate) * real
    known = tf.stop_gradient(logits)
    n_hidden = len(MOMENTUM_HEAD)
    both = tf.concat([encoding, known], axis=1)
    eta_move = head(weights, "eta", both, n_hidden, drop, rate)
    phi_move = head(weights, "phi", both, n_hidden, drop, rate)
    both = tf.concat([both, tf.concat(seen["reg"], axis=1) * real, known], axis=1)
    energy_move = head(weights, "energy", both, n_hidden, drop, rate)
    pt_move = head(weights, "pt", both, n_hidden, drop, rate)

    # Skip connections: with all weights 0 these are the inputs. Columns 0 of eta and 0, 2 of phi
    # are gates that the public code computes and does not use.
    eta = X[:, 2:3] + eta_move[:, 1:2]
    sin_phi = X[:, 3:4] + phi_move[:, 1:2]
    cos_phi = X[:, 4:5] + phi_move[:, 3:4]
    nearly_one_hot = tf.nn.softmax(100.0 * known)
    energy = X[:, 5:6] + tf.reduce_sum(nearly_one_hot * energy_move, axis=1, keepdims=True)
    pt = tf.stop_gradient(energy / tf.cosh(tf.clip_by_value(eta, -8.0, 8.0)))
    pt = pt + tf.sigmoid(pt_move[:, 0:1]) * pt_move[:, 1:2]
    momenta = tf.concat([pt, eta, sin_phi, cos_phi, energy], axis=1) * real
    return logits, charge, momenta


def loss_terms(X: Any, y: Any, logits: Any, charge: Any, momenta: Any) -> Any:
    """The seven terms of TERMS, weighted, summed over the slots: (7,).

    y: (T, 7) class, charge, pt, eta, sin phi, cos phi, energy. The class counts at every real
    element, the others where the target is a particle. The loss is their sum over (events * pad).
    """
    import tensorflow as tf

    real = tf.cast(X[:, 0] != 0, X.dtype)
    particle = real * tf.cast(y[:, 0] != 0, X.dtype)
    truth = tf.one_hot(tf.cast(y[:, 0], tf.int32), N_CLASSES, dtype=X.dtype)
    terms = [
        -tf.reduce_sum(tf.reduce_sum(truth * tf.nn.log_softmax(logits), axis=1) * real),
        tf.reduce_sum(tf.square(y[:, 1] - charge[:, 0]) * particle),
    ]
    off = tf.abs(y[:, 2:] - momenta)  # (T, 5)
    delta = tf.constant(HUBER_DELTAS, X.dtype)
    huber = tf.where(off <= delta, 0.5 * off * off, delta * (off - 0.5 * delta))
    regression = tf.reduce_sum(huber * particle[:, None], axis=0)
    return tf.concat([tf.stack(terms), regression], axis=0) * tf.constant(COEFFICIENTS, X.dtype)
