"""Settings and headers are typed: their keys stand in the parsers alone."""

import ast
from pathlib import Path

import pytest

SUITE = Path(__file__).resolve().parents[1] / "suite"

PARSERS = (
    "results/header.py", "run/journal.py", "core/moved.py",
    "launch/compose/loader.py", "launch/runs.py", "launch/checks.py", "launch/hydra_rules.py",
    "launch/resumed.py", "verify/header.py", "check/stated.py",
)  # fmt: skip
"""Where keys are read, once: of headers, of a journal's first line, of what earlier revisions wrote, of what
Hydra composed, of what a resume takes from a header that a stranger may have written, and of one that is
compared key by key with what its configuration gives."""

NAMES = {"header", "config", "settings", "head"}
"""What a header or a run's configuration is called."""

ALLOWED = {
    # The two settings that may change at a resume, as `run/journal.py` read them.
    "run/conductor.py": {
        "settings.get('min_workers', self.min_workers)",
        "settings.get('resident_trials', self.force.resident_trials)",
    },
    # A trial's hyperparameters.
    # Of another package's answer.
    "optimizers/blackboxopt.py": {"wanted.settings['fidelity']"},
    "testing/joint.py": {"config['width']", "config['optimizer']"},
    "testing/searchers.py": {"config['width']", "config['optimizer']", "config['learning_rate']"},
    # Of a record, which its schema has checked: where a table lies does not say which one it is.
    "compare/comparable.py": {
        "settings.pop('folder', None)",
        "settings.get('description')",
        "config.get('backend')",
    },
    # Of a model of today's or an earlier revision, by today's names.
    "report/groups.py": {"settings.pop('folder', None)", "settings.get('description')"},
    # Of dotted leaves, which MLflow shows as they are: an algorithm has a row of its own.
    "track/rows.py": {"settings.pop('algorithm_name', None)"},
}


def string_keys(source):
    """(line, text) of each `name["key"]`, `name.get("key")` and `"key" in name`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=owner, slice=ast.Constant(value=str())):
                pass
            case ast.Call(
                func=ast.Attribute(value=owner, attr="get" | "pop"),
                args=[ast.Constant(value=str()), *_],
            ):
                pass
            case ast.Compare(left=ast.Constant(value=str()), ops=[ast.In()], comparators=[owner]):
                pass
            case _:
                continue
        match owner:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name.lstrip("_") in NAMES:
                yield node.lineno, ast.unparse(node)


def test_keys_of_settings_and_headers_stand_in_their_parsers_alone():
    places = []
    for path in sorted(SUITE.rglob("*.py")):
        place = path.relative_to(SUITE).as_posix()
        if place in PARSERS:
            continue
        for line, text in string_keys(path.read_text(encoding="utf-8")):
            if text not in ALLOWED.get(place, ()):
                places.append(f"{place}:{line}: {text}")
    assert not places, "\n".join(places)


@pytest.mark.parametrize(
    "line",
    [
        'view.header["model"]',
        'run.header.get("overlap")',
        '(self._settings)["threads"]',
        'config.get("backend", {})',
        '"features" in settings',
    ],
)
def test_each_way_to_read_a_key_is_seen(line):
    assert [text for _, text in string_keys(line)]


def test_a_journals_line_is_no_setting():
    assert not list(string_keys('line["trials"]; header.model; trial.config; config[key]'))
