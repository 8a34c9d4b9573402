"""What every searcher promises: each file of conf/searcher."""

import pytest

from kit.driving import compose, names
from suite.testing import SearcherConformance

SUITES = {
    name: SearcherConformance.of(compose(f"searcher={name}")["searcher"])
    for name in names("searcher")
}


@pytest.mark.parametrize("check", SearcherConformance.checks())
@pytest.mark.parametrize("name", SUITES)
def test_what_every_searcher_promises(name, check):
    getattr(SUITES[name](), check)()


def test_random_proposals_do_not_depend_on_what_was_proposed_before():
    random = SUITES["random"]()
    backwards = dict(sorted(random.proposals(3, reversed(range(12))).items()))
    assert random.proposals(3, range(12)) == backwards
