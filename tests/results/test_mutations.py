"""Damaged journals and records: no reader ends in a traceback or a hang, or gives another result in silence.

A sample of what tests/results/mutate.py counts.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from kit import mutations as m
from kit.driving import compose
from suite.core.run_settings import RunSettings
from suite.launch import execute
from suite.results import record as records
from suite.run.journal import NAME

SEED = 13
READERS = ("record", "track", "curves", "retrain")


def _tool():
    """The command beside this file."""
    spec = importlib.util.spec_from_file_location("mutate", Path(__file__).with_name("mutate.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutate = _tool()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A completed run of some twenty lines, with its record."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ("model=table_target", "max_epochs=3", "eta=2", "backend=inline", "name=mutated")
    assert execute.run(RunSettings.of(compose(*words)), folder).status == "completed"
    return folder


def figures(base, mutations, readers, name=NAME):
    counted = mutate.Figures()
    mutate.run(base, mutations, readers, counted, name)
    return counted


def orders(data):
    return [*m.deleted_lines(data), *m.doubled_lines(data), *m.swapped_lines(data)]


def test_lines_that_are_missing_doubled_or_moved_give_no_silent_other_record(run):
    """On 0e27403: 35 of 56 gave another record without a word."""
    found = figures(run, orders((run / NAME).read_bytes()), ["record"])
    assert not found.bad


def test_verify_catches_them_by_the_replay_alone(run, tmp_path):
    base = tmp_path / "run"
    base.mkdir()
    (base / NAME).write_bytes((run / NAME).read_bytes())
    found = figures(base, orders((run / NAME).read_bytes()), ["verified"])
    assert not found.bad


def test_flipped_bytes_give_no_silent_other_record(run):
    data = (run / NAME).read_bytes()
    assert not figures(run, m.flipped_bytes(data, 60, SEED), ["record"]).bad


@pytest.mark.parametrize("kind", [m.header_changes, m.line_changes])
def test_values_of_other_types_and_sizes_are_refused_by_every_reader(run, kind):
    data = (run / NAME).read_bytes()
    assert not figures(run, m.sample(kind(data), 30, SEED), READERS).bad


def test_verify_catches_changed_headers_and_lines(run):
    data = (run / NAME).read_bytes()
    changed = [
        *m.sample(m.header_changes(data), 25, SEED),
        *m.sample(m.line_changes(data), 25, SEED),
    ]
    assert not figures(run, changed, ["verified"]).bad


def test_verify_catches_changed_records(run):
    data = (run / records.NAME).read_bytes()
    found = figures(run, m.sample(m.record_changes(data), 12, SEED), ["verified"], records.NAME)
    assert not found.bad


def test_a_resume_of_a_changed_header_says_what_is_wrong(run):
    """On 0e27403: 409 of 2,426 tracebacks."""
    data = (run / NAME).read_bytes()
    assert not figures(run, m.sample(m.header_changes(data), 25, SEED), ["resumed"]).bad


def test_the_report_reads_what_can_be_read(run):
    data = (run / NAME).read_bytes()
    changed = [
        *m.sample(m.header_changes(data), 15, SEED),
        *m.sample(m.line_changes(data), 15, SEED),
    ]
    assert not figures(run, changed, ["report", "compared"]).bad


def test_a_watched_run_is_shown_or_unreadable(run):
    data = (run / NAME).read_bytes()
    changed = [
        *orders(data),
        *m.flipped_bytes(data, 30, SEED),
        *m.sample(m.header_changes(data), 40, SEED),
        *m.sample(m.line_changes(data), 40, SEED),
    ]
    assert not figures(run, changed, ["watched"]).bad
