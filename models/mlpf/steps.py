"""MLPF's compiled steps: one trace for each architecture, shared by all its trials.

hardware, versions, n, number: see models/mlpf/__init__.py; lineage: AdamW with AMSGrad as tensorflow-addons
had it, on one flat vector of weights, so that an update is one fused operation.
"""

from __future__ import annotations

from typing import Any

from models.mlpf import architecture, network
from models.mlpf.particle_flow import BETA_1, BETA_2, EPSILON

# Adam's averages and AMSGrad's maximum.
STATE = ("weights", "mean", "variance", "most")


class Compiled:
    """Training step, evaluation and prediction of one architecture, for any trial and any T.

    in_shares: for ranks that train one trial together, a step in two parts, between which they sum
    gradients.
    """

    def __init__(self, tf: Any, net: architecture.Architecture, in_shares: bool) -> None:
        floats, ints = tf.float32, tf.int32
        n = architecture.n_parameters(net)
        vector, kernel = tf.TensorSpec((n,), floats), tf.TensorSpec((2,), floats)
        book = tf.TensorSpec((net.n_layers, net.distance_dim, architecture.MAX_BINS // 2), floats)
        batch = (
            tf.TensorSpec((None, 12), floats),
            tf.TensorSpec((None, 7), floats),
            tf.TensorSpec((None,), ints),
            tf.TensorSpec((None,), ints),
        )

        def gradient(
            vector: Any, books: Any, kernel: Any, X: Any, y: Any, event: Any, directions: Any,
            rates: Any, seed: Any, share: Any = None,
        ) -> Any:  # fmt: skip
            """Of the loss, (n,), and the loss summed over slots. share: of network.Dropout."""
            with tf.GradientTape() as tape:
                tape.watch(vector)
                weights = network.unpack(net, vector)
                place = event, directions
                out = network.forward(net, weights, books, X, *place, rates[0], seed, kernel, share)
                total = tf.reduce_sum(network.loss_terms(X, y, *out))
                loss = total * rates[5]
            return tape.gradient(loss, vector), total

        def update(state: Any, vector: Any, gradient: Any, rates: Any) -> None:
            variable, mean, variance, most = state
            variable.assign(vector * rates[2])
            tf.raw_ops.ResourceApplyAdamWithAmsgrad(
                var=variable.handle, m=mean.handle, v=variance.handle, vhat=most.handle,
                beta1_power=rates[3], beta2_power=rates[4], lr=rates[1], beta1=BETA_1,
                beta2=BETA_2, epsilon=EPSILON, grad=gradient,
            )  # fmt: skip

        def step(
            state: Any, books: Any, kernel: Any, X: Any, y: Any, event: Any, directions: Any,
            rates: Any, seed: Any,
        ) -> Any:  # fmt: skip
            """kernel (2,): dist_mult, clip_value_low. rates (6,): dropout, learning rate, 1 - decay,
            beta_1^t, beta_2^t, 1 / slots.
            """
            vector = state[0].read_value()
            slope, total = gradient(vector, books, kernel, X, y, event, directions, rates, seed)
            update(state, vector, slope, rates)
            return total

        def share_of_step(
            state: Any, books: Any, kernel: Any, X: Any, y: Any, event: Any, directions: Any,
            rates: Any, seed: Any, share: Any,
        ) -> Any:  # fmt: skip
            """(n + 1,): the gradient of a share of a batch, and its loss summed over slots; rates are those
            of the whole batch.
            """
            vector = state[0].read_value()
            slope, total = gradient(
                vector, books, kernel, X, y, event, directions, rates, seed, share
            )
            return tf.concat([slope, total[None]], 0)

        def rest_of_step(state: Any, sums: Any, rates: Any) -> None:
            """sums: the shares of all ranks, added up."""
            update(state, state[0].read_value(), sums[:-1], rates)

        def evaluate(
            vector: Any, books: Any, kernel: Any, X: Any, y: Any, event: Any, directions: Any
        ) -> tuple[Any, Any]:
            weights = network.unpack(net, vector)
            out = network.forward(net, weights, books, X, event, directions, kernel=kernel)
            guess = tf.argmax(out[0], axis=1, output_type=ints)
            right = (guess == tf.cast(y[:, 0], ints)) & (X[:, 0] != 0)
            return network.loss_terms(X, y, *out), tf.reduce_sum(tf.cast(right, floats))

        def predict(
            vector: Any, books: Any, kernel: Any, X: Any, y: Any, event: Any, directions: Any
        ) -> tuple[Any, Any]:
            weights = network.unpack(net, vector)
            out = network.forward(net, weights, books, X, event, directions, kernel=kernel)
            logits, _, momenta = out
            return tf.argmax(logits, axis=1, output_type=ints), momenta

        # Traced here with variables of no trial: calls with any other's find this trace.
        self.step = tf.function(step)
        blank = [tf.Variable(tf.zeros((n,), floats)) for _ in STATE]
        numbers = tf.TensorSpec((6,), floats), tf.TensorSpec((2,), tf.int64)
        if in_shares:
            self.share_of_step, self.rest_of_step = map(tf.function, (share_of_step, rest_of_step))
            part = tf.TensorSpec((2,), ints)
            self.share_of_step.get_concrete_function(blank, book, kernel, *batch, *numbers, part)
            self.rest_of_step.get_concrete_function(
                blank, tf.TensorSpec((n + 1,), floats), numbers[0]
            )
        else:
            self.step.get_concrete_function(blank, book, kernel, *batch, *numbers)
        self.evaluate = tf.function(evaluate, input_signature=(vector, book, kernel, *batch))
        self.predict = tf.function(predict, input_signature=(vector, book, kernel, *batch))
