"""Whether two processes, or two runs, train the same thing: data set, code, versions.

Facts are plain JSON, as a worker gives them when it joins: `data_set` (a target's provenance), `code` (the
digest of its sources), `versions` (name -> version of what trains). What is absent on one side is unknown,
not different: journals and records of earlier revisions lack it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suite.core.errors import ConfigError

DATA_FIELDS = (
    "stand_in", "name", "sha256", "split", "split_sha256", "n_train", "n_valid", "n_test"
)  # fmt: skip
"""What makes two data sets one, as `Target.provenance` names it; the most telling comes first."""

_REMEDIES = {
    "data_set": "make the same data visible to every process (SUITE_DATA), or stage them again",
    "code": "start every process from the same checkout or image",
    "versions": "start every process from the same environment or image",
}
# A worker describes itself in a few hundred bytes.
_MOST_BYTES = 65_536
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, e.g. data_set.sha256, and its value on either side; None: not stated."""

    field: str
    value: Any
    other: Any

    def __str__(self) -> str:
        other = "as in the run" if isinstance(self.other, Mapping) else _short(self.other)
        return f"{self.field}={_short(self.value)}, not {other}"

    @property
    def remedy(self) -> str:
        return _REMEDIES[self.field.partition(".")[0]]


def differences(facts: Mapping[str, Any], others: Mapping[str, Any]) -> list[Difference]:
    """Where the two do not agree in `data_set`, `code` and `versions`; data first.

    >>> a = {"data_set": {"name": "digits", "sha256": "ab", "stand_in": False}, "code": "12"}
    >>> b = {"data_set": {"name": "digits", "sha256": "cd", "stand_in": False}, "versions": {}}
    >>> [str(one) for one in differences(a, b)]
    ['data_set.sha256=ab, not cd']
    """
    return [
        *data_differences(facts.get("data_set"), others.get("data_set")),
        *_code_differences(facts.get("code"), others.get("code")),
        *_version_differences(facts.get("versions"), others.get("versions")),
    ]


def data_differences(data_set: Any, other: Any) -> list[Difference]:
    """Where two data sets differ in DATA_FIELDS. None, or what is no mapping: unknown, no difference.

    >>> data_differences({}, {"name": "digits"})
    [Difference(field='data_set.name', value=None, other='digits')]
    """
    if not isinstance(data_set, Mapping) or not isinstance(other, Mapping):
        return []
    pairs = [(name, data_set.get(name), other.get(name)) for name in DATA_FIELDS]
    return [
        Difference(f"data_set.{name}", value, another)
        for name, value, another in pairs
        if not _equal(value, another)
    ]


def data_label(label: str | None, data_sets: Iterable[Any]) -> str | None:
    """A run's `data` by what its workers staged: stand-in where any of them trained on a stand-in.

    label: what rank 0 stated when the run began.

    >>> data_label("real", [{"stand_in": False}, {"stand_in": True}])
    'stand-in'
    """
    stand_ins = [one.get("stand_in") for one in data_sets if isinstance(one, Mapping)]
    if label not in ("real", "stand-in") or not {True, False} & set(map(_boolean, stand_ins)):
        return label
    return "stand-in" if any(one is True for one in stand_ins) else "real"


