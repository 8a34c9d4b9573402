"""The files of a board: written beside, then put in the place of an earlier board, and of nothing else."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from suite.check.document import document
from suite.check.findings import Asked
from suite.core.errors import ConfigError
from suite.core.printable import printable
from suite.files import write_whole
from suite.leaderboard.entries import Board
from suite.leaderboard.sections import index
from suite.leaderboard.submission_page import submission_page

VERDICTS = "check.json"
_OURS = re.compile(r"index\.html|check\.json|submission-\d+\.html")


def write(board: Board, to: Path, asked: Asked, *, title: str, label: str = "") -> Path:
    """Write index.html, a page a submission, and check.json (results_schema/check.schema.json) to a folder.

    A reader meets the old board or the new one. Raises ConfigError where the folder holds anything but a
    board, or the disk refuses.
    """
    check_place(to)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".leaderboard-") as beside:
            new = Path(beside) / "new"
            new.mkdir(mode=0o755)
            write_whole(new / "index.html", index(board, asked, title, label))
            for entry in board.entries:
                write_whole(new / entry.page, submission_page(entry))
            said = document([entry.checked for entry in board.entries], asked)
            write_whole(new / VERDICTS, json.dumps(said, indent=1, allow_nan=False) + "\n")
            if to.exists():
                to.rename(Path(beside) / "old")
            new.rename(to)
    except OSError as error:
        raise ConfigError(
            f"to={printable(to)}: cannot be written ({error.strerror or error}); name another folder."
        ) from None
    return to


def check_place(to: Path) -> None:
    """Raise ConfigError where `to` is there and is no board: its files would be lost."""
    if not to.exists() and not to.is_symlink():
        return
    names = [] if to.is_symlink() or not to.is_dir() else [path.name for path in to.iterdir()]
    if VERDICTS not in names or not all(map(_OURS.fullmatch, names)):
        raise ConfigError(
            f"to={printable(to)}: exists and is no leaderboard; name another folder with --to."
        )
