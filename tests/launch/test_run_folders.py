"""A run's name is the text that was typed and one folder's name; its folder is checked before training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.driving import ROOT
from suite.core.errors import ConfigError
from suite.launch import cli
from suite.launch.checks import check_folder, check_name
from suite.launch.compose import compose
from suite.launch.runs import Runs
from suite.launch.words import check_words

SMALL = (
    "model=table_target", "max_epochs=1", "backend=simulate", "algorithm=random_search",
    "scheduler.n_trials=1", "report=false", "tracking=later",
)  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["20261128", "12_34", "3e5", "true", "null", "1e3", "007", "0x1F", ".5", "nan", "-1", "1,2"],
)
def test_a_name_is_the_text_that_was_typed(name):
    sweep = "," in name
    runs = Runs([f"name={name}", "model=table_target", *(["-m"] if sweep else [])])
    assert [c.config["name"] for c in runs.combinations] == name.split(",")


def test_the_folder_and_the_record_carry_the_name(tmp_path, monkeypatch, no_fsync):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    assert cli.main([*SMALL, "name=12_34"]) == 0
    (path,) = (tmp_path / "runs" / "12_34").rglob("record.json")
    assert json.loads(path.read_text())["experiment"] == "12_34"


def test_other_settings_that_are_text_are_so_too():
    config = compose(["model=table_target", "backend.checkpoints=20261128", "tracking.store=1_2"])
    assert config["backend"]["checkpoints"] == "20261128" and config["tracking"]["store"] == "1_2"
    assert compose(["backend.checkpoints=null", "seed=3"])["backend"]["checkpoints"] is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "../up",
        "a/b",
        "/abs",
        "a\nb",
        "a\x1b[2J",
        "n" * 260,
        "é" * 101,
        " a",
        "a\u202eb",
    ],
)
def test_a_name_that_is_no_folder_s_is_refused(name):
    with pytest.raises(ConfigError, match="name=") as error:
        check_name(name)
    assert "\x1b" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize(
    "name", ["run", "a b", "mlpf+swift", "é", "日本", "a'b", "%41", "-x", "$x", "a=b"]
)
def test_other_names_are_taken(name):
    check_name(name)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["name=../up"], "name=../up: must not hold a /"),
        (["name="], "name=: must not be empty"),
        ([f"name={'n' * 260}"], "must be at most 200 bytes long"),
        (["name=a;b"], "name=a;b: is no override (key=value)"),
        (["-m", "name=ok,../up"], "name=../up: must not hold a /"),
        (["hydra.run.dir=" + "d" * 300], "300 bytes, must be at most 255"),
    ],
)
def test_what_cannot_be_a_folder_trains_nothing(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    assert cli.main([*SMALL, *words]) == 1
    err = capsys.readouterr().err
    assert says in err and "Traceback" not in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_suite_runs_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "file"))
    assert cli.main([*SMALL]) == 1
    assert (
        f"suite: SUITE_RUNS={tmp_path}/file: {tmp_path}/file is no folder"
        in capsys.readouterr().err
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "ro").mkdir(mode=0o500)
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != tmp_path / "ro" and real(path, mode)
    )
    with pytest.raises(
        ConfigError, match="ro cannot be written; name another folder in SUITE_RUNS"
    ):
        check_folder(tmp_path / "ro" / "run" / "x")
    assert list((tmp_path / "ro").iterdir()) == []


def test_a_secret_in_the_folder_s_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DWAVE_API_TOKEN", "planted-4f1c9")
    with pytest.raises(ConfigError, match="the run folder's name: holds the value"):
        check_folder(tmp_path / "planted-4f1c9")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("seed=range(1000000000)", "1,000,000,000 runs in this sweep"),
        ("seed=range(0,1,0)", "the step must not be 0"),
        ("seed=range(0,1,0.0)", "the step must not be 0"),
        ("seed=range(0,inf)", "finite"),
        (
            "seed=" + ",".join(["0"] * 400) + " scheduler.eta=" + ",".join(["2"] * 400),
            "160,000 runs",
        ),
    ],
)
def test_a_sweep_without_an_end_is_refused(word, says, capsys):
    assert cli.main(["plan", "-m", "model=table_target", *word.split()]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("a=" + "[" * 40, "nests deeper than 32"),
        ("a=" + "9" * 400, "more than 300 digits"),
        ("a=" + "x" * 100_001, "must be at most 100000"),
        ("a=\udcff", "is not UTF-8"),
    ],
)
def test_words_that_no_parser_should_see_are_refused(word, says):
    with pytest.raises(ConfigError, match=says):
        check_words([word])


@pytest.mark.parametrize(
    "group", ["model", "scheduler", "predictor", "searcher", "backend", "tracking", "task"]
)
def test_a_group_without_a_file_is_refused_by_name(group, capsys):
    for value in ("null", "", "3", "[a,b]"):
        assert cli.main(["plan", f"{group}={value}"]) == 1
        assert f"{group}={value}: must be the name of a file" in capsys.readouterr().err


def test_a_planted_secret_is_in_no_file_and_no_line(tmp_path):
    """All ways in that were found: names, keys, values, URLs, YAML; and a whole run beside them."""
    token = "planted-4f1c9"
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(
        "_target_: models.recorded_curves.Table\nfolder: ${oc.env:PGPASSWORD}\ndescription: {file: x}\n"
    )
    script = "import sys; from suite.launch import cli\nfor line in sys.stdin: print(cli.main(eval(line)))"
    ways = [
        [*SMALL, "+predictor.token=" + token], [*SMALL, "name=" + token], [*SMALL, f"name='http://me:{token}@h'"],
        [*SMALL, "tracking.store=" + token], [*SMALL, f"tracking.uri='http://me:{token}@h'"],
        ["--config-dir", "conf", "model=mine", *SMALL[1:]], [*SMALL, f"hydra.run.dir=runs/{token}"],
        ["plan", "--config-dir", "conf", "model=mine"],
        [*SMALL, "backend.checkpoints=" + token, "-m", "seed=0,1"], [*SMALL],
    ]  # fmt: skip
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "SLURM_"))
    }
    environment |= {
        "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "SUITE_RUNS": str(tmp_path / "runs"),
        "PGPASSWORD": token, "MLFLOW_TRACKING_URI": f"http://me:{token}@127.0.0.1:9",
        "HTTPS_PROXY": f"http://me:{token}@127.0.0.1:9",
    }  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", script], input="\n".join(map(repr, ways)), cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    codes = [line for line in result.stdout.splitlines() if line in ("0", "1")]
    assert codes == ["1"] * (len(ways) - 1) + ["0"], result.stderr
    assert token not in result.stdout + result.stderr
    written = [path for path in tmp_path.rglob("*") if "conf" not in path.parts]
    assert any(path.name == "record.json" for path in written)
    for path in written:
        assert token not in str(path)
        assert not path.is_file() or token.encode() not in path.read_bytes()
