"""MLPF written the usual way: Keras layers on events padded to one size, for `fit`.

The reference of tests and benchmarks: what models/mlpf/network.py computes without padding must be
what this computes with it (`published` bins), and an epoch must not be slower than `fit` of this.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from models.mlpf import architecture


class GraphLayer(keras.layers.Layer):
    """Learned bins, adjacency in each bin, gated graph convolution: (B, N, d) -> (B, N, width)."""

    def __init__(self, net, rate):
        super().__init__()
        self.net = net
        self.distance = [
            keras.layers.Dense(architecture.HIDDEN, "elu"),
            keras.layers.Dropout(rate),
            keras.layers.Dense(net.distance_dim),
        ]
        self.drop = keras.layers.Dropout(rate)

    def build(self, shape):
        width = self.net.width
        draw = "random_normal"
        self.W_n = self.add_weight(shape=(shape[-1], width), initializer=draw, name="near")
        self.W_h = self.add_weight(shape=(shape[-1], width), initializer=draw, name="self")
        self.W_t = self.add_weight(shape=(shape[-1], width), initializer=draw, name="gate")
        self.b_t = self.add_weight(shape=(width,), initializer=draw, name="gate_bias")
        shape = (self.net.distance_dim, architecture.MAX_BINS // 2)
        self.book = self.add_weight(shape=shape, initializer=draw, trainable=False, name="book")

    def call(self, x, mask, training=False):
        size = self.net.bin_size
        z = x
        for layer in self.distance:
            z = layer(z, training=training) if layer is self.distance[1] else layer(z)
        B, N = tf.shape(x)[0], x.shape[1]
        n_bins = N // size
        h = tf.matmul(z, self.book[:, : n_bins // 2])
        code = tf.argmax(tf.concat([h, -h], -1), -1, output_type=tf.int32)
        code += tf.where(mask, 0, n_bins - 1)
        order = tf.reshape(tf.argsort(code, stable=True), (B, n_bins, size))
        real = tf.cast(tf.gather(mask, order, batch_dims=1), x.dtype)[..., None]
        zb = tf.gather(z, order, batch_dims=1) * real
        xb = tf.gather(x, order, batch_dims=1) * real
        square = tf.reduce_sum(zb * zb, -1)
        gap = square[..., :, None] - 2.0 * tf.matmul(zb, zb, transpose_b=True)
        gap = gap + square[..., None, :]
        A = tf.clip_by_value(tf.exp(-0.1 * tf.sqrt(tf.maximum(gap, 1e-6))), 0.0, 1.0)
        A = A * real * tf.linalg.matrix_transpose(real)
        norm = tf.pow(tf.reduce_sum(tf.abs(A), -1, keepdims=True) + 1e-6, -0.5) * real
        near = tf.matmul(A, tf.matmul(xb, self.W_n) * norm) * norm
        gate = tf.sigmoid(tf.matmul(xb, self.W_t) + self.b_t)
        out = tf.nn.elu(gate * near + (1.0 - gate) * tf.matmul(xb, self.W_h)) * real
        out = tf.reshape(self.drop(out, training=training), (B, N, -1))
        flat = tf.reshape(order, (B, N))
        at = tf.stack([tf.repeat(tf.range(B)[:, None], N, axis=1), flat], -1)
        return tf.scatter_nd(at, out, (B, N, self.net.width))


def ffn(hidden, outputs, rate):
    layers = []
    for width in hidden:
        layers += [keras.layers.Dense(width, "elu"), keras.layers.Dropout(rate)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


class KerasMLPF(keras.Model):
    """X (B, N, 12) -> (B, N, 12): six logits, charge, pt, eta, sin phi, cos phi, energy."""

    def __init__(self, net, rate):
        super().__init__()
        self.ids = [GraphLayer(net, rate / 2) for _ in range(net.n_id)]
        self.regs = [GraphLayer(net, rate / 2) for _ in range(net.n_reg)]
        self.norm = keras.layers.LayerNormalization()
        three = architecture.MOMENTUM_HEAD
        self.heads = {
            "class": ffn(architecture.ID_HEAD, 6, rate),
            "charge": ffn(architecture.CHARGE_HEAD, 1, rate),
            "eta": ffn(three, 2, rate),
            "phi": ffn(three, 4, rate),
            "energy": ffn(three, 6, rate),
            "pt": ffn(three, 2, rate),
        }

    def call(self, X, training=False):
        kind = tf.cast(X[..., 0], tf.int32)
        mask = kind != 0
        real = tf.cast(mask, X.dtype)[..., None]
        encoded = tf.concat([tf.one_hot(kind, 3), X[..., 1:]], -1)
        x, ids = encoded, [encoded]
        for layer in self.ids:
            x = layer(x, mask, training=training)
            ids.append(x)
        x, regs = encoded, [encoded]
        for layer in self.regs:
            x = layer(x, mask, training=training)
            regs += [x, x]
        encoding = self.norm(tf.concat(ids, -1) * real)
        heads = self.heads
        logits = heads["class"](encoding, training=training) * real
        charge = heads["charge"](encoding, training=training) * real
        known = tf.stop_gradient(logits)
        both = tf.concat([encoding, known], -1)
        eta_move = heads["eta"](both, training=training)
        phi_move = heads["phi"](both, training=training)
        both = tf.concat([both, tf.concat(regs, -1) * real, known], -1)
        energy_move = heads["energy"](both, training=training)
        pt_move = heads["pt"](both, training=training)
        eta = X[..., 2:3] + eta_move[..., 1:2]
        sin_phi = X[..., 3:4] + phi_move[..., 1:2]
        cos_phi = X[..., 4:5] + phi_move[..., 3:4]
        soft = tf.stop_gradient(tf.nn.softmax(100.0 * logits))
        energy = X[..., 5:6] + tf.reduce_sum(soft * energy_move, -1, keepdims=True)
        pt = tf.stop_gradient(energy / tf.cosh(tf.clip_by_value(eta, -8.0, 8.0)))
        pt = pt + tf.sigmoid(pt_move[..., 0:1]) * pt_move[..., 1:2]
        return tf.concat(
            [logits, charge, tf.concat([pt, eta, sin_phi, cos_phi, energy], -1) * real], -1
        )

    def take(self, net, weights, books):
        """The vector's weights into this model's variables."""
        table = {}
        at = 0
        for name, shape, _ in architecture.blocks(net):
            size = int(np.prod(shape))
            table[name] = weights[at : at + size].reshape(shape)
            at += size
        for branch, layers, skip in (("id", self.ids, 0), ("reg", self.regs, net.n_id)):
            for k, layer in enumerate(layers):
                for i, part in ((0, layer.distance[0]), (1, layer.distance[2])):
                    part.kernel.assign(table[f"{branch}{k}/distance/{i}/kernel"])
                    part.bias.assign(table[f"{branch}{k}/distance/{i}/bias"])
                near, self_, gate = np.split(table[f"{branch}{k}/message0/kernel"], 3, axis=1)
                layer.W_n.assign(near)
                layer.W_h.assign(self_)
                layer.W_t.assign(gate)
                layer.b_t.assign(table[f"{branch}{k}/message0/bias"])
                layer.book.assign(books[skip + k])
        self.norm.gamma.assign(table["norm/gamma"])
        self.norm.beta.assign(table["norm/beta"])
        for name, part in self.heads.items():
            denses = [layer for layer in part.layers if isinstance(layer, keras.layers.Dense)]
            for k, layer in enumerate(denses):
                layer.kernel.assign(table[f"{name}/{k}/kernel"])
                layer.bias.assign(table[f"{name}/{k}/bias"])

    def energy_weights(self):
        """One kernel deep in the network, to compare after a step."""
        return self.heads["energy"].layers[0].kernel.numpy()


def loss(target, out):
    """target (B, N, 8): the seven targets and whether the element is real; mean over B * N."""
    real = target[..., 7]
    particle = real * tf.cast(target[..., 0] != 0, tf.float32)
    logits, charge, momenta = out[..., :6], out[..., 6], out[..., 7:]
    kind = tf.cast(target[..., 0], tf.int32)
    total = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=kind, logits=logits) * real
    total += tf.square(target[..., 1] - charge) * particle
    off = tf.abs(target[..., 2:7] - momenta)
    delta = tf.constant([1.0, 0.1, 0.1, 0.1, 1.0])
    huber = tf.where(off <= delta, 0.5 * off * off, delta * off - 0.5 * delta * delta)
    return total + 100.0 * tf.reduce_sum(huber, -1) * particle


def padded(chosen, pad):
    """X (B, pad, 12) and target (B, pad, 8) of an Events."""
    X = np.zeros((len(chosen.n), pad, 12), np.float32)
    target = np.zeros((len(chosen.n), pad, 8), np.float32)
    for e, (first, n) in enumerate(zip(chosen.first, chosen.n, strict=True)):
        X[e, :n] = chosen.X[first : first + n]
        target[e, :n, :7] = chosen.y[first : first + n]
        target[e, :n, 7] = 1.0
    return X, target
