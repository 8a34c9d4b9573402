"""The images themselves, by Apptainer: what they promise on any machine, with nothing but CPUs."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.driving import ROOT
from kit.image_files import CANARY
from suite.results import schema

pytestmark = [pytest.mark.apptainer, pytest.mark.slow, pytest.mark.timeout(1900)]

SMALL = ("model=table_target", "max_epochs=9", "tracking=later", "report=false", "name=here")
MINE = '''
"""A model that is not in the image."""

from models.synthetic_curves import TableTarget


class Mine(TableTarget):
    """The synthetic curves, under a name that no record has by itself."""

    def __init__(self, **settings):
        print("Mine: from a bound folder")
        super().__init__(**settings)
'''


def records(tmp_path):
    """Every record under runs/, each checked against the schema."""
    return [schema.load(path) for path in sorted((tmp_path / "runs").rglob("record.json"))]


def header(tmp_path):
    """The first line of the only journal under runs/."""
    (path,) = (tmp_path / "runs").rglob("journal.jsonl")
    return json.loads(path.read_text().split("\n", 1)[0])


def digest(image):
    return "sha256:" + image.with_name(image.name + ".sha256").read_text()[:64]


def test_it_tests_itself_without_gpu_network_and_home_folder(image):
    words = ["apptainer", "-s", "test", "--containall", "--net", "--network", "none", str(image)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^ok ", done.stdout, re.MULTILINE)) == 6
    assert "none is used: built for processors" in done.stdout


def test_what_is_up_to_date_is_not_built_again(torch_image):
    if os.environ.get("SUITE_IMAGES"):
        pytest.skip("SUITE_IMAGES: the images were built elsewhere, perhaps from another revision")
    command = [ROOT / "containers" / "build", "torch"]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "torch: up to date" in done.stderr and time.monotonic() - begun < 10


def test_a_run_says_in_which_image_it_was_by_digest_and_label(torch_image, container, tmp_path):
    container(torch_image, "python", "-m", "suite", *SMALL, SUITE_IMAGE_DIGEST=digest(torch_image))
    image = header(tmp_path)["image"]
    assert image["digest"] == digest(torch_image)
    assert re.match(r"swiftbench \S+ torch cpu openmpi-5", image["label"])
    assert records(tmp_path)


def test_three_ranks_inside_decide_what_one_process_outside_decides(
    torch_image, container, tmp_path, monkeypatch
):
    mpirun = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", "3"]
    if os.getuid() == 0:
        mpirun.append("--allow-run-as-root")
    container(torch_image, *mpirun, "python", "-m", "suite", *SMALL, SUITE_WORLD_SIZE="3")
    inside = records(tmp_path)[0]
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs" / "outside"))
    subprocess.run([sys.executable, "-m", "suite", *SMALL], check=True, timeout=120)
    outside = next(r for r in records(tmp_path) if r["run_id"] != inside["run_id"])
    assert inside["result"] == outside["result"]
    assert [r["workers"]["joined"]["value"] for r in (inside, outside)] == [2, 1]


def test_ranks_that_an_mpirun_outside_starts_are_one_world_and_find_their_own_mpi(
    torch_image, tmp_path
):
    code = "from mpi4py import MPI; print('of', MPI.COMM_WORLD.size, flush=True)"
    words = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", "3"]
    if os.getuid() == 0:
        words.append("--allow-run-as-root")
    words += ["apptainer", "-s", "exec", str(torch_image), "python", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.stdout.split() == ["of", "3"] * 3
    assert "missing-param-file" not in done.stdout + done.stderr


def test_an_open_mpi_of_the_host_takes_the_place_of_the_images(torch_image, tmp_path):
    prefix = next(
        (Path(p) for p in (sys.prefix, sys.base_prefix) if Path(p, "lib", "libmpi.so.40").exists()),
        None,
    )
    if prefix is None:
        pytest.skip("libmpi.so.40=absent: the environment has no Open MPI of its own to bind")
    asked = [ROOT / "containers" / "bind-mpi", torch_image, prefix]
    bound = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120)
    code = (
        "from mpi4py import MPI; maps = open('/proc/self/maps').read().split(); "
        "print({w for w in maps if '/libmpi.so' in w}, MPI.COMM_WORLD.size, flush=True)"
    )
    words = ["mpirun", "--with-ft", "ulfm", "--oversubscribe", "-n", "2"]
    if os.getuid() == 0:
        words.append("--allow-run-as-root")
    words += ["apptainer", "-s", "exec", *bound.stdout.splitlines(), str(torch_image)]
    done = subprocess.run(
        [*words, "python", "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    loaded = f"{{'{(prefix / 'lib' / 'libmpi.so.40').resolve()}'}} 2"
    assert done.stdout.splitlines() == [loaded] * 2, done.stderr


def test_a_model_from_a_bound_folder_runs_from_the_read_only_image(
    torch_image, container, tmp_path
):
    mine = tmp_path / "mine"
    (mine / "mymodels").mkdir(parents=True)
    (mine / "mymodels" / "__init__.py").write_text(MINE)
    (mine / "conf" / "model").mkdir(parents=True)
    (mine / "conf" / "model" / "mine.yaml").write_text("_target_: mymodels.Mine\n")
    bound = ["--bind", f"{mine}:/mine:ro"]
    command = ["python", "-m", "suite", "--config-dir", "/mine/conf", "model=mine", *SMALL[1:]]
    refused = container(
        torch_image, *command, options=bound, fails=True, APPTAINERENV_PYTHONPATH="/mine"
    )
    assert refused.returncode != 0 and "SUITE_PLUGINS" in refused.stdout + refused.stderr
    done = container(
        torch_image,
        *command,
        options=bound,
        APPTAINERENV_PYTHONPATH="/mine",
        SUITE_PLUGINS="mymodels",
    )
    assert "Mine: from a bound folder" in done.stdout
    (record,) = records(tmp_path)
    assert record["model"] == "mine" and record["status"] == "completed"


def test_nothing_in_the_image_can_be_written(image, container):
    done = container(image, "touch", "/opt/suite/src/suite/x", fails=True)
    assert done.returncode != 0 and "Read-only file system" in done.stderr


def test_packages_of_the_home_folder_and_files_beside_a_run_stay_outside(
    image, container, tmp_path
):
    local = tmp_path / "home" / ".local" / "lib" / "python3.11" / "site-packages" / "numpy"
    local.mkdir(parents=True)
    (local / "__init__.py").write_text("raise SystemExit('numpy of ~/.local')\n")
    (tmp_path / "random.py").write_text("raise SystemExit('random of this folder')\n")
    found = container(image, "python", "-c", "import numpy, random; print(numpy.__file__)")
    assert found.stdout.startswith("/opt/suite/venv/")


def test_it_says_what_it_is_and_nothing_of_who_built_it(image):
    def inspect(*words):
        command = ["apptainer", "inspect", *words, str(image)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    labels = json.loads(inspect("--json", "--labels"))["data"]["attributes"]["labels"]
    for name in ("title", "version", "revision", "licenses"):
        assert labels[f"org.opencontainers.image.{name}"]
    assert labels["suite.schema"] == schema.VERSION
    assert labels["suite.mpi.version"].startswith("5.")
    assert labels["suite.device"] == "cpu"
    assert labels["suite.tested"] == "by its %test, when it was built"
    everything = inspect("--all")
    assert "python -m suite experiment=quickstart" in inspect("--helpfile")
    assert not re.search(r"/home/|/root/|/Users/|token *[=:] *\S", everything, re.IGNORECASE)
    assert CANARY not in everything


def test_no_file_in_it_holds_a_secret_of_the_builder(image, container):
    where = ["/opt/suite/src", "/opt/suite/revision", "/opt/suite/image.label", "/.singularity.d"]
    found = container(image, "grep", "-rl", CANARY, *where, "/etc", fails=True)
    assert found.stdout == ""


def test_thread_counts_are_one_unless_the_caller_says_otherwise(torch_image, container):
    command = ["sh", "-c", "echo $OMP_NUM_THREADS $MKL_NUM_THREADS $OPENBLAS_NUM_THREADS"]
    assert container(torch_image, *command, OMP_NUM_THREADS="8").stdout == "1 1 1\n"
    asked = container(torch_image, *command, options=["--env", "OMP_NUM_THREADS=4"])
    assert asked.stdout == "4 1 1\n"
