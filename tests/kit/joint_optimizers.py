"""Joint optimizers that break one rule each, admitted by SUITE_PLUGINS=kit as a user's package would be."""

import contextlib
import itertools
import signal
import sys
import time
from pathlib import Path

import numpy as np

from suite.core import DONE, WAIT, JointOptimizer, stream


class Scripted(JointOptimizer):
    """Random configurations, each to `to_epoch` (0: R); at its n-th ask it does what `fault` says."""

    def __init__(self, fault: str = "none", at: int = 4, to_epoch: int = 0):
        # @FILE: the fault that the file names now, so that a run can be mended from outside.
        self.fault = Path(fault[1:]).read_text() if fault.startswith("@") else fault
        self.at, self.to_epoch = at, to_epoch
        self.n = 0
        self.told = []

    def open(self, space, seed, max_epochs):
        self.space, self.seed, self.max_epochs = space, seed, max_epochs
        if self.fault == "raises in open":
            raise RuntimeError("planted")
        if self.fault == "hangs in open":
            self._sleep()

    def ask(self):
        self.n += 1
        wish = (
            self.n,
            self.space.sample(stream(self.seed, "scripted", self.n)),
            self.to_epoch or self.max_epochs,
        )
        return self._faulty(wish) if self.n == self.at else wish

    def _faulty(self, wish):
        key, config, to_epoch = wish
        return {
            "none": lambda: wish,
            "done": lambda: DONE,
            "waits": lambda: WAIT,
            "raises": lambda: 1 / 0,
            "exits": lambda: sys.exit("planted"),
            "interrupted": self._interrupted,
            "sleeps": self._sleep,
            "goes on after every exception": self._stubborn,
            "hangs in compiled code": lambda: sum(itertools.repeat(0)),
            "pair": lambda: (key, config),
            "text": lambda: "done",
            "key of a list": lambda: ([key], config, to_epoch),
            "key that is true": lambda: (True, config, to_epoch),
            "unopened key": lambda: (key, None, to_epoch),
            "told key again": lambda: (1, None, self.max_epochs),
            "epoch below what it has": lambda: (1, None, 2),
            "epoch above R": lambda: (key, config, self.max_epochs + 1),
            "epoch zero": lambda: (key, config, 0),
            "epoch of text": lambda: (key, config, "9"),
            "epoch and a half": lambda: (key, config, 1.5),
            "epoch that is nan": lambda: (key, config, float("nan")),
            "another configuration": lambda: (1, {**config, "width": 99}, self.max_epochs),
            "outside": lambda: (key, {**config, "learning_rate": 1e9}, to_epoch),
            "not finite": lambda: (key, {**config, "learning_rate": np.float64("nan")}, to_epoch),
            "wrong type": lambda: (key, {**config, "width": "8"}, to_epoch),
            "wrong choice": lambda: (key, {**config, "optimizer": ["sgd"]}, to_epoch),
            "unknown name": lambda: (key, {**config, "learning_rat": 1.0}, to_epoch),
            "missing name": lambda: (key, {"width": config["width"]}, to_epoch),
            "numpy's numbers": lambda: (
                np.int64(key),
                {**config, "width": np.int64(8), "optimizer": np.str_("sgd")},
                np.int32(to_epoch),
            ),
        }.get(self.fault, lambda: wish)()  # fmt: skip

    def _interrupted(self):
        # Ctrl-C of somebody who has waited long enough.
        signal.raise_signal(signal.SIGINT)
        self._sleep()

    def _sleep(self):
        while True:
            time.sleep(1)

    def _stubborn(self):
        while True:
            with contextlib.suppress(Exception):
                self._sleep()

    def tell(self, key, to_epoch, objective):
        self.told.append((key, to_epoch, objective))
        if self.fault == "raises in tell" and len(self.told) == self.at:
            raise ValueError("planted")
        if self.fault == "hangs in tell" and len(self.told) == self.at:
            self._sleep()


class InFlight(Scripted):
    """Asks for the same key for every worker."""

    def ask(self):
        return 1, self.space.lowest(), self.max_epochs


class Absent(Scripted):
    """Needs a package that nobody has."""

    def open(self, space, seed, max_epochs):
        import optuna_of_another_world  # noqa: F401


class NotOne:
    """No joint optimizer."""


class Global(Scripted):
    """Draws from the generator that everybody uses."""

    def ask(self):
        self.n += 1
        return (
            self.n,
            self.space.decode(np.random.random(len(self.space)).tolist()),
            self.max_epochs,
        )


class Steps(JointOptimizer):
    """Every trial to half of R, then, whatever came out, to R."""

    def open(self, space, seed, max_epochs):
        self.space, self.R, self.n, self.todo, self.told = space, max_epochs, 0, [], []

    def ask(self):
        if self.todo:
            return self.todo.pop(0), None, self.R
        self.n += 1
        return self.n, self.space.decode([self.n * 0.618034 % 1] * len(self.space)), self.R // 2

    def tell(self, key, to_epoch, objective):
        self.told.append((key, to_epoch, objective))
        if objective is not None and to_epoch == self.R // 2:
            self.todo.append(key)
