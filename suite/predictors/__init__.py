"""Floor 2, mind: predictors with scikit-learn's contract; the heavy libraries are imported when fit
is called. `from suite.predictors import QSVR` imports that one alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.core.lazy import lazy_names

if TYPE_CHECKING:
    from suite.predictors.constant import Constant as Constant
    from suite.predictors.ensemble import Ensemble as Ensemble
    from suite.predictors.epsilon_svr import EpsilonSVR as EpsilonSVR
    from suite.predictors.loo_svr import LooSVR as LooSVR
    from suite.predictors.qsvr import QSVR as QSVR
    from suite.predictors.svr import SVR as SVR

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "suite.predictors.constant": ["Constant"],
        "suite.predictors.ensemble": ["Ensemble"],
        "suite.predictors.epsilon_svr": ["EpsilonSVR"],
        "suite.predictors.loo_svr": ["LooSVR"],
        "suite.predictors.qsvr": ["QSVR"],
        "suite.predictors.svr": ["SVR"],
    },
)
