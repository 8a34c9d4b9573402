"""MLPF's search spaces (spaces.yaml beside this file), and what its network takes where they search nothing.

hardware: none; versions: none; n, number: nothing is measured here; lineage: parameters/delphes.yaml of
jpata/particleflow (0114ba4, August 2022); each space names its own source.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.mlpf.architecture import GNN_LSH, LAYERS
from suite.core.errors import ConfigError, unknown_name
from suite.core.ordered import Ordered
from suite.core.printable import printable
from suite.core.space import Choice, Float, Int, Parameter, When
from suite.files import read_text

EXPONENTIAL, COSINE = "exponentialdecay", "cosinedecay"
HELD: Mapping[str, Any] = MappingProxyType(
    {
        "bin_size": 128,  # public code: 640, of events of 6,400 elements
        "clip_value_low": 0.0,
        "dist_mult": 0.1,
        "distance_dim": 128,
        "dropout": 0.0,
        "expdecay_decay_steps": 10_000,
        "ffn_dist_hidden_dim": 128,
        "ffn_dist_num_layers": 1,
        "layernorm": False,
        "lr": 1e-4,
        "lr_schedule": EXPONENTIAL,
        "n_glayers_id": 3,
        "n_glayers_reg": 3,
        "normalize_degrees": True,
        "num_node_messages": 1,
        "output_dim": 256,
        "weight_decay": 0.0,  # public code: Adam
    }
)
"""Every value that a trial needs: of the public code's parameters for Delphes. A space searches some."""
_WIDTHS = Choice(8, 16, 32, 64, 128, 256, 512)
TAKEN: Mapping[str, Parameter] = MappingProxyType(
    {
        "bin_size": Int(2, 6400),
        "clip_value_low": Float(0.0, 1.0),
        "dist_mult": Float(0.0, 100.0),
        "distance_dim": _WIDTHS,
        "dropout": Float(0.0, 0.95),
        "expdecay_decay_steps": Int(1, 10_000_000),
        "ffn_dist_hidden_dim": _WIDTHS,
        "ffn_dist_num_layers": Int(1, 16),
        "layernorm": Choice(False, True),
        "lr": Float(0.0, 1.0),
        "lr_schedule": Choice(EXPONENTIAL, COSINE),
        "n_glayers_id": Int(0, 16),
        "n_glayers_reg": Int(0, 16),
        "normalize_degrees": Choice(True, False),
        "num_node_messages": Int(1, 16),
        "output_dim": _WIDTHS,
        "weight_decay": Float(0.0, 100.0),
    }
)
"""What the network can be made of: the rule for each value that is held."""


@dataclass(frozen=True, slots=True)
class Network:
    """A target's network. spaces: the names by which spaces.yaml says that a space is of it. held: every
    value that a trial needs, of which a space searches some; taken: the rule for each.
    """

    spaces: tuple[str, ...]
    held: Mapping[str, Any]
    taken: Mapping[str, Parameter]


LSH_2022 = Network(("gnn_lsh_2022",), HELD, TAKEN)
"""Of models.mlpf.MLPF, in TensorFlow."""
THREE_LAYERS = Network(
    ("three_layers", "gnn_lsh_2022"),
    MappingProxyType(
        {**HELD, "head_dim": 16, "layer": GNN_LSH, "num_features": 64, "num_heads": 8}
    ),
    MappingProxyType(
        {
            **TAKEN,
            "head_dim": Int(1, 256),
            "layer": Choice(*LAYERS),
            "num_features": Int(1, 4096),
            "num_heads": Int(1, 64),
        }
    ),
)
"""Of models.mlpf.mlpf_torch.MLPFTorch, whose gnn_lsh is the network of the other one."""
NAMES = MappingProxyType(
    {"num_graph_layers_common": "n_glayers_id", "num_graph_layers_energy": "n_glayers_reg"}
)
"""The same hyperparameter by its older name (before May 2022) -> by the recorded table's."""


