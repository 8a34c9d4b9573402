"""`plan --sbatch`: the line that submits, for a site; nothing is submitted."""

import shlex

import pytest

from suite.core.errors import ConfigError
from suite.launch import batch_lines, cli
from suite.launch.plan import Load


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("SUITE_SITE", "SUITE_ACCOUNT", "SUITE_IMAGE", "SUITE_DATA", "SLURM_JOB_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)


def said(capsys, *words):
    code = cli.main(["plan", "model=table_target", *words, "--sbatch"])
    out, err = capsys.readouterr()
    return code, (out + err).strip()


def test_an_experiment_that_is_none_is_refused_with_the_known_ones(capsys):
    assert cli.main(["plan", "experiment=quickstrat"]) == 1
    said = capsys.readouterr().err
    assert "quickstrat" in said and "quickstart" in said


def test_a_line_for_the_site_with_a_task_more_than_gpus(capsys, monkeypatch):
    monkeypatch.setenv("SUITE_IMAGE", "my image.sif")
    code, line = said(capsys, "site=local", "nodes=4", "max_epochs=9", "seed=3")
    assert code == 0
    assert line.startswith("SUITE_SITE=local SUITE_IMAGE='my image.sif' sbatch --nodes=4")
    assert "--ntasks-per-node=2 --gres=gpu:1" in line
    assert line.endswith("slurm/run.sbatch model=table_target max_epochs=9 seed=3")


def test_four_gpus_a_node_and_an_account(capsys, monkeypatch):
    monkeypatch.setenv("SUITE_ACCOUNT", "hep42")
    code, line = said(capsys, "site=juwels_booster", "nodes=50")
    assert code == 0
    assert "--nodes=50 --ntasks-per-node=5" in line
    assert "--gres=gpu:4" in line and "--account=hep42" in line


def test_more_epochs_ask_for_more_time_and_a_sweep_for_all_its_runs(capsys):
    def minutes(*words):
        _, line = said(capsys, "site=local", "model=digits_cnn", *words)
        hours, mins, _ = line.split("--time=")[1].split()[0].split(":")
        return int(hours) * 60 + int(mins)

    one = minutes("max_epochs=81")
    assert minutes("max_epochs=2187") > 3 * one
    assert minutes("experiment=quickstart", "max_epochs=81") > one


def test_a_search_with_a_budget_asks_for_its_time_and_one_until_the_job_ends_for_an_hour(capsys):
    words = ("site=local", "nodes=4", "algorithm=price_rank", "epoch_s=60")
    _, line = said(capsys, *words, "budget.hours=2")
    # A quarter more, start and pause: not the bound of its plan.
    assert "--time=02:38:00 " in line
    _, line = said(capsys, *words, "budget.end=job")
    assert "--time=01:00:00 " in line and line.endswith("budget.end=job")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("site=nowhere",), "SUITE_SITE=nowhere: must be one of"),
        ((), "SUITE_SITE=: must be one of"),
        (("site=juwels_booster",), "SITE_ACCOUNT=: no account is named"),
        (("site=local", "nodes=0"), "nodes=0: must be an integer >= 1"),
    ],
)
def test_what_is_missing_is_said(capsys, words, match):
    code, text = said(capsys, *words)
    assert code == 1 and match in text


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a b", ".x", "$(id)"])
def test_a_site_is_a_file_s_name_and_no_path(name, capsys):
    code, text = said(capsys, f"site={name}")
    assert code == 1 and f"SUITE_SITE={name}: must be the name of a file in slurm/sites/" in text


def batch_line(capsys, system, *words):
    code = cli.main(["plan", "model=digits_cnn", "site=local", *words, f"--batch={system}"])
    out, err = capsys.readouterr()
    return code, (out + err).strip()


def test_pbs_s_first_chunk_has_a_rank_more_and_its_words_a_variable(capsys):
    code, line = batch_line(capsys, "pbs", "nodes=4", "workers=4", 'name="a b"')
    assert code == 0
    assert line.startswith("SUITE_SITE=local SUITE_WORDS='model=digits_cnn ")
    assert " qsub -l select=1:ncpus=5:mpiprocs=5+3:ncpus=4:mpiprocs=4 -l walltime=0" in line
    assert line.endswith(" batch/pbs.sh")
    # As the job's shell, and then the job, take it apart again.
    (words,) = (w for w in shlex.split(line) if w.startswith("SUITE_WORDS="))
    assert shlex.split(words.partition("=")[2]) == ["model=digits_cnn", 'name="a b"']


def test_grid_engine_is_asked_for_a_slot_for_each_rank(capsys):
    code, line = batch_line(capsys, "gridengine", "nodes=4", "workers=4", "seed=3")
    assert code == 0 and line.startswith("SUITE_SITE=local qsub -pe mpi 17 -l h_rt=0")
    assert line.endswith(" batch/gridengine.sh model=digits_cnn seed=3")


