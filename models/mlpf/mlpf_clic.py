"""MLPF in torch on electron-positron collisions at CLIC: another data source of models/mlpf/mlpf_torch.py.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared; versions: torch 2.13.0 (CPU), pyarrow 25;
n, number: docs/clic.md; not measured on a GPU; lineage: Pata, Wulff et al. 2024 (Commun. Phys. 7:124).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.data.locate import DataChoice
from models.mlpf import clic_events, events, physics
from models.mlpf.mlpf_torch import MLPFTorch
from models.torch_training import Precision


class MLPFClic(MLPFTorch):
    """Particle flow in e+e- collisions at 380 GeV: tracks and calorimeter clusters in, particles out. Layers,
    decoders, loss, metrics and optimiser are models.mlpf.mlpf_torch.MLPFTorch's, with 17 numbers an element
    in place of 12 (models/data/clic.py; scaled as models/mlpf/clic_events.py says), 6 classes as there.

    data, folder: "real" needs `<folder>/clic/`, parquet files prepared from EDM4HEP as upstream does, with
    Pandora's particles as the rule-based ones; "stand_in" takes `<folder>/clic_standin/`, or else lets
    Pythia 8 write n_events into the cache: tt, qq, ZH, WW in equal parts, through a card of formulas.
    Splits: 80 / 10 / 10 % of each process by file, or by event where one has less than ten files.
    limit: rehearsals; at most so many training events, of the processes in turn.
    Test metrics: jets by ee_genkt (R = 0.4, p = -1, from 5 GeV), visible energy, missing momentum; the truth
    are the particles that upstream assigns to elements, not the generator's.
    The other arguments: MLPFTorch.

    Raises ConfigError for an argument out of range, DataError where data=real is not staged; staging raises
    it for a damaged file.
    Source: jpata/particleflow from 2024 to 2026. The space three_layers and its default are those of the
    Delphes targets: of CLIC no space with these layers is published.
    """

    physics = physics.ELECTRONS

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        data: DataChoice = "real",
        folder: str | None = None,
        limit: int | None = None,
        pad: int | None = None,
        batch_size: int = 5,
        n_events: int = 3000,
        space: str = "three_layers",
        held: Mapping[str, Any] | None = None,
        staircase: bool = True,
        schedule_epochs: int | None = None,
        precision: Precision = "auto",
    ) -> None:
        super().__init__(
            fixed, data, folder, "fixed", limit, 0, pad, batch_size, n_events, space, held, staircase,
            schedule_epochs, precision,
        )  # fmt: skip

    def found(self, data: DataChoice, folder: str | None) -> events.Source:
        return clic_events.find(data, folder)
