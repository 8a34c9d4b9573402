"""MLPF's network in torch: two branches of layers, decoders with skip connections, the loss.

hardware, versions, n, number: see models/mlpf/mlpf_torch.py; lineage: models/mlpf/network.py, whose formulas
these are: with equal weights and layer=gnn_lsh both compute the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from models.mlpf.architecture import (
    CHARGE_HEAD,
    COEFFICIENTS,
    HUBER_DELTAS,
    ID_HEAD,
    KERNEL,
    MOMENTUM_HEAD,
    N_TYPES,
    Architecture,
    blocks,
)
from models.mlpf.torch_layers import Dropout, Place, head, layer, normalized


def place_of(X: Any, event: Any, directions: Any, device: str) -> Place:
    """From a batch in numpy, see particle_flow.Batch."""
    events = np.arange(event[-1] + 1)
    first, last = np.searchsorted(event, events), np.searchsorted(event, events, side="right")
    real = np.concatenate([[0], np.cumsum(X[:, 0] != 0)])
    spans = np.stack([first, real[last] - real[first], last - first], axis=1)
    mask, event, directions = (
        torch.from_numpy(array).to(device) for array in (X[:, 0] != 0, event, directions)
    )
    return Place(mask, event.long(), directions.long(), [(a, b, c) for a, b, c in spans.tolist()])


class Network(nn.Module):
    """weights: float32 (n_parameters,) in the order of architecture.blocks; drawn: as architecture.initial
    gives both. `drawn` is a buffer: it is in the checkpoint.
    """

    drawn: torch.Tensor

    def __init__(self, net: Architecture, weights: Any, drawn: Any) -> None:
        super().__init__()
        self.net = net
        arrays = blocks(net)
        parts = np.split(weights, np.cumsum([math.prod(shape) for _, shape, _ in arrays])[:-1])
        self.weights = nn.ParameterDict()
        # One by one, in this order: of a dict ParameterDict sorts the names.
        for (name, shape, _), part in zip(arrays, parts, strict=True):
            self.weights[name] = nn.Parameter(torch.tensor(part.reshape(shape)))
        self.register_buffer("drawn", torch.from_numpy(drawn))

    def forward(
        self,
        X: Any,
        place: Place,
        drop: Dropout | None = None,
        rate: float = 0.0,
        kernel: tuple[float, float] = KERNEL,
    ) -> tuple[Any, Any, Any]:
        """X (T, inputs) -> logits (T, 6), charge (T, 1), momenta (T, 5): pt, eta, sin phi, cos phi, energy.

        float32, GeV; zero in padded slots. rate: the decoders' dropout, half of it in the layers.
        """
        net, weights, drop = self.net, dict(self.weights.items()), drop or Dropout()
        real = place.mask.to(X.dtype)[:, None]
        kind = one_hot(X[:, 0].long(), N_TYPES).to(X.dtype)
        encoded = torch.cat([kind, X[:, 1:]], dim=1)  # (T, net.encoded)
        seen: dict[str, list[Any]] = {"id": [encoded], "reg": [encoded]}
        number = 0
        for branch, n, copies in (("id", net.n_id, 1), ("reg", net.n_reg, 2)):
            x = encoded
            for k in range(n):
                drawn = self.drawn[number]
                x = layer(net, weights, f"{branch}{k}", x, drawn, place, drop, rate / 2.0, kernel)
                seen[branch] += [x] * copies
                number += 1
        encoding = torch.cat(seen["id"], dim=1) * real
        encoding = normalized(weights, "norm", encoding, 1e-3)

        logits = head(weights, "class", encoding, len(ID_HEAD), drop, rate).float() * real
        charge = head(weights, "charge", encoding, len(CHARGE_HEAD), drop, rate).float() * real
        known = logits.detach()
        n_hidden = len(MOMENTUM_HEAD)
        both = torch.cat([encoding, known], dim=1)
        eta_move = head(weights, "eta", both, n_hidden, drop, rate).float()
        phi_move = head(weights, "phi", both, n_hidden, drop, rate).float()
        both = torch.cat([both, torch.cat(seen["reg"], dim=1) * real, known], dim=1)
        energy_move = head(weights, "energy", both, n_hidden, drop, rate).float()
        pt_move = head(weights, "pt", both, n_hidden, drop, rate).float()

        # Skip connections: with all weights 0 these are the inputs. Columns 0 of eta and 0, 2 of phi
        # are gates that the public code computes and does not use.
        eta = X[:, 2:3] + eta_move[:, 1:2]
        sin_phi = X[:, 3:4] + phi_move[:, 1:2]
        cos_phi = X[:, 4:5] + phi_move[:, 3:4]
        nearly_one_hot = torch.softmax(100.0 * known, dim=1)
        energy = X[:, 5:6] + (nearly_one_hot * energy_move).sum(1, keepdim=True)
        pt = (energy / torch.cosh(eta.clamp(-8.0, 8.0))).detach()
        pt = pt + torch.sigmoid(pt_move[:, 0:1]) * pt_move[:, 1:2]
        momenta = torch.cat([pt, eta, sin_phi, cos_phi, energy], dim=1) * real
        return logits, charge, momenta


def loss_terms(X: Any, y: Any, logits: Any, charge: Any, momenta: Any) -> Any:
    """The seven terms of architecture.TERMS, weighted, summed over the slots: (7,).

    y: (T, 7) class, charge, pt, eta, sin phi, cos phi, energy. The class counts at every real
    element, the others where the target is a particle. The loss is their sum over (events * pad).
    """
    real = (X[:, 0] != 0).to(X.dtype)
    particle = real * (y[:, 0] != 0)
    surprise = cross_entropy(logits, y[:, 0].long(), reduction="none")
    terms = [
        (surprise * real).sum(),
        (torch.square(y[:, 1] - charge[:, 0]) * particle).sum(),
    ]
    off = (y[:, 2:] - momenta).abs()  # (T, 5)
    delta = torch.tensor(HUBER_DELTAS, dtype=X.dtype, device=X.device)
    huber = torch.where(off <= delta, 0.5 * off * off, delta * (off - 0.5 * delta))
    regression = (huber * particle[:, None]).sum(0)
    coefficients = torch.tensor(COEFFICIENTS, dtype=X.dtype, device=X.device)
    return torch.cat([torch.stack(terms), regression]) * coefficients
