"""NePS: ifBO, freeze-thaw search with a network that was trained beforehand, as a joint optimizer."""

from __future__ import annotations

import atexit
import functools
import hashlib
import logging
import math
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError, check_integer
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.space import Space
from suite.core.types import DONE, WAIT, Config, Done, Wait
from suite.optimizers.neps_parts import SINGLE, OwnTorchState, check_neps, hyperparameter
from suite.optimizers.plain_space import PlainSpace

_EPOCHS = "epochs of a trial"
_VERSION = "0.0.1"
MOST_HYPERPARAMETERS = 10
MOST_CONFIGURATIONS = 1000
"""What the published network was trained for."""
_LARGEST = 2**30
"""Bytes of a file of weights; the published one has less than a tenth."""


class Ifbo(JointOptimizer):
    """ifBO of NePS, asked and told. It ends with its thousandth configuration, for its network knows no more.

    A network that was trained beforehand on invented learning curves (FT-PFN) says from all curves so far how
    likely each trial, or a new configuration, is to be above a drawn threshold after a drawn number of
    epochs more; the likeliest is trained for step_epochs epochs. Any trial may go on at any time, from its
    checkpoint, so checkpoints should be cheap. n_initial configurations come first, from a Sobol sequence;
    None: as many as there are hyperparameters.

    weights: the network, a file of your own disk: the package's archive (ftpfnv0.0.1.tar.gz; its address is
    in ifbo.download) or the .pt file in it. weights_sha256: its SHA-256, 64 hexadecimal digits. The file is a
    pickle, and reading it runs what its maker wrote: name the digest of a file that you trust. Another file
    is refused, and nothing is fetched. It is read on rank 0 alone.
    objective_range: (lowest, highest) of the objective; the network knows [0, 1]. An objective outside is
    told as the nearest end; the record counts those (`outside_range`). The objective is what is minimised: of
    an error rate (0, 1), of an accuracy, which is negated, (-1, 0); of a loss what you expect.

    What the package does not do: its network knows ten hyperparameters and 1,000 configurations; it has no
    conditions, and choices are equally spaced numbers to it. Where it asks for a trial that is in training,
    the worker waits. The package takes a failed trial for a perfect one; here it is told as the worst.
    Of a table it is told the objective of the row in the configuration's place. Decisions depend on the last
    bits of the network's sums: replay them with the same torch, on the same kind of processor, with as many
    threads. It draws from torch's global generator, which is kept apart for it.
    Source: Rakotoarison et al. 2024 (ICML, arXiv 2404.16795); `neural-pipeline-search` 0.17 (Apache-2.0),
    ifBO 0.4 (MIT).
    Raises ConfigError where the package is absent or another version, the weights are not the file that is
    named, or an argument is out of its range.
    """

    def __init__(
        self,
        weights: str | None = None,
        weights_sha256: str | None = None,
        objective_range: Sequence[float] = (0.0, 1.0),
        step_epochs: int = 1,
        n_initial: int | None = None,
    ) -> None:
        check_integer("scheduler.optimizer.step_epochs", step_epochs, 1)
        if n_initial is not None:
            check_integer("scheduler.optimizer.n_initial", n_initial, 1)
        self._low, self._high = _range(objective_range)
        if weights_sha256 is not None and not re.fullmatch(
            "[0-9a-f]{64}", str(weights_sha256).lower()
        ):
            raise ConfigError(
                f"scheduler.optimizer.weights_sha256={weights_sha256}: must be 64 hexadecimal digits, what "
                "`sha256sum FILE` prints."
            )
        self._weights, self._sha256 = weights, weights_sha256 and str(weights_sha256).lower()
        self._step, self._n_initial = step_epochs, n_initial
        self._n_outside = 0

    def check(self) -> None:
        check_neps()
        self._staged()

    def _staged(self) -> Path:
        if self._weights is None or self._sha256 is None:
            missing = "weights" if self._weights is None else "weights_sha256"
            raise ConfigError(
                f"scheduler.optimizer.{missing}=null: ifBO needs its trained network. Fetch the archive "
                "that ifbo.download names, then give weights=FILE and weights_sha256=what "
                "`sha256sum FILE` prints; a run fetches nothing."
            )
        return _staged(str(self._weights), self._sha256)

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if max_epochs < self._step + 2:
            raise ConfigError(
                f"max_epochs={max_epochs}: must be at least step_epochs + 2 = {self._step + 2}, for ifBO "
                "needs two steps."
            )
        self._space = PlainSpace(space, "ifBO", rounding=SINGLE)
        if len(self._space) > MOST_HYPERPARAMETERS:
            raise ConfigError(
                f"the space has {len(self._space)} hyperparameters: ifBO's network knows at most "
                f"{MOST_HYPERPARAMETERS}; hold some in model.fixed."
            )
        self._random = OwnTorchState(seed, "ifbo")
        with self._random():
            import neps
            from neps.space import HPOInteger, SearchSpace

            logging.getLogger("neps").setLevel(logging.ERROR)
            searched = {
                name: hyperparameter(plain) for name, plain in self._space.parameters.items()
            }
            searched[_EPOCHS] = HPOInteger(1, max_epochs, is_fidelity=True)
            made = neps.algorithms.ifbo(
                SearchSpace(searched),
                step_size=self._step,
                initial_design_size="ndim" if self._n_initial is None else self._n_initial,
                device="cpu",
                surrogate_path=self._staged(),
                surrogate_version=_VERSION,
            )
            _always_a_row(made.ftpfn)
            self._neps = neps.AskAndTell(made, worker_id="swiftbench")
        self._n_first, self._max_epochs = made.n_initial_design, max_epochs
        self._configs: dict[Key, Config] = {}
        self._epochs: dict[Key, int] = {}
        # Key -> the package's name of what is in training.
        self._asked: dict[Key, str] = {}
        self._failed: set[Key] = set()
        self._n_told = 0

    def ask(self) -> Wish | Wait | Done:
        while True:
            if len(self._configs) >= self._n_first and not self._n_told:
                # Its network has nothing to learn from.
                return WAIT
            before = dict(self._neps.trials)
            with self._random():
                trial = self._neps.ask()
            key = trial.id.partition("_")[0]
            if key in self._asked:
                self._neps.trials = before
                return WAIT
            if key not in self._configs and len(self._configs) >= MOST_CONFIGURATIONS:
                return DONE
            self._asked[key] = trial.id
            if key in self._failed:
                # It insists on it, so it is told again, for a step more.
                self._told(key, 1.0)
                continue
            values = dict(trial.config)
            # A step forwards in any case: its epochs are rounded numbers.
            to_epoch = max(int(values.pop(_EPOCHS)), self._epochs.get(key, 0) + 1)
            if key not in self._configs:
                self._configs[key] = self._space.config(values)
            return key, self._configs[key], min(to_epoch, self._max_epochs)

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        self._epochs[key] = to_epoch
        self._n_told += 1
        if objective is None:
            self._failed.add(key)
            self._told(key, 1.0)
            return
        score = (objective - self._low) / (self._high - self._low)
        self._n_outside += not 0.0 <= score <= 1.0
        self._told(key, min(max(score, 0.0), 1.0))

    def _told(self, key: Key, score: float) -> None:
        with self._random():
            self._neps.tell(self._asked.pop(key), score)

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        return {"outside_range": self._n_outside}


