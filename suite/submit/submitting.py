"""From run folders to a submission: a folder, and its archive."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import __version__
from suite.annealing.recordings import FILE as SAMPLES
from suite.core.errors import ConfigError, DataError
from suite.core.printable import printable
from suite.files import read_bytes, write_whole
from suite.results.find import natural, require_runs
from suite.results.privacy import clean
from suite.run.secrets import check_configuration, check_text
from suite.submit import package
from suite.submit.archive import SUFFIX, write_archive
from suite.submit.schemas import check_document
from suite.submit.signature import sign
from suite.submit.system import read_system
from suite.submit.travelling import Travelling, pack_run

_REPORT = ("report.html", "report.md", "summary.json")
_MOST = 2**26


@dataclass(frozen=True)
class Wanted:
    """What a submission says besides its runs. sign: a private key; None: it is not signed."""

    system: Path
    to: Path
    division: str = "open"
    level: str | None = None
    site: str | None = None
    contact: str | None = None
    accounting: Path | None = None
    sign: Path | None = None


@dataclass(frozen=True)
class Submitted:
    """folder, archive: what was written. n_cleaned: lines of journals in which a name was replaced."""

    folder: Path
    archive: Path
    n_runs: int
    n_cleaned: int


def submit(folders: Sequence[Path], wanted: Wanted) -> Submitted:
    """Pack every run at or below the folders. Nothing is left behind where it fails.

    The same runs, system and words give the same bytes, on one machine and account, whose names are cleaned
    out. Raises ConfigError: no run, a run that has not ended, two runs of one id, what looks like a secret,
    a folder that exists; JournalError, DataError.
    """
    runs = require_runs(folders)
    system = read_system(wanted.system)
    words = {"site": wanted.site, "contact": wanted.contact, "level": wanted.level}
    check_configuration(words)
    _check_name("to", wanted.to)
    archive = wanted.to.with_name(wanted.to.name + SUFFIX)
    for path in (wanted.to, archive):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"to={printable(path.name)}: exists; name another with --to.")
    wanted.to.parent.mkdir(parents=True, exist_ok=True)
    # Beside, then renamed: a submission is whole, or not there.
    with tempfile.TemporaryDirectory(dir=wanted.to.parent, prefix=".submit-") as beside:
        folder = Path(beside) / wanted.to.name
        packed = _runs(runs, folder)
        write_whole(folder / package.SYSTEM, package.dumps(system))
        _extras(folders, wanted, folder)
        files = [
            {"path": path, "bytes": size, "sha256": package.digest_of(folder / path, folder)}
            for path, size in package.files_of(folder).items()
        ]
        document = _first(packed, wanted, files)
        check_document(document, package.SCHEMA, package.NAME)
        write_whole(folder / package.NAME, package.dumps(document))
        if wanted.sign is not None:
            sign(folder / package.NAME, wanted.sign)
        write_archive(folder, Path(beside) / archive.name)
        (Path(beside) / archive.name).rename(archive)
        folder.rename(wanted.to)
    return Submitted(wanted.to, archive, len(packed), sum(one.n_cleaned for one in packed.values()))


def _runs(runs: Sequence[Path], folder: Path) -> dict[str, Travelling]:
    """Folder in the submission -> the run that was packed there."""
    names = _names(runs)
    packed: dict[str, Travelling] = {}
    known: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: natural(names[run])):
        place = f"runs/{names[run]}"
        one = packed[place] = pack_run(run, folder / place)
        if (other := known.setdefault(one.run_id, place)) != place:
            raise ConfigError(
                f"{printable(place)}: run_id={printable(one.run_id)} is that of {printable(other)} too; one "
                "run is submitted once."
            )
        if (run / SAMPLES).is_file():
            text = read_bytes(run / SAMPLES, max_bytes=_MOST)
            check_text(SAMPLES, text.decode(errors="replace"))
            write_whole(folder / place / SAMPLES, text)
    return packed


def _names(runs: Sequence[Path]) -> dict[Path, str]:
    """A name for each run: its folder's, with its parent's before it where two are alike."""
    counts = Counter(run.name for run in runs)
    names = {
        run: run.name if counts[run.name] == 1 else f"{run.parent.name}-{run.name}" for run in runs
    }
    for run, name in names.items():
        _check_name("run", run.with_name(name))
    of: dict[str, Path] = {}
    for run, name in names.items():
        if (other := of.setdefault(name, run)) != run:
            raise ConfigError(
                f"runs: {printable(run)} and {printable(other)} would both be runs/{printable(name)}; "
                "if one is a copy of the other, name the run once, else rename a folder."
            )
    return names


def _check_name(key: str, path: Path) -> None:
    try:
        package.check_path(path.name)
    except DataError:
        raise ConfigError(
            f"{key}={printable(path.name)}: must be a name of letters, digits, . _ + - that begins with a "
            "letter, a digit or _; name another, of a copy of the run where it is a run's."
        ) from None


def _extras(folders: Sequence[Path], wanted: Wanted, folder: Path) -> None:
    """The report of a sweep, and the batch system's accounting."""
    reports = [one / "report" for one in folders if (one / "report").is_dir()]
    for report in reports[:1]:
        for name in _REPORT:
            if (report / name).is_file():
                write_whole(folder / "report" / name, read_bytes(report / name, max_bytes=_MOST))
    if wanted.accounting is not None:
        try:
            text = read_bytes(wanted.accounting, max_bytes=2**20).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"accounting={printable(wanted.accounting)}: cannot be read ({type(error).__name__}); "
                "name the output of sacct (docs/submissions.md)."
            ) from None
        write_whole(folder / package.ACCOUNTING, clean(text))


def _first(
    packed: dict[str, Travelling], wanted: Wanted, files: list[dict[str, Any]]
) -> dict[str, Any]:
    images = {(one.record["environment"]["image"] or {}).get("digest") for one in packed.values()}
    return {
        "schema_version": package.VERSION,
        "suite_version": __version__,
        **{
            key: value
            for key, value in dataclasses.asdict(wanted).items()
            if key in ("division", "level", "site", "contact")
        },
        "image": images.pop() if len(images) == 1 else None,
        "runs": [
            {
                "folder": place,
                "run_id": one.run_id,
                "journal_sha256": one.sha256,
                "original_sha256": one.original_sha256,
            }
            for place, one in packed.items()
        ],
        "files": files,
    }
