"""One plan for a sweep: plan, plan --sbatch and the doctor agree with what a run would do."""

import re
from collections import OrderedDict

import pytest
import yaml
from omegaconf import OmegaConf

from kit.driving import CONF, names
from suite.core.errors import DataError
from suite.core.extras import MissingExtraError
from suite.doctor import job
from suite.files import published_tables
from suite.launch import cli, execute
from suite.launch.plan import makespan_s, page, planned
from suite.launch.runs import Runs

KNOWN = {
    "beyond": 7200,
    "published_mlpf": 190,
    "published_ptb": 190,
    "quickstart": 9,
    "beyond_asha": 720,
    "beyond_others": 1080,
    "deadline": 6624,
    "deadline_digits": 36,
    "league": 2340,
}
BEYOND = ("beyond", "beyond_asha", "beyond_others")
# Hundreds of combinations are composed.
LARGE = {
    "scaling": pytest.mark.slow,
    **dict.fromkeys((*BEYOND, "deadline", "league", "league_hours"), pytest.mark.exhaustive),
}


def experiments():
    return [
        pytest.param(name, marks=[LARGE[name]] if name in LARGE else [])
        for name in names("experiment")
    ]


@pytest.mark.parametrize("name", experiments())
def test_plan_and_doctor_count_the_runs_of_every_experiment(name):
    try:
        # With budget.trainings this reads the table already.
        runs = Runs([f"experiment={name}"])
        plans = planned(runs)
    except DataError as error:
        pytest.skip(f"its table is not here: {error}")
    except MissingExtraError as error:
        pytest.skip(str(error))
    # n_seeds leaves out seeds of some algorithms.
    most = max(len(combination.seeds) for combination in runs.combinations)
    n_runs = len(runs._jobs) - sum(most - len(c.seeds) for c in runs.combinations)
    assert runs.n_runs == n_runs == KNOWN.get(name, n_runs)
    whole = job.Job.of(plans)
    total = sum(p.n_runs * p.parts.scheduler.plan().n_epochs for p in plans)
    assert (whole.n_runs, whole.n_epochs) == (n_runs, total)
    assert f"sweep       {n_runs} runs (" in page(plans, 1, sweep=True)
    assert whole.makespan_s(4) == makespan_s([p.load for p in plans], 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", BEYOND)
def test_of_36_tables_two_have_an_18th_of_the_runs(name):
    try:
        runs = Runs([f"experiment={name}", "task=mlpf,lcbench_34539"])
    except DataError as error:
        pytest.skip(f"its table is not here: {error}")
    assert KNOWN[name] == 18 * runs.n_runs
    assert f"sweep       {runs.n_runs} runs (" in page(planned(runs), 1, sweep=True)


def test_expensive_searches_of_the_deadlines_have_six_of_the_twenty_seeds():
    words = ["experiment=deadline", "task=mnist", "backend.workers=8"]
    try:
        runs = Runs(words)
    except DataError as error:
        pytest.skip(f"its table is not here: {error}")
    n = {c.config["choices"]["algorithm"]: len(c.seeds) for c in runs.combinations}
    few = {"price": 6, "bohb_looped": 6}
    assert n == dict.fromkeys(swept("deadline", "algorithm"), 20) | few
    assert KNOWN["deadline"] == 36 * 2 * runs.n_runs


def test_figure4_runs_swift_hyperband_alone_on_two_workers():
    runs = Runs(["experiment=figure4", "model=table_target"])
    arms = {
        (c.config["choices"]["algorithm"], c.config["choices"]["backend"]): len(c.seeds)
        for c in runs.combinations
    }
    assert arms == {
        ("hyperband", "inline"): 3, ("fast_hyperband", "inline"): 3, ("swift_svr", "inline"): 3,
        ("hyperband", "mpi"): 0, ("fast_hyperband", "mpi"): 0, ("swift_svr", "mpi"): 3,
    }  # fmt: skip
    assert len(list(runs)) == runs.n_runs == 12


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The runs that a command line starts, without running them: (name, seed, folder's name)."""
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path))
    started = []

    def instead(settings, folder, **_):
        started.append((settings.choices.algorithm, settings.seed, folder.name))
        return execute.Outcome("completed", "", folder, settings.label)

    monkeypatch.setattr(execute, "run", instead)

    def start(*words):
        started.clear()
        assert cli.main(["model=table_target", *words]) == 0
        return started

    return start


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "seed=0,1,2"),
        ("-m", "seed=range(4)", "algorithm=hyperband,asha"),
        ("--multirun", "algorithm=glob(swift_s*)", "seed=choice(3,5)"),
        ("experiment=quickstart",),
        ("experiment=quickstart", "seed=range(5)", "n_seeds={swift_qsvr: 2}"),
        ("experiment=quickstart", "seed=7"),
        ("experiment=quickstart", "hydra.mode=RUN"),
        ("scheduler=asha", "seed=4"),
    ],
)
def test_the_plan_counts_the_runs_that_a_run_starts(ran, words):
    runs = Runs(["model=table_target", *words])
    expected = sorted(
        (c.config["choices"]["algorithm"], seed) for c in runs.combinations for seed in c.seeds
    )
    started = ran(*words)
    assert sorted((name, seed) for name, seed, _ in started) == expected
    assert all(folder.endswith(f"{name}-seed{seed}") for name, seed, folder in started)
    assert job.Job.of(planned(runs)).n_runs == len(started)


