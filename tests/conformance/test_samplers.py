"""What every sampler promises: each file of conf/sampler. One whose package is not here is skipped."""

import pytest

from kit.driving import names
from suite.core.extras import MissingExtraError
from suite.testing import SamplerConformance, conformance

SAMPLERS = names("sampler")


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_what_every_sampler_promises(name):
    suite = conformance(f"sampler={name}")
    try:
        suite().build()
    except MissingExtraError as error:
        pytest.skip(str(error))
    failed = {result.check: result.reason for result in suite.results() if not result.passed}
    assert not failed


class TestGreedy(SamplerConformance):
    """Without a package, and without a file: the suite's checks on a class of a few lines."""

    leaf = {"_target_": "kit.samplers.Greedy"}

    @pytest.fixture(autouse=True)
    def _admitted(self, monkeypatch):
        monkeypatch.setenv("SUITE_PLUGINS", "kit")


FAULTS = [
    ("Stuck", "a_seed_decides", "draw from a generator|use `seed`"),
    ("Alike", "a_seed_decides", "all alike; give each a seed of its own"),
    ("Global", "it_uses_no_generator_that_others_use_too", "moves a global generator"),
    ("Changing", "what_it_is_given_stays_as_it_was", "changes the problem"),
    ("Random", "it_finds_low_energies", "is below that of 8 random ones on . of 10"),
    ("More", "answers_are_reads_of_the_problem", "num_reads=8: reads of shape"),
]


@pytest.mark.parametrize(("cls", "check", "says"), FAULTS, ids=[cls for cls, *_ in FAULTS])
def test_a_planted_fault_is_found_and_said(cls, check, says, monkeypatch):
    monkeypatch.setenv("SUITE_PLUGINS", "kit")
    suite = SamplerConformance.of({"_target_": f"kit.samplers.{cls}"})
    with pytest.raises(AssertionError, match=says):
        getattr(suite(), f"test_{check}")()
