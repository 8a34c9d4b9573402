"""The calibrated gate: who it drops, and when it does not trust itself."""

import numpy as np
import pytest
from scipy import stats

from suite.surrogates.gate import Gate, _chance


def parallel(n, seed=0, noise=0.01):
    """Curves that keep their order: level + 1 / epoch, a little noise."""
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 1, n)
    return [
        tuple(level + 1 / e + noise * rng.standard_normal() for e in range(1, 9))
        for level in levels
    ]


def filled(curves, p=0.05, **settings):
    gate = Gate((2, 4, 8), p, **settings)
    for i, curve in enumerate(curves):
        gate.observe(i, curve)
    return gate


def test_a_hopeless_trial_is_dropped_and_a_good_one_is_not():
    curves = parallel(12)
    gate = filled(curves)
    assert gate.drops(curves[11][:4])
    assert not gate.drops(curves[0][:4])
    assert not gate.drops(tuple(v - 0.5 for v in curves[0][:4])), "better than all of them"


def test_the_best_half_of_what_was_seen_is_never_dropped():
    curves = parallel(12, noise=0.0)
    gate = filled(curves, p=0.49)
    median = float(np.median([c[3] for c in curves]))
    assert not gate.drops((1.0, 1.0, 1.0, median))
    assert gate.drops((1.0, 1.0, 1.0, median + 1e-3))


def test_with_few_trials_nobody_is_dropped():
    curves = parallel(12)
    hopeless = curves[11][:4]
    assert not filled(curves[:7]).drops(hopeless), "fewer than 8 seen at its epoch"
    short = [c[:4] for c in curves[:11]]
    assert not filled(short).drops(hopeless), "nobody went further"
    assert not filled([*curves[:5], *(c[:4] for c in curves[5:])]).drops(hopeless), "five did"


def test_where_curves_cross_it_keeps():
    """What is seen at epoch 4 says nothing of epoch 8."""
    rng = np.random.default_rng(1)
    curves = [(*rng.random(7), rng.random()) for _ in range(30)]
    gate = filled(curves)
    assert not any(gate.drops(curve[:4]) for curve in curves)


def test_a_rule_that_surprises_itself_too_often_is_not_trusted():
    """Four of 44 trials fall at the end from the middle to the best: more than 3 p of them."""
    falling = [(*(0.75,) * 7, -2.0) for _ in range(4)]
    trusted, gate = filled(parallel(40), p=0.02), filled([*parallel(40), *falling], p=0.02)
    poor = (2.0, 2.0, 2.0, 2.0)
    assert trusted.drops(poor, count=True)
    x, y = (np.array([c[i] for c in [*parallel(40), *falling]]) for i in (3, 7))
    chance, surprises = _chance(x, y, 2.0, 0.0, 0.02)
    assert surprises == 4
    loose = filled([*parallel(40), *falling], p=0.3)
    assert chance < 0.3 and loose.drops(poor), "4 surprises are no more than 0.3 promises"
    gate._p = chance + 1e-6  # so that the chance alone would drop it
    assert not gate.drops(poor, count=True)
    assert gate.diagnostics["kept_as_uncalibrated"] == 1 and gate.diagnostics["dropped"] == 0
    assert trusted.diagnostics["dropped"] == trusted.diagnostics["judged"] == 1
    calibration = trusted.diagnostics["calibration"]
    assert calibration["n"] == 40 and calibration["share_below_p"] <= 0.06


def test_asking_without_deciding_counts_nothing():
    curves = parallel(12)
    gate = filled(curves)
    gate.drops(curves[11][:4])
    assert gate.diagnostics["judged"] == gate.diagnostics["dropped"] == 0


def test_its_probabilities_are_those_of_a_students_t_and_hold_on_fresh_data():
    """Of normal errors: P(y <= b) below p comes true in about p of the cases."""
    rng = np.random.default_rng(3)
    n, hits, p = 12, [], 0.1
    for _ in range(3000):
        x = rng.standard_normal(n + 1)
        y = 0.4 * x + rng.standard_normal(n + 1)
        # The bound at which the forecast's chance is p: solved from the same t.
        lo, hi = -20.0, 20.0
        for _ in range(40):
            mid = (lo + hi) / 2
            chance, _ = _chance(x[:n], y[:n], float(x[n]), mid, p)
            lo, hi = (lo, mid) if chance > p else (mid, hi)
        hits.append(y[n] <= lo)
    share = float(np.mean(hits))
    ends = stats.binomtest(sum(hits), len(hits)).proportion_ci(0.999)
    assert 0.06 < share < 0.13, (
        f"p = {p}, came true in {share:.3f} [{ends.low:.3f}, {ends.high:.3f}]"
    )


@pytest.mark.parametrize("constant", [0.0, 2.0])
def test_equal_curves_give_no_error(constant):
    gate = filled([(constant,) * 8] * 10)
    assert not gate.drops((constant,) * 4)
    assert gate.drops((constant + 1.0,) * 4)
