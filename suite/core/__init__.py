"""Floor 1, words: the nouns every other floor speaks in, and the API for plug-ins.

A scheduler, searcher, predictor or model of yours imports from here and from nowhere else in the suite:
`from suite.core import Scheduler, Train, DONE`. All names of `__all__` follow semantic versioning: a
release that removes one, or changes what one means, raises the major version (the minor one before 1.0.0).
Modules below `suite.core` are where these names are defined; other names in them may change at any time.

Imports only the standard library, numpy and, for settings alone, msgspec. The names are imported when they
are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.core.lazy import lazy_names

if TYPE_CHECKING:
    from suite.core.brackets import Plan as Plan
    from suite.core.brackets import PlannedBracket as PlannedBracket
    from suite.core.brackets import PlannedRung as PlannedRung
    from suite.core.brackets import hyperband_plan as hyperband_plan
    from suite.core.curve_table import CurveTable as CurveTable
    from suite.core.curve_table import Recording as Recording
    from suite.core.errors import ConfigError as ConfigError
    from suite.core.errors import DataError as DataError
    from suite.core.errors import DivergedError as DivergedError
    from suite.core.errors import RetryableError as RetryableError
    from suite.core.errors import SuiteError as SuiteError
    from suite.core.errors import TrialError as TrialError
    from suite.core.errors import check_integer as check_integer
    from suite.core.errors import unknown_name as unknown_name
    from suite.core.joint import JointOptimizer as JointOptimizer
    from suite.core.metric import Metric as Metric
    from suite.core.predictor import Predictor as Predictor
    from suite.core.predictor import check_training_set as check_training_set
    from suite.core.rounds import Rounds as Rounds
    from suite.core.scheduler import Round as Round
    from suite.core.scheduler import Scheduler as Scheduler
    from suite.core.scheduler import best as best
    from suite.core.scheduler import ranking as ranking
    from suite.core.searcher import Searcher as Searcher
    from suite.core.seeds import stream as stream
    from suite.core.seeds import stream_seed as stream_seed
    from suite.core.space import Choice as Choice
    from suite.core.space import Constraints as Constraints
    from suite.core.space import Float as Float
    from suite.core.space import Int as Int
    from suite.core.space import Ordered as Ordered
    from suite.core.space import Space as Space
    from suite.core.space import When as When
    from suite.core.target import Target as Target
    from suite.core.target import Training as Training
    from suite.core.types import DONE as DONE
    from suite.core.types import WAIT as WAIT
    from suite.core.types import Config as Config
    from suite.core.types import Curve as Curve
    from suite.core.types import Predict as Predict
    from suite.core.types import Propose as Propose
    from suite.core.types import Train as Train
    from suite.core.types import Trial as Trial

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "suite.core.brackets": ["Plan", "PlannedBracket", "PlannedRung", "hyperband_plan"],
        "suite.core.curve_table": ["CurveTable", "Recording"],
        "suite.core.errors": [
            "ConfigError", "DataError", "DivergedError", "RetryableError", "SuiteError", "TrialError",
            "check_integer", "unknown_name",
        ],
        "suite.core.joint": ["JointOptimizer"],
        "suite.core.metric": ["Metric"],
        "suite.core.predictor": ["Predictor", "check_training_set"],
        "suite.core.rounds": ["Rounds"],
        "suite.core.scheduler": ["Round", "Scheduler", "best", "ranking"],
        "suite.core.searcher": ["Searcher"],
        "suite.core.seeds": ["stream", "stream_seed"],
        "suite.core.space": ["Choice", "Constraints", "Float", "Int", "Ordered", "Space", "When"],
        "suite.core.target": ["Target", "Training"],
        "suite.core.types": ["Config", "Curve", "DONE", "Predict", "Propose", "Train", "Trial", "WAIT"],
    },
)  # fmt: skip
