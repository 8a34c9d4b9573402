"""The name of an algorithm: derived from what was chosen, so that no label can lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Triple:
    """The parts of an algorithm, as named by their YAML files."""

    scheduler: str
    predictor: str
    searcher: str

    @classmethod
    def of(cls, choices: Mapping[str, Any]) -> Triple:
        return cls(*(str(choices[part]) for part in ("scheduler", "predictor", "searcher")))

    @property
    def name(self) -> str:
        """The scheduler, then the predictor if there is one, then the searcher if it is not random.

        >>> Triple("swift_hyperband", "constant", "random").name
        'swift_hyperband+constant'
        """
        parts = [self.scheduler]
        parts += [self.predictor] if self.predictor != "none" else []
        parts += [self.searcher] if self.searcher != "random" else []
        return "+".join(parts)


@dataclass(frozen=True)
class KnownAlgorithm:
    """A file of conf/algorithm: a short name for a triple and the settings that come with it.

    settings_hold: whether the configuration has those settings.
    """

    name: str
    triple: Triple
    settings_hold: Callable[[], bool]


def algorithm_name(
    triple: Triple,
    chosen: str | None,
    names: Iterable[str],
    known: Callable[[str], KnownAlgorithm],
) -> str:
    """The name of a triple: the chosen algorithm's where that is its triple; else that of the one known
    algorithm with this triple and its settings; else one made of the parts' names.

    names: of all known algorithms; known: reads one.
    """
    if chosen is not None and known(chosen).triple == triple:
        return chosen
    alike = [algorithm for algorithm in map(known, names) if algorithm.triple == triple]
    holding = [algorithm.name for algorithm in alike if algorithm.settings_hold()]
    return holding[0] if len(holding) == 1 else triple.name
