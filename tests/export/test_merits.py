"""Figures of merit as lines: of valid runs alone, and what is said of the others."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from kit.submissions import run
from suite.check.levels import Level
from suite.core.errors import ConfigError
from suite.export import merits
from suite.export.__main__ import main
from suite.export.valid import InvalidRunError, valid_runs
from suite.results.record import NAME as RECORD
from suite.run.journal import NAME as JOURNAL

WORDS = ("model=table_target", "algorithm=hyperband", "max_epochs=4", "overlap=false", "backend=simulate",
         "backend.workers=2")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        run(folder / f"seed{seed}", (*WORDS, f"seed={seed}"))
    return folder


@pytest.fixture
def runs(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


@pytest.fixture
def level(monkeypatch):
    small = Level("small", "", ("-m", *WORDS, "seed=0,1"), 5.0, 2, {"hyperband": 1e6})
    for name in ("suite.check.configuration", "suite.check.run", "suite.export.valid"):
        monkeypatch.setattr(f"{name}.levels", lambda: {"small": small})
    return small


def refused(capsys, *words):
    """What was said on stderr; nothing is printed else."""
    assert main(["merits", *map(str, words)]) == 1
    out, err = capsys.readouterr()
    assert not out
    return err


def test_lines_hold_the_numbers_of_the_records(runs, capsys):
    assert main(["merits", str(runs), "--target", "5"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "valid 2 of 2 runs"
    assert "note hyperband 1 SIMULATED TIME, SYNTHETIC DATA" in said
    records = [json.loads((runs / f"seed{n}" / RECORD).read_text()) for n in (0, 1)]
    walls = [record["time"]["wall"]["value"] for record in records]
    seconds = [line for line in said if re.match(r"merit hyperband \d seconds ", line)]
    found = [float(line.split()[4]) for line in seconds]
    assert found == pytest.approx(walls)
    (median,) = (line for line in said if line.startswith("median hyperband seconds "))
    assert float(median.split()[3]) == pytest.approx(sum(walls) / 2)
    assert median.endswith(f" s n=2 low={min(walls):.9g} high={max(walls):.9g}")
    assert all(len(line.split()) == 6 for line in said if line.startswith("merit "))


def test_a_target_that_was_not_reached_is_inf_and_one_that_is_not_set_has_no_line(runs, capsys):
    assert main(["merits", str(runs), "--target", "-1"]) == 0
    assert (
        "median hyperband seconds_to_target inf s n=2 low=inf high=inf" in capsys.readouterr().out
    )
    assert main(["merits", str(runs)]) == 0
    assert "to_target" not in capsys.readouterr().out


def test_words_hold_no_blanks():
    assert merits._word("GeV per cell") == "GeV_per_cell" and merits._word("") == "1"


def test_all_runs_of_a_level_are_scored(runs, level, capsys):
    assert main(["merits", str(runs), "--level", "small"]) == 0
    assert float(re.search(r"^score small (\S+)$", capsys.readouterr().out, re.M)[1]) > 1


def test_a_level_without_one_of_its_seeds_or_with_one_twice_is_refused(runs, level, capsys):
    shutil.copytree(runs / "seed0", runs / "again")
    said = refused(capsys, runs, "--level", "small")
    assert "not the runs of level small" in said and "hyperband, seed 0: too many" in said
    shutil.rmtree(runs / "again")
    shutil.rmtree(runs / "seed1")
    assert "hyperband, seed 1: missing" in refused(capsys, runs, "--level", "small")


def test_settings_that_are_not_the_levels_are_refused(level, tmp_path, capsys):
    run(tmp_path / "other", (*WORDS, "eta=3"))
    said = refused(capsys, tmp_path, "--level", "small")
    assert "other: configuration: config.eta=3: is 2, by level small" in said


def test_a_changed_journal_is_refused_with_what_differs(runs, capsys):
    path = runs / "seed1" / JOURNAL
    rows = path.read_text().splitlines(keepends=True)
    row = json.loads(rows[-1])
    row["time_s"] += 1000.0
    path.write_text("".join([*rows[:-1], json.dumps(row) + "\n"]))
    said = refused(capsys, runs)
    assert "1 of 2 runs are not valid" in said and "seed1: record: " in said


def test_a_journal_that_cannot_be_read_is_refused(runs, capsys):
    (runs / "seed0" / JOURNAL).write_bytes(b"no journal\n")
    assert "seed0: journal: " in refused(capsys, runs)


def test_a_run_that_was_cut_is_refused(runs, capsys):
    path = runs / "seed0" / JOURNAL
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    (runs / "seed0" / RECORD).unlink()
    assert "seed0: order: no closing line" in refused(capsys, runs)


def test_a_run_that_did_not_complete_is_refused_with_its_reason(runs, capsys):
    path = runs / "seed0" / JOURNAL
    rows = path.read_text().splitlines(keepends=True)
    closed = {"event": "closed", "status": "interrupted", "reason": "a signal", "time_s": 1e9}
    path.write_text("".join([*rows[:4], json.dumps(closed) + "\n"]))
    (runs / "seed0" / RECORD).unlink()
    assert "seed0: status=interrupted (a signal): must be completed" in refused(capsys, runs)


def test_runs_of_two_targets_have_no_median(runs, tmp_path):
    run(runs / "longer", (*WORDS[:2], "max_epochs=8", *WORDS[3:]))
    with pytest.raises(ConfigError, match=r"max_epochs=4 \(seed0\), 8 \(longer\): .* one target"):
        valid_runs([runs])


def test_no_run_is_refused(tmp_path, capsys):
    assert "no journal.jsonl at or below" in refused(capsys, tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "nan"), "target=nan: must be a finite number"),
        (("--level", "huge"), "level=huge: unknown; known are "),
        (("--level", "test", "--target", "1"), "level test has its own; leave one out"),
    ],
)
def test_words_that_cannot_be_are_refused(words, said, runs, capsys):
    assert said in refused(capsys, runs, *words)


def test_an_invalid_run_has_an_error_of_its_own(runs):
    (runs / "seed0" / RECORD).write_text("{}")
    with pytest.raises(InvalidRunError):
        valid_runs([runs])
