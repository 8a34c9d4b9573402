"""The grid: every point once, in either order, and a clear word where it ends."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.errors import ConfigError
from suite.core.space import Choice, Float, Int, Space
from suite.searchers.grid import Grid

SPACE = {
    "lr": Float(1e-4, 1.0, log=True),
    "layers": Int(1, 3),
    "optimizer": Choice("sgd", "adam"),
    "momentum": Float(0.0, 0.5),
}


def points(grid, n, space=None, seed=0):
    grid.begin(space or Space(SPACE), seed)
    return [grid.propose(k, {}) for k in range(n)]


def test_values_both_ends_included_and_the_last_name_fastest():
    found = points(Grid(5, shuffle=False), 5 * 3 * 2 * 5)
    expected = itertools.product(
        [1e-4, 1e-3, 1e-2, 1e-1, 1.0], [1, 2, 3], ["sgd", "adam"], [0, 0.125, 0.25, 0.375, 0.5]
    )
    for config, values in zip(found, expected, strict=True):
        assert config == pytest.approx(dict(zip(SPACE, values, strict=True)))
        Space(SPACE).check(config)


@given(st.integers(1, 4), st.integers(0, 10**6))
def test_a_shuffled_grid_holds_every_point_once(n, seed):
    size = n * min(n, 3) * 2 * n
    plain = points(Grid(n, shuffle=False), size)
    shuffled = points(Grid(n), size, seed=seed)
    assert sorted(map(repr, shuffled)) == sorted(map(repr, plain))
    assert len(set(map(repr, plain))) == size


def test_the_order_is_addressed_by_the_seed_and_any_trial_can_be_asked_for_first():
    one, two = points(Grid(3), 54, seed=1), points(Grid(3), 54, seed=2)
    assert one != two and points(Grid(3), 54, seed=1) == one
    grid = Grid(3)
    grid.begin(Space(SPACE), 1)
    assert [grid.propose(k, {}) for k in reversed(range(54))] == one[::-1]


def test_first_points_are_spread_over_the_first_name_too():
    assert len({config["lr"] for config in points(Grid(10), 30)}) >= 8


def test_a_grid_too_large_to_be_laid_out():
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(12)})
    assert len({tuple(c.values()) for c in points(Grid(10), 50, space)}) == 50


def test_sizes_by_name_and_one_value_is_the_middle():
    found = points(Grid(2, sizes={"lr": 3, "momentum": 1}, shuffle=False), 3 * 2 * 2)
    assert sorted({c["lr"] for c in found}) == pytest.approx([1e-4, 1e-2, 1.0])
    assert {c["layers"] for c in found} == {1, 3} and {c["momentum"] for c in found} == {0.25}


def test_a_fixed_name_keeps_its_value():
    space = Space(SPACE, fixed={"lr": 0.05, "optimizer": "adam"})
    found = points(Grid(3), 9, space)
    assert {(c["lr"], c["optimizer"]) for c in found} == {(0.05, "adam")}
    assert len({(c["layers"], c["momentum"]) for c in found}) == 9


def test_the_end_is_named_with_both_numbers():
    grid = Grid(2)
    points(grid, 16)
    with pytest.raises(ConfigError, match=r"trial 16 .*the grid has 16 points \(2 x 2 x 2 x 2\)"):
        grid.propose(16, {})


def test_a_tables_rows_are_its_grid():
    rows = [{"lr": 0.1 * i} for i in range(1, 8)]
    space = Space({"lr": Float(0.1, 0.7)}, rows=rows)
    assert points(Grid(shuffle=False), 7, space) == rows
    shuffled = points(Grid(), 7, space, seed=3)
    assert shuffled != rows and sorted(c["lr"] for c in shuffled) == [r["lr"] for r in rows]
    grid = Grid()
    grid.begin(space, 0)
    with pytest.raises(ConfigError, match="the grid has 7 points"):
        grid.propose(7, {})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_per_parameter": 0}, "n_per_parameter=0: must be"),
        ({"sizes": {"lr": 0}}, "sizes.lr=0: must be"),
        ({"sizes": {"lrr": 3}}, "lrr: unknown.*Did you mean lr"),
    ],
)
def test_bad_parameters(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Grid(**wrong).begin(Space(SPACE), 0)
