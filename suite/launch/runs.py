"""The runs that a command line names: one, or those of a sweep; each with its configuration and folder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.launch.compose import Loader, Plain, refusals
from suite.launch.options import parsed_options

_MAX_COMPOSED = 64
"""Configurations that are kept for other seeds: a sweep's order returns to each within one task."""


@dataclass(frozen=True)
class Run:
    """One run to be: config, resolved, with its `choices`; folder: where its journal will lie."""

    config: Plain
    folder: Path


@dataclass
class Combination:
    """Runs that differ in their seed alone. config: with the first seed."""

    config: Plain
    seeds: list[Any] = field(default_factory=list)


class Runs:
    """The runs that a command line names: one, or those of a sweep.

    root: folder of the sweep's runs; None: by the configuration. is_sweep: whether several may be meant.
    combinations: each with the seeds that are run. Both are in the order in which the runs run (`_by_seed`).
    Raises ConfigError for what Hydra refuses.
    """

    def __init__(self, arguments: Sequence[str], root: Path | None = None) -> None:
        words = parsed_options(arguments)
        self._loader, self._root = Loader(words.config_dir), root
        self._overrides: list[str] = words.overrides
        self.is_sweep = words.multirun
        with refusals():
            if not words.multirun and not self._loader.sweeps(self._overrides):
                self._master = self._loader.load(self._overrides)
                self.is_sweep = self._loader.is_sweep(self._master)
            else:
                self._master = self._loader.load(self._overrides, sweep=True)
                self.is_sweep = words.multirun or self._loader.is_sweep(self._master)
                if not self.is_sweep:  # Hydra says how a list of values is written
                    self._loader.load(self._overrides)
            self._jobs = _by_seed(self._loader.expanded(self._master)) if self.is_sweep else []
            self.combinations = self._combined()

    @property
    def n_runs(self) -> int:
        """Runs that are trained: `n_seeds` counted."""
        return sum(len(combination.seeds) for combination in self.combinations)

    @property
    def folder(self) -> Path:
        """Where the run, or the sweep's runs, will lie."""
        with refusals():
            if self._root is not None:
                return self._root
            if self.is_sweep:
                return self._loader.folder(self._master, "hydra.sweep.dir")
            self._loader.plain(self._master)
            return self._loader.folder(self._master, "hydra.run.dir")

    def __iter__(self) -> Iterator[Run]:
        """Each run, composed when its turn comes."""
        if not self.is_sweep:
            with refusals():
                config = self._loader.plain(self._master)
                folder = self._loader.folder(self._master, "hydra.run.dir")
            if _runs(config, config["seed"]):
                yield Run(config, folder)
            return
        composed_before = OrderedDict[tuple[str, ...], Any]()
        for number, job in self._jobs:
            with refusals():
                composed = self._composed(number, job, composed_before)
                config = self._loader.plain(composed)
                if not _runs(config, config["seed"]):
                    continue
                keys = ("hydra.sweep.dir", "hydra.sweep.subdir")
                folder = self._loader.folder(composed, *keys, root=self._root)
            yield Run(config, folder)

    def _composed(
        self, number: int, job: Sequence[str], before: OrderedDict[tuple[str, ...], Any]
    ) -> Any:
        """The configuration of one run; of `before`, where one differs from it in the seed alone."""
        seed, others = _without_seed(job)
        composed = before.pop(others, None)
        # Another word for a seed (an interpolation, say) is left to Hydra.
        if seed is not None and seed.isdecimal() and composed is not None:
            composed = self._loader.reseeded(composed, job, number, int(seed))
        else:
            composed = self._loader.job(self._master, job, number)
        before[others] = composed
        if len(before) > _MAX_COMPOSED:
            before.popitem(last=False)
        return composed

    def _combined(self) -> list[Combination]:
        if not self.is_sweep:
            config = self._loader.plain(self._master)
            return [Combination(config, [s for s in [config["seed"]] if _runs(config, s)])]
        found: dict[tuple[str, ...], Combination] = {}
        for number, job in self._jobs:
            seed, others = _without_seed(job)
            if others not in found:
                found[others] = Combination(
                    self._loader.plain(self._loader.job(self._master, job, number))
                )
            config = found[others].config
            value = config["seed"] if seed is None else int(seed) if seed.isdecimal() else seed
            if _runs(config, value):
                found[others].seeds.append(value)
        return list(found.values())


def _by_seed(jobs: Sequence[list[str]]) -> list[tuple[int, list[str]]]:
    """A sweep's runs in the order in which they run, each with its number, by which its folder is named.

    All algorithms with the first seed, then all with the next one: so what happens to a machine in the
    course of a sweep happens to all algorithms alike. Runs of one model stay together, since workers keep
    its data.
    """
    seeds = _ranks(_without_seed(job)[0] for job in jobs)
    models = _ranks(tuple(word for word in job if _names_data(word)) for job in jobs)
    order = sorted(range(len(jobs)), key=lambda number: (models[number], seeds[number], number))
    return [(number, jobs[number]) for number in order]


def _ranks(values: Iterable[Hashable]) -> list[int]:
    """For each value its place among the different ones, in the order in which they first come."""
    places: dict[Hashable, int] = {}
    return [places.setdefault(value, len(places)) for value in values]


def _names_data(word: str) -> bool:
    return word.lstrip("+").partition("=")[0].partition(".")[0] in ("model", "task")


def _runs(config: Mapping[str, Any], seed: Any) -> bool:
    """Whether this seed is run: `n_seeds` may give an algorithm fewer, on one backend too."""
    limits, choices = config["n_seeds"], config["choices"]
    most = limits.get(choices["algorithm"]) if isinstance(limits, Mapping) else None
    if isinstance(most, Mapping):
        most = most.get(choices["backend"])
    return not (isinstance(most, int) and isinstance(seed, int) and seed >= most)


def chosen(config: Mapping[str, Any], group: str) -> str | None:
    """The name chosen of a group of conf/, None where none is."""
    name = config["choices"].get(group)
    return None if name is None else str(name)


def header_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the journal's header of a run would say of its settings."""
    choices = config["choices"]
    return {
        "config": {key: value for key, value in config.items() if key != "choices"},
        "choices": choices,
        "model": choices["task"] or choices["model"],
    }


def _without_seed(job: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The seed of a job's overrides, None where they name none, and the other overrides."""
    seeds = [word for word in job if word.startswith("seed=")]
    seed = seeds[-1].removeprefix("seed=") if seeds else None
    return seed, tuple(word for word in job if not word.startswith("seed="))
