"""The layers of MLPF in torch: a graph in learned bins, self-attention, attention by random features.

hardware, versions, n, number: see models/mlpf/mlpf_torch.py; lineage: gnn_lsh is models/mlpf/network.py's,
from the same formulas; attention has the pre-normalised form of jpata/particleflow (August 2026), softmax
attention of Vaswani et al. 2017 (arXiv:1706.03762); favor its estimate FAVOR+ (Choromanski et al. 2021,
arXiv:2009.14794, lemma 1 and section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import elu, layer_norm, pad, scaled_dot_product_attention

from models.mlpf.architecture import ATTENTION, GNN_LSH, MAX_BINS, Architecture

# Added to each positive feature, so that no sum of them is 0; the largest is 1.
LEAST_FEATURE = 1e-6


@dataclass(frozen=True, slots=True)
class Place:
    """Where the slots of a batch belong.

    mask: bool (T,), an element is there; event, directions: as in architecture.Layout; spans: of each event
    its first slot, its elements and its slots: elements come first.
    """

    mask: Any
    event: Any
    directions: Any
    spans: list[tuple[int, int, int]]


class Dropout:
    """Inverted dropout with masks from a generator, None: nothing is dropped.

    whole, first: masks are drawn for `whole` rows, of which x is those from `first` on: so that a share of a
    batch gets the masks that it has in the whole one.
    """

    def __init__(self, generator: Any = None, whole: int = 0, first: int = 0) -> None:
        self.generator, self.whole, self.first = generator, whole, first

    def __call__(self, x: Any, rate: float) -> Any:
        if self.generator is None or rate == 0.0:
            return x
        kept = torch.empty((self.whole, x.shape[1]), device=x.device)
        kept.bernoulli_(1.0 - rate, generator=self.generator)
        return x * (kept[self.first : self.first + len(x)] / (1.0 - rate))


def dense(weights: Mapping[str, Any], name: str, x: Any) -> Any:
    return torch.addmm(weights[f"{name}/bias"], x, weights[f"{name}/kernel"])


def head(
    weights: Mapping[str, Any], name: str, x: Any, n_hidden: int, drop: Dropout, rate: float
) -> Any:
    for k in range(n_hidden):
        x = drop(elu(dense(weights, f"{name}/{k}", x)), rate)
    return dense(weights, f"{name}/{n_hidden}", x)


def normalized(weights: Mapping[str, Any], name: str, x: Any, epsilon: float) -> Any:
    """Layer normalisation of the last axis."""
    gamma, beta = weights[f"{name}/gamma"], weights[f"{name}/beta"]
    return layer_norm(x, gamma.shape, gamma, beta, epsilon)


def layer(
    net: Architecture,
    weights: Mapping[str, Any],
    name: str,
    x: Any,
    drawn: Any,
    place: Place,
    drop: Dropout,
    rate: float,
    kernel: tuple[float, float],
) -> Any:
    """x (T, d) -> (T, width), 0 where no element is. drawn: of this layer, see architecture.initial. kernel:
    dist_mult and clip_value_low of the graph.
    """
    if net.layer == GNN_LSH:
        return graph_layer(net, weights, name, x, drawn, place, drop, rate, kernel)
    return attention_layer(net, weights, name, x, drawn, place, drop, rate)


# --- graph in learned bins ------------------------------------------------------------------------


class _Permuted(torch.autograd.Function):
    """x[order]; its gradient is gathered by the inverse, and not added up."""

    @staticmethod
    def forward(ctx: Any, x: Any, order: Any, back: Any) -> Any:
        ctx.save_for_backward(back)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (back,) = ctx.saved_tensors
        return gradients[0].index_select(0, back), None, None


def permuted(x: Any, order: Any, back: Any) -> Any:
    apply: Any = _Permuted.apply
    return apply(x, order, back)


def bins(z: Any, codebook: Any, place: Place) -> tuple[Any, Any]:
    """Order of slots (T,) in which every bin_size of them are a bin, and its inverse; z (T, distance_dim).

    An element's code is the nearest of its event's directions +r, -r; slots are sorted by (event, code,
    length along the direction) and cut, padding last within its event.
    """
    half = MAX_BINS // 2
    h = z.detach() @ codebook  # (T, 50)
    directions = place.directions
    used = torch.arange(half, device=h.device) < directions[:, None]
    h = torch.where(used, h, 0.0)
    strength, code = torch.cat([h, -h], dim=1).max(dim=1)
    code = torch.where(code >= half, code - half + directions, code)
    code = torch.where(place.mask, code, 2 * MAX_BINS)
    # The bits of a float >= 0 sort as the float does.
    bits = torch.where(place.mask, strength.abs(), 0.0).view(torch.int32).long()
    key = (place.event * (4 * MAX_BINS) + code) * 2**32 + bits
    order = torch.argsort(key, stable=True)
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return order, back


def graph_layer(
    net: Architecture,
    weights: Mapping[str, Any],
    name: str,
    x: Any,
    codebook: Any,
    place: Place,
    drop: Dropout,
    rate: float,
    kernel: tuple[float, float],
) -> Any:
    """CombinedGraphLayer: cost T * bin_size for the pairs. Distances are computed in float32 always: they are
    differences of large numbers.
    """
    size = net.bin_size
    if net.layernorm:
        x = normalized(weights, f"{name}/norm", x, 1e-6)
    z = head(weights, f"{name}/distance", x, net.n_hidden, drop, rate)
    with torch.autocast(x.device.type, enabled=False):
        z = z.float()
        order, back = bins(z, codebook, place)
        real = place.mask[order].float().reshape(-1, size, 1)
        z = permuted(z, order, back).reshape(-1, size, net.distance_dim) * real
        square = (z * z).sum(2, keepdim=True)
        gap = square - 2.0 * torch.bmm(z, z.mT) + square.mT
        adjacency = torch.exp(-kernel[0] * gap.clamp(min=1e-6).sqrt())  # (n, s, s)
        adjacency = adjacency.clamp(min=kernel[1]) * (real * real.mT)
        norm = real
        if net.normalize:
            norm = torch.rsqrt(adjacency.sum(2, keepdim=True) + 1e-6) * real
    x = permuted(x, order, back)
    flat = real.reshape(-1, 1)
    for m in range(net.n_messages):
        message = f"{name}/message{m}"
        near, own, gate = (x @ weights[f"{message}/kernel"]).split(net.width, dim=1)
        near = near.reshape(-1, size, net.width) * norm
        near = (torch.bmm(adjacency, near) * norm).reshape(-1, net.width)
        gate = torch.sigmoid(gate + weights[f"{message}/bias"])
        x = elu(gate * near + (1.0 - gate) * own) * flat
    return permuted(drop(x, rate), back, order)


# --- attention ------------------------------------------------------------------------------------


def attention_layer(
    net: Architecture,
    weights: Mapping[str, Any],
    name: str,
    x: Any,
    features: Any,
    place: Place,
    drop: Dropout,
    rate: float,
) -> Any:
    """x + attention(norm(x)), then x + feed-forward(norm(x)); a branch's first layer embeds its input before.

    Each event's elements attend to one another in a call of their own: there is no mask, so that a GPU's
    flash kernel can be taken, which has none, and nothing is computed for padding. Against upstream: no
    activation after the feed-forward network's last layer, no dropout of attention's weights; heads have a
    width of their own.
    """
    if f"{name}/embed/kernel" in weights:
        x = dense(weights, f"{name}/embed", x)
    qkv = dense(weights, f"{name}/qkv", normalized(weights, f"{name}/norm", x, 1e-6))
    qkv = qkv.reshape(-1, 3, net.n_heads, net.head_dim).permute(1, 2, 0, 3)  # (3, heads, T, dim)
    mixed = []
    for first, n, slots in place.spans:
        q, k, v = qkv[:, None, :, first : first + n]  # each (1, heads, n, dim)
        of_all = (
            scaled_dot_product_attention if net.layer == ATTENTION else partial(favor, features)
        )
        seen = of_all(q, k, v)[0].transpose(0, 1).reshape(n, -1)
        mixed.append(pad(seen, (0, 0, 0, slots - n)) if slots > n else seen)
    x = x + drop(dense(weights, f"{name}/out", torch.cat(mixed)), rate)
    fed = normalized(weights, f"{name}/feed_norm", x, 1e-6)
    x = x + drop(head(weights, f"{name}/feed", fed, 1, drop, rate), rate)
    return x * place.mask[:, None]


def favor(features: Any, q: Any, k: Any, v: Any) -> Any:
    """Softmax attention's estimate by positive random features: cost n * n_features, not n * n.

    q, k, v: (..., n, dim); features: (dim, n_features), columns standard normal, orthogonal in blocks.
    With w a column, softmax's exp(q k) is the mean of exp(w q - |q|^2 / 2) exp(w k - |k|^2 / 2). The largest
    exponents are taken out: they cancel. In float32 always.
    """
    with torch.autocast(q.device.type, enabled=False):
        scale = q.shape[-1] ** -0.25
        features = features.float()

        def exponents(rows: Any) -> Any:
            rows = rows.float() * scale
            return rows @ features - 0.5 * (rows * rows).sum(-1, keepdim=True)

        a, b = exponents(q), exponents(k)
        a = torch.exp(a - a.amax(-1, keepdim=True).detach()) + LEAST_FEATURE
        b = torch.exp(b - b.amax((-2, -1), keepdim=True).detach()) + LEAST_FEATURE
        sums, total = b.mT @ v.float(), b.sum(-2)
        return (a @ sums) / (a @ total[..., None])
