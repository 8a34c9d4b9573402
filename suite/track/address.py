"""The address of an MLflow server, and the user and password that it may hold."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from suite.core.errors import ConfigError

VARIABLE = "MLFLOW_TRACKING_URI"
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
# To the last @ of the word: a password may itself hold / or @.
_CREDENTIALS = re.compile(r"(?<=://)\S*@")


class Address(NamedTuple):
    """uri: without credentials. credentials: variables of the environment that MLflow reads them from."""

    uri: str
    credentials: dict[str, str]


def address(uri: str, name: str) -> Address:
    """The parts of an address. name: what it is called in errors.

    Raises ConfigError where it is not http:// or https:// with a host.
    """
    shown = _shown(uri)
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or re.search(r"[\s\x00-\x1f?#]", uri):
        raise ConfigError(
            f"{name}={shown}: must be http://HOST:PORT or https://HOST; a folder is named by "
            "tracking.store (--store, SUITE_STORE)."
        )
    shown = without_credentials(uri)
    given = {USER: parts.username, PASSWORD: parts.password}
    return Address(shown, {key: unquote(text) for key, text in given.items() if text})


def check_without_credentials(uri: str, name: str) -> None:
    """Raise ConfigError for user:password in an address that stands in arguments or in a file."""
    if _shown(uri) != uri:
        raise ConfigError(
            f"{name}={_shown(uri)}: must hold no user or password, for others can read "
            f"them; set {USER} and {PASSWORD}, or {VARIABLE}, in the environment."
        )


def check_folder(folder: str, name: str) -> None:
    """Raise ConfigError for an address where a folder belongs."""
    if "://" in folder:
        instead = "tracking.uri" if name.startswith("tracking.") else "--uri"
        raise ConfigError(
            f"{name}={_shown(folder)}: must be a folder; {instead} names an MLflow server."
        )
    if "\0" in folder:
        raise ConfigError(f"{name}={folder!r}: must be a folder's name; no name holds a NUL.")


def _shown(uri: str) -> str:
    """An address as errors show it: also where it is none, nothing before its last @."""
    scheme, separator, rest = uri.rpartition("://") if "://" in uri else ("", "", uri)
    scheme = scheme if re.fullmatch(r"\w*", scheme) else ""
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def without_credentials(text: str) -> str:
    """A text whose addresses hold no user and no password.

    >>> without_credentials("https://me:secret@mlflow.site/x refused")
    'https://mlflow.site/x refused'
    """
    return _CREDENTIALS.sub("", text)


def server_of_environment() -> str | None:
    """MLFLOW_TRACKING_URI, None where it is not set."""
    return os.environ.get(VARIABLE) or None


def run_table(server: str, experiment: str) -> str:
    """The address of MLflow's table of an experiment's searches: its view for model training, without trials.

    >>> run_table("http://127.0.0.1:5000", "1")
    'http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&searchFilter=tags.%60suite.kind%60%20%3D%20%27run%27'
    """
    query = {"workflowType": "machine_learning", "searchFilter": "tags.`suite.kind` = 'run'"}
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment}/runs?{urlencode(query, quote_via=quote)}"
    )
