"""Other people's optimizers in tests: one that is not installed skips what needs it, and says so."""

import pytest

from suite.core.extras import MissingExtraError
from suite.core.run_settings import RunSettings
from suite.launch.assemble import assemble

SLOW = {"syne_tune_cqr", "smac", "neps_priorband", "neps_ifbo"}
"""They fit a model for each proposal, or import for seconds."""


def assembled_or_skip(settings: RunSettings):
    """The parts of a run; the test is skipped where an optimizer's package is not installed."""
    try:
        return assemble(settings)
    except MissingExtraError as error:
        pytest.skip(str(error))