def _always_a_row(network: Any) -> None:
    """The package drops the axis of trials where one alone can go on, and then fails on it (0.17)."""
    theirs = network.get_pi

    def get_pi(*tensors: Any, **words: Any) -> Any:
        scores = theirs(*tensors, **words)
        return scores.reshape(1) if scores.ndim == 0 else scores

    network.get_pi = get_pi


def _range(given: Sequence[float]) -> tuple[float, float]:
    is_pair = isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2
    if is_pair and all(isinstance(end, int | float) and math.isfinite(end) for end in given):
        low, high = map(float, given)
        if low < high:
            return low, high
    raise ConfigError(
        f"scheduler.optimizer.objective_range={given}: must be [lowest, highest], two numbers, the first "
        "below the second; of an error rate [0, 1]."
    )


@functools.cache
def _staged(weights: str, sha256: str) -> Path:
    """A folder as the package wants it, with these weights alone; it lasts as long as the process."""
    path = Path(weights).expanduser()
    name = f"scheduler.optimizer.weights={weights}"
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"{name}: {error.strerror}; it must be a file on rank 0's machine."
        ) from None
    if len(data) > _LARGEST:
        raise ConfigError(f"{name}: has more than 1 GiB; it must be the network of ifBO.")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ConfigError(
            f"{name}: its SHA-256 is {found}, not weights_sha256={sha256}; it was not read. Fetch it again, "
            "or name its digest if you trust it."
        )
    from ifbo.download import FILENAME, WEIGHTS_FINAL_NAME

    member = WEIGHTS_FINAL_NAME(_VERSION)
    folder = Path(tempfile.mkdtemp(prefix="swiftbench-ifbo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    model = folder / ".model"
    model.mkdir()
    if path.name.endswith((".tar.gz", ".tgz")):
        data = _member(data, member, name)
    (model / member).write_bytes(data)
    # The package fetches nothing where its archive is.
    (model / FILENAME(_VERSION)).touch()
    return folder


def _member(data: bytes, member: str, name: str) -> bytes:
    """The one file of the archive that is wanted; nothing else of it is unpacked."""
    try:
        with tarfile.open(fileobj=BytesIO(data), mode="r:gz") as archive:
            for one in archive:
                if one.isfile() and one.size <= _LARGEST and Path(one.name).name == member:
                    file = archive.extractfile(one)
                    assert file is not None
                    return file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConfigError(f"{name}: is no archive that can be read: {error}.") from None
    raise ConfigError(f"{name}: has no {member}; it must be the package's own archive.")