def test_algorithms_of_a_sweep_take_turns_and_folders_keep_their_names(ran):
    """Numbers are those of earlier versions, in which a sweep's last axis ran fastest."""
    started = ran("-m", "algorithm=hyperband,asha", "seed=4,2", "model.noise=0.1,0.2")
    assert started == [
        ("hyperband", 4, "0-hyperband-seed4"), ("asha", 4, "4-asha-seed4"),
        ("hyperband", 2, "2-hyperband-seed2"), ("asha", 2, "6-asha-seed2"),
        ("hyperband", 4, "1-hyperband-seed4"), ("asha", 4, "5-asha-seed4"),
        ("hyperband", 2, "3-hyperband-seed2"), ("asha", 2, "7-asha-seed2"),
    ]  # fmt: skip


def test_seeds_of_a_range_ask_for_the_time_of_seeds_in_a_list(capsys, monkeypatch):
    def line(seeds):
        words = [
            "model=cifar10_cnn",
            "model.data=stand_in",
            "experiment=quickstart",
            f"seed={seeds}",
            "site=local",
            "nodes=2",
        ]
        assert cli.main(["plan", *words, "--sbatch"]) == 0
        return capsys.readouterr().out.split("--time=")[1].split()[0]

    assert line("range(8)") == line(",".join(map(str, range(8)))) != line("0")


def test_a_list_without_a_sweep_is_refused_by_plan_and_run_alike(capsys):
    assert cli.main(["plan", "seed=0,1"]) == cli.main(["seed=0,1"]) == 1
    assert capsys.readouterr().err.count("put -m into the command") == 2


def test_each_run_of_a_sweep_has_the_budget_of_its_own_table():
    tables = "task=mlpf,ptb,algoperf_imagenet_resnet"
    runs = Runs(["experiment=beyond_asha", tables, "seed=0", "algorithm=asha"])
    budgets = {
        c.config["choices"]["task"]: c.config["scheduler"]["n_trials"] for c in runs.combinations
    }
    assert budgets == {"mlpf": 183, "ptb": 280, "algoperf_imagenet_resnet": 29}


def swept(experiment, key):
    """The values of one axis of an experiment."""
    given = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    return [word.strip() for word in given["hydra"]["sweeper"]["params"][key].split(",")]


def test_experiments_beyond_the_paper_take_every_table_that_is_not_kept_apart():
    entries = published_tables().values()
    tables = sorted(entry.name for entry in entries if entry.family != "baker")
    assert len(tables) == 36
    assert all(sorted(swept(name, "task")) == tables for name in (*BEYOND, "deadline", "league"))


