"""A STAND-IN for ifBO's network: the package's own architecture, small, random weights, never trained."""

import contextlib
import hashlib
import io
import tarfile
from pathlib import Path


def write(folder: Path) -> tuple[Path, Path, str]:
    """(the archive, its .pt file, the archive's SHA-256). Needs `ifbo` and torch."""
    import torch
    from ifbo.bar_distribution import BarDistribution
    from ifbo.download import FILENAME, WEIGHTS_FINAL_NAME
    from ifbo.encoders import Linear, get_variable_num_features_encoder
    from ifbo.transformer import TransformerModel

    theirs = torch.get_rng_state()
    torch.manual_seed(29)
    n_bars, width = 50, 32
    # It prints what it has made.
    with contextlib.redirect_stdout(io.StringIO()):
        network = TransformerModel(
            # Of a trial: its number, its epochs, ten hyperparameters.
            encoder=get_variable_num_features_encoder(Linear)(12, width),
            ninp=width, nhead=2, nhid=64, nlayers=2,
            y_encoder=Linear(1, width), decoder_dict={"standard": (None, n_bars)},
        )  # fmt: skip
    torch.set_rng_state(theirs)
    network.criterion = BarDistribution(torch.linspace(0, 1, n_bars + 1))
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FINAL_NAME("0.0.1")
    torch.save(network, weights)
    archive = folder / FILENAME("0.0.1")
    with tarfile.open(archive, "w:gz") as file:
        file.add(weights, weights.name)
    return archive, weights, hashlib.sha256(archive.read_bytes()).hexdigest()
