"""Damaged tables, packages, YAML files, overrides and environments: refused by name, or read right.

A sample of what tests/kit/damaged_inputs.py counts; journals and records: tests/results/test_mutations.py.
"""

import pytest

from kit import damaged_inputs

SEED = 17
N = {"model": 25, "config_dir": 10, "package": 40, "overrides": 20, "environment": 10}
"""Cases a reader where a case takes long; 150 of the others."""


@pytest.mark.slow
@pytest.mark.parametrize("name", damaged_inputs.READERS)
def test_no_reader_ends_in_a_traceback_a_hang_or_another_result(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    counts, bad = damaged_inputs.counted(name, tmp_path, N.get(name, 150), SEED)
    assert not bad
    # Few environments of a small sample are refused: most variables are read as what they say.
    assert sum(counts.values()) > 0 and (counts["refused"] > 0 or name == "environment")


def test_an_input_that_ends_in_a_traceback_is_counted(tmp_path, monkeypatch):
    def broken(folder, value):
        raise KeyError(value)

    cases = damaged_inputs.READERS["table"].damage
    monkeypatch.setitem(damaged_inputs.READERS, "table", damaged_inputs.Reader(cases, broken))
    counts, bad = damaged_inputs.counted("table", tmp_path, 3, SEED)
    assert counts == {"traceback": 3} and len(bad) == 3
