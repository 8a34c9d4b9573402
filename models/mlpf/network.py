"""The layers of MLPF in TensorFlow: weights in one vector, learned bins, decoders, loss.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: tensorflow-cpu 2.21.0; n, number:
see models/mlpf/__init__.py; lineage: the TensorFlow network of particleflow in August 2022 (PFNetDense with
CombinedGraphLayer and GHConvDense; Pata et al. 2021, Eur. Phys. J. C 81:381), rewritten from its
formulas. Shapes and layout: models/mlpf/architecture.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from models.mlpf.architecture import (
    CHARGE_HEAD,
    COEFFICIENTS,
    HUBER_DELTAS,
    ID_HEAD,
    KERNEL,
    MAX_BINS,
    MOMENTUM_HEAD,
    N_CLASSES,
    N_TYPES,
    Architecture,
    blocks,
)


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


# --- layers ---------------------------------------------------------------------------------------


class Dropout:
    """Inverted dropout whose masks are a function of the seed and of how many were drawn before.

    seed: int64 (2,), or None: nothing is dropped. Sixteen random bits an element, so that the rate
    is met to 1e-5: drawing floats took a quarter of a step.
    share: int32 (2,), `whole` and `first`: masks are drawn for `whole` rows, of which x is those from `first`
    on, so that a share of a batch gets the masks that it has in the whole one. None: x is the whole batch.
    """

    def __init__(self, seed: Any, share: Any = None) -> None:
        self.seed, self.share, self.drawn = seed, share, 0

    def __call__(self, x: Any, rate: Any) -> Any:
        import tensorflow as tf

        if self.seed is None:
            return x
        self.drawn += 1
        seed = self.seed + tf.constant([0, self.drawn], tf.int64)
        rows, width = tf.shape(x)[0], x.shape[1] // 2  # widths are even
        whole = rows if self.share is None else self.share[0]
        drawn = tf.random.stateless_uniform((whole, width), seed, None, None, tf.uint32)
        if self.share is not None:
            drawn = drawn[self.share[1] : self.share[1] + rows]
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
    share: Any = None,
) -> tuple[Any, Any, Any]:
    """X (T, 12) -> logits (T, 6), charge (T, 1), momenta (T, 5): pt, eta, sin phi, cos phi, energy.

    GeV; zero in padded slots. rate: the decoders' dropout, half of it in graph layers. kernel: dist_mult and
    clip_value_low of the adjacency. share: of Dropout.
    """
    import tensorflow as tf

    drop = Dropout(seed, share)
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
