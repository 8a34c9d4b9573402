"""`plan --sbatch`: the line that submits, for a site; nothing is submitted."""

import pytest

from suite.launch import cli


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
