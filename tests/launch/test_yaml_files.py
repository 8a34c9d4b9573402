"""YAML files of a --config-dir: what cannot be read, and what reaches too far, is refused by name."""

import os
import threading

import pytest

from kit.mutations import bounded
from suite.core.errors import ConfigError
from suite.files.yaml_files import read_yaml
from suite.launch import cli
from suite.launch.compose import compose

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: 1\nb:\n\t- 2\n", "line 3, column 1: is not YAML"),
        (b"a: 1\nb: 2\na: 3\n", "line 3: a stands in line 1 already"),
        (b"a: {b: 1, b: 2}\n", "line 1: b stands in line 1 already"),
        (b"a: 1\nb: \xff\n", "byte 8 is not UTF-8"),
        (b"a: 1\nb: \x00\x01\n", "line 2: holds the character"),
        (b"\x7fELF\x00\x01\x02", "line 1: holds the character"),
        (LAUGHS.encode(), "has more than 100000 values"),
        (b"a: &a\n  b: *a\n", "line 1: refers to itself"),
        (b"a: " + b"[" * 5_000, "line 1: nests deeper than 32 levels"),
        (b"a: " + b"{b: " * 50 + b"1" + b"}" * 50, "line 1: nests deeper than 32 levels"),
        (b"a: !!python/object/apply:os.system [id]\n", "line 1: tag"),
        (b"a: !!binary aGk=\n", "line 1: tag"),
        (b"- 1\n- 2\n", "line 1: must hold names with values"),
        (b"words\n", "line 1: must hold names with values"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1: is not YAML"),
        (b"a: " + b"9" * 5000, "line 1: a number of more than 400 digits"),
        (b"? [1, 2]\n: 3\n", "line 1: a key must be text"),
        (b"a: *b\n", "line 1, column 4: is not YAML"),
        (b"x" * 1_000_001, "must be at most 1000000"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_line(content, says, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    assert says in str(error.value) and "mine.yaml" in str(error.value)


def test_ordinary_files_are_read(tmp_path):
    (tmp_path / "mine.yaml").write_text("# nothing\n")
    (tmp_path / "other.yaml").write_text(
        "base: &b {x: 1}\na: {<<: *b, y: 2}\n", encoding="utf-8-sig"
    )
    (tmp_path / "link.yaml").symlink_to("other.yaml")
    assert read_yaml(tmp_path / "mine.yaml") == "# nothing\n"
    assert read_yaml(tmp_path / "link.yaml").startswith("base:")


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing", "device"])
def test_what_is_no_file_is_refused_by_name_and_never_waited_for(kind, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "mine.yaml"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.symlink_to("nothing")
    codes = []
    words = ["plan", "--config-dir", str(tmp_path), "model=mine"]
    thread = threading.Thread(target=lambda: codes.append(cli.main(words)), daemon=True)
    thread.start()
    thread.join(60)
    assert codes == [1], "it waits for a pipe"
    err = capsys.readouterr().err
    assert "model/mine.yaml: cannot be read" in err and "Traceback" not in err


HYDRA = {
    "env_set": "hydra: {job: {env_set: {SUITE_PLUGINS: subprocess}}}",
    "callbacks": "hydra: {callbacks: {x: {_target_: subprocess.Popen}}}",
    "searchpath": "hydra: {searchpath: ['pkg://os']}",
    "launcher": "hydra: {launcher: {_target_: subprocess.Popen}}",
    "sweeper": "hydra: {sweeper: {_target_: subprocess.Popen}}",
    "output": "hydra: {output_subdir: /tmp/x}",
    "defaults": "defaults: [{override /hydra/launcher: mine}]",
    "sweep": "hydra: {mode: MULTIRUN}",
}


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()

    def written(text, header="# @package _global_"):
        target = "model: {_target_: models.synthetic_curves.TableTarget}"
        (tmp_path / "model" / "mine.yaml").write_text(f"{header}\n{target}\n{text}\n")
        return ["--config-dir", str(tmp_path), "model=mine"]

    return written


@pytest.mark.parametrize("name", HYDRA)
def test_a_file_says_nothing_to_hydra_but_where_runs_lie(name, model):
    with pytest.raises(ConfigError, match=r"model/mine\.yaml: .*hydra.* not taken from a file"):
        compose(model(HYDRA[name])[2:], model(HYDRA[name])[1])


def test_a_predictor_without_features_is_told_where_they_are_set(tmp_path):
    (tmp_path / "predictor").mkdir()
    path = tmp_path / "predictor" / "mine.yaml"
    path.write_text("_target_: suite.predictors.constant.Constant\n")
    words = ["algorithm=swift_svr", "predictor=mine", "model=table_target"]
    with pytest.raises(
        ConfigError, match=r"predictor\.features: .* set features in the YAML file of your"
    ):
        compose(words, tmp_path)


def test_a_package_in_the_header_is_no_way_around(model, tmp_path):
    words = model("", header="# @package hydra.job")
    (tmp_path / "model" / "mine.yaml").write_text("# @package hydra.job\nenv_set: {A: b}\n")
    with pytest.raises(ConfigError, match=r"hydra\.job\.env_set\.A: is not taken from a file"):
        compose(words[2:], words[1])


def test_a_file_may_say_where_runs_lie_and_an_experiment_that_it_is_a_sweep(model, tmp_path):
    words = model("hydra: {run: {dir: elsewhere}, sweep: {dir: all, subdir: one}}")
    assert compose(words[2:], words[1])["model"]["_target_"].endswith("TableTarget")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: 'range(3)'}}}\n"
    )
    from suite.launch.runs import Runs

    runs = Runs(["--config-dir", str(tmp_path), "experiment=mine", "model=table_target"])
    assert runs.is_sweep and runs.n_runs == 3


