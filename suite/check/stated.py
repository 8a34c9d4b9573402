"""A header as a stranger wrote it, key by key, to be compared with what the checker's own parts say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one: a stranger's file may hold anything."""
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True)
class Stated:
    """Mappings are empty where the header has none, or something else there; other values are of any type.

    plain: the configuration. target_data: the label of the data. image: its digest.
    """

    command: tuple[str, ...] | None
    choices: Mapping[str, Any]
    plain: Mapping[str, Any]
    model: Mapping[str, Any]
    predictor: Mapping[str, Any]
    budget: Mapping[str, Any]
    target_data: Any
    suite_version: Any
    code: Any
    versions: Mapping[str, Any]
    revision: Any
    image: Any
    n_workers: Any

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Stated:
        plain, words = mapping(header.get("config")), header.get("command")
        return cls(
            command=tuple(map(str, words)) if isinstance(words, list) else None,
            choices=mapping(header.get("choices")),
            plain=plain,
            model=mapping(plain.get("model")),
            predictor=mapping(plain.get("predictor")),
            budget=mapping(plain.get("budget")),
            target_data=mapping(header.get("target")).get("data"),
            suite_version=header.get("suite_version"),
            code=header.get("code"),
            versions=mapping(header.get("versions")),
            revision=mapping(header.get("git")).get("revision"),
            image=mapping(header.get("image")).get("digest") or None,
            n_workers=header.get("n_workers"),
        )
