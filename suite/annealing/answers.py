"""Answers of samplers that are not ours: looked at before they are used, and not waited for forever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from suite.annealing.errors import DeadlinePassed, SamplerError
from suite.core.errors import SuiteError

T = TypeVar("T")

KEPT_INFO: dict[str, Any] = {
    "solver": str, "topology": str, "max_chain_length": int, "chain_strength": float,
    "chain_break_fraction": float, "qpu_access_time_s": float,
}  # fmt: skip
"""What a sampler may say of itself, and the type that the journal has of it."""
MOST_VALUES = 2**24
"""Samples times variables of one answer: a thousand reads of 120 variables are 2^17."""
TOLERANCE = 1e-5
"""Of an energy, in units of the sum of all coefficients' sizes: single precision passes."""


class WrongAnswer(SamplerError):
    """Mend the sampler: what it answered is no set of samples of the problem. The message says why."""


class SamplerRaised(SamplerError):
    """Mend the sampler, or its options: it raised an error of its own, which is the cause of this one."""


def guarded(call: Callable[[], T], name: str, deadline_s: float | None) -> T:
    """What `call` returns, where it does so within deadline_s (None: however long it takes).

    What it raises is raised again, as SamplerRaised where it is no error of the suite. A call that is not
    back in time is left to itself, for a thread cannot be ended: it may go on using the processor. One that
    holds Python's global lock cannot be left either. Raises DeadlinePassed.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    if deadline_s is None:
        body()
    else:
        # Not of a pool, whose threads Python waits for at its end.
        thread = threading.Thread(target=body, name=f"sampler {name}", daemon=True)
        thread.start()
        thread.join(deadline_s)
        if thread.is_alive():
            raise DeadlinePassed(
                f"sampler_deadline_s={deadline_s:g}: {name} gave no answer in that time. Raise it, or take "
                "fewer reads, sweeps or curves."
            )
    if not errors:
        return results[0]
    error = errors[0]
    if isinstance(error, SuiteError) or not isinstance(error, Exception):
        raise error
    raise SamplerRaised(f"{name} raised {type(error).__name__}: {str(error)[:300]}") from error


def check(bqm: Any, sampleset: Any, name: str) -> None:
    """Raise WrongAnswer for what is no answer to the problem `bqm`.

    Looked at: dimod's SampleSet, one sample at least, the problem's variables, values of its type (-1 and
    1, or 0 and 1), the energies, the numbers of occurrences.
    """
    import dimod

    if not isinstance(sampleset, dimod.SampleSet):
        raise _wrong(name, f"a {type(sampleset).__name__}", "must be a dimod.SampleSet")
    record, labels = sampleset.record, list(sampleset.variables)
    samples = np.asarray(record.sample)
    if set(labels) != set(bqm.variables):
        raise _wrong(
            name, f"{len(labels)} variables", f"must be the {bqm.num_variables} of the problem"
        )
    if samples.ndim != 2 or not len(samples):
        raise _wrong(name, f"samples of shape {samples.shape}", "must be one or more, a row each")
    if samples.size > MOST_VALUES:
        raise _wrong(
            name, f"samples of shape {samples.shape}", f"must hold at most {MOST_VALUES} values"
        )
    values = sorted(bqm.vartype.value)
    if sampleset.vartype is not bqm.vartype or not np.isin(samples, values).all():
        raise _wrong(
            name, f"values as {samples.flat[0]} ({sampleset.vartype.name})",
            f"must be {values[0]} or {values[1]} ({bqm.vartype.name})",
        )  # fmt: skip
    _check_numbers(bqm, record, (samples, labels), name)


def _check_numbers(bqm: Any, record: Any, samples: Any, name: str) -> None:
    """Energies and occurrences."""
    energies = np.asarray(record.energy, dtype=float)
    true = np.asarray(bqm.energies(samples), dtype=float)
    scale = (
        abs(bqm.offset) + sum(map(abs, bqm.linear.values())) + sum(map(abs, bqm.quadratic.values()))
    )
    apart = np.abs(energies - true)
    # Not "> tolerance": of a NaN that is False.
    if not (apart <= TOLERANCE * scale + 1e-12).all():
        worst = int(np.argmax(np.nan_to_num(apart, nan=np.inf)))
        raise _wrong(
            name, f"the energy {energies[worst]:.6g}",
            f"that sample has {true[worst]:.6g} (Ising: h's + s'Js with i < j; QUBO: x'Qx)",
        )  # fmt: skip
    counts = np.asarray(record.num_occurrences)
    if counts.dtype.kind not in "iu" or (counts < 1).any():
        raise _wrong(name, f"num_occurrences={counts[:3].tolist()}", "must be integers >= 1")


def plain(bqm: Any, sampleset: Any, name: str) -> Any:
    """A checked answer with nothing in it that a recording could not hold: samples, energies, KEPT_INFO."""
    import dimod

    record = sampleset.record
    # dimod leaves it untyped
    made: Any = dimod.SampleSet.from_samples
    return made(
        (np.asarray(record.sample).astype(np.int8), list(sampleset.variables)),
        vartype=bqm.vartype,
        energy=np.asarray(record.energy, dtype=float),
        num_occurrences=np.asarray(record.num_occurrences),
        info=_kept(sampleset.info, name),
        # dimod would order by label, which need not be comparable.
        sort_labels=False,
    )


def _kept(info: Mapping[str, Any], name: str) -> dict[str, Any]:
    kept = {}
    for key, kind in KEPT_INFO.items():
        if key in info:
            try:
                kept[key] = kind(info[key])
            except (TypeError, ValueError, OverflowError):
                raise _wrong(
                    name, f"info.{key}={info[key]!r:.60}", f"must be a {kind.__name__}"
                ) from None
    return kept


def _wrong(name: str, what: str, rule: str) -> WrongAnswer:
    return WrongAnswer(f"{name} answered {what}: {rule}; mend the sampler, or take another.")
