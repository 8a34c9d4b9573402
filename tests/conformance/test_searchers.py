"""What every searcher promises: each file of conf/searcher."""

import pytest
from driving import compose, names

from models.table_target import TableTarget
from suite.core.plugins import make
from suite.core.searcher import Searcher
from suite.core.types import Trial

SEARCHERS = names("searcher")
every = pytest.mark.parametrize("name", SEARCHERS)
_leaves = {name: compose(f"searcher={name}")["searcher"] for name in SEARCHERS}


def proposals(name, seed, ids, fixed=None):
    """Propose in this order; trials known so far carry a curve."""
    space = TableTarget(fixed).space
    searcher = make(_leaves[name], "searcher")
    assert isinstance(searcher, Searcher)
    searcher.begin(space, seed)
    trials = {}
    for trial_id in ids:
        config = searcher.propose(trial_id, trials)
        space.check(config)
        trials[trial_id] = Trial(trial_id, config, 0, (1.0 / (trial_id + 1),))
    return {trial_id: trial.config for trial_id, trial in trials.items()}


@every
def test_every_proposal_is_in_the_space_and_depends_on_the_seed(name):
    assert (
        proposals(name, 0, range(30))
        == proposals(name, 0, range(30))
        != proposals(name, 1, range(30))
    )


@every
def test_fixed_names_stay_fixed(name):
    found = proposals(name, 0, range(10), {"width": 8, "optimizer": "lion"})
    assert {(c["width"], c["optimizer"]) for c in found.values()} == {(8, "lion")}
    assert len({c["learning_rate"] for c in found.values()}) == 10


def test_random_proposals_do_not_depend_on_what_was_proposed_before():
    assert proposals("random", 3, range(12)) == dict(
        sorted(proposals("random", 3, reversed(range(12))).items())
    )
