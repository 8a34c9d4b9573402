"""Every searcher on spaces with conditions and constraints: no value that plays no part, no forbidden draw;
and what it learns from.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.conditional_spaces import objective, possible, space, wrong_with
from suite.core import Choice, ConfigError, Constraints, Float, Int, Ordered, Space, Trial, When
from suite.searchers.evolution import Evolution
from suite.searchers.extra_trees import ExtraTrees
from suite.searchers.gp import Gp
from suite.searchers.grid import Grid
from suite.searchers.random import Random
from suite.searchers.tpe import Tpe, _Density

# Each proposes by its model from about the eighth trial on.
MAKERS = {
    "evolution": lambda: Evolution(population_size=6, tournament_size=3),
    "extra_trees": lambda: ExtraTrees(1, n_candidates=60, n_trees=5),
    "gp": lambda: Gp(n_least=6, n_candidates=40),
    "random": Random,
    "tpe": lambda: Tpe(n_min=3, random_fraction=0.1),
    "tpe_spread": lambda: Tpe(n_min=3, random_fraction=0.1, bandwidths="spread"),
}
MODELS = [name for name in MAKERS if name != "random"]


def searched(searcher, some, n, value, seed=0):
    searcher.begin(some, seed)
    trials = {}
    for k in range(n):
        config = searcher.propose(k, trials)
        some.check(config)
        trials[k] = Trial(k, config, 0, (value(config),))
    return trials


def by_model(searcher):
    said = searcher.diagnostics
    return said.get("by_model", said.get("counts", {}).get("by model", 0))


@pytest.mark.parametrize("name", MAKERS)
def test_no_proposal_has_a_value_that_plays_no_part_or_is_forbidden(name):
    searcher = MAKERS[name]()
    trials = searched(searcher, space(), 30, lambda config: objective(config, 1))
    assert [wrong_with(trial.config) for trial in trials.values()] == [""] * 30
    if name in MODELS:
        assert by_model(searcher) >= 12, searcher.diagnostics
    again = searched(MAKERS[name](), space(), 30, lambda config: objective(config, 1))
    assert again == trials


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_of_any_space_no_proposal_is_outside_of_it(name, data):
    """`searched` checks each proposal; values are what the point is made of, so that models learn."""
    some = possible(data.draw)
    searched(MAKERS[name](), some, 14, lambda config: sum(some.encode(config)))


@pytest.mark.parametrize("name", MODELS)
def test_a_held_parent_is_held_and_what_waits_for_it_is_left_out(name):
    held = space({"optimizer": "adam"})
    trials = searched(MAKERS[name](), held, 16, lambda config: objective(config, 1))
    assert {trial.config["optimizer"] for trial in trials.values()} == {"adam"}
    assert not any("momentum" in trial.config for trial in trials.values())


@pytest.mark.parametrize("name", ["extra_trees", "gp", "tpe"])
def test_it_learns_where_a_number_plays_a_part_and_which_is_best(name):
    """Random draws have a mean of .46; the last ten of thirty have less than .3 (seen: .06 to .11). Evolution
    goes by small steps and `spread` may settle beside the best: neither promises this.
    """
    small = Space({"kind": Choice("a", "b"), "rate": When(Float(0.0, 1.0), {"kind": "a"})})

    def value(config):
        return abs(config["rate"] - 0.9) if "rate" in config else 0.5

    trials = searched(MAKERS[name](), small, 30, value)
    assert np.mean([trials[k].curve[0] for k in range(20, 30)]) < 0.3


@pytest.mark.parametrize("name", MODELS)
def test_where_nearly_all_is_forbidden_it_still_proposes_what_is_allowed(name):
    tight = Space(
        {"a": Int(1, 30), "b": Int(1, 30), "c": Float(0.0, 1.0)},
        constraints=Constraints(
            forbidden=[{"a": [n], "b": [m for m in range(1, 31) if abs(m - n) > 0]} for n in range(1, 31)]
        ),
    )  # fmt: skip
    trials = searched(MAKERS[name](), tight, 12, lambda config: config["a"] + config["c"])
    assert all(trial.config["a"] == trial.config["b"] for trial in trials.values())


# --- TPE's densities ------------------------------------------------------------------------------


def test_a_density_over_conditions_by_hand():
    """One choice of two; a number that plays a part with the first alone."""
    density = _Density(np.array([[0.0, 0.2], [1.0, np.nan]]), [2, 0], None)
    h = 0.2 * 1 ** (-1 / 6)
    normal = math.exp(-0.5 * ((0.3 - 0.2) / h) ** 2) / (h * math.sqrt(2 * math.pi))
    other, same = 1 / 4, 3 / 4
    active, inactive = density(np.array([[0.0, 0.3], [1.0, np.nan]]))
    assert active == pytest.approx((same * normal + other * 1.0) / 2)
    assert inactive == pytest.approx((other + same) / 2)


def test_a_density_over_conditions_adds_up_to_one():
    rows = np.array([[0.0, 0.5], [0.0, 0.4], [1.0, np.nan], [2.0, np.nan]])
    for least in (None, 1e-3):
        density = _Density(rows, [3, 0], least)
        grid = (np.arange(4000) + 0.5) / 4000
        # Kernels of numbers reach beyond 0 and 1; so far out the middle ones do not.
        within = density(np.column_stack([np.zeros(4000), grid])).mean()
        others = density(np.array([[1.0, np.nan], [2.0, np.nan]])).sum()
        assert within + others == pytest.approx(1.0, abs=0.05)


def test_a_density_samples_what_no_row_has_uniformly():
    density = _Density(np.array([[0.0, np.nan, np.nan]] * 3), [2, 0, 4], None)
    drawn = density.sample(np.random.default_rng(0), 4000, 3.0)
    assert drawn[:, 1].min() >= 0 and abs(drawn[:, 1].mean() - 0.5) < 0.02
    assert np.bincount(drawn[:, 2].astype(int)) == pytest.approx([1000] * 4, rel=0.15)


# --- grids ----------------------------------------------------------------------------------------


def test_a_grid_has_each_point_once_and_no_forbidden_one():
    grid = Grid(n_per_parameter=2)
    grid.begin(space(), 0)
    points = [grid.propose(k, {}) for k in range(grid.n_configurations)]
    assert [wrong_with(point) for point in points] == [""] * len(points)
    texts = {str(sorted(point.items())) for point in points}
    assert len(texts) == len(points)
    # Counted by hand. Rates 2 x 2 (each least rate is below one rate at least: (.0001, .1) and (1e-5, ...)).
    rates = sum(low < high for low in (1e-5, 1e-1) for high in (1e-4, 1.0))
    adam = 2  # batches of 64 and 128
    rmsprop = 2 * 4  # momentum, batches
    sgd = 2 * (3 + 2 * 4)  # momentum; nesterov with three batches, or dampings with four
    assert len(points) == rates * 2 * (adam + rmsprop + sgd)
    with pytest.raises(ConfigError, match="the grid has"):
        grid.propose(len(points), {})


def test_a_grids_order_is_the_seeds_and_held_values_are_held():
    def points(seed, **held):
        grid = Grid(n_per_parameter=2)
        grid.begin(space(held), seed)
        return [grid.propose(k, {}) for k in range(grid.n_configurations)]

    assert points(0) == points(0) != points(1)
    assert sorted(map(str, points(0))) == sorted(map(str, points(1)))
    assert {point["optimizer"] for point in points(0, optimizer="adam")} == {"adam"}
    assert {point.get("momentum") for point in points(0, momentum=0.5)} == {None, 0.5}


def test_an_ordered_choice_has_all_its_values_in_a_grid():
    grid = Grid(n_per_parameter=2)
    grid.begin(Space({"size": Ordered(1, 2, 4, 8)}), 0)
    assert sorted(grid.propose(k, {})["size"] for k in range(4)) == [1, 2, 4, 8]


def test_a_grid_that_cannot_be_listed_or_is_empty_is_refused():
    many = {f"x{i}": Float(0.0, 1.0) for i in range(6)}
    many["y"] = When(Int(0, 1), {"z": "a"})
    many["z"] = Choice("a", "b")
    with pytest.raises(ConfigError, match="a grid of more than 100000 points"):
        Grid(n_per_parameter=10).begin(Space(many), 0)
    small = Space(
        {"a": Float(0.0, 1.0), "b": Float(0.0, 1.0)}, constraints=Constraints(relations=["a < b"])
    )
    with pytest.raises(ConfigError, match="forbid every point of the grid; raise it"):
        Grid(n_per_parameter=1).begin(small, 0)
