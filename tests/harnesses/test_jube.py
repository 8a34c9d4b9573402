"""benchmark/jube in JUBE itself."""

import sys
from pathlib import Path

import pytest

from kit.driving import DATA, ROOT

FILE = ROOT / "benchmark" / "jube" / "swiftbench.yaml"


@pytest.fixture
def jube(program):
    """Runs the benchmark with tags; (exit code, what it printed, rows of the table by column)."""

    def run(*tags, **environ):
        words = ("run", FILE, "-o", "jube_runs", "-e", "-r", "--hide-animation")
        code, out, err = program("jube", *words, *(("--tag", *tags) if tags else ()), **environ)
        table = [line.strip("|").split("|") for line in out.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line] for line in table]
        rows = [dict(zip(cells[0], row, strict=True)) for row in cells[2:]] if cells else []
        return code, out + err, rows

    return run


def test_a_search_runs_and_stands_in_the_table(jube):
    code, said, (row,) = jube()
    assert code == 0, said
    assert row["mode"] == "smoke" and row["valid runs"] == "1" and row["epochs"] == "106"
    assert row["remark"] == "SIMULATED TIME, SYNTHETIC DATA"
    assert float(row["seconds to target [s]"]) < float(row["seconds [s]"])


def test_without_swiftbench_the_step_fails_and_says_so(jube, tmp_path):
    path = f"{tmp_path}:/usr/bin:/bin"
    if (Path("/usr/bin") / "swiftbench").exists():
        pytest.skip("swiftbench is installed for everybody here")
    code, said, rows = jube(path=path)
    assert code != 0 and not rows
    (errors,) = tmp_path.glob("jube_runs/*/*/work/stderr")
    assert "swiftbench: not found" in errors.read_text(), said


@pytest.mark.exhaustive
def test_a_run_that_fails_has_no_row_and_says_why(jube, tmp_path):
    stub = tmp_path / "bin" / "swiftbench"
    stub.parent.mkdir()
    # The search as it is, then a record that is not its.
    stub.write_text(
        f'#!/bin/sh\n"{sys.executable}" -m swiftbench "$@" || exit\n'
        'for f in $(find runs -name record.json); do echo "{}" >"$f"; done\n'
    )
    stub.chmod(0o755)
    code, _, rows = jube(path=f"{stub.parent}:/usr/bin:/bin")
    assert code != 0 and not rows
    (errors,) = tmp_path.glob("jube_runs/*/*/work/stderr")
    assert "export: 1 of 1 runs are not valid" in errors.read_text()


@pytest.mark.exhaustive
def test_the_table_of_scaling_has_a_row_for_each_number_of_workers(jube):
    if not (DATA / "curves" / "mlpf_delphes.csv").exists():
        pytest.skip("SUITE_DATA: the table of MLPF's curves is not here")
    code, said, rows = jube("scaling", SUITE_DATA=str(DATA))
    assert code == 0 and len(rows) == 14, said
    assert all(row["valid runs"] == "3" and row["epochs"] for row in rows)
