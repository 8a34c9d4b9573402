"""swiftbench cluster: what it refuses, what it leaves alone, and a practice cluster that runs a job."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suite.cluster import __main__ as command
from suite.cluster import slurm

ROOT = Path(__file__).resolve().parents[2]


def called(capsys, *words):
    code = command.main(list(map(str, words)))
    out, err = capsys.readouterr()
    return code, out + err


@pytest.fixture
def able(monkeypatch):
    """As root, where every program is."""
    monkeypatch.setattr(slurm, "why_not", lambda: "")


def test_it_says_what_it_needs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, said = called(capsys, "up", "--folder", tmp_path / "c")
    assert code == 1 and "user: must be root" in said
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == "slurmd" else name)
    code, said = called(capsys, "up", "--folder", tmp_path / "c")
    assert (
        code == 1 and "slurmd=absent: must be on the PATH; apt-get install slurm-wlm munge" in said
    )
    assert not (tmp_path / "c").exists()


def test_a_folder_of_somebody_else_s_is_never_taken_and_never_removed(able, tmp_path, capsys):
    (tmp_path / "slurm.conf").write_text("ClusterName=mine\n")
    code, said = called(capsys, "up", "--folder", tmp_path)
    assert code == 1 and f"--folder {tmp_path}: is there already" in said
    for action in ("down", "status"):
        code, said = called(capsys, action, "--folder", tmp_path)
        assert code == 1 and f"--folder {tmp_path}: no practice cluster is there" in said
    assert (tmp_path / "slurm.conf").read_text() == "ClusterName=mine\n"


@pytest.mark.parametrize("name", ["a b", "a,b", "a#b", "a%n", "x" * 100])
def test_a_folder_that_slurm_cannot_name_is_refused(able, name, tmp_path, capsys):
    code, said = called(capsys, "up", "--folder", tmp_path / name)
    assert code == 1 and "must be at most 80 characters" in said and not (tmp_path / name).exists()
    code, said = called(capsys, "up", "--nodes", "9")
    assert code == 1 and "--nodes 9: must be 1 to 8." in said


def test_where_a_daemon_does_not_start_its_words_are_said_and_nothing_is_left(
    able, monkeypatch, tmp_path, capsys
):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "munged").write_text("#!/bin/sh\necho munged: no entropy; exit 1\n")
    (programs / "munged").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    # pytest's own folders have longer names than a socket may.
    monkeypatch.setattr(slurm, "_LONGEST", 500)
    code, said = called(capsys, "up", "--folder", tmp_path / "c")
    assert code == 1 and "munged does not start: munged: no entropy" in said
    assert not (tmp_path / "c").exists()


def test_all_that_it_names_is_in_its_folder_and_on_loopback():
    text = slurm.configuration(Path("/run/c"), 2, (7000, 7001, 7002))
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    paths = [
        word
        for value in values.values()
        for word in value.replace("=", " ").split()
        if word[0] == "/"
    ]
    assert paths and all(path.startswith("/run/c/") for path in paths)
    assert text.count("NodeAddr=127.0.0.1") == 2 and values["SlurmctldHost"].endswith("(127.0.0.1)")
    assert values["SlurmctldPort"] == "7000" and "Port=7002" in text


def test_only_daemons_that_name_its_folder_are_its_own(tmp_path):
    cluster = slurm.Practice(tmp_path)
    words = [
        sys.executable,
        "-c",
        "import time; print(flush=True); time.sleep(60)",
        str(cluster.conf),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as editor:
        editor.stdout.readline()
        assert cluster.daemons() == []
        editor.kill()


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_a_practice_cluster_runs_a_job_over_its_nodes_and_is_gone_afterwards(tmp_path, capsys):
    if why := slurm.why_not():
        pytest.skip(f"no practice cluster: {why}")
    folder = Path(f"/run/swiftbench-test-{os.getpid()}")
    others = {path: path.read_bytes() for path in Path("/etc/slurm").glob("*.conf")}
    code, said = called(capsys, "up", "--nodes", "3", "--folder", folder)
    assert code == 0, said
    try:
        cluster = slurm.Practice(folder)
        assert len(cluster.daemons()) == 5
        assert called(capsys, "up", "--folder", folder)[0] == 1
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SUITE_", "SLURM_"))}
        env = kept | {
            "SLURM_CONF": str(cluster.conf), "SUITE_SITE": "practice", "SUITE_RUNS": str(tmp_path / "runs"),
            "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        words = ["sbatch", "--wait", f"--output={tmp_path}/out", "--nodes=3", "--ntasks-per-node=2"]
        words += ["slurm/run.sbatch", "model=table_target", "max_epochs=9", "report=false"]
        done = subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr + (tmp_path / "out").read_text()
        (hosts,) = (tmp_path / "runs" / ".slurm").glob("*/hosts")
        assert hosts.read_text().split() == ["n1", "n1", "n2", "n3"]
        code, said = called(capsys, "status", "--folder", folder)
        assert code == 0 and said.count("idle") == 3
        # A job that is on its way ends with the cluster.
        words = [
            "sbatch",
            "--parsable",
            f"--output={tmp_path}/last",
            "--wrap",
            "echo begun; sleep 600",
        ]
        subprocess.run(words, env=env, cwd=tmp_path, check=True, capture_output=True)
    finally:
        code, said = called(capsys, "down", "--folder", folder)
    assert code == 0 and not folder.exists() and cluster.daemons() == []
    assert (
        "sleep 600"
        not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    )
    assert others == {path: path.read_bytes() for path in Path("/etc/slurm").glob("*.conf")}
