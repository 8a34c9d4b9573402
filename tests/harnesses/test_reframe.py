"""benchmark/reframe in ReFrame itself, with its local scheduler."""

import json
import re

import pytest

from kit.driving import DATA, ROOT
from suite.check.levels import levels, runs_of

CHECKS = ("-c", ROOT / "benchmark" / "reframe", "--nocolor", "--report-file=report.json")
SMOKE = ("-r", "-n", "SwiftbenchSmoke")
CURVES = DATA / "curves" / "mlpf_delphes.csv"


@pytest.fixture
def reframe(program, tmp_path):
    """Runs ReFrame; (exit code, what it printed, its report's test cases)."""

    def run(*words, **environ):
        code, out, err = program("reframe", *CHECKS, *words, **environ)
        path = tmp_path / "report.json"
        cases = json.loads(path.read_text())["runs"][0]["testcases"] if path.exists() else []
        return code, out + err, cases

    return run


def values(case):
    """Performance variable -> value."""
    return {name.split(":")[-1]: value[0] for name, value in case["perfvalues"].items()}


def test_a_search_runs_is_valid_and_gives_its_figures(reframe):
    code, said, (case,) = reframe(*SMOKE)
    assert code == 0 and case["result"] == "pass", said
    found = values(case)
    assert found["epochs"] == 106 and found["seconds_to_target"] < found["seconds"]


def test_every_level_is_a_test_with_each_of_its_algorithms(reframe):
    code, said, _ = reframe("-l", "-t", "level")
    assert code == 0, said
    for level in levels().values():
        for algorithm, _ in runs_of(level):
            assert f"%level={level.name} %algorithm={algorithm} " in said
    assert said.count("- SwiftbenchLevel ") == sum(
        len({algorithm for algorithm, _ in runs_of(level)}) for level in levels().values()
    )


@pytest.mark.exhaustive
def test_a_level_meets_its_references(reframe):
    if not CURVES.exists():
        pytest.skip("SUITE_DATA: the table of MLPF's curves is not here")
    name = "SwiftbenchLevel%level=scaling%algorithm=swift_svr"
    code, said, (case,) = reframe("-r", "-n", name, SUITE_DATA=str(DATA))
    assert code == 0 and case["result"] == "pass", said
    assert values(case)["epochs"] == 2997


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("executable=no-such-swiftbench", "no valid runs: .*no-such-swiftbench: .*not found"),
        pytest.param(
            "words=model=no_such_model",
            "no valid runs: .*model=no_such_model",
            marks=pytest.mark.exhaustive,
        ),
        ("target=0.0001", "hyperband: the median of the runs did not reach the target"),
    ],
)
def test_a_search_that_fails_fails_by_name(setting, said, reframe):
    code, printed, (case,) = reframe(*SMOKE, "-S", f"SwiftbenchSmoke.{setting}")
    assert code == 1 and case["result"] == "fail" and case["fail_phase"] == "sanity", printed
    assert re.search(said, case["fail_reason"]), case["fail_reason"]


def test_a_run_whose_record_is_another_fails_by_name(reframe):
    spoil = 'for f in $(find runs -name record.json); do sed -i \'s/"used"/"unused"/\' $f; done'
    code, _, (case,) = reframe(*SMOKE, "-S", f"postrun_cmds={spoil}")
    assert code == 1 and "1 of 1 runs are not valid" in case["fail_reason"]
    assert "record: " in case["fail_reason"]


@pytest.mark.exhaustive
def test_a_reference_that_is_missed_fails_and_so_does_one_of_an_unknown_figure(reframe, tmp_path):
    refs = (
        "SwiftbenchSmoke:\n  $index: [$system]\n  '.*':\n    {figure}: [100, -0.01, 0.01, epochs]\n"
    )
    (tmp_path / "references.yaml").write_text(refs.format(figure="epochs"))
    code, said, (case,) = reframe(*SMOKE, RFM_REFERENCE_PREFIX=str(tmp_path))
    assert code == 1 and "epochs=106" in case["fail_reason"], said
    (tmp_path / "references.yaml").write_text(refs.format(figure="epoches"))
    code, said, (case,) = reframe(*SMOKE, RFM_REFERENCE_PREFIX=str(tmp_path))
    assert code == 1 and "names what was not measured: epoches" in case["fail_reason"], said
