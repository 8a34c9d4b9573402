"""batch/ without a batch system: what the scripts compute, what they refuse and how."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("pbs", "gridengine", "htcondor")
JOBS = {
    "pbs": {"PBS_JOBID": "7.server"}, "gridengine": {"JOB_ID": "7", "QUEUE": "all.q"},
}  # fmt: skip
FOREIGN = ("SUITE_", "SITE_", "SLURM_", "PBS_", "SGE_", "JOB_", "QUEUE", "NSLOTS", "NCPUS")


def bash(system, command, root=ROOT, **variables):
    """Run `command` after the system's file; code and everything printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    script = f'root=$1; . "$root/batch/{system}.sh"; {command}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script, "bash", str(root)], env=kept | variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


def programs(folder, **texts):
    """A PATH that begins with programs of these texts."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_site_file_is_read_as_strictly_as_slurm_s(system, tmp_path):
    shutil.copytree(ROOT / "batch", tmp_path / "batch")
    text = (ROOT / "batch" / "sites" / "local.sh").read_text()
    (tmp_path / "batch" / "sites" / "here.sh").write_text(text + "SITE_PARTITON=x\n")
    code, out = bash(system, "load_site", tmp_path, SUITE_SITE="here")
    assert code == 2 and f"{system}: SITE_PARTITON=x: unknown in" in out
    code, out = bash(system, "load_site", SUITE_SITE="lokal")
    assert (
        code == 2
        and "SUITE_SITE=lokal: must be one of local;" in out
        and "batch/sites/template.sh" in out
    )
    code, out = bash(system, "load_site", SUITE_SITE="local", SUITE_MPI="pmix")
    assert code == 2 and "SITE_MPI=pmix: must be mpirun (Open MPI 5's); correct" in out


@pytest.mark.parametrize("system", SYSTEMS)
def test_outside_of_a_job_nothing_is_begun(system):
    code, out = bash(system, "load_site; check_job", SUITE_SITE="local")
    assert code == 2 and "job=: this runs inside a job of the batch system; submit it" in out


@pytest.mark.parametrize(
    ("lines", "most", "hosts"),
    [
        (["n1 5"], 0, ["n1"] * 5),
        (["n1 2", "n2 2"], 0, ["n1", "n1", "n2", "n2"]),
        # Four GPUs a node and five slots: no worker without a GPU.
        (["n1 5", "n2 5"], 4, ["n1"] * 5 + ["n2"] * 4),
        # A node's slots of two queues, and a node file with a line for each process.
        (["n1 1", "n2 1", "n1 1"], 0, ["n1", "n1", "n2"]),
        ([], 0, []),
    ],
)  # fmt: skip
def test_rank_0_and_the_first_workers_share_the_first_node(lines, most, hosts):
    text = "\\n".join(lines)
    assert bash("pbs", f"printf '{text}\\n' | slots {most}")[1].split() == hosts


def test_slots_for_one_rank_are_refused(tmp_path):
    (tmp_path / "nodes").write_text("n1\n")
    code, out = bash(
        "pbs",
        f"load_site; state='{tmp_path}'; place_ranks",
        SUITE_SITE="local",
        PBS_NODEFILE=str(tmp_path / "nodes"),
    )
    assert code == 2 and "ranks=1: must be 2 or more" in out


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", "90"), ("01:30:00", "5400"), ("02:05", "125"), ("08:09", "489"), ("INFINITY", ""),
        ("a[$(id)]", ""),
    ],
)  # fmt: skip
def test_seconds_of_a_clock(text, seconds):
    assert bash("pbs", f"seconds_of '{text}'") == (0, seconds)


def end(out):
    """Seconds from now until the end that was printed."""
    return int(out) - time.time()


def test_pbs_states_the_end_by_begin_and_walltime(tmp_path):
    page = (
        "Job Id: 7.server\\n    Resource_List.walltime = 01:00:00\\n    stime = $(date -d @{})\\n"
    )
    command = f'job_page=$(printf "{page.format(int(time.time()) - 600)}"); job_end'
    code, out = bash("pbs", command)
    assert code == 0 and 2990 <= end(out) <= 3001
    assert bash("pbs", 'job_page="Job Id: 7.server"; job_end') == (0, "")


@pytest.mark.parametrize(
    ("asked", "queue", "seconds"),
    [
        ("h_rt=3600,s_rt=60", "INFINITY", 3600), ("h_rt=3600", "00:30:00", 1800),
        ("arch=x", "600", 600), ("", "INFINITY", None),
    ],
)  # fmt: skip
def test_grid_engine_states_the_end_by_h_rt_of_the_job_or_of_its_queue(
    tmp_path, asked, queue, seconds
):
    path = programs(
        tmp_path / "bin",
        qstat=f"echo 'hard resource_list:         {asked}'",
        qconf=f"echo 'h_rt                  {queue}'",
    )
    code, out = bash("gridengine", "job_end", PATH=path, **JOBS["gridengine"])
    assert code == 0
    assert out == "" if seconds is None else seconds - 5 <= end(out) <= seconds + 1


def ad(folder, **attributes):
    """HTCondor's file of a job's attributes, whose name a job finds in a variable."""
    path = folder / "job.ad"
    path.write_text("".join(f"{name} = {value}\n" for name, value in attributes.items()))
    return {"_CONDOR_JOB_AD": str(path)}


def test_htcondor_states_the_end_by_its_attribute(tmp_path):
    code, out = bash("htcondor", "job_end", **ad(tmp_path, ClusterId=7, MaxRuntime=3600))
    assert code == 0 and 3590 <= end(out) <= 3601
    assert bash("htcondor", "job_end", **ad(tmp_path, MaxRuntime="a[$(id)]")) == (0, "")


@pytest.mark.parametrize(
    ("system", "variables", "index"),
    [
        ("pbs", {"PBS_ARRAY_INDEX": "3"}, "3"), ("pbs", {"PBS_ARRAY_INDEX": "", "SUITE_ENTRY": "2"}, "2"),
        ("pbs", {}, ""), ("gridengine", {"SGE_TASK_ID": "4"}, "3"),
        ("gridengine", {"SGE_TASK_ID": "undefined"}, ""),
        ("htcondor", {"ProcId": 5, "TotalSubmitProcs": 6}, "5"),
        ("htcondor", {"ProcId": 0, "TotalSubmitProcs": 1}, ""),
    ],
)  # fmt: skip
def test_entries_count_from_0_whatever_tasks_count_from(system, variables, index, tmp_path):
    given = ad(tmp_path, **variables) if system == "htcondor" else variables
    code, out = bash(system, "array_index", **given)
    assert (code, out.strip()) == (0, index)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_task_without_an_entry_is_refused_with_the_option_that_fits(system, tmp_path):
    variables = {
        "pbs": {"PBS_ARRAY_INDEX": "6"},
        "gridengine": {"SGE_TASK_ID": "7"},
        "htcondor": ad(tmp_path, ClusterId=7, ProcId=6, TotalSubmitProcs=7),
    }[system]
    given = {
        "SUITE_SITE": "local",
        "SUITE_RUNS": str(tmp_path),
        **JOBS.get(system, {}),
        **variables,
    }
    code, out = bash(system, "run_entry algorithm=a,b seed=0,1,2", **given)
    option = {"pbs": "-J 0-5", "gridengine": "-t 1-6", "htcondor": "tasks=6"}[system]
    assert code == 2 and f"must be 0 to 5, the sweep has 6 entries; submit with {option}." in out


@pytest.mark.parametrize("value", ["../x", "a/b", "a[$(touch OWNED)]", "$(touch OWNED)", ".x"])
def test_a_job_s_folder_is_a_name_and_no_path(tmp_path, value):
    given = {
        "SUITE_SITE": "local",
        "SUITE_RUNS": str(tmp_path),
        "SUITE_CHAIN": value,
        **JOBS["pbs"],
    }
    code, out = bash("pbs", f"cd '{tmp_path}'; load_site; check_job", **given)
    assert code == 2 and f"SUITE_CHAIN={value}: must be the name of a folder" in out
    assert not (tmp_path / "OWNED").exists()


def test_pbs_s_words_are_split_as_a_shell_does_and_never_run(tmp_path):
    given = {"SUITE_WORDS": "a=1 'x={b: $(touch OWNED)}' seed=0,1", "SUITE_SITE": "local"}
    code, out = bash(
        "pbs", f"cd '{tmp_path}'; run_job() {{ printf '<%s>' \"$@\"; }}; main", **given
    )
    assert (code, out) == (0, "<a=1><x={b: $(touch OWNED)}><seed=0,1>")
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize("words", ["a='1 b=2", 'x="'])
def test_words_with_half_a_pair_of_quotes_are_refused(words):
    code, out = bash("pbs", "main", SUITE_WORDS=words, SUITE_SITE="local", **JOBS["pbs"])
    assert code == 2 and f"SUITE_WORDS={words}: each quote must have its other" in out


@pytest.mark.parametrize("script", SYSTEMS)
def test_entries_are_listed_without_a_job(script):
    done = subprocess.run(
        ["bash", ROOT / "batch" / f"{script}.sh", "--list", "algorithm=a,b", "x=[1,2]"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "0  algorithm=a x=[1,2]\n1  algorithm=b x=[1,2]\n"