def test_htcondor_has_one_machine_and_quotes_of_its_own(capsys):
    code, line = batch_line(capsys, "htcondor", "workers=4", 'name="a b"')
    assert code == 0 and line.startswith("SUITE_SITE=local condor_submit ranks=5 walltime=")
    words = 'words=model=digits_cnn \'name=""a b""\''
    assert shlex.split(line)[-2:] == [words, "batch/htcondor.sub"]
    code, line = batch_line(capsys, "htcondor", "nodes=2")
    assert code == 1 and "nodes=2: a job of batch/htcondor.sub has one machine" in line


def test_a_batch_system_that_is_none_is_refused_with_the_known_ones(capsys):
    code, line = batch_line(capsys, "pbspro")
    assert (
        code == 1 and "--batch=pbspro: unknown; known are gridengine, htcondor, pbs, slurm." in line
    )
    code, line = batch_line(capsys, "slurm")
    assert code == 0 and line.endswith(" slurm/run.sbatch model=digits_cnn")


def test_a_site_s_queue_account_and_gpus_are_in_the_line_of_each_system():
    site = batch_lines.Site(
        "a", "gpu", "hep", 4, 48, "24:00:00", "mpi5", "-l filesystems=home:eagle"
    )
    load = Load(1, 100, 81, 10.0)
    lines = {each: batch_lines.line(each, [load], site, 2, []) for each in ("pbs", "gridengine")}
    assert (
        "qsub -q gpu -A hep -l filesystems=home:eagle -l select=1:ncpus=48:mpiprocs=5:ngpus=4+1:"
        in lines["pbs"]
    )
    # A slot more on each node: such an environment gives all nodes as many.
    assert (
        "qsub -q gpu -P hep -l filesystems=home:eagle -pe mpi5 10 -l h_rt=" in lines["gridengine"]
    )
    line = batch_lines.line("htcondor", [load], site, 1, [])
    assert "ranks=5 walltime=" in line and " gpus=4 group=hep " in line
    with pytest.raises(ConfigError, match="SITE_PE=: site b names no parallel environment"):
        batch_lines.line("gridengine", [load], batch_lines.Site("b"), 1, [])


def in_groups(capsys, *words, model="digits_cnn"):
    return said(capsys, f"model={model}", "backend=mpi", "backend.ranks_per_trial=2", *words)


def minutes(line):
    hours, mins, _ = line.split("--time=")[1].split()[0].split(":")
    return int(hours) * 60 + int(mins)


@pytest.mark.parametrize("model", ["babi_lstm", "mlpf"])
def test_two_ranks_a_trial_are_one_worker(capsys, monkeypatch, model):
    """As many ranks and GPUs, half the workers: the line asks for the time that those need."""
    monkeypatch.setenv("SUITE_ACCOUNT", "hep42")
    words = ("site=juwels_booster", "nodes=2", "max_epochs=81", "model.data=stand_in", "epoch_s=20")
    _, single = said(capsys, f"model={model}", *words)
    code, line = in_groups(capsys, *words, model=model)
    assert code == 0, line
    assert "--ntasks-per-node=5" in line and "--gres=gpu:4" in line
    assert "SUITE_WORKERS_PER_NODE" not in line
    _, half = said(capsys, f"model={model}", *words, "workers=2")
    assert minutes(line) == minutes(half) > minutes(single)


def test_workers_that_are_asked_for_are_groups_of_ranks(capsys):
    _, line = in_groups(capsys, "site=local", "workers=3")
    assert "SUITE_WORKERS_PER_NODE=6" in line and "--ntasks-per-node=7" in line


def test_other_batch_systems_count_groups_too(capsys):
    words = ("workers=3", "backend=mpi", "backend.ranks_per_trial=2")
    _, line = batch_line(capsys, "htcondor", *words)
    assert " ranks=7 " in line


def test_a_node_with_fewer_gpus_than_a_trial_has_ranks_is_refused(capsys):
    code, text = in_groups(capsys, "site=local")
    assert code == 1
    assert "backend.ranks_per_trial=2: SITE_GPUS_PER_NODE=1" in text and "use 1 or fewer" in text


def test_groups_over_nodes_take_a_rank_for_each_gpu(capsys):
    """Four nodes of one GPU are two workers of two ranks, and three are too few for four."""
    over_nodes = "backend.group_interface=ib0"
    code, line = in_groups(
        capsys, "site=local", "nodes=4", "epoch_s=20", "max_epochs=81", over_nodes
    )
    assert code == 0, line
    assert "--ntasks-per-node=2" in line
    _, two = said(
        capsys, "model=digits_cnn", "site=local", "nodes=2", "epoch_s=20", "max_epochs=81"
    )
    assert minutes(line) == minutes(two)
    code, text = in_groups(capsys, "site=local", "nodes=3", over_nodes, "backend.ranks_per_trial=4")
    assert code == 1 and "backend.ranks_per_trial=4: nodes=3 with 1 ranks each have fewer" in text


def test_runs_with_groups_of_several_sizes_are_no_one_job(capsys):
    code, text = said(
        capsys, "model=digits_cnn", "site=local", "backend=mpi", "backend.ranks_per_trial=1,2", "-m"
    )
    assert code == 1 and "backend.ranks_per_trial=1, 2: one number a launch" in text
