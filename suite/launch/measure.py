"""Seconds of an epoch, measured here: one epoch of one configuration, trained in this process."""

from __future__ import annotations

import sys
import time

from suite.core.extras import naming_extras
from suite.core.printable import printable
from suite.core.seeds import stream_seed
from suite.core.target import Target
from suite.launch.assemble import search_of
from suite.launch.plan import Planned
from suite.worker import devices


def measured_epoch_s(plan: Planned) -> tuple[float, str]:
    """Seconds of the second epoch of trial 0, training and validation; and on what: device, threads.

    The first epoch holds what happens once (kernels are chosen, files are read): it is trained, and not
    counted. Says what it does on stderr, for an epoch may take hours. Raises ConfigError where there is no
    such device, DataError where there are no data.
    """
    settings, backend, target = plan.settings, plan.parts.backend, plan.parts.target
    devices.limit_threads(backend.threads)
    device = devices.pin(backend.device, 0)
    on = f"{_device(device, target)}, {backend.threads} thread{'s' * (backend.threads > 1)}"
    print(
        f"measuring an epoch of {printable(settings.model_name)} on {on} ...", file=sys.stderr, flush=True
    )  # fmt: skip
    with naming_extras():
        target.stage(device)
        target.warm_up()
    searcher = search_of(settings).searcher
    searcher.begin(target.space, settings.seed)
    training = target.start(searcher.propose(0, {}), stream_seed(settings.seed, "trial", 0))
    for epoch in (1, 2):
        began = time.perf_counter()
        training.train_epoch(epoch)
        training.validate()
        epoch_s = time.perf_counter() - began
    return epoch_s, f"measured here on {on}, with trial 0's configuration of seed {settings.seed}"


def _device(device: str, target: Target) -> str:
    """The device by its name, as far as the target's framework knows it."""
    if device == "cpu" or target.framework != "torch":
        return device
    with naming_extras():
        import torch

    return str(torch.cuda.get_device_name(0))
