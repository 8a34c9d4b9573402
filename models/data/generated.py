"""Sets of generated events: files of a seed, and the manifest that says what they are and are not.

hardware, versions, n, number: tests/benchmarks/pythia_events.py; lineage: models/data/pythia.py and
models/data/pythia_ee.py write such sets. A file is a function of (seed, its number, settings, versions):
neither the number of processes nor an interruption changes a byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from suite.core.errors import ConfigError, DataError
from suite.files import open_regular, read_json, write_whole

MANIFEST = "stand_in.json"
# Events in a file, as in the published sets.
PER_FILE = 100


class Job(NamedTuple):
    """One file that is to be made. number: which of its process."""

    folder: str
    name: str
    process: str
    number: int
    n_events: int
    settings: Mapping[str, Any]


def write_set(
    folder: Path,
    what: str,
    jobs: Sequence[Job],
    make: Callable[[Job], tuple[str, dict[str, Any]]],
    settings: Mapping[str, Any],
    processes: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Every file that is not there and whole, and the manifest, which is returned.

    what: the set in a sentence; make: makes a job's file and returns its name and facts, in `processes`
    processes at once; progress(files done, files) is called after each.
    Raises ConfigError for a folder of other settings, DataError where a process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _manifest(folder, what, settings)
    left = [job for job in jobs if not _whole(folder, manifest, job)]
    done = len(jobs) - len(left)
    progress(done, len(jobs))
    if left:
        for name, facts in _each(left, make, min(processes, len(left))):
            manifest["files"][name] = facts
            _save(folder, manifest)
            done += 1
            progress(done, len(jobs))
    _save(folder, manifest)
    return manifest


def sizes(n_events: int, per_file: int) -> list[int]:
    """Events of each file."""
    return [min(per_file, n_events - first) for first in range(0, n_events, per_file)]


def facts(path: Path, elements: Sequence[int]) -> dict[str, Any]:
    """Of a file that was just written. elements: of each event."""
    return {
        "n_events": len(elements), "n_elements": int(sum(elements)), "sha256": _digest(path),
        "bytes": path.stat().st_size,
    }  # fmt: skip


def _each(
    jobs: Sequence[Job], make: Callable[[Job], tuple[str, dict[str, Any]]], processes: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    if processes == 1:
        yield from map(make, jobs)
        return
    # spawn: a fork of a process that runs threads (MPI, TensorFlow) can hang. No multiprocessing
    # Pool: it waits for ever for a process that was killed.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            for task in as_completed([pool.submit(make, job) for job in jobs]):
                yield task.result()
        except BrokenProcessPool:
            raise DataError(
                f"processes={processes}: one was killed (memory?); run again with fewer: files "
                "that are whole are kept."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _manifest(folder: Path, what: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    new = {"stand_in": True, "what": what, "settings": dict(settings), "files": {}}
    try:
        manifest: dict[str, Any] = read_json(folder / MANIFEST, max_bytes=1 << 26)
    except (FileNotFoundError, ValueError):
        return new
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return new
    written = manifest.get("settings") or {}
    differ = [k for k in settings if written.get(k) != settings[k] and settings[k] is not None]
    if differ:
        raise ConfigError(
            f"--to {folder}: holds events of other settings ({MANIFEST}: {', '.join(differ)}); "
            "take another folder."
        )
    return manifest


def _save(folder: Path, manifest: Mapping[str, Any]) -> None:
    files = dict(sorted(manifest["files"].items()))
    text = json.dumps({**manifest, "files": files}, indent=1) + "\n"
    write_whole(folder / MANIFEST, text, below=folder)


def _whole(folder: Path, manifest: Mapping[str, Any], job: Job) -> bool:
    known = manifest["files"].get(job.name)
    path = folder / job.name
    if not known or known["n_events"] != job.n_events or not path.is_file():
        return False
    return bool(_digest(path) == known["sha256"])


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
