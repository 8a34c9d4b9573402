"""The doctor finds what is planted: one process, the pieces that need another machine, real MPI."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from suite.doctor import disk, findings, gpu, host, job, mpi, process, world
from suite.doctor.findings import Finding, fail, ok
from suite.launch.plan import planned, text
from suite.launch.runs import Runs

BIN = Path(sys.executable).parent
QUIET = ("OMPI_", "PMIX_", "PRTE_", "PMI_", "SLURM_", "SUITE_", "DWAVE_")


@pytest.fixture
def environment(tmp_path):
    """For a doctor of its own: no launcher's variables, a run folder, a home."""
    env = {k: v for k, v in os.environ.items() if not k.startswith((*QUIET, "PYTHONPATH"))}
    env |= {"PATH": f"{BIN}:{env['PATH']}", "SUITE_RUNS": str(tmp_path / "runs")}
    env |= {"PYTHONSAFEPATH": "1", "HOME": str(tmp_path)}
    if os.getuid() == 0:
        env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return env


def doctor(env, *arguments, launcher=()):
    command = [*launcher, sys.executable, "-m", "suite.doctor", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200)
    print(done.stdout, done.stderr)
    return done


def document(text):
    """The JSON on stdout, valid by the schema; name -> finding."""
    content = json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]
    jsonschema.validate(content, json.loads(findings.SCHEMA.read_text()))
    return content, {finding["check"]: finding for finding in content["findings"]}


# --- one process ----------------------------------------------------------------------------------


def test_a_sound_machine_passes_and_says_so_in_json(environment):
    done = doctor(environment, "model=table_target", "--json")
    content, found = document(done.stdout)
    assert done.returncode == 0 and content["verdict"] == "pass"
    assert {"mpi", "glibc", "run folder", "fsync", "file system", "disk space", "qpu"} <= set(found)
    assert re.search(r"n = \d", found["fsync"]["value"])


@pytest.mark.slow
def test_three_planted_faults_are_found_at_once_with_remedies(environment, tmp_path):
    """1: a run folder that is a file; 2: no token for the QPU; 3: ten seconds left, less than an
    epoch.
    """
    (tmp_path / "file").write_text("")
    environment |= {
        "SUITE_RUNS": str(tmp_path / "file"),
        "SUITE_END_TIME": str(int(time.time()) + 10),
    }
    done = doctor(environment, "algorithm=swift_qsvr", "predictor.sampler=qpu", "--json")
    content, found = document(done.stdout)
    assert done.returncode == 1 and content["verdict"] == "fail"
    for check in ("run folder", "qpu", "time limit"):
        assert found[check]["status"] == "fail" and found[check]["remedy"], check
    assert "DWAVE_API_TOKEN" in found["qpu"]["value"]
    assert "shorter than one epoch" in found["time limit"]["value"]


def test_a_configuration_that_cannot_be_read_is_one_failed_line(environment):
    for word in ("model=no_such_model", "experiment=no_such_experiment"):
        done = doctor(environment, word)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert re.search(rf"fail +configuration +.*{word.partition('=')[2]}", done.stdout)


def test_data_sets_that_are_not_staged_fail(environment, tmp_path):
    environment["SUITE_DATA"] = str(tmp_path / "nothing")
    done = doctor(environment, "model=table_target", "--data", "cifar10")
    assert done.returncode == 1
    assert (
        re.search(r"fail +data cifar10", done.stdout) and "swiftbench fetch cifar10" in done.stdout
    )


def test_a_token_is_never_printed(environment):
    secret = "DEV-0123456789abcdef"
    environment |= {"DWAVE_API_TOKEN": secret, "DWAVE_API_ENDPOINT": "http://127.0.0.1:9"}
    done = doctor(
        environment, "algorithm=swift_qsvr", "model=table_target", "predictor.sampler=qpu"
    )
    assert done.returncode == 1 and re.search(r"fail +qpu", done.stdout)
    assert secret not in done.stdout + done.stderr


# --- pieces ---------------------------------------------------------------------------------------


