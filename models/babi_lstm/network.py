"""The network of bAbI task 17 and its training epoch, as functions of tensors.

hardware, versions, n, number: see models/babi_lstm/__init__.py, the target they serve; lineage: as there.
Written in products and elementwise operations, the same on every device, so that XLA fuses an
epoch into one program; `keras_network` is the same network in Keras' layers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

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


@functools.cache
def compiled(sizes: tuple[int, int, int], n: int) -> tuple[Any, Any]:
    """The functions `run_epoch` and `evaluate` for n training questions; one compilation serves
    all trials, because every setting is a tensor.
    """
    import tensorflow as tf

    _, S, Q = sizes

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
            counts = tf.cast(tf.range(BATCH) + at < n, tf.float32)  # 0 for what fills up

            def dropped(x: Any, site: int) -> Any:
                return drop(x, dropout, key, 4 * step + site)

            with tf.GradientTape() as tape:
                tape.watch(weights)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    a, logits(weights, s, q, dropped)
                )
                summed = tf.reduce_sum(counts * losses)
                loss = summed / tf.reduce_sum(counts)
            gradients = tape.gradient(loss, weights)
            velocity = [
                rho * v + (1.0 - rho) * g * g for v, g in zip(velocity, gradients, strict=True)
            ]
            # keras.optimizers.RMSprop(learning_rate, rho, weight_decay=decay)
            weights = [
                w - rate * decay * w - rate * g / tf.sqrt(v + EPSILON)
                for w, g, v in zip(weights, gradients, velocity, strict=True)
            ]
            return step + 1, weights, velocity, total + summed

        _, weights, velocity, total = tf.while_loop(
            lambda step, *_: step < steps, body, (0, list(weights), list(velocity), 0.0)
        )
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(w)) for w in weights])
        return weights, velocity, total / n, finite

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def evaluate(weights: Any, story: Any, question: Any, answer: Any) -> Any:
        scores = logits(weights, story, question, lambda x, site: x)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(answer, scores)
        right = tf.argmax(scores, 1, output_type=tf.int32) == answer
        return tf.reduce_mean(losses), tf.reduce_sum(tf.cast(right, tf.int32))

    return run_epoch, evaluate


def drop(x: Any, rate: Any, key: Any, counter: Any) -> Any:
    """x with a share `rate` of its numbers set to zero, and the others enlarged so that the mean
    stays; with rate 1 all are zero.
    """
    import tensorflow as tf

    scale = 1.0 / tf.maximum(1.0 - rate, 1e-7)  # finite also where nothing is kept
    return x * tf.where(uniform(x.shape, key, counter) >= rate, scale, 0.0)


def uniform(shape: Any, key: Any, counter: Any) -> Any:
    """float32 in [0, 1) with 24 random bits: a function of key (uint32 (2,)), counter and position.

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
    position = tf.cast(tf.range(math.prod(shape)), tf.uint32)
    bits = mixed(tf.bitwise.bitwise_xor(mixed(position + first), second))
    top = tf.cast(tf.cast(tf.bitwise.right_shift(bits, word(8)), tf.int32), tf.float32)
    return tf.reshape(top * 2.0**-24, shape)
