"""The pages of docs/ and README.md: their fenced blocks, and a shell that runs the commands in them.

A block's language says what is done with it: `sh` are commands, one a line; `console` are commands after `$ `
with what they print; `python` is run, as a doctest where it has prompts; a block with a title is a file that
is written. In shown output `...` stands for any text, on a line of its own for any lines.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from kit.driving import ROOT

DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in DOCS.glob("*.md") if not p.name.endswith(".head.md")),
]
DESCRIPTIONS = sorted((ROOT / "benchmark").rglob("DESCRIPTION.md"))
NOT_RUN = ROOT / "tests" / "docs" / "not_run.yaml"
_FENCE = re.compile(r"^```(?P<language>\w+)?(?P<options>.*)\n(?P<body>(?:.*\n)*?)```$", re.M)
_SHOWN_TO_PEOPLE = ("text", "json", "bibtex", "yaml")


@dataclass
class Block:
    language: str
    title: str | None
    body: str


@dataclass
class Shown:
    """A command, and the output that the page shows; None where it shows none."""

    command: str
    output: str | None = None


def blocks(page):
    """The fenced blocks of a page, in order."""
    found = []
    for match in _FENCE.finditer(page.read_text()):
        title = re.search(r'title="([^"]+)"', match["options"])
        found.append(Block(match["language"] or "", title[1] if title else None, match["body"]))
    return found


def commands(block):
    """The commands of an `sh` or `console` block; comments and line continuations are taken away."""
    body = block.body.replace("\\\n", " ")
    if block.language == "sh":
        lines = (_bare(line) for line in body.splitlines())
        return [Shown(line) for line in lines if line]
    found = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append(Shown(_bare(line[2:]), ""))
        else:
            found[-1].output += line + "\n"
    return found


def _bare(line):
    return " ".join(re.sub(r"(^|\s)#\s.*$", "", line).split())


def not_run():
    """Commands that no test runs -> the reason."""
    listed = yaml.safe_load(NOT_RUN.read_text())
    return {_bare(command): group["reason"] for group in listed for command in group["commands"]}


def matches(expected, actual):
    """Whether output is as the page shows it."""
    pattern = ""
    for line in expected.rstrip("\n").splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(map(re.escape, line.rstrip().split("..."))) + "\n"
    lines = "".join(line.rstrip() + "\n" for line in actual.rstrip("\n").splitlines())
    return re.fullmatch(pattern, lines) is not None


class Shell:
    """Runs a page's blocks in one folder, `swiftbench` in this process, all else by bash."""

    def __init__(self, folder, monkeypatch):
        self.folder, self._patch = folder, monkeypatch
        self._code = 0
        monkeypatch.chdir(folder)
        monkeypatch.setenv("SUITE_PROGRESS", "plain")
        monkeypatch.setenv("COLUMNS", "120")

    def write(self, block):
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body)

    def python(self, block):
        """Raises AssertionError where an example prints something else than the page shows."""
        if ">>>" in block.body:
            runner = doctest.DocTestRunner(
                optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            )
            said = io.StringIO()
            test = doctest.DocTestParser().get_doctest(block.body, {}, "page", "page", 0)
            assert runner.run(test, out=said.write).failed == 0, said.getvalue()
        else:
            exec(compile(block.body, "page", "exec"), {"__name__": "page"})

    def run(self, command):
        """The output of a command, both streams as they came; its exit code is kept for `echo $?`."""
        if command == "echo $?":
            return f"{self._code}\n"
        words = shlex.split(os.path.expandvars(command.replace("$PWD", os.getcwd())))
        if words[:2] == ["./bench", "exec"]:
            words = words[2:]
        if words[0] == "cd":
            self._patch.chdir(words[1])
            return ""
        if words[0] == "export":
            self._export(words[1:])
            return ""
        if words[0] == "swiftbench":
            self._code, said = _in_process(words[1:])
            return said
        done = subprocess.run(
            ["bash", "-c", command],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        self._code = done.returncode
        return done.stdout

    @property
    def code(self):
        return self._code

    def _export(self, pairs):
        for pair in pairs:
            name, _, value = pair.partition("=")
            self._patch.setenv(name, value)
            if name == "PYTHONPATH":
                self._patch.syspath_prepend(value)


def _in_process(words):
    from swiftbench.__main__ import COMMANDS, main

    said = io.StringIO()
    before = sys.argv
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            known = COMMANDS.get(words[0] if words else "")
            if known and known.module == "suite.__main__":
                from suite.launch import cli

                sys.argv = [f"swiftbench {words[0]}", *words[1:]]
                code = cli.main([*known.first, *words[1:]])
            else:
                code = main(words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            sys.argv = before
    return code, said.getvalue()


def prose_of(path: Path):
    """A page without its fenced blocks."""
    return _FENCE.sub("", path.read_text())


def known_languages():
    return {"sh", "console", "python", *_SHOWN_TO_PEOPLE}