@pytest.mark.parametrize(
    "key", ["job.env_set={A: b}", "+hydra.callbacks.x={}", "searchpath=['pkg://os']"]
)
def test_hydra_s_further_settings_are_refused_on_the_command_line(key, capsys):
    word = key if key.startswith("+") else f"hydra.{key}"
    assert cli.main(["plan", word]) == 1
    assert "is not taken; runs are not started by Hydra" in capsys.readouterr().err


def test_a_class_is_never_called_before_its_kind_is_known(tmp_path, monkeypatch):
    from suite.core.run_settings import RunSettings
    from suite.launch.assemble import assemble

    (tmp_path / "calls_me.py").write_text(
        "import pathlib\n\n\nclass Thing:\n    def __init__(self, **_):\n"
        f"        pathlib.Path({str(tmp_path / 'called')!r}).touch()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SUITE_PLUGINS", "calls_me")
    config = compose(["model=table_target", "predictor=svr", "scheduler=swift_hyperband"])
    for group in ("scheduler", "searcher", "predictor", "model", "backend", "tracking"):
        for path in (
            "calls_me.Thing",
            "suite.run.journal.Journal",
            "suite.backends.mpi.serve.serve",
        ):
            with pytest.raises(ConfigError, match=rf"{group}\._target_={path}: must"):
                assemble(RunSettings.of({**config, group: {"_target_": path}}))
    assert not (tmp_path / "called").exists()


def test_plug_ins_are_read_before_anything_may_change_the_environment(monkeypatch, capsys):
    from suite.core.command import run_command
    from suite.core.plugins import find

    monkeypatch.delenv("SUITE_PLUGINS", raising=False)

    def body():
        os.environ["SUITE_PLUGINS"] = "subprocess"
        return find("subprocess.Popen", "model") and 0

    try:
        assert run_command("suite", body) == 1
    finally:
        del os.environ["SUITE_PLUGINS"]
    assert (
        "model._target_=subprocess.Popen: must begin with suite. or models."
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["name=${experiment_name}", "+common.n_curves=${common.n_curves}"],
            "experiment_name: name takes its value from it",
        ),
        (["name=${oc.decode:'[1'}"], "name"),
        (["name=${oc.env:NOT_THERE_AT_ALL}"], "NOT_THERE_AT_ALL"),
        (
            ["name=${oc.env:PLANTED_TOKEN}"],
            "name: holds the value of the environment's PLANTED_TOKEN",
        ),
    ],
)
def test_interpolations_that_fail_are_named_and_secrets_are_not(words, says, monkeypatch, capsys):
    monkeypatch.setenv("PLANTED_TOKEN", "planted-4f1c9")
    assert cli.main(["plan", "model=table_target", *words]) == 1
    out, err = capsys.readouterr()
    assert says in err and "Traceback" not in err and "planted-4f1c9" not in out + err


# A list of other lines of the model's YAML, each of which names the one before.
def doubling(n, line, first="abcdefghij"):
    return f"x0: {first}\n" + "".join(
        f"x{i + 1}: {line.format(f'${{model.x{i}}}')}\n" for i in range(n)
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(doubling(60, "{0}{0}"), id="each line the one before, twice"),
        pytest.param(doubling(60, "\"${{oc.decode:'{0}{0}'}}\""), id="through a resolver"),
        pytest.param(doubling(60, "['{0}', '{0}']"), id="a list"),
        pytest.param(doubling(60, "{{a: '{0}', b: '{0}'}}"), id="a mapping"),
        pytest.param(doubling(1, "{0}" * 20_000, "x" * 200_000), id="a long text many times"),
        pytest.param(
            doubling(1, "{0}", "x" * 100_000)
            + "".join(f"y{i}: ${{model.x0}}\n" for i in range(200)),
            id="a long text in many values",
        ),
    ],
)
def test_interpolations_that_write_out_without_end_are_refused_soon(text, tmp_path, capsys):
    """On 0e27403: hours, or all memory."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        f"_target_: models.synthetic_curves.TableTarget\nfixed: {{}}\n{text}"
    )
    with bounded(120):
        assert cli.main(["plan", "--config-dir", str(tmp_path), "model=mine"]) == 1
    err = capsys.readouterr().err
    assert len(err) < 1000 and ("write the value out" in err or "shorten it" in err), err


def test_omegaconf_is_as_it_was_where_nothing_is_composed():
    from omegaconf import OmegaConf
    from omegaconf.basecontainer import BaseContainer

    before = dict(vars(BaseContainer))
    compose(["model=table_target"])
    assert dict(vars(BaseContainer)) == before
    lines = OmegaConf.create({"x0": "ab"} | {f"x{i + 1}": f"${{x{i}}}" * 2 for i in range(11)})
    assert len(lines.x11) == 2**12
