"""D-Wave's Solver API: connect, submit, wait; each failure becomes one of our own errors.

DWAVE_API_TOKEN, and where set _REGION, _SOLVER, _ENDPOINT and _PROXY, are read when connecting.
Configuration files (dwave.conf) are not read: a run must not spend an account's seconds because of
a file that happens to lie in a home folder, nor differ between two machines for that reason. The
token appears in no message, record or log: what the client logs passes `_Redact`.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from suite.annealing.errors import (
    DeadlinePassed,
    QuotaExhausted,
    SamplerError,
    SolverUnavailable,
    TokenError,
)
from suite.core.errors import ConfigError, unknown_name

RETRIES = 2
"""Of a request that met no server or an internal error; nothing else is repeated."""

BACKOFF_S = 0.5
"""Before the first retry; twice as much before the second."""

_HIDDEN = "<DWAVE_API_TOKEN>"
# "Problem not accepted because user ... has insufficient remaining solver access time in project"
_QUOTA = re.compile(r"insufficient remaining|quota|solver access time", re.IGNORECASE)
_Answer = TypeVar("_Answer")


def connect(region: str | None = None, solver: str | None = None, deadline_s: float = 60.0) -> Any:
    """A dwave.system.DWaveSampler; arguments take precedence over the environment.

    solver: a name, or D-Wave's features as JSON; None: the one with most qubits. Raises TokenError
    before any network where there is no token, and the errors of `translate`.
    """
    token = _token()
    region = region or os.environ.get("DWAVE_API_REGION") or None
    solver = solver or os.environ.get("DWAVE_API_SOLVER") or None
    where = f"region={region or 'default'} solver={solver or 'any'}"

    def opened() -> Any:
        from dwave.system import DWaveSampler

        _hide_in_logs()
        options: dict[str, Any] = {
            "token": token,
            "request_timeout": min(60.0, deadline_s + 5),
            # the client's ten would repeat refusals that name a time
            "http_retry_total": 0,
            # a retired solver or a changed graph is seen at once; no files
            "cache_enabled": False,
        }
        options["endpoint"] = _endpoint(region, options)
        return DWaveSampler(
            config_file=False, poll_wait_time=int(min(30, deadline_s)), solver=solver, **options
        )

    until = time.monotonic() + deadline_s
    return _repeated(lambda: within(until, opened, where), until, where)


def submit(
    child: Any,
    bqm: Any,
    parameters: dict[str, Any],
    *,
    deadline_s: float,
    where: str,
    before: Callable[[], None] = lambda: None,
    refused: Callable[[], None] = lambda: None,
) -> Any:
    """The child's sample set, resolved, within `deadline_s`; a problem that is late is cancelled.

    child: a DWaveSampler, or any sampler. `before` is called ahead of each submission, `refused`
    after one that was turned away, so that nothing ran. An accepted problem is not submitted again:
    a retry asks for its answer.
    """
    until = time.monotonic() + deadline_s
    accepted: list[Any] = []

    def on_device() -> Any:
        future = accepted.pop() if accepted else None
        if future is not None and future.id is not None:
            future = child.client.retrieve_answer(future.id)
        else:
            known = child.solver.parameters
            for name in parameters.keys() - known.keys():
                raise unknown_name("parameters", name, known)
            before()
            future = child.solver.sample_bqm(bqm, **parameters)
        accepted.append(future)
        if not future.wait(max(0.0, until - time.monotonic())):
            future.cancel()
            raise late(where, deadline_s)
        try:
            return _resolved(future.sampleset)
        except Exception as error:
            if not transient(error):
                refused()
            raise

    def here() -> Any:
        before()
        return within(until, lambda: _resolved(child.sample(bqm, **parameters)), where)

    return _repeated(on_device if hasattr(child, "solver") else here, until, where)


def late(where: str, deadline_s: float) -> DeadlinePassed:
    return DeadlinePassed(
        f"deadline_s={deadline_s:g}: no answer from {where} in time; it is unreachable or busy. "
        "Raise deadline_s, or choose another solver."
    )


def transient(error: BaseException) -> bool:
    """Whether the same call may succeed in a second: no connection, or an internal server error."""
    import requests

    code = _code(error)
    if code is not None:
        return code >= 500
    lost = isinstance(error, requests.exceptions.ConnectionError)
    return (lost and not isinstance(error, requests.exceptions.SSLError)) or _no_server(error)


def translate(error: BaseException, where: str) -> SamplerError | ConfigError:
    """One of our errors for one of dwave.cloud's, requests' or urllib3's.

    A server's reason for a refusal is passed on without the token. Quota: the service answers
    with a text, not a code of its own (dwave.cloud.exceptions.SolverFailureError), or with 429.
    """
    import requests
    from dwave.cloud import exceptions as cloud
    from dwave.cloud.api import exceptions as api

    if isinstance(error, SamplerError | ConfigError):
        return error
    message, code = redact(str(getattr(error, "error_msg", None) or error))[:300], _code(error)
    if code in (402, 429) or _QUOTA.search(message):
        return QuotaExhausted(
            f"{where}: the account's quota or rate is used up ({message}). Wait for its renewal, or "
            "ask D-Wave for more; sampler=simulated needs none."
        )
    forbidden = (api.ResourceAuthenticationError, api.ResourceAccessForbiddenError)
    if code in (401, 403) or isinstance(error, forbidden):
        return TokenError(
            f"DWAVE_API_TOKEN: not accepted by {where}. Set the API token of a project that may "
            "use it; the Leap dashboard shows it."
        )
    if isinstance(error, api.ResourceNotFoundError) or code == 404:
        why = "there is no such solver, or it is offline or retired"
    elif isinstance(error, cloud.SolverOfflineError):
        why = "the solver is offline"
    elif isinstance(error, cloud.CanceledFutureError):
        why = "the problem was cancelled"
    elif transient(error):
        why = f"error {code}" if code else "no connection"
    elif isinstance(error, requests.exceptions.Timeout | api.RequestTimeout | cloud.PollingTimeout):
        why = "no answer"
    elif isinstance(error, api.ResourceBadResponseError | cloud.UnsupportedSolverError):
        why = "unexpected response, or the solver does not accept Ising problems"
    else:
        return SamplerError(
            f"{where}: the problem was refused ({type(error).__name__}: {message})."
        )
    return SolverUnavailable(f"{where}: {why}. Choose another solver or region, or try later.")


def redact(text: str) -> str:
    """The text without any token that was used in this process."""
    for token in _used:
        text = text.replace(token, _HIDDEN)
    return text


_used: set[str] = set()


def _token() -> str:
    token = os.environ.get("DWAVE_API_TOKEN", "").strip()
    if not token:
        raise TokenError(
            "DWAVE_API_TOKEN: not set; a D-Wave annealer needs an API token (Leap dashboard), in "
            "the environment: dwave.conf is not read. sampler=simulated needs none."
        )
    # The client's own message would show such a token.
    if not re.fullmatch(r"[!-~]+", token):
        raise TokenError(
            "DWAVE_API_TOKEN: holds blanks or other characters that no token has. Copy it again."
        )
    _used.add(token)
    return token


def _endpoint(region: str | None, options: dict[str, Any]) -> str:
    """The URL to call. The client itself would, where it cannot look a region up, call the default
    region with no more than a warning.
    """
    from dwave.cloud.config import constants
    from dwave.cloud.regions import get_regions

    if own := os.environ.get("DWAVE_API_ENDPOINT"):
        return own
    if region in (None, constants.DEFAULT_REGION):
        return str(constants.DEFAULT_SOLVER_API_ENDPOINT)
    metadata = os.environ.get("DWAVE_METADATA_API_ENDPOINT")
    asked = options | {"metadata_api_endpoint": metadata or constants.DEFAULT_METADATA_API_ENDPOINT}
    try:
        known = {entry.code: entry.endpoint for entry in get_regions(asked)}
    except ValueError:
        raise SolverUnavailable(
            f"region={region}: D-Wave's list of regions is unreachable. Try later, or set "
            "DWAVE_API_ENDPOINT."
        ) from None
    if region not in known:
        raise SolverUnavailable(f"region={region}: unknown; known are {', '.join(sorted(known))}.")
    return str(known[region])


def _no_server(error: BaseException | None) -> bool:
    """Whether no connection came about: the client calls a refused one a timeout, too."""
    from urllib3.exceptions import NewConnectionError

    while error is not None and not isinstance(error, NewConnectionError):
        error = error.__cause__ or error.__context__
    return error is not None


def _code(error: BaseException) -> int | None:
    code = getattr(error, "error_code", None)
    if code is None:
        code = getattr(getattr(error, "response", None), "status_code", None)
    try:
        return None if code is None else int(code)
    except (TypeError, ValueError):
        return None


def _repeated(call: Callable[[], _Answer], until: float, where: str) -> _Answer:
    for attempt in range(RETRIES + 1):
        try:
            return call()
        except Exception as error:
            pause = BACKOFF_S * 2**attempt
            if attempt < RETRIES and transient(error) and time.monotonic() + pause < until:
                time.sleep(pause)
                continue
            raise translate(error, where) from None
    raise AssertionError("unreachable")


def within(until: float, call: Callable[[], _Answer], where: str) -> _Answer:
    """The call's result, or DeadlinePassed; a hanging call is left to its daemon thread."""
    done: queue.SimpleQueue[tuple[_Answer | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((call(), None))
        except BaseException as error:
            done.put((None, error))

    given = until - time.monotonic()
    threading.Thread(target=run, name="sampler", daemon=True).start()
    try:
        answer, error = done.get(timeout=max(0.0, given))
    except queue.Empty:
        raise late(where, round(given, 1)) from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def _resolved(sampleset: Any) -> Any:
    sampleset.resolve()
    return sampleset


class _Redact(logging.Filter):
    """dwave.cloud logs its whole configuration at level DEBUG, the token included."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Every record is made text now: some hold a dictionary that gets the token afterwards.
        record.msg, record.args = redact(record.getMessage()), ()
        return True


log_filter = _Redact()


def _hide_in_logs() -> None:
    """A filter holds for one logger, not for those below it: each is given its own."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("dwave", "urllib3", "requests"):
            logging.getLogger(name).addFilter(log_filter)
