"""The scripts of slurm/ without a cluster: what they compute, what they refuse and how."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suite import sbatch
from suite.core.brackets import hyperband_plan
from suite.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
SLURM = ROOT / "slurm"
SCRIPTS = sorted(p for p in SLURM.rglob("*") if p.suffix in (".sh", ".sbatch"))
PLAN = hyperband_plan(81, 3)


def bash(command, root=ROOT, **variables):
    """Run `command` after common.sh; code and everything printed."""
    names = ("SLURM_", "SUITE_", "SITE_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(names)} | variables
    script = f'root=$1; . "$root/slurm/common.sh"; {command}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script, "bash", str(root)],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


def shell_scripts():
    """Every file of the clone that is a shell script, by its suffix or its first line."""
    found = []
    for top, folders, files in os.walk(ROOT):
        at_root = Path(top) == ROOT
        hidden = [x for x in folders if x.startswith(".") and not (at_root and x == ".ci")]
        mine = {"runs", "images", "__pycache__"} | set(hidden)
        folders[:] = [x for x in folders if x not in mine]
        for path in (Path(top, name) for name in files):
            with path.open("rb") as file:
                first = file.readline(100)
            if path.suffix in (".sh", ".sbatch") or re.match(rb"#!.*\b(ba|da)?sh\b", first):
                found.append(path)
    return sorted(found)


@pytest.fixture
def site(tmp_path):
    """site(**changes) -> a clone's folder with a site "here": local.sh with lines put after it."""
    shutil.copytree(SLURM, tmp_path / "slurm")

    def write(lines=""):
        text = (SLURM / "sites" / "local.sh").read_text() + lines + "\n"
        (tmp_path / "slurm" / "sites" / "here.sh").write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: str(p.relative_to(SLURM)))
