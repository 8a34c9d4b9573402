"""A toy that searchers are tried on: Branin with a choice, and a search of one trial at a time."""

import math

from suite.core.space import Choice, Float, Space
from suite.core.types import Trial

SPACE = {"x": Float(-5.0, 10.0), "y": Float(0.0, 15.0), "kind": Choice("a", "b", "c")}


def branin(config):
    """Regret; 0 at three points of kind a."""
    x, y = config["x"], config["y"]
    bowl = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    value = bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887
    return value + {"a": 0.0, "b": 3.0, "c": 8.0}[config["kind"]]


def begun(searcher, space=SPACE, seed=0, **other):
    searcher.begin(space if isinstance(space, Space) else Space(space, **other), seed)
    return searcher


def search(searcher, n, objective=branin, space=SPACE, seed=0):
    begun(searcher, space, seed)
    trials = {}
    for k in range(n):
        config = searcher.propose(k, trials)
        searcher.space.check(config)
        trials[k] = Trial(k, config, 0, (objective(config),))
    return trials


def least(trials):
    return min(trial.curve[-1] for trial in trials.values())
