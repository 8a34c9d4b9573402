"""What MLPF's targets share, whatever their framework: events, settings, batches, rates, metrics, jets.

hardware, versions, n, number: see models/mlpf/__init__.py and models/mlpf/mlpf_torch.py; lineage: Pata et al.
2021 (Eur. Phys. J. C 81:381). A further framework derives both classes and adds what computes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from models import checkpoint
from models.data.locate import DataChoice, Split, check_split
from models.mlpf import architecture, events, spaces
from models.mlpf.physics import PROTONS, View
from models.mlpf.schedules import learning_rate
from models.split_training import SplitTraining, one_batch
from suite.core.errors import ConfigError, DivergedError, check_integer
from suite.core.metric import Metric
from suite.core.seeds import stream
from suite.core.target import Target
from suite.core.types import Config

# Slots in a forward pass without gradients.
EVALUATED_SLOTS = {"cpu": 4096, "cuda": 65536}
KERNEL = ("dist_mult", "clip_value_low")
# Of the defaults of Keras's Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
Batch = tuple[Any, Any, Any, Any]
"""X (T, inputs), y (T, 7), event (T,) and directions (T,), as architecture.layout lays them."""


class ParticleFlow(Target):
    """Arguments, data and metrics of models.mlpf.MLPF, whose docstring says what each is."""

    network: ClassVar[spaces.Network]
    """The values that it takes, and the spaces that are its own."""
    physics: ClassVar[View] = PROTONS
    """Which jets and energies of an event are compared."""
    metric = Metric("val_loss", "min")
    data = "real"

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        data: DataChoice = "real",
        folder: str | None = None,
        split: Split = "fixed",
        limit: int | None = None,
        published: bool = False,
        pileup: Literal[0, 20, 140] = 0,
        pad: int | None = None,
        batch_size: int = 5,
        n_events: int = 3000,
        space: str = "recorded",
        held: Mapping[str, Any] | None = None,
        staircase: bool = True,
        schedule_epochs: int | None = None,
    ) -> None:
        chosen = spaces.without_idle(self.network, spaces.find(space, self.network), held, fixed)
        super().__init__(chosen.fixed, chosen.parameters)
        self.held = MappingProxyType(chosen.held)
        self.default_configuration = chosen.default
        if chosen.default is not None and self.space.conditions:
            # With what plays a part by the values that are fixed.
            known = {name: chosen.held[name] for name in self.space if name in chosen.held}
            whole = self.space.with_fixed({**known, **chosen.default})
            self.default_configuration = self.space.pruned(whole)
        self.default_source = chosen.default_source
        if schedule_epochs is not None:
            check_integer("schedule_epochs", schedule_epochs, 1, "(epochs of cosinedecay), or null")
        elif chosen.may_be_cosine:
            raise ConfigError(
                "schedule_epochs=null: lr_schedule=cosinedecay needs the epochs until its rate is 0; write "
                "schedule_epochs: ${max_epochs}."
            )
        self.staircase, self.schedule_epochs = staircase, schedule_epochs
        if pad is not None:
            check_integer("pad", pad, 128, "(elements an event), or null")
            if pad % events.ROUND:
                raise ConfigError(f"pad={pad}: must be a multiple of {events.ROUND}.")
        check_integer("batch_size", batch_size, 1)
        check_integer("n_events", n_events, 40)
        self.split = check_split(split, published, limit, "events")
        self.limit, self.published, self.pileup = limit, published, pileup
        self.pad, self.batch_size, self.n_events = pad, batch_size, n_events
        self.source = self.found(data, folder)
        self.data = self.source.data
        self.provenance: dict[str, str | int | bool] = {}

    def found(self, data: DataChoice, folder: str | None) -> events.Source:
        """Where the events are; reads none. Raises DataError where data=real is not staged."""
        return events.find(data, folder, self.pileup)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings besides the configuration that change a trial; part of a checkpoint's identity."""
        names = ("data", "split", "limit", "published", "pileup", "pad", "batch_size", "staircase")
        events_sha256 = self.provenance.get("sha256")
        return {name: getattr(self, name) for name in names} | {"events_sha256": events_sha256}

    @property
    def total_steps(self) -> int:
        """Steps of training in which a cosine falls to 0."""
        return (self.schedule_epochs or 1) * self.steps_an_epoch

    @property
    def steps_an_epoch(self) -> int:
        return -(-len(self.train.n) // self.batch_size)

    def read_events(self, device: str, **versions: str) -> None:
        """Read the events, once a worker. versions: of the framework, for the record.

        Elements stay in the host's memory (a file's pages, shared by the workers of a node, where
        the set was read from files): a batch is some hundred kilobytes and a step some hundred
        thousand times longer than copying one byte.
        Raises DataError where data are missing or damaged.
        """
        self.device = device
        staged = events.stage(self.source, self.split, self.limit, self.n_events, self.pad)
        self.train, self.valid, self.test = staged.train, staged.valid, staged.test
        self.pad = staged.pad
        self.provenance = {**staged.provenance, **versions}

    def shape_of(self, values: Mapping[str, Any]) -> architecture.Architecture:
        """The network of a trial's values, by the names of spaces.HELD."""
        layer = values.get("layer", architecture.GNN_LSH)
        others = ("num_heads", "n_heads"), ("head_dim", "head_dim"), ("num_features", "n_features")
        return architecture.Architecture(
            # Only bins need padding.
            bin_size=values["bin_size"] if layer == architecture.GNN_LSH else 1,
            n_id=values["n_glayers_id"],
            n_reg=values["n_glayers_reg"],
            width=values["output_dim"],
            distance_dim=values["distance_dim"],
            n_messages=values["num_node_messages"],
            published=self.published,
            hidden=values["ffn_dist_hidden_dim"],
            n_hidden=values["ffn_dist_num_layers"],
            layernorm=values["layernorm"],
            normalize=values["normalize_degrees"],
            layer=layer,
            n_inputs=self.source.format.width,
            **{ours: values[name] for name, ours in others if name in values},
        )

    def batches(
        self, net: architecture.Architecture, chosen: events.Events, groups: list[Any]
    ) -> Iterator[Batch]:
        """The batch of each group of event numbers."""
        pad = self.pad if self.published else None
        for group in groups:
            where = architecture.layout(chosen.first[group], chosen.n[group], net.bin_size, -1, pad)
            real = where.rows >= 0
            X = np.zeros((len(real), chosen.X.shape[1]), np.float32)
            y = np.zeros((len(real), 7), np.float32)
            X[real], y[real] = chosen.X[where.rows[real]], chosen.y[where.rows[real]]
            yield X, y, where.event, where.directions

    def evaluated(self, net: architecture.Architecture, chosen: events.Events) -> Iterator[Batch]:
        """Batches for an evaluation: the sizes of the events determine them, so that sums over them repeat
        bit for bit.
        """
        most = EVALUATED_SLOTS[self.device.split(":")[0]]
        return self.batches(net, chosen, chosen.groups(net.bin_size, most))

    def metrics(
        self, results: Iterable[tuple[Any, Any]], chosen: events.Events
    ) -> dict[str, float]:
        """From each batch's terms of the loss (7,) and number of rightly classified elements."""
        sums, right = np.zeros(7), 0.0
        for terms, correct in results:
            sums += np.asarray(terms, np.float64)
            right += float(correct)
        slots = len(chosen.n) * float(self.pad or 1)
        named = dict(zip(architecture.TERMS, (sums / slots).tolist(), strict=True))
        metrics = {"val_loss": float(sums.sum() / slots)}
        metrics |= {f"val_loss_{name}": named[name] for name in ("class", "pt", "energy")}
        return metrics | {"val_class_accuracy": right / float(chosen.n.sum())}

    def warm_up(self) -> None:
        """One batch of a small network, which has a layer of each branch."""
        small = {"n_glayers_id": 1, "n_glayers_reg": 1, "output_dim": 8}
        one_batch(self, {**spaces.by_network_names(self.space.lowest()), **small})


class ParticleFlowTraining(SplitTraining):
    """A trial: its values, its network's shape, and the order and rates of its steps."""

    def __init__(self, target: ParticleFlow, config: Config, seed: int) -> None:
        self.target, self.seed = target, seed
        self.config = {**target.held, **spaces.by_network_names(config)}
        self.n_steps = 0
        self.net = target.shape_of(self.config)
        self.kernel = np.array([self.config[name] for name in KERNEL], np.float32)
        settings = target.settings
        if self.config["lr_schedule"] == spaces.COSINE:
            settings |= {"schedule_epochs": target.schedule_epochs}
        self.identity = checkpoint.identity(type(target).__name__, self.config, settings)

    @abstractmethod
    def train(self, epoch: int, n_batches: int | None = None) -> float:
        """Train the epoch's first batches, None: all of them; returns their mean loss."""

    @abstractmethod
    def predicted(self, batch: Batch) -> tuple[Any, Any]:
        """Class (T,) and pt, eta, sin phi, cos phi, energy (T, 5) of each slot."""

    def train_epoch(self, epoch: int) -> None:
        self.note_loss(self.train(epoch), epoch)

    def groups(self, epoch: int, n_batches: int | None) -> list[Any]:
        """Event numbers of each of the epoch's batches."""
        size = self.target.batch_size
        order = stream(self.seed, "epoch", epoch).permutation(len(self.target.train.n))
        order = order if n_batches is None else order[: n_batches * size]
        return [order[first : first + size] for first in range(0, len(order), size)]

    def learning_rate(self, step: int) -> float:
        """Of step 0, 1, ..."""
        return learning_rate(
            self.config["lr_schedule"], self.config["lr"], step,
            decay_steps=self.config["expdecay_decay_steps"], staircase=self.target.staircase,
            total_steps=self.target.total_steps,
        )  # fmt: skip

    def validate(self) -> Mapping[str, float]:
        metrics = super().validate()
        if not math.isfinite(metrics["val_loss"]):
            raise DivergedError(f"val_loss={metrics['val_loss']} after {self.n_steps} steps")
        return metrics

    def test(self) -> Mapping[str, float]:
        """And, where fastjet is installed, how well jets and missing energy are measured, by this
        trial and by a rule-based particle flow.
        """
        from models.mlpf import physics

        metrics = super().test()
        # Where it is missing, the target's provenance says so.
        if physics.missing():
            return metrics
        chosen: events.Events = self.target.test
        truth, guess = self.predictions(chosen)
        view = physics.event_view(truth, guess, chosen.candidates(), self.target.physics)
        return {**metrics, **view}

    def predictions(self, chosen: events.Events) -> tuple[list[Any], list[Any]]:
        """Truth and prediction of each event: (n, 6) class, pt, eta, sin phi, cos phi, energy."""
        truth: list[Any] = []
        guess: list[Any] = []
        groups = chosen.groups(self.net.bin_size, EVALUATED_SLOTS["cpu"])
        for batch in self.target.batches(self.net, chosen, groups):
            X, y, event, _ = batch
            kind, momenta = self.predicted(batch)
            both = np.concatenate([np.asarray(kind)[:, None], np.asarray(momenta)], axis=1)
            for e in range(event[-1] + 1):
                real = (event == e) & (X[:, 0] != 0)
                truth.append(y[real][:, events.PARTICLE])
                guess.append(both[real])
        return truth, guess