def test_every_script_is_valid_bash(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_shellcheck_has_nothing_to_say_about_any_shell_script_of_the_repository():
    found = shell_scripts()
    names = {str(path.relative_to(ROOT)) for path in found}
    assert {"bench", ".ci/run", "slurm/run.sbatch", "containers/build"} <= names
    # The environment's own, beside its python, whoever started it.
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    shellcheck = shutil.which("shellcheck", path=places)
    if shellcheck is None:
        assert os.environ.get("CI") != "true", "no shellcheck: requirements.lock brings it"
        pytest.skip("no shellcheck; ./bench setup installs it")
    done = subprocess.run([shellcheck, *found], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("nodes", "gpus", "n"), [(50, 1, 51), (50, 4, 201), (1, 1, 2), (4, 2, 9)])
def test_ranks_are_nodes_times_gpus_and_one(nodes, gpus, n):
    assert bash(f"ranks {nodes} {gpus}") == (0, f"{n}\n")
    assert sbatch.ranks(nodes, gpus) == n


def test_rank_0_and_the_first_workers_share_the_first_node():
    code, out = bash("hosts 4 n1 n2 n3")
    assert (code, out.split()) == (0, ["n1"] * 5 + ["n2"] * 4 + ["n3"] * 4)


def test_a_missing_site_is_refused_with_the_known_ones():
    code, out = bash("load_site", SUITE_SITE="lokal")
    assert code == 2 and "SUITE_SITE=lokal: must be one of" in out and "local" in out


@pytest.mark.parametrize("line", ["SITE_PARTITON=main", "PARTITION=main"])
def test_a_typo_in_a_site_file_is_refused_by_name(site, line):
    code, out = bash("load_site", site(line), SUITE_SITE="here")
    name = line.split("=")[0]
    assert code == 2 and f"{name}=main: unknown in" in out and "SITE_PARTITION" in out


def test_what_a_site_exports_for_programs_is_no_typo(site):
    assert bash("load_site", site("export UCX_TLS=tcp"), SUITE_SITE="here")[0] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SITE_MPI=pmix2", "SITE_MPI=pmix2: must be mpirun"),
        ("SITE_GPU_FLAG=--cuda", "SITE_GPU_FLAG=--cuda: must be --nv, --rocm or empty"),
        ("SITE_GPUS_PER_NODE=four", "SITE_GPUS_PER_NODE=four: must be an integer >= 0"),
        ("SITE_ACCOUNT=", "SITE_ACCOUNT=: no account is named; export SUITE_ACCOUNT=NAME"),
        ("if", "is no valid bash"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_site_file_is_refused(site, line, said):
    code, out = bash("load_site", site(line), SUITE_SITE="here")
    assert code == 2 and said in out


def test_no_gpu_where_the_site_has_them_is_refused():
    code, out = bash("load_site; workers_per_node", SUITE_SITE="local")
    assert code == 2 and "SLURM_GPUS_ON_NODE=0" in out and "--gres=gpu:1" in out


def test_too_few_tasks_a_node_are_refused():
    variables = {"SUITE_SITE": "local", "SLURM_GPUS_ON_NODE": "4", "SLURM_NTASKS_PER_NODE": "4"}
    code, out = bash("load_site; workers_per_node", **variables)
    assert code == 2 and "--ntasks-per-node=5" in out


def test_without_gpus_every_task_but_one_is_a_worker(site):
    variables = {"SUITE_SITE": "here", "SLURM_NTASKS_PER_NODE": "9"}
    assert bash("load_site; workers_per_node", site("SITE_GPUS_PER_NODE=0"), **variables) == (
        0,
        "8\n",
    )


def fake_apptainer(folder, version):
    (folder / "bin").mkdir()
    tool = folder / "bin" / "apptainer"
    tool.write_text(f"#!/bin/sh\necho apptainer version {version}\n")
    tool.chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


def test_an_image_is_taken_only_with_its_digest_and_a_new_enough_apptainer(tmp_path):
    image = tmp_path / "a.sif"
    given = {"SUITE_SITE": "local", "SUITE_IMAGE": str(image), "SUITE_RUNS": str(tmp_path)}
    command = 'load_site; check_image; echo "${python[@]} $SUITE_IMAGE_DIGEST"'
    code, out = bash(command, **given)
    assert code == 2 and "a.sif: no such file" in out
    image.write_text("x")
    assert "has no" in bash(command, **given)[1]
    (tmp_path / "a.sif.sha256").write_text("0" * 64 + "  a.sif\n")
    old = given | {"PATH": fake_apptainer(tmp_path, "1.0.3")}
    assert "apptainer=1.0.3: must be 1.2 or newer" in bash(command, **old)[1]
    (tmp_path / "bin" / "apptainer").write_text("#!/bin/sh\necho apptainer version 1.4.5\n")
    code, out = bash(command, **old)
    assert code == 2 and ".sha256 says 000000000000" in out
    digest = subprocess.run(["sha256sum", image], capture_output=True, text=True).stdout[:64]
    (tmp_path / "a.sif.sha256").write_text(f"{digest}  a.sif\n")
    code, out = bash(command, **old)
    assert code == 0 and f"{image} python sha256:{digest}" in out
    code, out = bash(command, **old, SUITE_DATA=f"{tmp_path}/none")
    assert code == 2 and f"bind={tmp_path}/none" in out


def test_too_little_time_is_refused(tmp_path):
    given = {"SUITE_SITE": "local", "SLURM_JOB_ID": "7", "SUITE_RUNS": str(tmp_path)}
    end = int(subprocess.run(["date", "+%s"], capture_output=True, text=True).stdout) + 150
    code, out = bash("load_site; check_job", **given, SLURM_JOB_END_TIME=str(end))
    assert code == 2 and "--time:" in out and "are left to train" in out
    short = "load_site; check_job backend.pause_before_s=10"
    assert bash(short, **given, SLURM_JOB_END_TIME=str(end))[0] == 0


def test_entries_of_a_sweep_are_all_combinations_in_order():
    done = subprocess.run(
        [SLURM / "sweep.sbatch", "--list", "algorithm=a,b", "seed=0,1", "x=[1,2]", "r=3"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "0  algorithm=a seed=0 x=[1,2] r=3", "1  algorithm=a seed=1 x=[1,2] r=3",
        "2  algorithm=b seed=0 x=[1,2] r=3", "3  algorithm=b seed=1 x=[1,2] r=3",
    ]  # fmt: skip


def test_the_line_asks_for_gpus_by_node_and_for_one_task_more(monkeypatch):
    monkeypatch.setenv("SUITE_ACCOUNT", "abc")
    site = sbatch.read_site("juwels_booster", ROOT)
    said = sbatch.line(PLAN, 60.0, site, 50, ["model=digits_cnn", "x={a: 1}"])
    assert said.startswith("SUITE_SITE=juwels_booster sbatch --nodes=50 --ntasks-per-node=5 ")
    assert "--cpus-per-task=9 --gres=gpu:4 --partition=booster --account=abc --time=" in said
    assert (
        said.endswith("slurm/run.sbatch model=digits_cnn 'x={a: 1}'") and "per-task=gpu" not in said
    )


def test_the_line_without_an_account_is_refused(monkeypatch):
    monkeypatch.delenv("SUITE_ACCOUNT", raising=False)
    monkeypatch.delenv("SLURM_JOB_ACCOUNT", raising=False)
    with pytest.raises(ConfigError, match="SITE_ACCOUNT=: no account is named"):
        sbatch.read_site("juwels_booster", ROOT)


def test_the_time_asked_for_holds_the_longest_trial_and_fits_the_site():
    assert sbatch.seconds(PLAN, 10.0, 10**6) == 1493  # 81 x 10 s x 1.25 + 480 s, rounded up
    site = sbatch.Site("a", gpus=1, max_time="02:00:00")
    assert "--time=02:00:00" in sbatch.line(PLAN, 60.0, site, 1, [])
    with pytest.raises(ConfigError, match="SITE_MAX_TIME=02:00:00"):
        sbatch.line(PLAN, 7000.0, site, 1, [])


def test_a_sweep_asks_for_the_time_of_all_its_runs_and_still_need_only_hold_one_epoch():
    site = sbatch.Site("a", gpus=1, max_time="02:00:00")
    one = sbatch.line(PLAN, 1.0, site, 4, [])
    assert "--time=02:00:00" not in one
    assert "--time=02:00:00" in sbatch.line(PLAN, 1.0, site, 4, [], n_runs=10000)
