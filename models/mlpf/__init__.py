"""MLPF: machine-learned particle flow, a graph network from detector elements to particles.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared; versions: tensorflow-cpu 2.21.0;
n = 1 trial, 12 epochs of 2,400 Pythia events at pile-up 0 (300 to validate); number: validation
loss 111.1, copied input 125.4 (11.4 % less); 22 s an epoch (2 + 2 layers of 64; see epoch_s), 4
events of 6,400 elements train in 5.9 GiB (4 + 4 layers of 256, bin_size 128); lineage: Pata et al.
2021 (Eur. Phys. J. C 81:381), the TensorFlow network of August 2022, whose recorded trials are
model=mlpf_table.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from models import checkpoint, tensorflow_setup
from models.mlpf import architecture, events, spaces, steps
from models.mlpf.particle_flow import (
    BETA_1,
    BETA_2,
    Batch,
    ParticleFlow,
    ParticleFlowTraining,
)
from suite.core.errors import DataError
from suite.core.seeds import stream, stream_seed
from suite.core.target import Training
from suite.core.types import Config

# Architectures whose compiled steps a worker keeps.
COMPILED = 24


class MLPF(ParticleFlow):
    """Particle flow: a learned graph over an event's tracks and calorimeter towers gives, for each
    of them, the class of a particle or none, and its charge, momentum and energy.

    Shapes: an element has 12 numbers, its target 7 (models/data/delphes.py); GeV, nothing is
    normalised. The objective is the published loss: cross-entropy + squared error of the charge +
    100 times Huber losses of pt, eta, sin phi, cos phi and energy where there is a particle, summed
    over elements and divided by (events * pad). It grows with the density of real elements, so
    losses compare only on one data set with one pad; `copy_input_loss` is the yardstick there.

    data, folder: "real" needs `<folder>/delphes/` (pile-up 200), "stand_in" takes
    `<folder>/delphes_standin_pu<pileup>/` or else lets Pythia write n_events into the cache; auto:
    the first that is there. folder None: the environment's SUITE_DATA.
    split: "fixed", 80 / 10 / 10 % of a shuffle by file, or by event below ten files; "published":
    the first 80 %, and the rest both selects and tests.
    limit: rehearsals; at most so many training events and a quarter of it to validate and to test.
    pad: slots an event, a multiple of 128; None: the largest event's. Larger ones are counted and
    left out, none is cut.
    space: the hyperparameters, by an entry of models/mlpf/spaces.yaml, which names each one's source.
    recorded: the seven of model=mlpf_table; first_stage: the published search for rate, schedule, dropout
    and the graph's kernel; second_stage: the published one for the network's shape.
    held: values where the space does not search them, in place of those in models/mlpf/spaces.py.
    lr_schedule, of held (or of space=first_stage_schedules): exponentialdecay, .99 each expdecay_decay_steps
    steps, at once (staircase) or step by step; cosinedecay, to 0 after schedule_epochs epochs. With
    cosinedecay held, the space has no expdecay_decay_steps.
    published: restore what is mended, see below.

    Several ranks a trial: each has its share of a batch's events, with the dropout that they have in the
    whole batch; losses are one rank's to rounding, which may move an element into another bin (the test
    allows 1e-2 of the loss in two epochs).
    Raises ConfigError for an argument out of range, DataError where data=real is not staged.
    Source: the public TensorFlow code of August 2022 and its parameters for Delphes; batch size 5
    as there (that of the recorded study is unknown), its learning rate's schedules, AdamW with
    AMSGrad (without weight decay: Adam, with AMSGrad all the same). Ranges: see models/mlpf/spaces.yaml;
    of the recorded study layers were drawn with half weight on 0 and 4, here all five alike.
    Mended, and restored by `published`: weight decay was subtracted unscaled by the learning rate
    (tensorflow-addons), so that trials with weight_decay / lr above about 100 lost all weights and
    ended at the copied input: the plateau of the recorded table; bins were counted by the padding,
    and equal codes stayed in the order of input, so that predictions depended on both; selection
    on the test files.
    Mended for good: axes that were squeezed away with one event or one bin; events larger than the
    padding, which were cut. Ours: no work is done on padding (the same loss, to rounding).
    default_configuration: the space's; models/mlpf/spaces.yaml says whose.
    """

    parameters = spaces.find("recorded").parameters
    network = spaces.LSH_2022
    framework = "tensorflow"
    checkpoint_bytes = 15_000_000
    epoch_s = 25.0
    parallel = "models.numpy_group.Group"

    # --- data -------------------------------------------------------------------------------------

    def stage(self, device: str) -> None:
        """Import TensorFlow and read the events, once a worker.

        Raises DataError where data are missing or damaged.
        """
        self.tf = tensorflow_setup.set_up(device)
        self._compiled: OrderedDict[Any, Any] = OrderedDict()
        self.read_events(device, tensorflow=self.tf.__version__)

    def copy_input_loss(self, split: str = "valid") -> float:
        """The loss of the same network with all weights 0 on that split's events: what its skip
        connections reach alone (energy and momentum as measured, every class equally likely).
        """
        net = architecture.Architecture(8, 0, 0, 8, published=self.published)
        weights, books = architecture.initial(net, np.random.default_rng(0))
        with self.placed():
            zero, books = self.tf.zeros_like(weights), self.tf.constant(books)
        chosen: events.Events = getattr(self, split)
        kernel = np.array(architecture.KERNEL, np.float32)
        return self.evaluate(net, zero, books, kernel, chosen)["val_loss"]

    # --- compiled steps ---------------------------------------------------------------------------

    def placed(self) -> Any:
        return self.tf.device("/GPU:0" if self.device.startswith("cuda") else "/CPU:0")

    def compiled(self, net: architecture.Architecture) -> steps.Compiled:
        """Traced once for an architecture, not once a trial: weights, rates and decay are
        arguments.
        """
        key = net, self.group is not None
        if key not in self._compiled:
            self._compiled[key] = steps.Compiled(self.tf, *key)
            while len(self._compiled) > COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        compiled: steps.Compiled = self._compiled[key]
        return compiled

    def evaluate(
        self,
        net: architecture.Architecture,
        weights: Any,
        books: Any,
        kernel: Any,
        chosen: events.Events,
    ) -> dict[str, float]:
        """The metrics of `chosen` events. kernel (2,): dist_mult, clip_value_low."""
        compiled = self.compiled(net)
        with self.placed():
            results = [
                compiled.evaluate(weights, books, kernel, *batch)
                for batch in self.evaluated(net, chosen)
            ]
        return self.metrics(results, chosen)

    def start(self, config: Config, seed: int) -> Training:
        return _Trial(self, config, seed)


class _Trial(ParticleFlowTraining):
    def __init__(self, target: MLPF, config: Config, seed: int) -> None:
        super().__init__(target, config, seed)
        tf = target.tf
        self.group = target.group
        weights, books = architecture.initial(self.net, stream(seed, "weights"))
        with target.placed():
            self.compiled = target.compiled(self.net)
            self.state = [tf.Variable(weights)]
            self.state += [tf.Variable(tf.zeros_like(weights)) for _ in steps.STATE[1:]]
            self.books = tf.constant(books)

    def train(self, epoch: int, n_batches: int | None = None) -> float:
        """Train the epoch's first batches, None: all of them; returns their mean loss."""
        target, tf = self.target, self.target.tf
        groups = self.groups(epoch, n_batches)
        n = sum(map(len, groups))
        address = stream_seed(self.seed, "dropout", epoch)
        shares = [
            (0, len(g)) if self.group is None else self.group.share(0, len(g)) for g in groups
        ]
        batches = target.batches(
            self.net, target.train,
            [numbers[low:high] for numbers, (low, high) in zip(groups, shares, strict=True)],
        )  # fmt: skip
        with target.placed():
            total = tf.zeros(())
            for k, (numbers, batch) in enumerate(zip(groups, batches, strict=True)):
                rates = self._rates(1.0 / (len(numbers) * float(target.pad or 1)))
                seed = np.array([address, 256 * k], np.int64)
                if self.group is None:
                    total += self.compiled.step(
                        self.state, self.books, self.kernel, *batch, rates, seed
                    )
                else:
                    total += self._shared_step(numbers, shares[k][0], batch, rates, seed)
        # The one synchronisation an epoch, but for those of a group.
        return float(total) / (n * float(target.pad or 1))

    def _shared_step(self, numbers: Any, low: int, batch: Batch, rates: Any, seed: Any) -> Any:
        """A step on this rank's share of the events, from the `low`-th on; returns the whole batch's loss."""
        if len(batch[0]):
            slots = architecture.slots(self.target.train.n[numbers], self.net.bin_size)
            share = np.array([slots.sum(), slots[:low].sum()], np.int32)
            mine = self.compiled.share_of_step(
                self.state, self.books, self.kernel, *batch, rates, seed, share
            ).numpy()
        else:
            mine = np.zeros(architecture.n_parameters(self.net) + 1, np.float32)
        sums = self.group.total(mine)
        self.compiled.rest_of_step(self.state, sums, rates)
        return sums[-1]

    def _rates(self, per_slot: float) -> Any:
        """The numbers of the next step, see steps.Compiled.

        Weights shrink by lr * weight_decay, or as published by weight_decay alone.
        """
        lr = self.learning_rate(self.n_steps)
        self.n_steps += 1
        decay = self.config["weight_decay"] * (1.0 if self.target.published else lr)
        powers = BETA_1**self.n_steps, BETA_2**self.n_steps
        rates = (self.config["dropout"], lr, 1.0 - decay, *powers, per_slot)
        return np.array(rates, np.float32)

    def evaluate(self, split: events.Events) -> dict[str, float]:
        weights = self.state[0].read_value()
        target: MLPF = self.target
        return target.evaluate(self.net, weights, self.books, self.kernel, split)

    def predicted(self, batch: Batch) -> tuple[Any, Any]:
        weights = self.state[0].read_value()
        with self.target.placed():
            kind, momenta = self.compiled.predict(weights, self.books, self.kernel, *batch)
        return kind, momenta

    # --- checkpoints ------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write a checkpoint of arrays only, so that reading it runs no code."""
        arrays = {name: v.numpy() for name, v in zip(steps.STATE, self.state, strict=True)}
        origin = json.dumps(self.identity, sort_keys=True)
        # A file and not a path: numpy would append .npz to a path.
        with open(path, "wb") as file:
            np.savez(file, books=self.books.numpy(), n_steps=self.n_steps, origin=origin, **arrays)

    def load(self, path: Path) -> None:
        """Raises DataError for a damaged file, ConfigError for another framework's or configuration's."""
        checkpoint.refuse_other_framework(path, self.target.framework)
        with checkpoint.reading(path), np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*steps.STATE, "books", "n_steps", "origin")}
            origin = json.loads(str(arrays["origin"]))
        checkpoint.check_origin(path, origin, self.identity)
        for name, variable in zip(steps.STATE, self.state, strict=True):
            if arrays[name].shape != variable.shape:
                raise DataError(f"checkpoint={path}: {name} has another length; remove it.")
            variable.assign(arrays[name])
        with self.target.placed():
            self.books = self.target.tf.constant(arrays["books"])
        self.n_steps = int(arrays["n_steps"])
