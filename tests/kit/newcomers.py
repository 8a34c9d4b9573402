"""A stranger's plug-ins: sources of a package `newcomer`, and the folder that they are written to."""

import os
import subprocess
import sys
from pathlib import Path

from kit.driving import ROOT

SCHEDULER = '''"""Throw-away."""

from suite.core import ConfigError, Plan, PlannedBracket, PlannedRung, Rounds, Train, best


class ThrowAway(Rounds):
    """Six trials; the better half goes on to max_epochs."""

    def __init__(self, max_epochs: int):
        if max_epochs < 1:
            raise ConfigError(f"max_epochs={max_epochs}: must be an integer >= 1.")
        rungs = (PlannedRung(6, 1, 3), PlannedRung(3, max_epochs, 1))
        super().__init__(Plan((PlannedBracket(0, rungs),)), overlap=True)

    def _bracket(self, bracket, trials):
        for rung in bracket.rungs:
            curves = yield [Train(t, rung.to_epoch) for t in trials]
            trials = best(curves, rung.n_next, rung.to_epoch)
'''

TARGET = '''"""Linear regression by gradient descent on 256 generated rows."""

import hashlib
import pickle

import numpy as np
from suite.core import Float, Int, Metric, Target, Training, stream


class Linear(Target):
    """A model of two lines of numpy."""

    parameters = {"learning_rate": Float(1e-3, 1e-1, log=True), "batch_size": Int(8, 64, log=True)}
    metric, framework, data = Metric("val_loss", "min"), "numpy", "stand-in"
    checkpoint_bytes, epoch_s = 400, 0.001

    def stage(self, device):
        draws = np.random.default_rng(0)
        X = draws.normal(size=(256, 5))
        y = X @ np.arange(5.0) + draws.normal(size=256)
        self.train, self.valid, self.test_rows = [(X[s], y[s]) for s in np.split(np.arange(256), [128, 192])]
        digest = hashlib.sha256(X.tobytes()).hexdigest()
        self.provenance = {
            "name": "lines", "sha256": digest, "stand_in": True, "split": "in order", "split_sha256": digest,
            "n_train": 128, "n_valid": 64, "n_test": 64,
        }

    def start(self, config, seed):
        return _Fit(self, config, seed)


class _Fit(Training):
    def __init__(self, target, config, seed):
        self.target, self.config, self.seed = target, config, seed
        self.weights = stream(seed, "weights").normal(size=5)

    def train_epoch(self, epoch):
        X, y = self.target.train
        for rows in np.array_split(self._order(epoch), 128 // self.config["batch_size"]):
            error = X[rows] @ self.weights - y[rows]
            self.weights -= self.config["learning_rate"] * X[rows].T @ error / len(rows)

    def _order(self, epoch):
        return stream(self.seed, "order", epoch).permutation(128)

    def _loss(self, rows):
        X, y = rows
        return {"val_loss": float(np.mean((X @ self.weights - y) ** 2))}

    def validate(self):
        return self._loss(self.target.valid)

    def test(self):
        return self._loss(self.target.test_rows)

    def save(self, path):
        path.write_bytes(pickle.dumps(self.weights))

    def load(self, path):
        self.weights = pickle.loads(path.read_bytes())
'''

PREDICTOR = '''"""The curve goes on as it fell."""

import numpy as np
from suite.core import Predictor, check_training_set


class Last(Predictor):
    """The last value, and the mean distance from it to the end."""

    learns = True

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        X, y = check_training_set(X, y)
        self.n_features_in_, self._step = X.shape[1], float(np.mean(y - X[:, -1]))
        return self

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_ or not np.isfinite(X).all():
            raise ValueError("X: must be finite, one row a curve")
        return X[:, -1] + self._step
'''

SEARCHER = '''"""Random proposals, but for their name."""

from suite.core import Searcher
from suite.core.seeds import stream


class Drawn(Searcher):
    """Each configuration is drawn from (seed, trial)."""

    def begin(self, space, seed):
        self.space, self.seed = space, seed

    def propose(self, trial_id, trials):
        return self.space.sample(stream(self.seed, "drawn", trial_id))
'''

LEAVES = {
    "scheduler/throw_away.yaml": "_target_: newcomer.scheduler.ThrowAway\nmax_epochs: ${max_epochs}\n",
    "model/linear.yaml": "_target_: newcomer.target.Linear\nfixed: {learning_rate: null, batch_size: null}\n",
    "predictor/last.yaml": "_target_: newcomer.predictor.Last\nfeatures: {use: [curve], every: 1}\n",
    "searcher/drawn.yaml": "_target_: newcomer.searcher.Drawn\n",
}
SOURCES = {"scheduler": SCHEDULER, "target": TARGET, "predictor": PREDICTOR, "searcher": SEARCHER}


def write(folder: Path, fault: tuple[str, str, str] | None = None) -> None:
    """The package and its YAML files. fault: (module, text, what is written in its place)."""
    (folder / "newcomer").mkdir()
    (folder / "newcomer" / "__init__.py").touch()
    for name, source in SOURCES.items():
        if fault and fault[0] == name:
            assert fault[1] in source
            source = source.replace(fault[1], fault[2])
        (folder / "newcomer" / f"{name}.py").write_text(source)
    for name, text in LEAVES.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def python(
    folder: Path, *words: str, root: Path = ROOT, **environ: str
) -> subprocess.CompletedProcess:
    """Python in `folder`, which sees the package and the suite of `root`."""
    environ = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(root)]), "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "SUITE_PLUGINS": "newcomer",
        "SUITE_RUNS": str(folder / "runs"), **environ,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
