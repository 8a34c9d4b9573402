"""Hydra's and OmegaConf's errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from suite.core.errors import ConfigError, unknown_name
from suite.launch.compose.interpolations import bounded_interpolations, too_much
from suite.run.paths import CONF

# Hydra's words for a list where one run takes one value.
_SEVERAL = re.compile(r"Ambiguous value for argument '(.*?)'\s")
# OmegaConf's words for an interpolation of what is not there.
_NOT_SET = re.compile(r"Interpolation key '([^']+)' not found")


@contextmanager
def refusals() -> Iterator[None]:
    """Hydra's and OmegaConf's errors as ConfigError, in one line."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with bounded_interpolations():
            yield
    except MissingConfigException as error:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group and error.options:
            raise unknown_name(group, name, error.options) from None
        raise ConfigError(_one_line(error)) from None
    except OverrideParseException as error:
        raise ConfigError(
            f"{error.override}: is no override (key=value); put values with other characters than letters, "
            f"digits and ._-+%@: into quotes, {str(error.override).partition('=')[0]}='\"...\"'."
        ) from None
    except (HydraException, OmegaConfBaseException) as error:
        if listed := _SEVERAL.search(str(error)):
            raise ConfigError(
                f"{listed[1]}: names several values, and one run takes one; put -m into the command for a "
                "sweep over them."
            ) from None
        # OmegaConf repeats our words once for each string that the value stands in.
        words = too_much() if too_much() in str(error) else _unset(error) or _one_line(error)
        raise ConfigError(words) from None
    except RecursionError:
        raise ConfigError(
            "configuration: nests too deeply, or an interpolation ${...} refers to itself; "
            "write the value out."
        ) from None


def _unset(error: BaseException) -> str | None:
    """What is wrong where a setting takes its value from one that no YAML file sets; None: another error."""
    missing = _NOT_SET.search(str(error))
    if missing is None:
        return None
    group, _, key = missing[1].partition(".")
    where = f"the YAML file of your {group}" if (CONF / group).is_dir() else "a YAML file"
    shown = f", as the files of conf/{group} do" if (CONF / group).is_dir() else ""
    return (
        f"{missing[1]}: {getattr(error, 'full_key', '')} takes its value from it, and no YAML file sets it; "
        f"set {key or group} in {where}{shown}."
    )


def _one_line(error: BaseException) -> str:
    causes = [str(error), str(error.__cause__ or "")]
    lines = [line.strip() for text in causes for line in text.splitlines() if line.strip()]
    text = " ".join(line for line in lines if not line.startswith(("full_key", "object_type")))
    key = getattr(error, "full_key", None)
    return f"{key}: {text}" if key and str(key) not in text else text
