"""What launchers state of a process, and nonsense in the place of it."""

import pytest

from suite.backends import launcher
from suite.core.errors import ConfigError
from suite.doctor import mpi as doctor_mpi
from suite.run import batch

NONSENSE = ["abc", "", " ", "-1", "+2", "²", "٣", "1_0", "4(x2)", "2,3", "1e3", "0x4", "4.0", "nan",
            "9" * 5000, "\n", "4;id", "$(id)"]  # fmt: skip
NUMBERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_RANK", "PMIX_RANK",
           "PMI_RANK", "SLURM_PROCID")  # fmt: skip


@pytest.fixture(autouse=True)
def no_launch(monkeypatch):
    for name in (*NUMBERS, "SLURM_STEP_ID", "SUITE_WORLD_SIZE", "SLURM_RESTART_COUNT", "SLURM_JOB_ID",
                 *batch.END_TIMES):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("text", NONSENSE)
def test_a_number_that_is_none_counts_as_not_set(monkeypatch, text):
    assert batch.whole_number(text) is None
    for name in (*NUMBERS, "SLURM_STEP_ID"):
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("PMIX_RANK")
    assert not launcher.launched() and launcher.rank() == 0 and launcher.world_size() == 1
    assert launcher.slurm_tasks({"SLURM_NTASKS": text}) is None


@pytest.mark.parametrize("text", NONSENSE)
def test_one_nonsense_variable_does_not_hide_the_others(monkeypatch, text):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", text)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", text)
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "3")
    assert launcher.launched() and launcher.rank() == 3 and launcher.world_size() == 4


def test_numbers_are_read_with_blanks_around_them(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", " 3 ")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "2\n")
    assert launcher.launched() and launcher.rank() == 2 and launcher.world_size() == 3


def test_slurms_step_counts_where_no_mpi_says_anything(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert not launcher.launched()  # salloc: no step
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert launcher.launched() and launcher.rank() == 3


@pytest.mark.parametrize("text", [t for t in NONSENSE if t.strip()] + ["0"])
def test_a_wanted_size_that_is_none_is_refused_by_name(monkeypatch, text):
    with pytest.raises(ConfigError, match=r"SUITE_WORLD_SIZE=.*must be an integer >= 1"):
        launcher.wanted_size({"SUITE_WORLD_SIZE": text})
    monkeypatch.setenv("SUITE_WORLD_SIZE", text)
    with pytest.raises(ConfigError):
        doctor_mpi.step()


def test_the_doctor_compares_numbers_and_not_their_texts():
    assert doctor_mpi.size(4, {"SUITE_WORLD_SIZE": "04"}).status == "pass"
    assert doctor_mpi.size(4, {"PMI_SIZE": "²"}).status == "fail"


@pytest.mark.parametrize("text", NONSENSE)
def test_restarts_and_job_numbers_that_are_none_are_unknown(monkeypatch, text):
    monkeypatch.setenv("SLURM_RESTART_COUNT", text)
    assert batch.restarts() == {}
    assert batch.job_id({"SLURM_JOB_ID": text}) == ""


def test_restarts_and_job_numbers(monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert (
        batch.restarts() == {"restart_count": 2}
        and batch.job_id({"SLURM_JOB_ID": "4711"}) == "4711"
    )


def test_what_job_scripts_state_is_taken_before_slurm_s_own():
    stated = {"SUITE_JOB_ID": "12", "SLURM_JOB_ID": "4711"}
    assert (batch.job_id(stated), batch.slurm_job_id(stated)) == ("12", "4711")
    # Only Slurm's number is for Slurm's commands.
    assert batch.slurm_job_id({"SUITE_JOB_ID": "12"}) == ""
    assert batch.job_id({"SUITE_JOB_ID": "12[3].server", "SLURM_JOB_ID": ""}) == ""


def test_a_job_s_cores_and_restarts_are_those_of_any_batch_system(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUITE_JOB_CORES", "8")
    assert batch.n_cores() is None
    monkeypatch.setenv("SUITE_JOB_ID", "12")
    monkeypatch.setenv("SUITE_JOB_RESTARTS", "2")
    assert batch.n_cores() == 8 and batch.restarts() == {"restart_count": 2}


@pytest.mark.parametrize("name", batch.END_TIMES)
@pytest.mark.parametrize(
    "text",
    ["nan", "inf", "1e400", "-5", "noon", "Unknown", "1_000", "٣", "²", "9" * 400, "a[$(id)]"],
)
def test_an_end_of_the_job_that_is_no_time_is_refused_by_name(name, text):
    with pytest.raises(ConfigError, match=rf"{name}=.*: must be seconds since 1970"):
        batch.end_time_s({name: text})


def test_the_end_of_the_job():
    assert batch.end_time_s({"SUITE_END_TIME": " 1700000000.5 "}) == 1700000000.5
    assert batch.end_time_s({"SUITE_END_TIME": "", "SLURM_JOB_END_TIME": "1000"}) == 1000.0
    assert batch.end_time_s({"SUITE_END_TIME": " "}) is None


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["plan", "max_epochs=4"], False),
        (["--help"], False),
        (["model=table_target", "--cfg=job"], False),
        (["-c", "job"], False),
        (["backend=simulate", "max_epochs=3"], False),
        (["-m", "backend=inline,simulate", "seed=0,1"], False),
        (["backend=mpi", "backend=inline"], False),
        (["backend=inline", "backend=mpi"], True),
        (["backend=inline,mpi", "-m"], True),
        (["model=table_target"], True),
        (["experiment=published_mlpf"], True),
        (["name=plan"], True),
        (["--config-dir", "plan"], True),
        ([], True),
    ],
)
def test_whether_a_command_line_may_need_workers(words, needed):
    assert launcher.needs_workers(words) == needed


def test_a_node_is_labelled_by_what_names_it():
    labels = launcher.node_labels({1: "boot b", 2: "boot a", 3: "boot b"})
    assert labels == {1: "node0", 2: "node1", 3: "node0"}
