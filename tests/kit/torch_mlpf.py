"""Small networks of `models.mlpf.mlpf_torch` and what they compute of toy events."""

import numpy as np
import pytest
import torch

from kit import toy_events
from models.mlpf import architecture
from models.mlpf import events as mlpf_events
from models.mlpf.architecture import LAYERS, Architecture
from models.mlpf.torch_network import Network, place_of

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
