"""Which ranks train together, and what is refused before any does."""

import pytest

from kit.driving import compose
from models.rank_group import address_of
from suite.backends.mpi.groups import check, form
from suite.core.errors import ConfigError
from suite.core.plugins import make


class Alone:
    parallel, framework = None, "tensorflow"


class Together:
    parallel, framework = "models.torch_group.Group", "torch"


def on(*counts):
    """Rank -> host for nodes with so many worker ranks each, filled in turn from rank 1."""
    hosts = [f"n{i}" for i, count in enumerate(counts) for _ in range(count)]
    return dict(enumerate(hosts, start=1))


def test_groups_are_neighbours_of_one_node_and_the_rest_is_left_over():
    assert form(on(4, 3), 2) == {1: (1, 2), 3: (3, 4), 5: (5, 6)}
    assert form(on(1, 1), 2) == {}
    assert form(on(2, 1), 1) == {1: (1,), 2: (2,), 3: (3,)}


def test_ranks_that_alternate_between_nodes_are_still_grouped_by_node():
    assert form({1: "a", 2: "b", 3: "a", 4: "b"}, 2) == {1: (1, 3), 2: (2, 4)}


def test_what_nodes_leave_over_forms_groups_where_they_may_span_nodes():
    assert form(on(1, 1), 2, over_nodes=True) == {1: (1, 2)}
    # Whole groups within a node first: one group spans nodes, and one rank is left over.
    assert form(on(3, 2, 2), 2, over_nodes=True) == {1: (1, 2), 4: (4, 5), 6: (6, 7)}
    assert form(on(3, 3, 3), 2, over_nodes=True) == {1: (1, 2), 4: (4, 5), 7: (7, 8), 3: (3, 6)}
    assert form(on(3, 3, 3), 4, over_nodes=True) == {1: (1, 2, 3, 4), 5: (5, 6, 7, 8)}
    assert form(on(4, 4), 2, over_nodes=True) == form(on(4, 4), 2)


def mpi(k, **settings):
    return make({**compose("backend=mpi")["backend"], "ranks_per_trial": k, **settings}, "backend")


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2", None])
def test_a_number_that_is_none_is_refused(k):
    with pytest.raises(ConfigError, match=r"ranks_per_trial=.*must be an integer >= 1"):
        mpi(k)


def test_a_target_for_one_rank_is_refused():
    with pytest.raises(ConfigError, match=r"framework=tensorflow\) trains on one rank only; use 1"):
        mpi(2).check(Alone())
    mpi(1).check(Alone())
    mpi(2).check(Together())


def test_groups_larger_than_any_node_are_refused():
    with pytest.raises(ConfigError, match=r"ranks_per_trial=3: no node .*at most 2.*use 2"):
        check(3, on(2, 2))
    check(2, on(2, 2))


def test_groups_over_nodes_that_no_launch_can_form_are_refused():
    with pytest.raises(ConfigError, match=r"ranks_per_trial=5: .*fewer worker ranks \(4\); use 4"):
        check(5, on(2, 2), over_nodes=True)
    check(4, on(2, 2), over_nodes=True)


def test_an_interface_that_connects_no_nodes_is_refused():
    with pytest.raises(ConfigError, match=r"group_interface=ib7: .*it has .*lo.*name one that"):
        address_of("ib7")
    with pytest.raises(
        ConfigError, match=r"group_interface=lo: is the loopback.*name an interface"
    ):
        address_of("lo")
    for name in ("", "sixteen-letters!", 7):
        with pytest.raises(ConfigError, match="backend.group_interface"):
            mpi(2, group_interface=name)
