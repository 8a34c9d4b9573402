"""The scripts of slurm/ without a cluster: what they compute, what they refuse and how."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suite.core.brackets import hyperband_plan
from suite.core.errors import ConfigError
from suite.launch import sbatch
from suite.launch.plan import Load

ROOT = Path(__file__).resolve().parents[2]
SLURM = ROOT / "slurm"
SCRIPTS = sorted(p for p in SLURM.rglob("*") if p.suffix in (".sh", ".sbatch"))
PLAN = hyperband_plan(81, 3)


def load(epoch_s, n_runs=1):
    return Load(n_runs, PLAN.n_epochs, 81, epoch_s)


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
    shutil.copytree(ROOT / "batch", tmp_path / "batch")

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
    said = sbatch.line([load(60.0)], site, 50, ["model=digits_cnn", "x={a: 1}"])
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
    assert sbatch.seconds([load(10.0)], 10**6) == 1493  # 81 x 10 s x 1.25 + 480 s, rounded up
    site = sbatch.Site("a", gpus=1, max_time="02:00:00")
    assert "--time=02:00:00" in sbatch.line([load(60.0)], site, 1, [])
    with pytest.raises(ConfigError, match="SITE_MAX_TIME=02:00:00"):
        sbatch.line([load(7000.0)], site, 1, [])


def test_a_sweep_asks_for_the_time_of_all_its_runs_and_still_need_only_hold_one_epoch():
    site = sbatch.Site("a", gpus=1, max_time="02:00:00")
    one = sbatch.line([load(1.0)], site, 4, [])
    assert "--time=02:00:00" not in one
    assert "--time=02:00:00" in sbatch.line([load(1.0, 10000)], site, 4, [])


# --- foreign values: text, never commands -----------------------------------------------------------

JOB = {"SLURM_JOB_ID": "7", "SUITE_SITE": "local", "SLURM_JOB_END_TIME": "99999999999"}
COMMANDS = [
    "site_names[$(touch OWNED)]", "a[$(touch OWNED)]+1", "$(touch OWNED)", "`touch OWNED`", "1;touch OWNED"
]  # fmt: skip
NUMBERS = ["abc", "nan", "inf", "-1", "1e3", "0x10", "²", "1 2", "99999999999999999999", "08,09"]


def check_job(tmp_path, *overrides, **variables):
    words = " ".join(f"'{word}'" for word in overrides)
    variables = {**JOB, "SUITE_RUNS": str(tmp_path / "runs"), **variables}
    return bash(f"cd '{tmp_path}'; load_site; check_job {words}", **variables)


@pytest.mark.parametrize("value", [*COMMANDS, *NUMBERS])
@pytest.mark.parametrize(
    "where", ["backend.pause_before_s", "SLURM_JOB_END_TIME", "SUITE_MAX_RESTARTS"]
)
def test_what_is_no_number_is_refused_by_name_and_never_run(tmp_path, where, value):
    words, variables = ([f"{where}={value}"], {}) if "." in where else ([], {where: value})
    code, out = check_job(tmp_path, *words, **variables)
    assert code == 2 and f"{where}={value}: must be" in out
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize("value", ["0", "008", "120", "90.5", "3600."])
def test_seconds_in_plain_digits_pass(tmp_path, value):
    assert check_job(tmp_path, f"backend.pause_before_s={value}")[0] == 0


@pytest.mark.parametrize("answer", ["", "N/A", "$(touch OWNED)"])
def test_without_an_end_time_only_the_signal_pauses(tmp_path, answer):
    """squeue that answers nothing is no date: `date -d ""` would be this morning."""
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (tmp_path / "squeue").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, out = check_job(tmp_path, SLURM_JOB_END_TIME="", PATH=path)
    assert code == 0 and "end of the job: unknown" in out and not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize("value", [*COMMANDS, "abc", "-1"])
@pytest.mark.parametrize("name", ["SLURM_GPUS_ON_NODE", "SLURM_NTASKS_PER_NODE"])
def test_geometry_of_words_is_refused(tmp_path, name, value):
    code, out = bash(f"cd '{tmp_path}'; load_site; workers_per_node", **JOB, **{name: value})
    assert code == 2 and f"{name}={value}: must be an integer" in out
    assert not (tmp_path / "OWNED").exists()


PATHS = ["../../x", "../x", "/tmp/x", "a/b", ".", "..", "a b", "$(touch OWNED)", "-x", ".x"]


@pytest.mark.parametrize("name", PATHS)
def test_a_site_is_a_name_and_no_path(site, name):
    root = site()
    (root / "x.sh").write_text("touch OWNED\n")
    (root / "slurm" / "x.sh").write_text("touch OWNED\n")
    code, out = bash(f"cd '{root}'; load_site", root=root, SUITE_SITE=name)
    assert code == 2 and f"SUITE_SITE={name}: must be one of" in out
    assert not (root / "OWNED").exists()
    with pytest.raises(
        ConfigError, match=r"SUITE_SITE=.*: must be the name of a file in slurm/sites/"
    ):
        sbatch.read_site(name, root)


def finish(folder, *, code=75, times=1, journal=None, **variables):
    """Ends of jobs in a row under one Slurm number; what each said. journal: lines before each end."""
    script = f"""
        cd '{folder}'; state='{folder}' SUITE_VERDICT='{folder}/v' SLURM_JOB_ID=7 SUITE_STAMP=x
        scontrol() {{ :; }}
        for i in $(seq {times}); do
            echo '{code}' >"$SUITE_VERDICT"; {journal or ":"}
            (finish 75) || echo "rc=$?"
        done"""
    return bash(script, **{"SUITE_RUNS": str(folder / "runs"), **variables})[1].splitlines()


def test_a_job_without_an_epoch_is_requeued_once(tmp_path):
    said = finish(tmp_path, times=5)
    assert sum("requeued, continues" in line for line in said) == 1
    assert sum("one epoch takes longer than the job" in line for line in said) == 4
    assert [line for line in said if line.startswith("rc=")] == ["rc=75", *["rc=1"] * 4]


def test_a_job_with_an_epoch_at_each_start_is_requeued_each_time(tmp_path):
    folder = tmp_path / "runs" / "name" / "x" / "0-hyperband-seed0"
    folder.mkdir(parents=True)
    line = f"""echo '{{"event":"epoch"}}' >>'{folder}/journal.jsonl'"""
    said = finish(tmp_path, times=6, journal=line)
    assert sum("requeued, continues" in one for one in said) == 6
    assert "one epoch takes longer" in finish(tmp_path, times=2)[-2]


@pytest.mark.parametrize("verdict", ["abc", "$(touch OWNED)", "99999", "a[$(touch OWNED)]"])
def test_a_verdict_that_is_no_exit_code_is_a_failure(tmp_path, verdict):
    said = finish(tmp_path, code=verdict)
    assert said[-1] == "rc=1" and not (tmp_path / "OWNED").exists()


def test_lost_rank_0_is_counted_whatever_the_variable_holds(tmp_path):
    script = f"""
        cd '{tmp_path}'; state='{tmp_path}' SUITE_VERDICT='{tmp_path}/v' SLURM_JOB_ID=7 SUITE_STAMP=x
        scontrol() {{ :; }}; finish 9"""
    for value in COMMANDS:
        assert "SUITE_MAX_RESTARTS=3" in bash(script, SUITE_MAX_RESTARTS=value)[1]
        assert not (tmp_path / "OWNED").exists()


# mpirun that neither ends nor waits for its child, rank 0, as Open MPI 5.0.11's does now and then.
HANGS = """import os, subprocess, sys, time
rank_0 = subprocess.Popen(["sleep", sys.argv[1]])
open(os.environ["SUITE_VERDICT"] + ".pid", "w").write(f"{rank_0.pid}\\n")
time.sleep(600)
"""


def test_a_launcher_that_hangs_after_rank_0_is_lost_is_ended_and_the_loss_is_counted(tmp_path):
    (tmp_path / "mpirun.py").write_text(HANGS)
    script = f"""
        cd '{tmp_path}'; state='{tmp_path}' SLURM_JOB_ID=7 SUITE_STAMP=x patience_s=1 SITE_ARGS=
        scontrol() {{ :; }}; launch=('{sys.executable}' mpirun.py 4); python=(); run_suite"""
    _, said = bash(script)
    assert "rank 0 is lost" in said and "requeued" in said, said


ODD = ["a,b", "a(b", "a)b", "it's", "a=b", "a#b", "a{b", "~a", "a b", "a$b", 'a"b', "[a]"]


@pytest.mark.parametrize("name", ODD)
def test_a_sweep_s_folder_may_have_any_name(tmp_path, monkeypatch, name):
    from suite.launch.runs import Runs

    text = (ROOT / "batch" / "common.sh").read_text()
    line = next(x for x in text.splitlines() if x.strip().startswith("folder="))
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / name))
    monkeypatch.setenv("SUITE_STAMP", "job-7")
    done = subprocess.run(
        ["bash", "-c", f'k=3; {line}; printf %s "$folder"'], capture_output=True, text=True
    )
    (run,) = Runs(["seed=4", "hydra.mode=RUN", done.stdout])
    assert run.folder == tmp_path / name / "run" / "job-7" / "3-hyperband-seed4"


@pytest.mark.parametrize("name", ["a,b", "a:b"])
def test_a_folder_that_apptainer_would_split_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    for tool, text in (("apptainer", "echo apptainer version 1.3.0"), ("image.sif", "")):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / tool).chmod(0o755)
    subprocess.run("sha256sum image.sif >image.sif.sha256", shell=True, cwd=tmp_path, check=True)
    variables = {
        "SUITE_IMAGE": str(tmp_path / "image.sif"), "SUITE_RUNS": str(tmp_path / name),
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "SUITE_SITE": "local",
    }  # fmt: skip
    code, out = bash("load_site; check_image", **variables)
    assert code == 2 and f"bind={tmp_path / name}: " in out and "no comma and no colon" in out
