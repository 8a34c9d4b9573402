"""How much each hyperparameter decides of the value: permutation importance of a random forest.

Not optuna's fANOVA or PED-ANOVA: the package would bring SQLAlchemy and Alembic into each image that only
trains, for two hundred lines; and fANOVA takes the trials for a random sample of the space, which those of an
adaptive searcher are not.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from suite.report.trial_sample import Sample

LEAST = 20
"""Trials below which a forest is not asked."""

LEAST_R2 = 0.1
"""Of trials that were left out: below it the forest knows nothing, and its importances say nothing."""

_FOLDS, _TREES, _REPEATS, _SEED = 5, 50, 5, 0


@dataclass(frozen=True, slots=True)
class Importances:
    """of: name -> (mean, standard deviation over folds) of the loss of R²; r2: of the trials left out."""

    of: dict[str, tuple[float, float]]
    r2: float


def importances(sample: Sample) -> Importances | None:
    """The loss of R² on trials that were left out when a hyperparameter's values are shuffled among them.

    The forest predicts the ranks of the values (0..1), which a few diverging trials do not rule. 0: the
    hyperparameter decides nothing. One that plays no part in a configuration has a number of its own there,
    below all others, so that whether it plays a part counts as its own doing. None: too few trials, or all
    values are equal. r2 below LEAST_R2: the numbers say nothing.
    Source: Breiman 2001 (Machine Learning 45:5), section 10, as in
    sklearn.inspection.permutation_importance; on five folds, as importances of fitted trials are too large.
    """
    if len(sample.trials) < LEAST or len(set(sample.values)) < 3:
        return None
    import numpy as np
    from scipy.stats import rankdata
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    X = np.array([sample.imputed(name) for name in sample.names]).T
    y = rankdata(sample.values) / len(sample.values)
    losses, scores = [], []
    for train, test in KFold(_FOLDS, shuffle=True, random_state=_SEED).split(X):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=_SEED)
        forest.fit(X[train], y[train])
        scores.append(float(forest.score(X[test], y[test])))
        shuffled = permutation_importance(
            forest, X[test], y[test], n_repeats=_REPEATS, random_state=_SEED
        )
        losses.append(shuffled.importances_mean)
    of = {
        name: (float(column.mean()), float(statistics.stdev(map(float, column))))
        for name, column in zip(sample.names, np.array(losses).T, strict=True)
    }
    return Importances(of, statistics.fmean(scores))
