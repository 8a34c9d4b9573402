"""Splits: shares, groups, repeatability, and digests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data import splits
from suite.core.errors import ConfigError


@given(st.lists(st.integers(0, 4), min_size=2, max_size=200), st.data())
def test_stratified_parts_cover_all_rows_once_and_each_class_has_its_share(labels, data):
    n_valid = data.draw(st.integers(1, len(labels) - 1))
    train, valid = splits.stratified(labels, n_valid, 1)
    assert len(valid) == n_valid
    assert sorted([*train, *valid]) == list(range(len(labels)))
    for label in set(labels):
        share = labels.count(label) * n_valid / len(labels)
        assert abs(sum(labels[k] == label for k in valid) - share) < 1


def test_of_equal_classes_equal_numbers_are_drawn_and_another_seed_draws_others():
    labels = np.arange(50_000) % 10
    train, valid = splits.stratified(labels, 5_000, 2024)
    assert set(np.bincount(labels[valid])) == {500} and (np.diff(valid) > 0).all()
    assert train.dtype == valid.dtype == np.int64 and (np.diff(train) > 0).all()
    again, other = splits.stratified(labels, 5_000, 2024), splits.stratified(labels, 5_000, 7)
    assert (again[1] == valid).all() and len(np.intersect1d(other[1], valid)) < 700


def test_the_split_of_cifars_shape_is_the_same_on_every_machine():
    train, valid = splits.stratified(np.arange(1000) % 10, 100, 2024)
    assert splits.digest(train, valid) == (
        "d1a0338940eee655eb28d78a350113389067e38ad1779554ee8370685a5ccea2"
    )


@given(st.lists(st.integers(0, 9), min_size=2, max_size=100), st.data())
def test_no_group_is_divided(groups, data):
    n_valid = data.draw(st.integers(1, len(groups) - 1))
    try:
        train, valid = splits.by_group(groups, n_valid, 3)
    except ConfigError:
        assert min(groups.count(g) for g in groups) > n_valid
        return
    assert 0 < len(valid) <= n_valid
    assert sorted([*train, *valid]) == list(range(len(groups)))
    assert not {groups[k] for k in train} & {groups[k] for k in valid}


def test_groups_fill_the_validation_part_as_far_as_they_fit_and_may_have_names():
    groups = np.repeat([f"story {k}" for k in range(100)], 8)
    _, valid = splits.by_group(groups, 83, 1)
    assert len(valid) == 80
    assert (splits.by_group(groups, 83, 1)[1] == valid).all()
    assert not np.array_equal(splits.by_group(groups, 83, 2)[1], valid)


@pytest.mark.parametrize("n_valid", [0, 10, -1, 11])
def test_a_part_without_rows_is_refused(n_valid):
    for split in (splits.stratified, splits.by_group):
        with pytest.raises(ConfigError, match=f"n_valid={n_valid}: must be between 1 and 9"):
            split(np.arange(10) % 2, n_valid, 1)


def test_digests_tell_values_order_and_shapes_apart_and_nothing_else():
    rows = np.arange(12)
    same = (rows.astype(np.int32), list(range(12)), rows.astype(">i8"), np.arange(24)[::2] // 2)
    assert {splits.digest(given) for given in same} == {splits.digest(rows)}
    others = (rows[::-1], rows.reshape(3, 4), rows[:11], rows.astype(float), rows.astype(np.uint8))
    found = {splits.digest(given) for given in others}
    assert len(found) == len(others) and splits.digest(rows) not in found
    assert splits.digest(rows[:6], rows[6:]) not in found | {splits.digest(rows)}
    assert splits.digest(np.zeros((0, 3))) != splits.digest()
