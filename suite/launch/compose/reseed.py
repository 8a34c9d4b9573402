"""A sweep's next run, of a configuration that is composed already: runs of other seeds differ in little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def set_number(composed: Any, number: int) -> None:
    """Say which run of the sweep this is: folders are named by it."""
    from omegaconf import open_dict, read_write

    # A folder's name was made of it: Hydra lets nothing be written from then on.
    with open_dict(composed), read_write(composed.hydra):
        composed.hydra.job.num, composed.hydra.job.id = number, str(number)


def reseed(composed: Any, overrides: Sequence[Any], number: int, seed: int) -> None:
    """Make `composed` the configuration of a run whose overrides differ in the seed alone.

    overrides: of the run, parsed. What Hydra keeps of them is kept anew; interpolations are resolved later.
    Composing from the files takes ten times as long.
    """
    from hydra._internal.config_loader_impl import get_overrides_dirname
    from omegaconf import open_dict, read_write

    form = composed.hydra.job.config.override_dirname
    with open_dict(composed), read_write(composed.hydra):
        composed.seed = seed
        composed.hydra.overrides.task = [override.input_line for override in overrides]
        composed.hydra.job.override_dirname = get_overrides_dirname(
            overrides=list(overrides),
            kv_sep=form.kv_sep,
            item_sep=form.item_sep,
            exclude_keys=form.exclude_keys,
        )
    set_number(composed, number)
