"""`swiftbench curves list`: the catalogue, and which tables are here."""

import json

import pytest

from suite.curves import __main__ as door
from suite.files import published_tables


def listed(capsys, *words):
    assert door.main(["list", *words]) == 0
    return capsys.readouterr().out


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITE_DATA", str(tmp_path))
    return tmp_path


def test_each_table_has_a_line_with_family_and_kind(data, capsys):
    lines = listed(capsys).splitlines()
    assert len(lines) == len(published_tables()) + 2
    (line,) = [line for line in lines if line.startswith("lcbench_34539 ")]
    assert line.split() == [
        "lcbench_34539", "lcbench", "SURROGATE", "500", "52", "val_accuracy", "max", "Apache-2.0", "no",
    ]  # fmt: skip
    assert "0 of them here" in lines[-1]


def test_json_says_address_digests_and_scales(data, capsys):
    (pong,) = json.loads(listed(capsys, "--family", "rl", "--json"))
    entry = published_tables()["rl_ppo_pong"]
    assert (pong["sha256"], pong["address"]) == (entry.sha256, entry.address)
    assert pong["scales"]["gamma"] == "ordered" and pong["seconds"] is True
    assert pong["licence"] == "none-stated"


def test_a_table_is_here_where_its_file_is_the_described_one(data, capsys, monkeypatch):
    (data / "bank").mkdir()
    (data / "bank" / "rl_ppo_pong.csv").write_text("other\n")
    assert json.loads(listed(capsys, "--family", "rl", "--json"))[0]["here"] == "another version"
    (data / "curves").symlink_to(data / "nowhere")
    assert json.loads(listed(capsys, "--family", "alexnet", "--json"))[0]["here"] == "no"


def test_an_unknown_family_is_refused(data, capsys):
    assert door.main(["list", "--family", "tasksets"]) == 1
    assert "Did you mean taskset" in capsys.readouterr().err
