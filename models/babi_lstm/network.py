"""The network of bAbI task 17 and its training epoch, as functions of tensors.

hardware, versions, n, number: see models/babi_lstm/__init__.py, the target they serve; lineage: as there.
Written in products and elementwise operations, the same on every device, so that XLA fuses an
epoch into one program; `keras_network` is the same network in Keras' layers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from suite.core.seeds import stream

# Fixed, as published.
BATCH = 32
# Width of the embeddings that are compared.
WIDTH = 64
# Units of the LSTM.
UNITS = 32
# RMSprop's epsilon, the default of Keras.
EPSILON = 1e-7
WEIGHTS = (
    "story_m",  # (V, 64)
    "story_c",  # (V, Q)
    "question_u",  # (V, 64)
    "lstm_kernel",  # (S + 64, 4 * 32), gates i, f, c, o
    "lstm_recurrent",  # (32, 4 * 32)
    "lstm_bias",  # (4 * 32,)
    "dense_kernel",  # (32, V)
    "dense_bias",  # (V,)
)


def keras_network(sizes: tuple[int, int, int], dropout: float) -> Any:
    """The network in Keras' layers: for reading, and what tests and benchmark compare with.

    Inputs int (n, S) and (n, Q); output: probabilities (n, V). Layers story_m, story_c,
    question_u, lstm and dense hold the WEIGHTS of these names.
    """
    import keras
    from keras import layers

    V, S, Q = sizes
    story, question = keras.Input((S,), dtype="int32"), keras.Input((Q,), dtype="int32")

    def embedded(x: Any, width: int, name: str) -> Any:
        return layers.Dropout(dropout)(layers.Embedding(V, width, name=name)(x))

    m, c = embedded(story, WIDTH, "story_m"), embedded(story, Q, "story_c")
    u = embedded(question, WIDTH, "question_u")
    match = layers.Softmax()(layers.Dot(axes=(2, 2))([m, u]))  # (n, S, Q), sums to 1 over Q
    response = layers.Permute((2, 1))(layers.Add()([match, c]))  # (n, Q, S)
    x = layers.Concatenate()([response, u])  # (n, Q, S + 64)
    h = layers.Dropout(dropout)(layers.LSTM(UNITS, name="lstm")(x))
    answer = layers.Dense(V, activation="softmax", name="dense")(h)
    return keras.Model([story, question], answer)


def initial_weights(sizes: tuple[int, int, int], seed: int) -> list[Any]:
    """float32 arrays in the order of WEIGHTS, distributed as Keras' layers draw them; drawn here by
    numpy, so the same on every device.
    """
    V, S, Q = sizes
    rng = stream(seed, "weights")

    def uniform(limit: float, *shape: int) -> Any:
        return rng.uniform(-limit, limit, shape)

    def glorot(inputs: int, outputs: int) -> Any:
        return uniform(math.sqrt(6 / (inputs + outputs)), inputs, outputs)

    embeddings = [uniform(0.05, V, width) for width in (WIDTH, Q, WIDTH)]
    kernel = glorot(S + WIDTH, 4 * UNITS)
    q, r = np.linalg.qr(rng.normal(size=(4 * UNITS, UNITS)))
    recurrent = (q * np.sign(np.diag(r))).T  # rows orthonormal
    bias = np.repeat([0.0, 1.0, 0.0, 0.0], UNITS)  # the forget gate begins open
    drawn = [*embeddings, kernel, recurrent, bias, glorot(UNITS, V), np.zeros(V)]
    return [array.astype(np.float32) for array in drawn]


def logits(weights: Sequence[Any], story: Any, question: Any, dropped: Any) -> Any:
    """float32 (n, V) for int32 (n, S) and (n, Q); `dropped(x, site)` is dropout at one of its four
    places.
    """
    import tensorflow as tf

    A, C, E, kernel, recurrent, bias, dense, dense_bias = weights
    (n, S), Q = story.shape, question.shape[1]

    def embedded(table: Any, tokens: Any) -> Any:
        # A product, not a gather: its gradient is a product too, in one order of summing on every
        # device, and as fast for two dozen tokens.
        return tf.matmul(tf.one_hot(tokens, table.shape[0]), table)

    m = dropped(embedded(A, story), 0)  # (n, S, 64)
    c = dropped(embedded(C, story), 1)  # (n, S, Q)
    u = dropped(embedded(E, question), 2)  # (n, Q, 64)
    match = tf.nn.softmax(tf.matmul(m, u, transpose_b=True))  # (n, S, Q)
    x = tf.concat([tf.transpose(match + c, [0, 2, 1]), u], 2)  # (n, Q, S + 64)
    x = tf.reshape(tf.transpose(x, [1, 0, 2]), [Q * n, S + WIDTH])
    gates = tf.reshape(tf.matmul(x, kernel) + bias, [Q, n, 4 * UNITS])  # all steps in one product
    h = cell = tf.zeros([n, UNITS])
    for step in range(Q):
        i, f, g, o = tf.split(gates[step] + tf.matmul(h, recurrent), 4, 1)
        cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(cell)
    return tf.matmul(dropped(h, 3), dense) + dense_bias


# --- compiled -------------------------------------------------------------------------------------


class Compiled(NamedTuple):
    """Functions of one data set's sizes, compiled when first called. Every setting is a tensor, so that one
    compilation serves all trials.
    """

    run_epoch: Any
    evaluate: Any
    # A step in two parts, between which the ranks of a group add up what they have.
    gradients: Any
    update: Any


@functools.cache
def compiled(sizes: tuple[int, int, int], n: int) -> Compiled:
    """For n training questions."""
    import tensorflow as tf

    _, S, Q = sizes

    def summed_loss(weights: Any, s: Any, q: Any, a: Any, counts: Any, dropped: Any) -> Any:
        """counts: 1 for a question, 0 for what fills up."""
        scores = logits(weights, s, q, dropped)
        return tf.reduce_sum(counts * tf.nn.sparse_softmax_cross_entropy_with_logits(a, scores))

    def stepped(
        weights: Any, velocity: Any, gradients: Any, rate: Any, rho: Any, decay: Any
    ) -> Any:
        """keras.optimizers.RMSprop(learning_rate, rho, weight_decay=decay)"""
        velocity = [rho * v + (1.0 - rho) * g * g for v, g in zip(velocity, gradients, strict=True)]
        weights = [
            w - rate * decay * w - rate * g / tf.sqrt(v + EPSILON)
            for w, g, v in zip(weights, gradients, velocity, strict=True)
        ]
        return weights, velocity

    def are_finite(weights: Any) -> Any:
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(w)) for w in weights])

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def run_epoch(
        weights: Any, velocity: Any, story: Any, question: Any, answer: Any, order: Any, key: Any,
        steps: Any, rate: Any, dropout: Any, rho: Any, decay: Any,
    ) -> Any:  # fmt: skip
        story, question, answer = (tf.gather(x, order) for x in (story, question, answer))

        def body(step: Any, weights: Any, velocity: Any, total: Any) -> Any:
            at = step * BATCH
            s = tf.slice(story, [at, 0], [BATCH, S])
            q = tf.slice(question, [at, 0], [BATCH, Q])
            a = tf.slice(answer, [at], [BATCH])
            counts = tf.cast(tf.range(BATCH) + at < n, tf.float32)

            def dropped(x: Any, site: int) -> Any:
                return drop(x, dropout, key, 4 * step + site)

            with tf.GradientTape() as tape:
                tape.watch(weights)
                summed = summed_loss(weights, s, q, a, counts, dropped)
                loss = summed / tf.reduce_sum(counts)
            gradients = tape.gradient(loss, weights)
            weights, velocity = stepped(weights, velocity, gradients, rate, rho, decay)
            return step + 1, weights, velocity, total + summed

        _, weights, velocity, total = tf.while_loop(
            lambda step, *_: step < steps, body, (0, list(weights), list(velocity), 0.0)
        )
        return weights, velocity, total / n, are_finite(weights)

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def gradients(
        weights: Any, story: Any, question: Any, answer: Any, rows: Any, key: Any, step: Any,
        where: Any, dropout: Any,
    ) -> Any:  # fmt: skip
        """A share's gradients and its summed loss, end to end. rows: of its questions, filled up.

        where int32 (3,): how many questions it has, how many the batch has, how many of those come before.
        """
        s, q, a = (tf.gather(x, rows) for x in (story, question, answer))
        counts = tf.cast(tf.range(rows.shape[0]) < where[0], tf.float32)

        def dropped(x: Any, site: int) -> Any:
            return drop(x, dropout, key, 4 * step + site, where[2])

        with tf.GradientTape() as tape:
            tape.watch(weights)
            summed = summed_loss(weights, s, q, a, counts, dropped)
            loss = summed / tf.cast(where[1], tf.float32)
        parts = [tf.reshape(g, [-1]) for g in tape.gradient(loss, weights)]
        return tf.concat([*parts, summed[None]], 0)

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def update(weights: Any, velocity: Any, sums: Any, rate: Any, rho: Any, decay: Any) -> Any:
        """sums: what `gradients` gave, added up over ranks."""
        parts = tf.split(sums[:-1], [math.prod(w.shape) for w in weights])
        slopes = [tf.reshape(part, w.shape) for part, w in zip(parts, weights, strict=True)]
        weights, velocity = stepped(weights, velocity, slopes, rate, rho, decay)
        return weights, velocity, are_finite(weights)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def evaluate(weights: Any, story: Any, question: Any, answer: Any) -> Any:
        scores = logits(weights, story, question, lambda x, site: x)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(answer, scores)
        right = tf.argmax(scores, 1, output_type=tf.int32) == answer
        return tf.reduce_mean(losses), tf.reduce_sum(tf.cast(right, tf.int32))

    return Compiled(run_epoch, evaluate, gradients, update)


def drop(x: Any, rate: Any, key: Any, counter: Any, before: Any = None) -> Any:
    """x with a share `rate` of its numbers set to zero, and the others enlarged so that the mean
    stays; with rate 1 all are zero. before: rows of a larger array that come before x, so that a share of
    a batch loses what it loses in the whole one; None: none.
    """
    import tensorflow as tf

    scale = 1.0 / tf.maximum(1.0 - rate, 1e-7)  # finite also where nothing is kept
    return x * tf.where(uniform(x.shape, key, counter, before) >= rate, scale, 0.0)


def uniform(shape: Any, key: Any, counter: Any, before: Any = None) -> Any:
    """float32 in [0, 1) with 24 random bits: a function of key (uint32 (2,)), counter and position,
    which begins after `before` rows (None: 0).

    Two rounds of MurmurHash3's finaliser (Appleby, public domain) over the position, each keyed
    anew. TensorFlow's own Philox took twice as long as all the rest of a compiled epoch.
    """
    import tensorflow as tf

    def word(value: int) -> Any:
        return tf.constant(value, tf.uint32)

    def mixed(x: Any) -> Any:
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, word(shift))) * word(factor)
        return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, word(16)))

    counter = mixed(tf.cast(counter, tf.uint32) + word(0x9E3779B9))
    first, second = mixed(key[0] + counter), mixed(key[1] + mixed(counter))
    position = tf.range(math.prod(shape))
    if before is not None:
        position += before * math.prod(shape[1:])
    position = tf.cast(position, tf.uint32)
    bits = mixed(tf.bitwise.bitwise_xor(mixed(position + first), second))
    top = tf.cast(tf.cast(tf.bitwise.right_shift(bits, word(8)), tf.int32), tf.float32)
    return tf.reshape(top * 2.0**-24, shape)
