"""Data, versions and image: whether a run was trained on what it says, by what it says."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from suite import __version__
from suite.check.findings import Finding, Read, failed, passed, skipped, unprovable
from suite.check.stated import mapping
from suite.core import types as t
from suite.run.agreement import DATA_FIELDS, Difference, data_differences
from suite.run.paths import CONF
from suite.worker import facts

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def data(read: Read) -> Finding:
    """The rule `data`."""
    for wrong in _data(read):
        return wrong
    label = read.view.header.target.data
    named = {str(mapping(one).get("name")) for _, one in _staged(read)}
    if not read.real:
        return passed("data", f"{label}: see values")
    unknown = sorted(named - known_data().keys())
    if not named or unknown:
        which = ", ".join(unknown) or "a data set that no worker named"
        if read.division == "closed" and not read.asked.retrain:
            return skipped(
                "data", f"no digest of {which} is known here (conf/known_data.yaml): the closed division "
                "needs --retrain, which stages the checker's own data"
            )  # fmt: skip
        return unprovable(
            "data", f"{label}, one data set in all of the run; no digest of {which} is known here "
            "(conf/known_data.yaml): --retrain stages it"
        )  # fmt: skip
    return passed(
        "data", f"{label}: {', '.join(named)}, its digest and its split are the known ones"
    )


def _staged(read: Read) -> list[tuple[int, Any]]:
    return [
        (number, line["facts"]["data_set"])
        for number, line in read.numbered()
        if line["event"] == t.WorkerJoined.kind and line["facts"].get("data_set")
    ]


def _data(read: Read) -> Iterator[Finding]:
    label = read.stated.target_data
    parts = read.replayed.parts
    if parts is not None and label is not None:
        ours, either = parts.target.data, ("real", "stand-in")
        if label != ours and not (label in either and ours in either):
            yield failed("data", f"target.data={label}: this target's data are {ours}", 1)
    if read.division == "closed" and "stand-in" in (label, read.view.header.target.data):
        yield failed("data", "a stand-in in the place of the data set; not in the closed division")
    staged = _staged(read)
    for number, one in staged:
        if found := data_differences(one, staged[0][1]):
            yield failed("data", f"{_of(found[0])}: as in no other part of the run", number)
        known = known_data().get(str(mapping(one).get("name")))
        if read.real and known is not None and (found := data_differences(one, known)):
            yield failed("data", f"{_of(found[0])}: the data set of this name has another", number)
        split, whole = (mapping(one).get(key) for key in ("split_sha256", "sha256"))
        if read.real and (split is None or whole is None):
            yield failed("data", "data_set: has no digest of the data, or of the split", number)
    if read.real and not staged:
        yield failed("data", "no worker says which data it trained on")
    yield from _selected_on_test(read)


def _of(difference: Difference) -> str:
    value = difference.value
    return f"{difference.field}={value[:16] if isinstance(value, str) else value}"


def _selected_on_test(read: Read) -> Iterator[Finding]:
    """Two splits of real data do not give one number to all its digits."""
    if not read.real or read.view.winner is None or read.view.test_value is None:
        return
    last = read.view.trials[read.view.winner].epochs[-1]
    if read.view.value(last.objective) == read.view.test_value:
        number = next(n for n, line in read.numbered() if line["event"] == t.Scored.kind)
        yield failed(
            "data", f"the winner has {read.view.test_value!r} on the validation and on the test split: it "
            "was selected on the data that it is tested on", number
        )  # fmt: skip


@functools.cache
def known_data() -> Mapping[str, Mapping[str, Any]]:
    """Name of a data set -> what is known of it (suite.run.agreement.DATA_FIELDS)."""
    document = yaml.safe_load((CONF / "known_data.yaml").read_text(encoding="utf-8"))
    return {
        one["name"]: {key: one.get(key) for key in DATA_FIELDS} for one in document["data_sets"]
    }


def versions(read: Read) -> Finding:
    """The rule `versions`."""
    stated = read.stated.suite_version
    if stated != __version__:
        return skipped(
            "versions", f"suite_version={stated}, here {__version__}: check with that version, pip install "
            f"swiftbench=={stated}, or in an image that you trust"
        )  # fmt: skip
    named = read.stated.versions.get("suite", stated)
    if named != stated:
        return failed("versions", f"versions.suite={named}, but suite_version={stated}", 1)
    for number, line in read.numbered():
        theirs = line.get("facts") if line["event"] == t.WorkerJoined.kind else line.get("process")
        for key in ("code", "versions"):
            was, now = getattr(read.stated, key) or None, mapping(theirs).get(key)
            differs = was != now if key == "code" else _other(was, now)
            if was is not None and now is not None and differs:
                if line["event"] == t.WorkerJoined.kind:
                    return failed("versions", f"{key}: a worker's is not the run's", number)
                return unprovable("versions", f"line {number}: resumed by other {key}")
    revision = read.stated.revision
    by = f"revision {str(revision)[:12]}" if revision else f"swiftbench {stated}"
    parts, code = read.replayed.parts, read.stated.code
    if code is None or parts is None or code != facts.code(parts.target):
        return unprovable(
            "versions", f"{by}: other sources than here trained it (code={code}): check with those to "
            "compare them; every decision was taken again by the sources here"
        )  # fmt: skip
    return passed("versions", f"{by}, the sources are those here (code={code})")


def _other(was: Any, now: Any) -> bool:
    was, now = mapping(was), mapping(now)
    return any(was[key] != now[key] for key in was.keys() & now.keys())


def image(read: Read) -> Finding:
    """The rule `image`."""
    stated = read.stated.image
    for number, line in read.numbered():
        if line["event"] == t.Resumed.kind:
            now = mapping(mapping(line.get("process")).get("image")).get("digest") or None
            if now != stated:
                return failed("image", f"image.digest={now}: the run was begun in {stated}", number)
    wanted = read.asked.image
    if wanted is not None and stated != wanted:
        return failed("image", f"image.digest={stated}: must be {wanted}", 1)
    if stated is None:
        return unprovable("image", "none: the run ran in no image that says its digest")
    if not _DIGEST.fullmatch(str(stated)):
        return failed(
            "image", f"image.digest={stated}: must be sha256: and 64 hexadecimal digits", 1
        )
    return unprovable("image", f"{stated}, as rank 0 said; that it ran in it, no journal shows")
