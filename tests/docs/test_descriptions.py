"""benchmark/**/DESCRIPTION.md: one for each level and target, which says what the code says."""

import importlib
import re

import pytest
import yaml

from kit import pages
from kit.driving import ROOT
from suite.check.levels import levels

HEADINGS = [
    "Purpose", "Source", "Building", "Execution", "Verification", "Results", "Baseline",
]  # fmt: skip
BENCHMARK = ROOT / "benchmark"
NO_TRAINING = ("models.recorded_curves.", "models.synthetic_curves.")
"""Replayed or made-up curves are no benchmark of their own."""


def described(kind):
    return {path.parent.name: path for path in BENCHMARK.glob(f"{kind}/*/DESCRIPTION.md")}


def targets():
    """Model name -> class, of every YAML of a trained target."""
    found = {}
    for path in (ROOT / "conf" / "model").glob("*.yaml"):
        name = yaml.safe_load(path.read_text()).get("_target_")
        if name and not name.startswith(NO_TRAINING):
            module, _, attribute = name.rpartition(".")
            found[path.stem] = getattr(importlib.import_module(module), attribute)
    return found


def ids(path):
    return str(path.relative_to(BENCHMARK).parent)


@pytest.mark.parametrize("path", pages.DESCRIPTIONS, ids=ids)
def test_it_has_the_seven_parts_in_order(path):
    assert re.findall(r"^## (.+)$", path.read_text(), re.M) == HEADINGS


def test_every_target_has_one_and_it_says_what_the_class_says():
    files, classes = described("models"), targets()
    own = {name: cls for name, cls in classes.items() if name in files}
    assert set(files) == set(own) and set(own.values()) == set(classes.values())
    for name, cls in classes.items():
        base = next(one for one, other in own.items() if other is cls)
        assert f"model={name}" in files[base].read_text() or f"`{name}`" in files[base].read_text()
    for name, cls in own.items():
        text = files[name].read_text()
        assert f"`epoch_s = {cls.epoch_s}`" in text, name
        assert f"`checkpoint_bytes = {cls.checkpoint_bytes}`" in text, name
        assert f"`{cls.metric.name}`" in text, name
        better = "smaller" if cls.metric.mode == "min" else "larger"
        assert f"({better} is better)" in text, name


def test_every_level_has_one_and_it_says_what_the_level_is():
    files = described("levels")
    assert set(files) == set(levels())
    for name, level in levels().items():
        text = files[name].read_text()
        goal = "No target value is fixed yet"
        assert (goal if level.target is None else f"`target = {level.target}`") in text
        assert f"`repeats = {level.repeats}`" in text
        commands = [
            shown.command.replace('"', "")
            for block in pages.blocks(files[name])
            for shown in pages.commands(block)
        ]
        assert f"swiftbench run {' '.join(level.command)}" in commands
        if level.reference:
            assert "no quiet machine was measured" not in text


def test_references_of_reframe_are_those_that_the_page_names():
    references = yaml.safe_load((BENCHMARK / "reframe" / "references.yaml").read_text())
    text = described("levels")["scaling"].read_text()
    for algorithm, figures in references["SwiftbenchLevel"][".*"]["scaling"].items():
        assert f"`{algorithm}` {figures['seconds_to_target'][0]}" in text
        assert str(figures["epochs"][0]) in text


@pytest.mark.parametrize("path", pages.DESCRIPTIONS, ids=ids)
def test_its_commands_do_what_they_say(path, tmp_path, monkeypatch):
    shell = pages.Shell(tmp_path, monkeypatch)
    listed = pages.not_run()
    for block in pages.blocks(path):
        assert block.language == "sh", "a description shows commands, and no output of a machine"
        for shown in pages.commands(block):
            if shown.command not in listed:
                output = shell.run(shown.command)
                assert shell.code == 0, f"{shown.command}\n{output}"


@pytest.mark.parametrize("path", pages.DESCRIPTIONS, ids=ids)
def test_its_links_lead_somewhere(path):
    for address in re.findall(r"\]\(([^)\s]+)\)", pages.prose_of(path)):
        assert (path.parent / address.partition("#")[0]).exists(), address