class Agreement:
    """What the processes of one run say of themselves, against what the run has so far.

    code, versions and the label `data` are rank 0's; the data set is that of the first worker that joined,
    before a resume too. when: "refuse" a worker that differs, or "record" it and train.
    """

    def __init__(
        self,
        own: Mapping[str, Any],
        data: str | None = None,
        when: Literal["refuse", "record"] = "refuse",
    ) -> None:
        self.own = {name: own[name] for name in ("code", "versions") if name in own}
        self.data, self.when = data, when
        self.data_set: Mapping[str, Any] | None = None

    def joined(self, facts: Mapping[str, Any]) -> None:
        """A worker is in the run: its data set is that of the run, if it is the first to state one."""
        data_set = facts.get("data_set")
        if self.data_set is None and isinstance(data_set, Mapping):
            self.data_set = data_set

    def admit(self, facts: Mapping[str, Any], who: str) -> str:
        """Why a process with these facts must not train; empty if it may, and it counts as joined then.

        who: begins the message, e.g. "worker 2".
        """
        if not (why := self.refusal(facts, who)):
            self.joined(facts)
        return why

    def refusal(self, facts: Mapping[str, Any], who: str) -> str:
        """`admit`, which nothing remembers."""
        if (readable := _plain(facts)) is None:
            return f"{who}: its facts are not plain JSON of at most {_MOST_BYTES} bytes; mend its stage()."
        if self.when == "record" or not (found := self._differences(readable)):
            return ""
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        fields = "; ".join(map(str, found[:_SHOWN]))
        return (
            f"{who}: {fields}{more}: must be equal in all of a run, so that its trials can be ranked; "
            f"{found[0].remedy}. backend.agreement=record trains all the same and records it."
        )

    def check_label(self, begun: str | None) -> None:
        """On a resume: raise ConfigError where rank 0 sees other data than the run was begun with."""
        if self.when == "refuse" and begun is not None and self.data not in (None, begun):
            raise ConfigError(
                f"data={self.data}: the run was begun on data={begun}; "
                f"{_REMEDIES['data_set']}. backend.agreement=record continues all the same and records it."
            )

    def _differences(self, facts: Mapping[str, Any]) -> list[Difference]:
        reference = {**self.own, "data_set": self.data_set}
        found = differences(facts, reference)
        # A worker of an older version does not say what it is.
        found += [Difference(name, None, self.own[name]) for name in self.own if name not in facts]
        data_set = facts.get("data_set")
        stand_in = data_set.get("stand_in") if isinstance(data_set, Mapping) else None
        # Before any worker joined, rank 0's label is all there is.
        if self.data in ("real", "stand-in") and isinstance(stand_in, bool):
            labelled = self.data == "stand-in"
            if stand_in != labelled and "data_set.stand_in" not in [one.field for one in found]:
                found.insert(0, Difference("data_set.stand_in", stand_in, labelled))
        return found


def is_one_training(facts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all processes of a run, each by its facts, trained by one data set, code and versions.

    >>> is_one_training([{"code": "12"}, {"data_set": None}, {"code": "34"}])
    False
    """
    known: dict[str, Any] = {}
    for one in facts:
        if differences(one, known):
            return False
        # The first to state a thing states it for the run.
        known = {**{k: one[k] for k in _REMEDIES if one.get(k) is not None}, **known}
    return True


def changes(now: Mapping[str, Any], begun: Mapping[str, Any]) -> Sequence[Difference]:
    """Code and versions of a process that resumes a run, where they are not those it was begun with."""
    return [one for one in differences(now, begun) if not one.field.startswith("data_set")]


def _code_differences(code: Any, other: Any) -> list[Difference]:
    if code is None or other is None or code == other:
        return []
    return [Difference("code", code, other)]


def _version_differences(versions: Any, others: Any) -> list[Difference]:
    if not isinstance(versions, Mapping) or not isinstance(others, Mapping):
        return []
    return [
        Difference(f"versions.{name}", version, others[name])
        for name, version in versions.items()
        if name in others and version != others[name]
    ]


def _plain(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The facts as the journal will hold them; None where it cannot."""
    try:
        text = json.dumps(dict(facts), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    plain: Mapping[str, Any] = json.loads(text)
    return plain if len(text) <= _MOST_BYTES else None


def _equal(value: Any, other: Any) -> bool:
    """Equal, and of one type: true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _short(value: Any) -> str:
    """A value of a message: digests by their first twelve digits."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "not stated" if value is None else str(value)
    return f"{text[:12]}..." if len(text) > 40 else text