def test_packages_of_the_home_folder_are_a_leak(monkeypatch, tmp_path):
    (tmp_path / "torch").mkdir()
    monkeypatch.setattr(host.site, "getusersitepackages", lambda: str(tmp_path))
    monkeypatch.setattr(host.site, "ENABLE_USER_SITE", True)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("PYTHONNOUSERSITE", raising=False)
    assert host.leaks().status == "fail"
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    assert host.leaks().status == "pass"


def test_folders_of_another_user_are_no_error(monkeypatch, tmp_path):
    """As an ordinary user beneath /root: access says no, and is_dir and exists raise."""
    closed = tmp_path / "closed" / "inner"
    closed.mkdir(parents=True)
    stat, access = host.Path.stat, os.access

    def refuse(path, **options):
        if path.is_relative_to(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(host.Path, "stat", refuse)
    monkeypatch.setattr(
        os, "access", lambda p, mode: not Path(p).is_relative_to(closed) and access(p, mode)
    )
    monkeypatch.setattr(host.site, "getusersitepackages", lambda: str(closed / "site-packages"))
    monkeypatch.setenv("HOME", str(closed))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert (host.leaks().status, host.home().status) == ("pass", "pass")
    assert disk.space(closed / "runs", 1.0, 1).status == "pass"


def test_a_framework_built_for_a_newer_glibc_fails(monkeypatch):
    monkeypatch.setattr(host.platform, "libc_ver", lambda: ("glibc", "2.17"))
    found = host.glibc()
    assert found.status == "fail" and "needs 2." in found.value


def test_little_shared_memory_and_none_at_all_fail(tmp_path):
    assert host.shm(tmp_path, least=2**70).status == "fail"
    assert host.shm(tmp_path / "none").status == "fail"


def test_a_home_folder_that_cannot_be_written_fails(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("HOME", str(tmp_path))
    assert host.home().status in ("pass", "warn")
    monkeypatch.setattr(host.Path, "write_bytes", full)
    assert "No space left" in host.home().value and host.home().status == "fail"


def test_apptainer_must_be_new_enough(monkeypatch, tmp_path):
    tool = tmp_path / "apptainer"
    tool.write_text("#!/bin/sh\necho apptainer version 1.0.3\n")
    tool.chmod(0o755)
    monkeypatch.setattr(host, "INSIDE", tmp_path / "no-image")
    monkeypatch.delenv("APPTAINER_CONTAINER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert host.image().status == "fail"
    (tmp_path / "no-image").mkdir()
    monkeypatch.delenv("SUITE_IMAGE_DIGEST", raising=False)
    assert host.image().status == "warn"


def test_network_file_systems_warn_of_locks(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/x / ext4 rw 0 0\nserver:/y {tmp_path} nfs4 rw 0 0\n")
    assert disk.kind(tmp_path, mounts).status == "warn"
    assert disk.type_of(Path("/"), mounts) == "ext4"
    mounts.write_text(f"/dev/x / ext4 rw 0 0\nmgs:/y {tmp_path} lustre rw,localflock 0 0\n")
    assert disk.kind(tmp_path, mounts).status == "warn"
    mounts.write_text(f"/dev/x / ext4 rw 0 0\nmgs:/y {tmp_path} lustre rw,flock 0 0\n")
    assert disk.kind(tmp_path, mounts).status == "pass"


def test_a_plan_larger_than_the_disk_fails(tmp_path):
    assert disk.space(tmp_path / "not" / "yet", 1e18, 10).status == "fail"
    assert disk.space(tmp_path, 1, 10**18).status == "fail"
    assert disk.space(tmp_path, 1, 1).status == "pass"


def test_the_plan_s_bytes_are_those_of_suite_plan():
    plans = planned(Runs(["model=digits_cnn"]))
    found = job.Job.of(plans)
    assert f"epochs      {found.n_epochs}\n" in text(plans[0], 1)
    assert f"trials      {found.n_trials}" in text(plans[0], 1)


def test_a_time_limit_below_the_makespan_warns_and_below_an_epoch_fails(monkeypatch):
    found = job.Job.of(planned(Runs(["model=digits_cnn"])))
    long = found.makespan_s(1)
    for left, status in ((long * 2, "pass"), (long / 2, "warn"), (found.epoch_s / 2, "fail")):
        monkeypatch.setenv("SUITE_END_TIME", str(1000 + 120 + left))
        assert job.time_limit(found, 1, 120, now_s=1000).status == status
    monkeypatch.setenv("SUITE_END_TIME", "soon")
    assert job.time_limit(found, 1, 120).status == "fail"


def test_a_sweep_counts_all_its_runs():
    one = job.Job.of(planned(Runs(["experiment=quickstart", "seed=0"])))
    whole = job.Job.of(planned(Runs(["experiment=quickstart"])))
    assert whole.n_runs > one.n_runs and whole.n_epochs > one.n_epochs


GPUS = gpu.Visible(("0", "1"), True)


def test_a_cpu_build_beside_a_gpu_fails():
    facts = {"version": "2.13.0+cpu", "build": None, "n_gpus": 0}
    found = gpu.fits("torch", facts, GPUS, "auto")
    assert found.status == "fail" and "device=cuda" in found.remedy
    assert gpu.fits("torch", facts, GPUS, "cpu").status == "pass"
    assert gpu.fits("torch", facts, gpu.Visible((), False), "auto").status == "pass"


def test_a_build_that_sees_no_gpu_fails():
    facts = {"version": "2.13.0", "build": "13.0", "n_gpus": 0}
    assert gpu.fits("torch", facts, GPUS, "auto").status == "fail"
    assert gpu.fits("torch", facts | {"n_gpus": 2}, GPUS, "auto").status == "pass"


def test_gpus_that_are_named_without_a_driver_fail():
    assert gpu.visible(gpu.Visible(("0",), False), "auto").status == "fail"
    assert gpu.visible(gpu.Visible((), True), "auto").status == "warn"
    assert gpu.visible(gpu.Visible((), False), "cuda").status == "fail"


def test_two_workers_on_one_gpu_fail_unless_asked_for():
    places = {rank: ("node0" if rank < 4 else "node1", GPUS) for rank in range(6)}
    found = gpu.shared(places, "auto", False)  # node0: ranks 0 (takes none), 1, 2, 3; node1: 4, 5
    assert found.status == "fail" and "first rank 3: worker 2" in found.value
    assert gpu.shared(places, "auto", True).status == "pass"
    del places[3]
    assert gpu.shared(places, "auto", False).status == "pass"


def test_library_and_launcher_of_other_kinds_fail():
    library = "Open MPI v5.0.11, package: Open MPI"
    assert mpi.agree(library, "mpirun (Open MPI) 5.0.11").status == "pass"
    assert mpi.agree(library, "mpirun (Open MPI) 4.1.4").status == "fail"
    hydra = "HYDRA build details:\n    Version:                                 5.0.2"
    assert mpi.agree(library, hydra).status == "fail"
    assert mpi.agree("MPICH Version:      5.0.2", hydra).status == "pass"


def test_the_size_of_the_world_is_held_against_slurm_and_the_suite():
    assert mpi.size(4, {"SLURM_NTASKS": "4"}).status == "pass"
    assert mpi.size(1, {"SLURM_NTASKS": "4"}).status == "fail"
    assert mpi.size(3, {"SUITE_WORLD_SIZE": "4", "OMPI_COMM_WORLD_SIZE": "3"}).status == "fail"


def test_pmi_and_ulfm_are_what_the_library_needs():
    assert mpi.pmi("Open MPI", {"PMI_RANK": "0"}).status == "fail"
    assert mpi.pmi("MPICH", {"PMIX_RANK": "0"}).status == "fail"
    assert mpi.pmi("Open MPI", {"PMIX_RANK": "0"}).status == "pass"
    assert mpi.ulfm("Open MPI", 5, {}).status == "warn"
    assert mpi.ulfm("Open MPI", 5, {"OMPI_MCA_mpi_ft_enable": "1"}).status == "pass"


def test_clocks_that_differ_are_found():
    assert world.clocks(0.001, 0.001, 3).status == "pass"
    assert world.clocks(-5.0, 0.001, 3).status == "warn"
    assert world.clocks(3600.0, 0.001, 3).status == "fail"


def test_equal_findings_of_ranks_are_said_once_and_many_alike_cut_short():
    same = {rank: [ok("a", "fine"), ok("b", f"{rank} ms")] for rank in range(50)}
    same[7] = [fail("a", "broken", "mend it"), ok("b", "7 ms")]
    merged = findings.merge(same)
    assert [(f.check, f.status) for f in merged[:2]] == [("a", "fail"), ("a", "pass")]
    assert merged[0].ranks == (7,) and len(merged[1].ranks) == 49
    assert len(merged) == 5 and sum(len(f.ranks) for f in merged[2:]) == 50
    assert "[ranks 0-6, 8-49]" in findings.page(merged, "test")
    assert findings.code(merged) == 1


def test_a_child_does_not_take_this_rank_s_place(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "3")
    monkeypatch.setenv("PMIX_RANK", "3")
    said = process.python("import os; print([k for k in os.environ if 'RANK' in k])", timeout_s=30)
    assert said[1] == "[]"


def test_the_schema_wants_a_remedy_of_what_failed():
    text = findings.document([Finding("a", "fail", "broken")], "test")
    with pytest.raises(jsonschema.ValidationError):
        document(text)


# --- real MPI -------------------------------------------------------------------------------------


@pytest.fixture
def mpirun():
    if shutil.which("mpirun", path=f"{BIN}:{os.environ['PATH']}") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no mpirun: ./bench installs one where the machine has none")
        pytest.skip("no mpirun on the PATH and none in the environment")
    return ["mpirun", "--oversubscribe"]


def test_three_ranks_give_one_page(environment, mpirun):
    ulfm = ["--with-ft", "ulfm"]
    done = doctor(environment, "model=table_target", launcher=[*mpirun, *ulfm, "-n", "3"])
    assert done.returncode == 0
    assert done.stdout.count("suite.doctor ") == 1 and "3 ranks on 1 node" in done.stdout
    assert re.search(r"pass +ulfm +on", done.stdout)
    assert "MPI_FINALIZE" not in done.stderr


def test_ranks_that_are_worlds_of_their_own_are_reported_within_10_s(environment):
    """What srun --mpi=none gives: Slurm's variables, and nobody who speaks PMI."""
    environment |= {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
    start = time.monotonic()
    done = doctor(environment, "--json")
    assert time.monotonic() - start < 10
    _, found = document(done.stdout)
    assert done.returncode == 1 and found["world size"]["status"] == "fail"
    silent = doctor(environment | {"SLURM_PROCID": "2"})
    assert silent.returncode == 1 and silent.stdout == ""
    # Rank 0 may not be there: a shell inside of a task has that task's variables.
    assert "rank 2: SLURM_NTASKS=4, but MPI made a world of 1" in silent.stderr


@pytest.mark.slow
def test_a_rank_that_hangs_is_named_and_the_page_comes(environment, mpirun, tmp_path):
    environment["SUITE_VERDICT"] = str(tmp_path / "verdict")
    hang = "from mpi4py import MPI; import time; time.sleep(250)"
    start = time.monotonic()
    done = doctor(
        environment, "model=table_target", "--timeout", "8", "--json", ":",
        "-n", "1", sys.executable, "-c", hang, launcher=[*mpirun, "-n", "2"],
    )  # fmt: skip
    assert time.monotonic() - start < 90
    _, found = document(done.stdout)
    assert found["ranks"]["status"] == "fail" and "no answer from 2 of 3" in found["ranks"]["value"]
    assert (tmp_path / "verdict").read_text() == "1\n"


def test_a_rank_0_that_hangs_in_mpi_itself_is_ended_with_its_last_words(tmp_path):
    """The watch is a process: an MPI call that never returns holds every thread of Python."""
    code = (
        "from suite.backends.mpi.watch import Watch; import time\n"
        "Watch(1.0, lambda: print('last words', flush=True)); time.sleep(60)"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert time.monotonic() - start < 15
    assert done.returncode == -9 and done.stdout == "last words\n"
