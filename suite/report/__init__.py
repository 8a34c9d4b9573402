"""Tables, statistics, figures and one page from run folders. Reads journals only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.core.errors import unknown_name
from suite.report import contents, tables
from suite.report import summary as summary_json
from suite.report.contents import Report
from suite.report.output import make_output, write_file
from suite.report.statistics import Margin
from suite.results.find import common_parent

FORMATS = ("html", "md", "png")

__all__ = ["FORMATS", "summary", "write", "write_report"]


def write(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    margin: Margin | None = None,
    baseline: str | None = None,
    formats: Sequence[str] = FORMATS,
) -> Path:
    """Report on every run at or below `folders`; returns the folder it was written to.

    out: default `report` in the folders' common parent; margin: of equivalence in quality (default
    5 % of the baseline's median best value); baseline: the algorithm that others are compared with (default:
    plain Hyperband); formats: of html, md, png (figures are always drawn).
    Every file is written whole; a link called `report` in the common parent is not followed.

    Raises ConfigError where there is no run, or none of that baseline, for an unknown format, or where `out`
    cannot be written; JournalError where no run can be read; UnsafeFileError where `report` is a link or no
    folder.
    """
    _check_formats(formats)
    return write_report(contents.read(folders, margin, baseline), folders, out, formats=formats)[0]


def write_report(
    report: Report,
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    formats: Sequence[str] = FORMATS,
) -> tuple[Path, Sequence[str]]:
    """As `write`, of what was read already: the folder, and a line for each part that could not be made."""
    _check_formats(formats)
    top = common_parent(folders)
    out, below = (out, None) if out is not None else (top / "report", top)
    make_output(out, below)
    write_file(out / summary_json.NAME, summary_json.as_json(report.completed))
    report = contents.drawn(report, out)
    if "md" in formats:
        write_file(out / "report.md", tables.report_as_markdown(report))
    if "html" in formats:
        from suite.report.html import page

        write_file(out / "report.html", page(report, out))
    return out, report.failures


def _check_formats(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, (*FORMATS, "text"))


def summary(
    folders: Sequence[Path], *, margin: Margin | None = None, baseline: str | None = None
) -> str:
    """The comparisons as plain text for a terminal.

    Raises ConfigError where there is no run, or none of that baseline, JournalError where none can be read.
    """
    return tables.report_as_text(contents.read(folders, margin, baseline))
