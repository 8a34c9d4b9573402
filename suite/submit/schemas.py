"""Documents checked against the schemas of results_schema/, in the words of the suite's errors."""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any

from suite.core.errors import ConfigError, close_name
from suite.core.printable import printable
from suite.run.paths import SCHEMAS

_MOST_ERRORS = 50


def check_document(document: Any, schema: str, what: str) -> None:
    """Raise ConfigError, naming the place, where a document does not follow results_schema/`schema`.

    what: the document's name, for the error.
    """
    from jsonschema.exceptions import best_match

    # Of a file full of errors some are enough: each one takes its time.
    errors = list(itertools.islice(_validator(schema).iter_errors(document), _MOST_ERRORS))
    for error in errors:
        if error.validator == "additionalProperties" and isinstance(error.instance, dict):
            known = error.schema["properties"]
            name = next(key for key in error.instance if key not in known)
            place = printable(error.json_path[1:].lstrip("."), most=200)
            within = f" in {place}" if place else ""
            hint = close_name(printable(name, most=200), known)
            raise ConfigError(
                f"{what}: {printable(name, most=60)}: unknown key{within}; known are "
                f"{', '.join(sorted(known))}.{hint}"
            )
    if (error := best_match(errors)) is not None:
        at = printable(error.json_path[1:].lstrip("."), most=200)
        raise ConfigError(f"{what}: {_said(error, at)} (results_schema/{schema}).")


_KINDS = {
    "string": "text; write it in quotes",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list; write it in [ ]",
    "object": "a mapping; write it as key: value",
    "boolean": "true or false",
    "null": "null",
}
_RULES = {
    "enum": lambda rule: f"one of {', '.join(map(str, rule))}",
    "const": lambda rule: f"{rule}",
    "minimum": lambda rule: f"{rule} or more",
    "maximum": lambda rule: f"{rule} or less",
    "exclusiveMinimum": lambda rule: f"more than {rule}",
    "minLength": lambda rule: f"of {rule} or more characters",
    "maxLength": lambda rule: f"of at most {rule} characters",
    "minItems": lambda rule: f"a list of {rule} or more",
    "maxItems": lambda rule: f"a list of at most {rule}",
    "maxProperties": lambda rule: f"a mapping of at most {rule} keys",
    "pattern": lambda rule: f"of the form {rule}",
}
"""Kind of a schema's rule -> what a value must be."""


def _said(error: Any, at: str) -> str:
    """One error in the form of the suite's: name = value, rule. at: the place in the document."""
    kind, rule, value = error.validator, error.validator_value, error.instance
    if kind == "required":
        name = next(key for key in rule if key not in value)
        return f"{at}{at and '.'}{name}: missing; it must be there"
    shown = printable(json.dumps(value, ensure_ascii=False, default=str), most=80)
    if kind == "type":
        must = " or ".join(_KINDS[one] for one in ([rule] if isinstance(rule, str) else rule))
    elif kind in _RULES:
        must = _RULES[kind](rule)
    else:
        return f"{at}={shown}: {printable(error.message, most=200)}"
    return f"{at or 'the document'}={shown}: must be {must}"


@functools.cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads((SCHEMAS / schema).read_text(encoding="utf-8")))
