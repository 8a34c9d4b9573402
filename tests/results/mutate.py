"""Every reader on damaged journals and records: tracebacks, hangs, and other results without a word.

    python tests/results/mutate.py RUN_FOLDER [--flips 6000] [--seed 0] [--readers record,verified]

RUN_FOLDER: a completed run with its record.json; it is copied, not changed. Exit code 0: all figures are 0.
The tests run a sample of it (tests/results/test_mutations.py).
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from kit import mutations as m
from suite.compare.__main__ import main as compare
from suite.curves import recorder
from suite.launch import cli
from suite.launch.compose import compose
from suite.report import contents, tables
from suite.report.summary import rows as summary_rows
from suite.results.fold import load_run
from suite.retrain import variability
from suite.run.journal import NAME
from suite.track import rows
from suite.verify.checks import verify
from suite.watch.following import FollowedRun
from suite.watch.frame import frame

JOURNAL_READERS: dict[str, Callable[[Path], str]] = {}
_COMPOSED: dict[tuple[str, ...], dict[str, Any]] = {}


def composed(words: Sequence[str], config_dir: str | Path | None = None) -> dict[str, Any]:
    """`compose`, once for each command line: Hydra would take most of the time."""
    key = (*words, str(config_dir))
    if key not in _COMPOSED:
        _COMPOSED[key] = compose(words, config_dir)
    return copy.deepcopy(_COMPOSED[key])


cli.compose = composed  # type: ignore[attr-defined]


def reader(call: Callable[[Path], str]) -> Callable[[Path], str]:
    JOURNAL_READERS[call.__name__] = call
    return call


@reader
def record(folder: Path) -> str:
    return m.result(folder)


@reader
def report(folder: Path) -> str:
    read = contents.read([folder], None)
    return tables.report_as_text(read) + json.dumps(summary_rows(read.completed), allow_nan=False)


@reader
def track(folder: Path) -> str:
    view = load_run(folder)
    sent = [*rows.run_rows(view, float("-inf"))]
    for trial in view.trials.values():
        sent += rows.trial_rows(view, trial, float("-inf"))
    return f"{rows.run_name(view)}{rows.run_tags(view)}{rows.parameters(view)}{sent}"


@reader
def curves(folder: Path) -> str:
    views = recorder.gather([folder])
    selection = recorder.longest_trainings(views, views[0].header.max_epochs)
    return recorder.package(views, selection, "recorded", True, None).csv


@reader
def retrain(folder: Path) -> str:
    return str(variability._finalists(load_run(folder)))


@reader
def compared(folder: Path) -> str:
    code, text = m.said(lambda: compare([str(folder), str(folder)]))
    return f"{code} {text}"


@reader
def verified(folder: Path) -> str:
    verdict = verify(folder, folder.name)
    return "pass" if verdict.holds else "fail: " + "; ".join(
        check.text for check in verdict.checks if check.status == "fail"
    )  # fmt: skip


@reader
def watched(folder: Path) -> str:
    """What `swiftbench watch` puts onto a terminal."""
    followed = FollowedRun(folder, clock=lambda: 0.0)
    followed.look()
    out = io.StringIO()
    Console(file=out, width=160).print(frame([followed], 160))
    if m.has_control(out.getvalue().replace("\n", "")):
        raise AssertionError("Traceback: a terminal would obey it")
    return out.getvalue()


@reader
def resumed(folder: Path) -> str:
    words = [f"resume={folder}", "backend=inline", "report=false", "tracking=later"]
    code, text = m.said(lambda: cli.main(words))
    return f"{code} {text}"


class Figures:
    """Counts by reader and kind of mutation, and what must not be."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.bad: list[str] = []

    def add(self, reader: str, mutation: m.Mutation, outcome: str) -> None:
        self.counts[mutation.kind, reader, outcome] += 1
        if outcome not in ("refused", "same", "other", "doubted", "caught"):
            self.bad.append(f"{outcome}: {reader}: {mutation.kind}: {mutation.what}")

    def page(self) -> str:
        lines = [f"{'mutation':14} {'reader':10} {'outcome':12} {'n':>7}"]
        lines += [f"{k:14} {r:10} {o:12} {n:7}" for (k, r, o), n in sorted(self.counts.items())]
        return "\n".join([*lines, f"{len(self.bad)} that must not be", *self.bad[:40]])


def journal_mutations(data: bytes, n_flips: int, n_lines: int, seed: int) -> Iterator[m.Mutation]:
    yield from m.deleted_lines(data)
    yield from m.doubled_lines(data)
    yield from m.swapped_lines(data)
    yield from m.flipped_bytes(data, n_flips, seed)
    yield from m.sample(m.line_changes(data), n_lines, seed)


def run(
    base: Path,
    mutations: Iterable[m.Mutation],
    readers: Iterable[str],
    figures: Figures,
    name: str = NAME,
) -> None:
    """Each mutation of the file `name` to each reader."""
    wanted = list(readers)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / base.name
        shutil.copytree(base, folder)
        expected = m.result(folder)
        beside = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        texts = {r: JOURNAL_READERS[r](folder) for r in wanted}
        for mutation in mutations:
            for reader in wanted:
                for other, data in beside.items():
                    (folder / other).write_bytes(data)
                (folder / name).write_bytes(mutation.data)
                outcome = m.outcome(JOURNAL_READERS[reader], folder, texts[reader])
                if reader == "record" and outcome == "other":
                    outcome = "doubted" if load_run(folder).doubts else "SILENT"
                if reader == "verified" and outcome in ("same", "other"):
                    outcome = _verdict(folder, expected, outcome, name == NAME)
                figures.add(reader, mutation, outcome)


def _verdict(folder: Path, expected: str, outcome: str, is_journal: bool) -> str:
    """caught: verify failed. same: it passed, and the record is the undamaged run's, journal and all."""
    if outcome == "other":
        return "caught"
    try:
        unchanged = m.result(folder) == expected
    except Exception:
        unchanged = False
    return "same" if unchanged else "SILENT"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--flips", type=int, default=6000)
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--headers", type=int, default=10**6)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", default=",".join(JOURNAL_READERS))
    parser.add_argument("--without-record", action="store_true", help="no record.json beside")
    given = parser.parse_args()
    readers = given.readers.split(",")
    figures = Figures()
    base = Path(tempfile.mkdtemp()) / "run"
    shutil.copytree(given.run, base)
    if given.without_record:
        (base / "record.json").unlink()
    data = (base / NAME).read_bytes()
    run(base, journal_mutations(data, given.flips, given.lines, given.seed), readers, figures)
    run(base, m.sample(m.header_changes(data), given.headers, given.seed), readers, figures)
    if not given.without_record:
        text = (base / "record.json").read_bytes()
        of_record = [r for r in readers if r != "resumed"]
        changed = m.sample(m.record_changes(text), given.records, given.seed)
        run(base, changed, of_record, figures, "record.json")
    print(figures.page())
    return 1 if figures.bad else 0


if __name__ == "__main__":
    sys.exit(main())
