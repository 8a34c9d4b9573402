"""What can go wrong between a problem and an annealer's answer, named by remedy."""

from __future__ import annotations

from suite.core.errors import SuiteError


class SamplerError(SuiteError):
    """The sampler gave no answer; the message has the reason. Another sampler may have one."""


class TokenError(SamplerError):
    """Set DWAVE_API_TOKEN: it is missing, or was not accepted."""


class SolverUnavailable(SamplerError):
    """Choose another solver or region, or try again later: unreachable, offline, retired, unknown.

    The message names region and solver.
    """


class QuotaExhausted(SamplerError):
    """Wait, or ask D-Wave for more time: the account's quota or its rate of requests is used up."""


class BudgetSpent(SamplerError):
    """Raise qpu_budget_s if you mean to spend more: this run's limit of QPU seconds is reached."""


class DeadlinePassed(SamplerError):
    """Raise deadline_s, or choose a less busy solver: no answer came in time."""


class ChainsBroken(SamplerError):
    """Raise chain_strength: no usable sample came back."""


class ProblemTooLarge(SamplerError, ValueError):
    """Take fewer samples or bits: the problem has more variables than the sampler can take."""