@dataclass(frozen=True, slots=True)
class PublishedSpace:
    """One entry of spaces.yaml; its head says what each key is."""

    source: str
    network: str
    parameters: Mapping[str, Parameter | When]
    held: Mapping[str, Any] = field(default_factory=dict)
    default: Mapping[str, Any] | None = None
    default_source: str = ""
    best: Mapping[str, Any] | None = None


_KINDS: Mapping[str, Callable[..., Parameter]] = {
    "choice": Choice,
    "float": Float,
    "log": lambda low, high: Float(low, high, log=True),
    "int": Int,
    "steps": lambda low, high, step: Ordered(*range(low, high + 1, step)),
}


@functools.cache
def published_spaces() -> Mapping[str, PublishedSpace]:
    """Every space of spaces.yaml by its name."""
    import yaml

    text = read_text(Path(__file__).with_name("spaces.yaml"), max_bytes=2**20)
    return {name: _space(**entry) for name, entry in yaml.safe_load(text).items()}


def _space(parameters: Mapping[str, Mapping[str, Any]], **others: Any) -> PublishedSpace:
    made: dict[str, Parameter | When] = {}
    for name, spec in parameters.items():
        ((kind, values),) = ((key, one) for key, one in spec.items() if key != "when")
        parameter = _KINDS[kind](*values)
        made[name] = When(parameter, spec["when"]) if "when" in spec else parameter
    return PublishedSpace(parameters=made, **others)


def find(name: str, network: Network = LSH_2022) -> PublishedSpace:
    """The space of that name, of that network. Raises ConfigError for another."""
    here = {key: one for key, one in published_spaces().items() if one.network in network.spaces}
    if name not in here:
        raise unknown_name("space", name, here)
    return here[name]


@dataclass(frozen=True, slots=True)
class ChosenSpace:
    """What a target searches, holds and takes by default. fixed: the YAML's, of what is searched."""

    parameters: Mapping[str, Parameter | When]
    held: dict[str, Any]
    default: Mapping[str, Any] | None
    default_source: str
    fixed: dict[str, Any]

    @property
    def may_be_cosine(self) -> bool:
        schedule = self.fixed.get("lr_schedule")
        if schedule is not None or "lr_schedule" not in self.parameters:
            return bool((schedule or self.held["lr_schedule"]) == COSINE)
        return True


def without_idle(
    network: Network,
    space: PublishedSpace,
    held: Mapping[str, Any] | None,
    fixed: Mapping[str, Any] | None,
) -> ChosenSpace:
    """The space with what is held, and without expdecay_decay_steps where no trial decays by steps.

    Raises ConfigError as held_values does, and for a value of that one where it plays no part.
    """
    values, given = held_values(network, space, held), dict(fixed or {})
    parameters, default = dict(space.parameters), dict(space.default or {})
    if "lr_schedule" not in parameters and values["lr_schedule"] == COSINE:
        idle = "expdecay_decay_steps"
        if (value := given.pop(idle, None)) is not None:
            raise ConfigError(
                f"fixed.{idle}={printable(value, most=40)}: plays no part in lr_schedule=cosinedecay; "
                "leave it null."
            )
        parameters.pop(idle, None)
        default.pop(idle, None)
    return ChosenSpace(parameters, values, default or None, space.default_source, given)


def held_values(
    network: Network, space: PublishedSpace, held: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What is not searched, by the network's names: the public code's, the space's, and `held` of the YAML.

    Raises ConfigError for a name that the network does not have or the space searches, and for a value out
    of the network's range.
    """
    given = {name: value for name, value in (held or {}).items() if value is not None}
    searched = {NAMES.get(name, name): name for name in space.parameters}
    for name, value in given.items():
        if name not in network.held:
            raise unknown_name("held", name, network.held)
        if name in searched:
            raise ConfigError(
                f"held.{name}={printable(value, most=40)}: the space searches it; hold it by "
                f"fixed.{searched[name]}."
            )
        if (rule := network.taken[name].check(value)) is not None:
            raise ConfigError(f"held.{name}={printable(value, most=40)}: {rule}.")
    return {**network.held, **space.held, **given}


def by_network_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of any space by the names of HELD."""
    return {NAMES.get(name, name): value for name, value in config.items()}
