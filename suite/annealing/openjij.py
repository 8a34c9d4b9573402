"""OpenJij's simulated annealing, thermal and path-integral, behind dimod's contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from suite.core.errors import ConfigError, check_integer
from suite.core.packages import check_package
from suite.core.seeds import stream_seed

Updater = Literal["single spin flip", "swendsen wang"]


class _OpenJij:
    """What both have: their package, and a seed for each read."""

    _class: ClassVar[str]

    def __init__(self) -> None:
        check_package("openjij", "openjij", "openjij", "0.12", "0.13")

    def _options(self) -> dict[str, Any]:
        raise NotImplementedError

    def sample(
        self, bqm: Any, num_reads: int = 1, num_sweeps: int = 50, seed: int | None = None
    ) -> Any:
        """`num_reads` reads of `bqm`, each of a random start.

        OpenJij 0.12 begins all reads of one call with the same `seed`, so that they come out alike
        (measured: 8 of 8). Each read is therefore a call of its own, with a seed of its own.
        """
        import dimod
        import openjij

        sampler = getattr(openjij, self._class)()
        options = self._options() | {"num_sweeps": num_sweeps}
        if seed is None:
            return sampler.sample(bqm, num_reads=num_reads, **options)
        # For its temperatures it seeds numpy's global generator, which is other people's too.
        others = np.random.get_state()
        try:
            reads = [
                sampler.sample(
                    bqm, num_reads=1, seed=stream_seed(seed, "read", k) % 2**31, **options
                )
                for k in range(num_reads)
            ]
        finally:
            np.random.set_state(others)
        # dimod leaves it untyped
        joined: Any = dimod.concatenate
        return joined(reads)

    def __repr__(self) -> str:
        given: Mapping[str, Any] = self._options()
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"


class OpenJijSA(_OpenJij):
    """OpenJij's simulated annealing (`openjij.SASampler`, Apache-2.0), on this machine's processor.

    updater: how spins are flipped. Temperatures are the package's own, from the problem's coefficients.
    Raises ConfigError where the package is missing or of another version than 0.12.
    Source: OpenJij, Jij Inc.; Kirkpatrick et al. 1983 (Science 220:671).
    """

    _class = "SASampler"

    def __init__(self, updater: Updater = "single spin flip") -> None:
        super().__init__()
        self.updater = updater

    def _options(self) -> dict[str, Any]:
        return {"updater": self.updater}


class OpenJijSQA(_OpenJij):
    """OpenJij's simulated quantum annealing (`openjij.SQASampler`, Apache-2.0): path-integral Monte Carlo.

    trotter: replicas of the spins, coupled along imaginary time; beta: inverse temperature; gamma: the
    transverse field at the beginning. It is a simulation on this machine's processor, no quantum device.
    Raises ConfigError for numbers out of range, and where the package is missing or not of version 0.12.
    Source: OpenJij, Jij Inc.; Kadowaki and Nishimori 1998 (Phys. Rev. E 58:5355); Martoňák et al. 2002
    (Phys. Rev. B 66:094203).
    """

    _class = "SQASampler"

    def __init__(self, trotter: int = 4, beta: float = 5.0, gamma: float = 1.0) -> None:
        super().__init__()
        check_integer("trotter", trotter, 2)
        for name, value in (("beta", beta), ("gamma", gamma)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name}={value}: must be greater than 0 and finite.")
        self.trotter, self.beta, self.gamma = trotter, beta, gamma

    def _options(self) -> dict[str, Any]:
        return {"trotter": self.trotter, "beta": self.beta, "gamma": self.gamma}