def test_experiments_beyond_the_paper_run_every_algorithm_but_one_once():
    """fit_and_threshold asks for more configurations than the smallest tables have; others end by a clock;
    joint optimizers, and searchers of other people's packages, are no part of the study, nor are pairs that
    have an experiment or a page of their own.
    """
    algorithms = [algorithm for name in BEYOND for algorithm in swept(name, "algorithm")]
    by_clock = {"price", "price_rank", "hyperband_looped", "bohb_looped"}
    peers = {
        path.stem
        for path in (CONF / "algorithm").glob("*.yaml")
        if re.search(r"override /(scheduler: joint|searcher: optuna)", path.read_text())
    }
    pairs = {*swept("asha_forecasts", "algorithm"), "swift_epsilon_svr"} - {"asha"}
    others = {"fit_and_threshold"} | by_clock | peers | pairs
    assert sorted(algorithms) == sorted(set(names("algorithm")) - others)
    assert by_clock <= set(swept("deadline", "algorithm"))
    # One fits a model for each proposal, two need more than stands beside the lock; others are of the league
    # with a predictor beside them.
    apart = {"syne_tune_cqr", "smac", "neps_priorband", "neps_ifbo"}
    league = {name for name in peers if not name.endswith("_svr")} - apart
    assert league <= set(swept("league", "algorithm"))


@pytest.mark.parametrize("command", [(), ("plan",)])
def test_help_is_the_same_page(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    assert "Groups (group=option):" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ([], ["    hyperband                           Hyperband",
              "  max_epochs=27                         R: the most epochs one trial can get",
              "  virtual_cluster.speculate=false       idle workers train what the scheduler expects to keep",
              "Settings of scheduler=hyperband:"]),
        (["algorithm=swift_qsvr", "backend=simulate", "seed=3"],
         ["  seed=3                                every random choice of a run is addressed by it",
          "  predictor.num_sweeps=50               of simulated samplers",
          "  backend.resident_trials=1             trials a worker keeps in memory",
          "  backend.workers=50                    1 to 100000"]),
    ],
)  # fmt: skip
def test_help_says_each_setting_with_its_value_and_its_comment(words, lines, capsys):
    assert cli.main([*words, "--help"]) == 0
    page = capsys.readouterr().out
    missing = [line for line in lines if f"\n{line}\n" not in page]
    assert not missing, page


def test_help_has_a_line_for_every_file_of_conf_and_every_setting_of_config_yaml(capsys):
    assert cli.main(["--help"]) == 0
    page = capsys.readouterr().out
    for group in ("algorithm", "experiment", "model", "scheduler", "searcher", "predictor", "task"):
        for name in names(group):
            assert re.search(rf"^    {name} *\n? +\S", page, re.M), (
                f"{group}/{name}: nothing is said"
            )
    own = page.split("Settings (key=value)")[1].split("Settings of")[0]
    for line in own.splitlines()[1:]:
        assert not re.fullmatch(r"  \S+=.*\S", line) or "  " in line.strip(), f"{line}: no comment"


def test_a_run_of_another_seed_is_composed_as_from_the_files():
    """One configuration serves all seeds of a combination."""
    words = [
        "-m",
        "model=table_target",
        "seed=0,1,2,11",
        "algorithm=hyperband,asha",
        "name=run-${seed}",
    ]
    runs = Runs(words)
    assert runs.folder
    quick = list(runs)
    composed = runs._composed
    runs._composed = lambda number, job, _: runs._loader.job(runs._master, job, number)
    assert list(runs) == quick
    assert len({run.folder for run in quick}) == len(quick) == 8
    # What Hydra keeps of the overrides, for whoever names folders by it.
    before, said = OrderedDict(), []
    for number, one in runs._jobs:
        both = composed(number, one, before), runs._composed(number, one, before)
        said.append([OmegaConf.to_container(each.hydra, resolve=False) for each in both])
    assert len(before) == 2 and all(quickly == anew for quickly, anew in said)
