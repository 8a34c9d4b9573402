"""The MLPF curve table, one curve a configuration, and the published predictor on it."""

import csv

from kit.driving import DATA
from suite.predictors.svr import SVR

TABLE = DATA / "curves" / "mlpf_delphes.csv"


def mlpf_curves():
    """One row a configuration: the table's repeats are seeds of one trial."""
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])[:7]
    first = {}
    for row in rows:
        first.setdefault(
            tuple(row[n] for n in names), tuple(float(row[f"loss_{e}"]) for e in range(100))
        )
    return list(first.values())


def svr_forecast(request):
    return SVR().fit(request.X, request.y).predict(request.X_new).tolist()
