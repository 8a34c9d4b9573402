"""python -m suite.testing GROUP GROUP=NAME: the conformance suite of one plug-in, a line each check."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from suite.core.command import argument_parser, run_command
from suite.core.errors import unknown_name
from suite.testing.base import Conformance
from suite.testing.leaves import COMMANDS, EXAMPLES, KINDS, chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0; 1: a check fails, or the plug-in cannot be made."""
    group, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if group not in KINDS:
        print(unknown_name("group", group, KINDS), file=sys.stderr)
        return 2
    name = f"swiftbench {COMMANDS.get(group, f'check-{group}')}"
    parser = argument_parser("suite.testing", _about(group, name))
    parser.add_argument(
        "overrides", nargs="*", metavar="GROUP=NAME",
        help=f"the plug-in, {group}=NAME, and settings of the configuration; none: all of DIR",
    )  # fmt: skip
    parser.add_argument(
        "--config-dir",
        type=Path,
        metavar="DIR",
        help=f"a folder of YAML files, DIR/{group}/NAME.yaml",
    )
    options = parser.parse_intermixed_args(rest)
    return run_command(
        name,
        lambda: max(map(report, chosen(group, options.overrides, options.config_dir).values())),
    )


def _about(group: str, name: str) -> str:
    width = len(f"{group}=mine --config-dir myconf")
    examples = {
        f"{group}={EXAMPLES[group]}": "one of ours",
        f"{group}=mine --config-dir myconf": "yours, with SUITE_PLUGINS=mypackage",
        "--config-dir myconf": "all of a folder",
    }
    lines = [f"    {name} {words:{width}}    {what}" for words, what in examples.items()]
    return "\n".join(
        [
            f"Does a {group} do what its contract states? The checks that our own pass, a line each.",
            "",
            *lines,
            "",
            "Exit code: 0; 1: a check fails, or the plug-in cannot be made; 2: wrong arguments.",
        ]
    )


def report(suite: type[Conformance]) -> int:
    """Run a conformance suite and print its checks. 1 where one fails."""
    # A joint optimizer is known by its own class.
    leaf = suite.leaf.get("optimizer") or suite.leaf
    print(f"{suite.group} {leaf['_target_']}")
    n_failed = n_checks = 0
    for result in suite.results():
        n_checks += 1
        n_failed += not result.passed
        print(f"{'PASS' if result.passed else 'FAIL'}  {result.check} ({result.time_s:.1f} s)")
        if result.reason:
            print(f"      {result.reason}", flush=True)
    print(f"{n_checks - n_failed} of {n_checks} checks passed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
