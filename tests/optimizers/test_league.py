"""The league is open: an optimizer from outside of the repository joins it with one YAML file."""

import json
import re
from pathlib import Path

import pytest
import yaml

from kit.driving import CONF
from kit.newcomers import python
from kit.tables import needed
from suite.files import published_tables

TABLES = ("algoperf_ogbg", "deepobs_mnist_vae")
THIRDS = '''"""Random configurations to a third of the epochs; of each three the best one goes on."""

from suite.core import JointOptimizer, stream


class Thirds(JointOptimizer):
    """Threes: all to a third of the epochs, then the best to the end."""

    def open(self, space, seed, max_epochs):
        self.space, self.seed, self.most = space, seed, max_epochs
        self.n, self.told, self.going_on = 0, [], []

    def ask(self):
        if self.going_on:
            return self.going_on.pop(), None, self.most
        self.n += 1
        return self.n, self.space.sample(stream(self.seed, "thirds", self.n)), self.most // 3

    def tell(self, key, to_epoch, objective):
        if to_epoch < self.most and objective is not None:
            self.told.append((objective, key))
        if len(self.told) == 3:
            self.going_on.append(min(self.told)[1])
            self.told = []
'''
YAML = """# @package _global_
# Thirds: random configurations; of each three the best one goes on
defaults:
  - override /scheduler: joint
  - override /searcher: joint
  - override /predictor: none
scheduler: {optimizer: {_target_: newcomer.thirds.Thirds}}
"""


def strangers_folder(folder: Path) -> None:
    (folder / "newcomer").mkdir()
    (folder / "newcomer" / "__init__.py").touch()
    (folder / "newcomer" / "thirds.py").write_text(THIRDS)
    (folder / "myconf" / "algorithm").mkdir(parents=True)
    (folder / "myconf" / "algorithm" / "thirds.yaml").write_text(YAML)


@pytest.mark.slow
def test_a_strangers_optimizer_of_30_lines_joins_the_league_with_one_yaml(tmp_path):
    for name in TABLES:
        needed(published_tables()[name])
    assert len(THIRDS.splitlines()) <= 30
    strangers_folder(tmp_path)
    done = python(
        tmp_path, "-m", "suite", "--config-dir", "myconf", "experiment=league", "report=false",
        f"task={','.join(TABLES)}", "algorithm=hyperband,joint_halving,thirds", "seed=0,1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/**/record.json")]
    mine = [record for record in records if record["algorithm"] == "thirds"]
    assert len(records) == 12 and len(mine) == 4
    assert {record["status"] for record in records} == {"completed"}
    assert all(record["result"]["winner"] is not None for record in mine)
    # The report judges it as every other: a column of each table, with its number of seeds.
    said = python(tmp_path, "-m", "suite.report", "runs", "--format", "text")
    assert said.returncode == 0, said.stderr
    for name in TABLES:
        part = said.stdout.split(f"league / {name}", 1)[1]
        assert re.search(r"^ .*\bthirds\b.*\n-.*\nseeds \(n\) +2\b", part, re.M)
    # Each decision again, by the stranger's class.
    found = python(tmp_path, "-m", "suite.verify", "runs")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", ["league", "league_hours"])
def test_the_league_has_its_controls_and_the_same_tables_and_seeds(name):
    of = {
        each: yaml.safe_load((CONF / "experiment" / f"{each}.yaml").read_text())["hydra"]["sweeper"]
        for each in ("league", name)
    }
    axes = of[name]["params"]
    algorithms = [word.strip() for word in axes["algorithm"].split(",")]
    assert {"joint_halving", "random_search_filling"} <= set(algorithms)
    assert "one_epoch" in algorithms or name != "league"
    assert [axes[key] for key in ("task", "seed")] == [
        of["league"]["params"][key] for key in ("task", "seed")
    ]


def test_until_the_same_node_hours_no_table_ends_a_search_by_its_epochs():
    given = yaml.safe_load((CONF / "experiment" / "league_hours.yaml").read_text())
    # A table's task sets n_epochs, at which joint optimizers would end before the deadline.
    assert given["budget"] == {"trainings": 3.5, "n_epochs": None}
