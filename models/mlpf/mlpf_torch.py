"""MLPF in torch, its layer a hyperparameter: a graph in learned bins, self-attention, or kernel attention.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared; versions: torch 2.13.0 (CPU); n, number:
docs/mlpf.md (tests/benchmarks/mlpf_layers.py measures); epoch_s is that of models/mlpf/__init__.py; not
measured on a GPU; lineage: jpata/particleflow, TensorFlow in August 2022 (gnn_lsh), torch in August 2026
(attention); kernel attention: Choromanski et al. 2021 (arXiv:2009.14794).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models import checkpoint, torch_checkpoint, torch_training
from models.data.locate import DataChoice, Split
from models.mlpf import architecture, events, spaces
from models.mlpf.particle_flow import (
    BETA_1,
    BETA_2,
    EPSILON,
    Batch,
    ParticleFlow,
    ParticleFlowTraining,
)
from models.split_training import one_batch
from suite.core.errors import unknown_name
from suite.core.seeds import stream, stream_seed
from suite.core.target import Training
from suite.core.types import Config


class MLPFTorch(ParticleFlow):
    """Particle flow as models.mlpf.MLPF trains it in TensorFlow: the same events, batches, decoders, loss,
    metrics and optimiser (AdamW with AMSGrad), and with layer=gnn_lsh the same network and first weights.

    layer: gnn_lsh; attention, each element to all of its event (torch's scaled_dot_product_attention, which
    takes a flash kernel where the device and precision have one; quadratic in the elements); favor, its
    estimate by num_features positive random features (linear in the elements). num_heads, head_dim: of both.

    space: three_layers, ours, has the seven hyperparameters of the recorded trials, the layer and what each
    layer takes; any space of MLPF will do, with held.layer.
    precision: on GPUs auto (bfloat16 where it can, not measured), float32, tf32 or bfloat16: forward passes
    but for distances, random features and skip connections; a CPU computes in float32.
    The other arguments, data and shapes: models.mlpf.MLPF. There is no `published`: that is MLPF's.

    Raises ConfigError for an argument out of range, DataError where data=real is not staged; a
    trial MemoryError where it does not fit.
    Deviations: masks of dropout are others than TensorFlow's; attention's, in models/mlpf/torch_layers.py.
    """

    parameters = spaces.find("three_layers", spaces.THREE_LAYERS).parameters
    network = spaces.THREE_LAYERS
    framework = "torch"
    checkpoint_bytes = 15_000_000
    epoch_s = 25.0
    parallel = "models.torch_group.Group"

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        data: DataChoice = "real",
        folder: str | None = None,
        split: Split = "fixed",
        limit: int | None = None,
        pileup: Literal[0, 20, 140] = 0,
        pad: int | None = None,
        batch_size: int = 5,
        n_events: int = 3000,
        space: str = "three_layers",
        held: Mapping[str, Any] | None = None,
        staircase: bool = True,
        schedule_epochs: int | None = None,
        precision: torch_training.Precision = "auto",
    ) -> None:
        if precision not in torch_training.PRECISIONS:
            raise unknown_name("precision", precision, torch_training.PRECISIONS)
        self.precision = precision
        super().__init__(
            fixed, data, folder, split, limit, False, pileup, pad, batch_size, n_events, space, held,
            staircase, schedule_epochs,
        )  # fmt: skip

    def stage(self, device: str) -> None:
        """Import torch and read the events, once a worker.

        Raises DataError where data are missing or damaged.
        """
        import torch

        self.settled = torch_training.set_precision(self.precision, device)
        self.read_events(device, torch=torch.__version__, precision=self.settled)

    def copy_input_loss(self, split: str = "valid") -> float:
        """The loss with all weights 0, see models.mlpf.MLPF."""
        net = architecture.Architecture(
            1, 0, 0, 8, layer=architecture.ATTENTION, n_inputs=self.source.format.width
        )
        _, drawn = architecture.initial(net, np.random.default_rng(0))
        network = self.placed(net, np.zeros(architecture.n_parameters(net), np.float32), drawn)
        chosen: events.Events = getattr(self, split)
        return self.evaluate(network, architecture.KERNEL, chosen)["val_loss"]

    def placed(self, net: architecture.Architecture, weights: Any, drawn: Any) -> Any:
        """A network of these weights on the device."""
        from models.mlpf.torch_network import Network

        return Network(net, weights, drawn).to(self.device)

    def on_device(self, batch: Batch) -> tuple[Any, Any, Any]:
        """X, y and where the slots belong."""
        import torch

        from models.mlpf.torch_network import place_of

        X, y, event, directions = batch
        place = place_of(X, event, directions, self.device)
        return torch.from_numpy(X).to(self.device), torch.from_numpy(y).to(self.device), place

    def evaluate(
        self, network: Any, kernel: tuple[float, float], chosen: events.Events
    ) -> dict[str, float]:
        """The metrics of `chosen` events. kernel: dist_mult, clip_value_low."""
        import torch

        from models.mlpf.torch_network import loss_terms

        results = []
        with torch.inference_mode(), torch_training.memory_errors():
            for batch in self.evaluated(network.net, chosen):
                X, y, place = self.on_device(batch)
                with torch_training.autocast(self.settled, self.device):
                    out = network(X, place, kernel=kernel)
                right = (out[0].argmax(1) == y[:, 0]) & place.mask
                results.append(torch.cat([loss_terms(X, y, *out), right.sum()[None]]))
            # The one synchronisation of an evaluation.
            numbers = torch.stack(results).cpu().numpy()
        return self.metrics([(row[:-1], row[-1]) for row in numbers], chosen)

    def warm_up(self) -> None:
        """One batch of a small network of each layer that may be drawn."""
        small = {"n_glayers_id": 1, "n_glayers_reg": 1, "output_dim": 8}
        lowest = {**spaces.by_network_names(self.space.lowest()), **small}
        searched = "layer" in self.space.free
        for layer in architecture.LAYERS if searched else (None,):
            one_batch(self, lowest if layer is None else {**lowest, "layer": layer})

    def start(self, config: Config, seed: int) -> Training:
        return _Trial(self, config, seed)


class _Trial(ParticleFlowTraining):
    def __init__(self, target: MLPFTorch, config: Config, seed: int) -> None:
        import torch

        super().__init__(target, config, seed)
        self.identity = {"layer": self.net.layer, **self.identity}
        self.group = target.group
        with torch_training.memory_errors():
            self.network = target.placed(
                self.net, *architecture.initial(self.net, stream(seed, "weights"))
            )
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.config["lr"], betas=(BETA_1, BETA_2), eps=EPSILON,
            weight_decay=self.config["weight_decay"], amsgrad=True, fused=True,
        )  # fmt: skip
        if self.group is not None:
            self.group.adapt(self.network, self.optimizer)

    def train(self, epoch: int, n_batches: int | None = None) -> float:
        """Train the epoch's first batches, None: all of them; returns their mean loss."""
        import torch

        target, group = self.target, self.group
        groups = self.groups(epoch, n_batches)
        shares = [(0, len(g)) if group is None else group.share(0, len(g)) for g in groups]
        self.n_steps = (epoch - 1) * target.steps_an_epoch
        total = torch.zeros((), device=target.device)
        with torch_training.memory_errors():
            for k, (numbers, share) in enumerate(zip(groups, shares, strict=True)):
                total += self._step(epoch, k, numbers, *share)
            if group is not None:
                total = group.total(total)
            # The one synchronisation an epoch.
            return float(total) / (sum(map(len, groups)) * float(target.pad or 1))

    def _step(self, epoch: int, k: int, numbers: Any, low: int, high: int) -> Any:
        """Train on a batch's events low .. high - 1, this rank's share; the sum of their losses.

        All that is drawn is a function of seed, epoch and batch, and a share's masks are its part of the
        whole batch's: any number of ranks trains the same, to rounding.
        """
        import torch

        from models.mlpf.torch_layers import Dropout
        from models.mlpf.torch_network import loss_terms

        target = self.target
        rate = self.learning_rate(self.n_steps)
        self.n_steps += 1
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
            # Beside the uncorrected average, as in TensorFlow; torch adds it to the corrected one.
            settings["eps"] = EPSILON / math.sqrt(1.0 - BETA_2**self.n_steps)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=target.device)
        if high > low:
            slots = architecture.slots(target.train.n[numbers], self.net.bin_size)
            generator = torch.Generator(target.device)
            generator.manual_seed((stream_seed(self.seed, "dropout", epoch) + k) % 2**63)
            drop = Dropout(generator, int(slots.sum()), int(slots[:low].sum()))
            (batch,) = target.batches(self.net, target.train, [numbers[low:high]])
            X, y, place = target.on_device(batch)
            with torch_training.autocast(target.settled, target.device):
                out = self.network(X, place, drop, self.config["dropout"], self.kernel_values)
            total = loss_terms(X, y, *out).sum()
            (total / (len(numbers) * float(target.pad or 1))).backward()
        # In a group it waits for the others' gradients, so a rank without a share takes it too.
        self.optimizer.step()
        return total.detach()

    @property
    def kernel_values(self) -> tuple[float, float]:
        low, high = map(float, self.kernel)
        return low, high

    def evaluate(self, split: events.Events) -> dict[str, float]:
        target: MLPFTorch = self.target
        return target.evaluate(self.network, self.kernel_values, split)

    def predicted(self, batch: Batch) -> tuple[Any, Any]:
        import torch

        X, _, place = self.target.on_device(batch)
        with torch.inference_mode(), torch_training.memory_errors():
            with torch_training.autocast(self.target.settled, self.target.device):
                logits, _, momenta = self.network(X, place, kernel=self.kernel_values)
            return logits.argmax(1).cpu().numpy(), momenta.cpu().numpy()

    def save(self, path: Path) -> None:
        torch_checkpoint.save(path, self.network, self.optimizer, self.identity)

    def load(self, path: Path) -> None:
        """Raises DataError for a damaged file, ConfigError for another trial's: of a layer, framework or
        configuration that is not this one's.
        """
        checkpoint.refuse_other_framework(path, self.target.framework)
        torch_checkpoint.load(path, self.network, self.optimizer, self.identity)
