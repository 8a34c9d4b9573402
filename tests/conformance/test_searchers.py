"""What every searcher promises: each file of conf/searcher."""

import functools

import pytest

from kit.driving import compose, names
from suite.core.extras import MissingExtraError
from suite.testing import SearcherConformance


@functools.cache
def suite(name):
    """Composed when the first test asks: every process of pytest collects this file."""
    return SearcherConformance.of(compose(f"searcher={name}")["searcher"])


@pytest.mark.parametrize("check", SearcherConformance.checks())
@pytest.mark.parametrize("name", names("searcher"))
def test_what_every_searcher_promises(name, check):
    try:
        getattr(suite(name)(), check)()
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_random_proposals_do_not_depend_on_what_was_proposed_before():
    random = suite("random")()
    backwards = dict(sorted(random.proposals(3, reversed(range(12))).items()))
    assert random.proposals(3, range(12)) == backwards
