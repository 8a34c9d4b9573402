"""What each side ran on, from its records: by name, so that two machines stand beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from suite.compare.comparable import Side
from suite.compare.figures_of_merit import Measured


def machines(side: Side) -> list[str]:
    """Each kind of machine of a side once, in one line, with its number of runs where there are several."""
    return [in_words(kind) for kind in kinds(side)]


def in_words(kind: Mapping[str, str]) -> str:
    """A kind of machine in one line."""
    return "; ".join(_words(*one) for one in kind.items())


def kinds(side: Side) -> list[dict[str, str]]:
    """The same by name, as `facts` has it; where there are several kinds, with the number of runs of each."""
    counted = Counter(tuple(facts(run).items()) for run in side.all())
    if len(counted) == 1:
        return [dict(kind) for kind in counted]
    return [{**dict(kind), "runs": str(n)} for kind, n in counted.items()]


def facts(run: Measured) -> dict[str, str]:
    """Name -> value of one run's machine, as far as its record says; what it does not say is left out."""
    environment = run.record["environment"]
    host: Mapping[str, Any] = environment["host"] or {}
    image: Mapping[str, Any] = environment["image"] or {}
    lives = run.record["workers"]["lives"]
    nodes = {life.get("node") for life in lives} - {None}
    # A worker on a processor calls that its device.
    devices = {
        str(life.get("device_name") or life["device"])
        for life in lives
        if life.get("device") not in (None, "cpu")
    }
    # The digest says which image it is; the label is what people call it.
    digest = str(image.get("digest") or "")
    found = {
        "processor": str(host.get("cpu") or ""),
        "cores": f"{cores['value']:g}" if (cores := host.get("n_cores")) else "",
        "accelerators": ", ".join(sorted(devices)),
        "nodes": str(len(nodes)) if nodes else "",
        "workers": f"{run.record['workers']['joined']['value']:g}",
        "MPI": str(host.get("mpi") or ""),
        "system": str(host.get("os") or ""),
        "image": " ".join(filter(None, (str(image.get("label") or ""), digest[:19]))),
        "versions": ", ".join(f"{k} {v}" for k, v in (environment["versions"] or {}).items()),
        "meter": _meter(run.record["energy"]),
    }
    return {name: value for name, value in found.items() if value}


def _meter(energy: Mapping[str, Any]) -> str:
    """What joules are of: source and scope."""
    if energy["joules"] is None:
        return ""
    return f"{energy['source']} ({energy['scope']})" if energy["scope"] else str(energy["source"])


_AS_THEY_ARE = ("processor", "accelerators", "system", "versions")


def _words(name: str, value: str) -> str:
    if name in _AS_THEY_ARE:
        return value
    if name in ("cores", "nodes", "workers", "runs"):
        return f"{value} {name[:-1] if value == '1' else name}"
    return f"{name} {value}"
