"""The options of a command line of runs, beside its overrides (group=option, key=value)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from suite.core.command import argument_parser


@dataclass(frozen=True)
class Options:
    """overrides: every word that is no option. page: --cfg, --info or the like, which Hydra prints."""

    overrides: list[str]
    config_dir: str | None
    multirun: bool
    help: bool
    page: bool


def parsed_options(arguments: Sequence[str]) -> Options:
    """The options of `arguments`. Leaves by SystemExit (2) where one is wrong, with a line that says so."""
    parser = argument_parser("suite", None, add_help=False)
    for names in (
        ("--help", "-h"), ("--multirun", "-m"), ("--run", "-r"), ("--resolve",), ("--hydra-help",),
        ("--shell-completion", "-sc"),
    ):  # fmt: skip
        parser.add_argument(*names, action="store_true")
    parser.add_argument("--config-dir", "-cd", metavar="DIR")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
    parser.add_argument("--package", "-p")
    parser.add_argument("--info", "-i", const="all", nargs="?")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_intermixed_args(list(arguments))
    return Options(
        given.overrides, given.config_dir, given.multirun, given.help, _asks_hydra(given)
    )


def _asks_hydra(given: argparse.Namespace) -> bool:
    return bool(given.hydra_help or given.cfg or given.info or given.shell_completion)
