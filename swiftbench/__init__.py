"""The face of the suite: what scripts and notebooks import.

>>> import numpy as np, swiftbench
>>> X = np.random.default_rng(0).uniform(size=(20, 3))    # 20 learning curves, their first 3 epochs
>>> y = X.mean(axis=1)                                    # what they reach in the end
>>> model = swiftbench.QSVR(random_state=0).fit(X, y)
>>> model.predict(X[:2]).shape
(2,)

QSVR is a scikit-learn regressor that is trained by an annealer (pip install 'swiftbench[qsvr]'). load_run
reads the folder of a run: trials, learning curves, jobs. The other names are those a plug-in is written
with; `suite.core` says more of them and has the rest. Searches are started by `swiftbench.tune` for a
training loop of one's own, and by the command `swiftbench`.

Names are imported when they are first used: `import swiftbench` itself takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite import __version__ as __version__
    from suite.core.metric import Metric as Metric
    from suite.core.predictor import Predictor as Predictor
    from suite.core.scheduler import Scheduler as Scheduler
    from suite.core.searcher import Searcher as Searcher
    from suite.core.space import Choice as Choice
    from suite.core.space import Constraints as Constraints
    from suite.core.space import Float as Float
    from suite.core.space import Int as Int
    from suite.core.space import Ordered as Ordered
    from suite.core.space import Space as Space
    from suite.core.space import When as When
    from suite.core.target import Target as Target
    from suite.core.target import Training as Training
    from suite.predictors.qsvr import QSVR as QSVR
    from suite.results.fold import load_run as load_run
    from suite.results.run_view import RunView as RunView
    from swiftbench.tuning import TuneResult as TuneResult
    from swiftbench.tuning import tune as tune

_MODULES = {
    "suite": ["__version__"],
    "suite.core": [
        "Choice", "Constraints", "Float", "Int", "Metric", "Ordered", "Predictor", "Scheduler", "Searcher",
        "Space", "Target", "Training", "When",
    ],
    "suite.predictors": ["QSVR"],
    "suite.results.fold": ["load_run"],
    "suite.results.run_view": ["RunView"],
    "swiftbench.tuning": ["TuneResult", "tune"],
}  # fmt: skip

__all__ = sorted(name for names in _MODULES.values() for name in names)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'swiftbench' has no attribute {name!r}")
    from swiftbench import _packages

    # Not at import: the command says in one line what a traceback would drown.
    _packages.check("suite", *(["models"] if name in _MODULES["swiftbench.tuning"] else []))
    from suite.core.lazy import lazy_names

    return lazy_names(__name__, _MODULES)[0](name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
