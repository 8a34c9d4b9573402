"""system.yaml: the machine that runs were made on, as its owner describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.files.yaml_files import read_yaml
from suite.results.privacy import clean
from suite.run.secrets import check_configuration
from suite.submit.schemas import check_document

SCHEMA = "system.schema.json"


def read_system(path: Path) -> dict[str, Any]:
    """The description, checked by results_schema/system.schema.json.

    Raises ConfigError for a file that cannot be read, no YAML, a doubled, unknown or missing key, a value of
    another type, and for what looks like a secret, a path, a user or a host of this machine.
    """
    # Imported here: a checker reads the packed system.json, and no YAML.
    import yaml

    name = printable(path.name)
    if not path.exists():
        raise ConfigError(
            f"system={printable(path)}: cannot be read: no such file; name a system.yaml "
            "(docs/submissions.md has one)."
        )
    try:
        document = yaml.safe_load(read_yaml(path)) or {}
    except (yaml.YAMLError, ValueError) as error:
        # The loader's own conversions: 2026-13-01 is a date to it.
        why = printable(getattr(error, "problem", None) or error, most=200)
        raise ConfigError(f"{name}: {why}; write the value in quotes.") from None
    check_document(document, SCHEMA, name)
    check_configuration(document)
    for key, value in document.items():
        if clean(value) != value:
            raise ConfigError(
                f"{name}: {printable(key)}: names a path, a user or a host of this machine; a submission is "
                "read by strangers. Leave it out."
            )
    return dict(document)
