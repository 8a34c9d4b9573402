"""What README.md and docs/ tell people to type does what they say."""

import os
import sys

import pytest

from kit import pages
from kit.driving import DATA

# Each page in a folder of its own. The others take longer: CI=true runs them.
QUICK = {"README.md", "qsvr.md", "troubleshooting.md"}
CURVES = DATA / "curves" / "mlpf_delphes.csv"
NEED_CURVES = ("_table", "task=", "experiment=published", "experiment=beyond", "SUITE_DATA/curves")


def page_parameters():
    return [
        pytest.param(p, id=p.name, marks=() if p.name in QUICK else pytest.mark.slow)
        for p in pages.PAGES
    ]


@pytest.fixture
def own_modules(tmp_path):
    """A page's own package must not be met by the next page, however this one ends."""
    loaded = set(sys.modules)
    yield
    for name in set(sys.modules) - loaded:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path) + os.sep):
            del sys.modules[name]


@pytest.mark.parametrize("page", page_parameters())
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch, own_modules):
    shell = pages.Shell(tmp_path, monkeypatch)
    for name in [name for name in os.environ if name.startswith("SUITE_")]:
        monkeypatch.delenv(name)  # another test file's
    monkeypatch.setenv("SUITE_DATA", str(DATA))
    listed = pages.not_run()
    for block in pages.blocks(page):
        if block.title:
            shell.write(block)
        elif block.language == "python":
            shell.python(block)
        elif block.language in ("sh", "console"):
            for shown in pages.commands(block):
                if shown.command in listed or _lacks_curves(shown.command):
                    continue
                output = shell.run(shown.command)
                if shown.output is None:
                    assert shell.code == 0, f"{shown.command}\n{output}"
                else:
                    assert pages.matches(shown.output, output), (
                        f"{page.name}: {shown.command}\nshown:\n{shown.output}\nprinted:\n{output}"
                    )


def _lacks_curves(command):
    return not CURVES.exists() and any(word in command for word in NEED_CURVES)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda p: p.name)
def test_every_block_says_what_it_is(page):
    for block in pages.blocks(page):
        assert block.language in pages.known_languages(), block.body
        if block.language == "console":
            assert block.body.startswith("$ "), block.body


def test_every_command_that_is_not_run_has_a_reason_and_stands_on_a_page():
    typed = {
        shown.command
        for page in (*pages.PAGES, *pages.DESCRIPTIONS)
        for block in pages.blocks(page)
        if block.language in ("sh", "console")
        for shown in pages.commands(block)
    }
    listed = pages.not_run()
    assert set(listed) <= typed, "tests/docs/not_run.yaml: no page has this command"
    assert all(len(reason) > 5 for reason in listed.values())


def test_shown_output_is_compared_line_by_line():
    assert pages.matches("a ... c\n", "a 12.3 c\n")
    assert pages.matches("first\n...\nlast\n", "first\n1\n2\nlast\n")
    assert not pages.matches("a ... c\n", "a 12.3 d\n")
    assert not pages.matches("first\nlast\n", "first\n1\nlast\n")
