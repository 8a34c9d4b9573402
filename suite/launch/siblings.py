"""What runs of one experiment must agree in, looked for in a few of them."""

from __future__ import annotations

import os
from pathlib import Path

from suite.core.errors import ConfigError, JournalError
from suite.core.printable import printable
from suite.core.run_settings import RunSettings
from suite.core.settings import shown
from suite.run import journal as journals

LOOKED_AT = 32
"""Siblings whose headers are read. Each of them was compared in the same way when it began."""


def check_overlap(settings: RunSettings, folder: Path) -> None:
    """Runs of one experiment (one sweep's folder) must agree in `overlap`, or the comparison compares two
    things.

    At most LOOKED_AT siblings are read, spread evenly over their names: a sweep of thousands would read
    millions of headers. One that cannot be read is left to the report. Raises ConfigError.
    """
    if settings.compare_across_overlap:
        return
    try:
        names = sorted(name for name in os.listdir(folder.parent) if name != folder.name)
    except OSError:
        return
    step = max(len(names) / LOOKED_AT, 1.0)
    for name in [names[int(i * step)] for i in range(min(len(names), LOOKED_AT))]:
        path = folder.parent / name / journals.NAME
        try:
            other = journals.read_header(path).get("overlap")
        except JournalError:
            continue
        # Logical overlap counts as overlap.
        if other is not None and bool(other) != bool(settings.overlap):
            raise ConfigError(
                f"overlap={shown(settings.overlap)}: run {printable(name)} of this experiment has "
                f"overlap={printable(shown(other), most=60)}; "
                "use the same, or compare_across_overlap=true."
            )
