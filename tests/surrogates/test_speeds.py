"""Speeds of trials: stragglers and first epochs do not decide."""

import numpy as np
import pytest

from suite.surrogates.speeds import Speeds


def speeds(**trials):
    made = Speeds()
    for name, epochs in trials.items():
        made.saw(int(name[1:]), epochs)
    return made


def test_nothing_known_is_zero():
    assert Speeds().mean_ms == 0 and len(Speeds()) == 0
    assert Speeds().of([3, 4]).tolist() == [0, 0]
    assert Speeds().known().tolist() == []


def test_the_first_epoch_is_left_out_as_soon_as_there_are_two():
    made = speeds(t0=[10_000] + [100] * 9)
    assert made.of([0])[0] == pytest.approx(102)
    unknown = speeds(t0=[10_000])
    assert len(unknown) == 0 and unknown.of([0])[0] == 0, "its first epoch says nothing"
    assert len(Speeds(n_known=1)) == 0
    one = Speeds(n_known=1)
    one.saw(0, [100])
    assert len(one) == 1 and one.of([0])[0] == pytest.approx((100 + one.mean_ms) / 2)


def test_where_only_the_first_is_there_it_stands_for_later_ones_as_in_others():
    made = speeds(t0=[1000] + [100] * 9, t1=[1000] + [100] * 9, t2=[3000])
    assert len(made) == 2
    assert made.of([2])[0] == pytest.approx((300 + made.mean_ms) / 2)


def test_one_straggler_does_not_decide():
    assert speeds(t0=[100] * 6 + [5_000] + [100] * 6).of([0])[0] == pytest.approx(102)


def test_a_short_trial_is_drawn_towards_the_mean():
    made = speeds(t0=[100] * 20, t1=[300] * 20, t2=[500, 200, 200])
    mean = made.mean_ms
    assert mean == pytest.approx(1.02 * 200)
    assert made.of([2])[0] == pytest.approx((200 * 2 + mean) / 3)
    assert made.of([1, 9]) == pytest.approx([306, mean]), "of an unknown one the mean"


def test_what_a_trial_trained_since_counts():
    made = speeds(t5=[100] * 4)
    made.saw(5, [100] * 4 + [300] * 9)
    assert len(made) == 1 and made.of([5])[0] == pytest.approx(306)
    made.saw(6, [])
    assert len(made) == 1 and np.isfinite(made.known()).all()
