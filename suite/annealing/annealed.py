"""What a predictor that anneals has besides fit and predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.annealing.recordings import Recordings


class Annealed:
    """A mixin for predictors that ask an annealer; predictors without one need none of it.

    sampler_used_, sampler_info_: which sampler answered the last fit, and what it said of itself
    (calls, reads, solver, seconds); plain JSON, for the journal.
    recordings: where sample sets of devices are kept; the suite sets it, it is no parameter.
    """

    sampler_used_: str | None = None
    sampler_info_: Mapping[str, Any] | None = None
    recordings: Recordings | None = None
