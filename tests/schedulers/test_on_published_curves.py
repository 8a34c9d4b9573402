"""Swift-Hyperband on the MLPF curve table: the size of the saving that an independent reading of
the rules found.
"""

import numpy as np
import pytest

from kit.driving import play
from kit.mlpf_curves import TABLE, mlpf_curves, svr_forecast
from suite.schedulers.hyperband import Hyperband
from suite.schedulers.swift_hyperband import SwiftHyperband


@pytest.mark.skipif(
    not TABLE.exists(), reason="no curve table: set SUITE_DATA to the folder that holds curves/"
)
def test_epochs_and_best_value_of_swift_hyperband_on_mlpf():
    table = mlpf_curves()
    assert len(table) == 183
    epochs, equal, fits = [], 0, []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(table))
        curve = lambda i, e, order=order: table[order[i]][:e]  # noqa: E731
        hyperband = play(Hyperband(100, 2, overlap=False), curve)
        swift = play(SwiftHyperband(100, 2), curve, forecast=svr_forecast)
        assert hyperband.n_epochs == 3213
        epochs.append(swift.n_epochs)
        fits.append(len({request.key.split("/", 1)[1] for request in swift.predicts}))
        equal += swift.curves[swift.winner][99] == hyperband.curves[hyperband.winner][99]
    print(
        f"\nMLPF, 20 seeds: {np.mean(epochs):.0f} epochs [{min(epochs)}, {max(epochs)}] of 3213, "
        f"best equal on {equal}, {np.mean(fits):.1f} fits a run"
    )
    assert 2818 <= np.mean(epochs) <= 3003
    assert equal >= 18
