"""system.yaml: the machine that runs were made on, as its owner describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.files import UnsafeFileError, read_text
from suite.results.privacy import clean
from suite.run.secrets import check_configuration
from suite.submit.schemas import check_document

SCHEMA = "system.schema.json"
MAX_BYTES = 2**18
"""Of a description; real ones have some hundred bytes."""


def read_system(path: Path) -> dict[str, Any]:
    """The description, checked by results_schema/system.schema.json.

    Raises ConfigError for a file that cannot be read, another type, an unknown or missing key, and for what
    looks like a secret, a path, a user or a host of this machine.
    """
    import yaml

    name = printable(path.name)
    try:
        document = yaml.safe_load(read_text(path, max_bytes=MAX_BYTES))
    except OSError as error:
        raise ConfigError(
            f"system={printable(path)}: cannot be read ({error.strerror}); name a system.yaml "
            "(docs/submissions.md has one)."
        ) from None
    except UnsafeFileError as error:
        raise ConfigError(printable(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = printable(str(error).split("\n")[0], most=200)
        raise ConfigError(f"{name}: is no YAML: {why}; mend it.") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{name}: must be a mapping; docs/submissions.md has an example.")
    check_document(document, SCHEMA, name)
    check_configuration(document)
    for key, value in document.items():
        if clean(value) != value:
            raise ConfigError(
                f"{name}: {printable(key)}: names a path, a user or a host of this machine; a submission is "
                "read by strangers. Leave it out."
            )
    return dict(document)
