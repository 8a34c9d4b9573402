"""Runs of one experiment agree in `overlap`: a few siblings are looked at, whatever they hold."""

import json
import os

import pytest

from kit.driving import compose
from suite.core.errors import ConfigError
from suite.core.run_settings import RunSettings
from suite.launch import siblings
from suite.run import journal as journals


@pytest.fixture(scope="module")
def settings():
    return RunSettings.of(compose("model=table_target"))


def sibling(experiment, name, overlap=True):
    folder = experiment / name
    folder.mkdir()
    (folder / journals.NAME).write_text(json.dumps({"journal": 1, "overlap": overlap}) + "\n")
    return folder


def test_the_look_costs_the_same_beside_thousands_of_runs(settings, tmp_path, monkeypatch):
    for i in range(200):
        sibling(tmp_path, f"{i}-hyperband-seed0")
    read = []
    header = journals.read_header
    monkeypatch.setattr(journals, "read_header", lambda path: read.append(path) or header(path))
    siblings.check_overlap(settings, tmp_path / "200-hyperband-seed0")
    assert len(set(read)) == len(read) == siblings.LOOKED_AT
    # Spread over the names, so that another setting of a sweep is met.
    assert len({path.parent.name[0] for path in read}) > 8


def test_an_experiment_that_mixes_two_things_is_refused(settings, tmp_path):
    sibling(tmp_path, "0-hyperband-seed0", overlap=False)
    with pytest.raises(ConfigError, match="0-hyperband-seed0 of this experiment has overlap=false"):
        siblings.check_overlap(settings, tmp_path / "1-hyperband-seed0")
    # Its own folder is not another run's.
    siblings.check_overlap(settings, tmp_path / "0-hyperband-seed0")


def put_pipe(path):
    os.mkfifo(path)


BAD = {
    "a pipe": put_pipe,
    "a folder": lambda path: path.mkdir(),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "deep": lambda path: path.write_text("[" * 100_000 + "\n"),
    "endless digits": lambda path: path.write_text(
        '{"journal": 1, "overlap": ' + "9" * 5000 + "}\n"
    ),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "no header": lambda path: path.write_text("[]\n"),
    "another overlap": lambda path: path.write_text('{"journal": 1, "overlap": [[]]}\n'),
    "empty": lambda path: path.write_text(""),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_sibling_neither_hangs_nor_stops_a_new_run(settings, tmp_path, kind):
    (tmp_path / "a").mkdir()
    BAD[kind](tmp_path / "a" / journals.NAME)
    (tmp_path / "a file").write_text("")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    siblings.check_overlap(settings, tmp_path / "b")
    siblings.check_overlap(settings, tmp_path / "nowhere" / "b")
