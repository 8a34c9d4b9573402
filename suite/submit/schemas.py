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
        place = f" {at}:" if at else ""
        said = printable(error.message, most=300)
        raise ConfigError(f"{what}:{place} {said}; must follow results_schema/{schema}.")


@functools.cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads((SCHEMAS / schema).read_text(encoding="utf-8")))
