"""The pages that are made from the code: algorithms.md and settings.md.

    python docs/generate.py          write them; tests/docs compares

Reads conf/, the docstrings of the classes that it names, and each algorithm's plan.
"""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

# The checkout, where the package is not installed; this folder, where PYTHONSAFEPATH is set.
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from docstrings import as_markdown, escaped

from suite.core import plugins
from suite.core.run_settings import RunSettings
from suite.files import published_tables
from suite.launch.assemble import Search, search_of
from suite.launch.compose import Loader
from suite.launch.help import comments

DOCS = Path(__file__).resolve().parent
CONF = DOCS.parent / "conf"
MAX_EPOCHS = 100
"""Of the plans whose costs are shown: the published R, with the published eta of 2."""
_COMMAND = re.compile(r"SUITE_\w+=|mpirun |python -m |swiftbench ")
_SOURCE = re.compile(
    r"^Source: (.+?)(?=Deviation:|^(?:Raises|Attributes|Shapes)\b|\n\n|\Z)", re.S | re.M
)
PARTS = ("scheduler", "searcher", "predictor")
_MADE = "<!-- Made by docs/generate.py from conf/ and docstrings. Change those, then run it. -->\n"


def algorithms() -> str:
    """The page of algorithms, schedulers, searchers and predictors."""
    files = sorted((CONF / "algorithm").glob("*.yaml"))
    lines = [_MADE, (DOCS / "algorithms.head.md").read_text().strip(), ""]
    lines += [
        f"| `algorithm=` | what it is | trials | epochs, R = {MAX_EPOCHS} | repeatable on many workers |",
        "|---|---|---|---|---|",
    ]
    plan = _planner()
    plans = {path.stem: plan(path.stem) for path in files}
    for path in files:
        name = path.stem
        first = escaped(_head(path)[0].partition(";")[0].rstrip("."))
        repeatable = _is_repeatable(plans[name])
        if not repeatable and _is_repeatable(plan(name, "overlap=false")):
            repeatable = "with `overlap=false`"
        lines.append(
            f"| [`{name}`](#algorithm-{name}) | {first} | {_cost(plans[name])} | {repeatable or 'no'} |"
        )
    for path in files:
        lines += ["", *_algorithm(path, plans[path.stem])]
    for part in PARTS:
        lines += ["", f"## All {part}s"]
        for path in sorted((CONF / part).glob("*.yaml")):
            lines += ["", *_part(part, path)]
    return "\n".join(lines) + "\n"


def settings() -> str:
    """The page of every key of conf/config.yaml, of backends and trackers, and of what can be chosen."""
    lines = [_MADE, (DOCS / "settings.head.md").read_text().strip(), "", "## Of every run", ""]
    lines += _table(_settings(CONF / "config.yaml"))
    lines += [
        "",
        "## Of the backend: where jobs run",
        "",
        *_table(_settings(CONF / "backend" / "auto.yaml"), "backend"),
    ]
    lines += [
        "",
        "## Of the simulated backend",
        "",
        *_table(_settings(CONF / "backend" / "simulate.yaml"), "backend"),
    ]
    lines += [
        "",
        "## Of the tracker",
        "",
        *_table(_settings(CONF / "tracking" / "after.yaml"), "tracking"),
    ]
    lines += ["", "## What can be chosen", ""]
    for group in ("experiment", "task", "model", "backend", "tracking", "sampler"):
        key = "sampler@predictor.sampler" if group == "sampler" else group
        lines += ["", f"### `{key}=`", "", "| name | what it is |", "|---|---|"]
        for path in sorted((CONF / group).glob("*.yaml")):
            lines.append(f"| `{path.stem}` | {escaped(_first_sentence(path))} |")
        if group == "task":
            lines += [
                f"| `{one.name}` | {escaped(f'{one.kind}: {one.about}')} |"
                for one in published_tables().values()
            ]
        if group == "model":
            lines.append(
                "| `NAME_table` | the table of `task=NAME`, without its epochs and budget |"
            )
    lines += [
        "",
        "Algorithms, schedulers, searchers and predictors have [their own page](algorithms.md). What a"
        " target's settings mean stands in its file in `conf/model/`.",
    ]
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """File of each page -> what it should hold."""
    return {DOCS / "algorithms.md": algorithms(), DOCS / "settings.md": settings()}


class Plan(NamedTuple):
    """What decides, made: other people's packages need not be installed for that."""

    settings: RunSettings
    search: Search


def _planner() -> Callable[..., Plan]:
    """A function of an algorithm's name and further overrides; conf/ is read once."""
    loader = Loader()

    def plan(algorithm: str, *overrides: str) -> Plan:
        words = [f"algorithm={algorithm}", f"max_epochs={MAX_EPOCHS}", *overrides]
        settings = RunSettings.of(loader.plain(loader.load(words)))
        return Plan(settings, search_of(settings))

    return plan


def _cost(plan: Plan) -> str:
    whole = plan.search.scheduler.plan()
    asks = any(rung.decision_epoch for b in whole.brackets for rung in b.rungs)
    at_most = "at most " if whole.upper_bound or asks else ""
    return f"{whole.n_trials} | {at_most}{whole.n_epochs}"


def _is_repeatable(plan: Plan) -> str:
    return "yes" if plan.search.scheduler.deterministic else ""


def _algorithm(path: Path, plan: Plan) -> list[str]:
    head = " ".join(_head(path))
    idea, _, when = head.partition(" When: ")
    choices = plan.settings.choices
    links = [
        f"{part} [`{name}`](#{part}-{name})"
        for part in PARTS
        if (name := getattr(choices, part)) not in (None, "none")
    ]
    lines = [f"## Algorithm `{path.stem}`", "", escaped(idea) + ".", ""]
    lines += [f"**When:** {escaped(when)}", ""] if when else []
    lines += [f"**Made of:** {', '.join(links)}.", ""]
    extra = _own_settings(path)
    lines += [f"**Its own settings:** {extra}.", ""] if extra else []
    if plan.search.joint is not None:
        optimizer = type(plan.search.joint.optimizer)
        lines += [as_markdown(inspect.getdoc(optimizer) or "", examples=False), ""]
        return [*lines, *_table(_optimizer_settings(path))]
    for part in PARTS:
        if source := _source(part, getattr(choices, part)):
            lines += [f"**Source of the {part}:** {source}", ""]
    return lines[:-1]


def _optimizer_settings(path: Path) -> Iterator[Setting]:
    """The settings of an algorithm's joint optimizer."""
    text = path.read_text()
    said = comments(text)
    for key, value in yaml.safe_load(text)["scheduler"]["optimizer"].items():
        if key != "_target_":
            name = f"scheduler.optimizer.{key}"
            yield Setting(name, _yaml(value), said.get(f"scheduler.{key}", ""))


def _own_settings(path: Path) -> str:
    """What an algorithm's file sets besides its parts, as the command line writes it."""
    own = yaml.safe_load(path.read_text())
    own.pop("defaults")
    words = []
    for key, value in own.items():
        pairs = value.items() if isinstance(value, dict) else [(None, value)]
        # The optimizer has a table of its own.
        pairs = [(k, v) for k, v in pairs if k != "optimizer"]
        words += [f"`{key}{'.' + k if k else ''}={_yaml(v)}`" for k, v in pairs]
    return ", ".join(words)


def _part(part: str, path: Path) -> list[str]:
    head = _head(path)
    lines = [
        f"### {part.capitalize()} `{path.stem}`",
        "",
        escaped(" ".join(head)).rstrip(".") + ".",
        "",
    ]
    made = _class(path)
    if made is not None:
        lines += [as_markdown(inspect.getdoc(made) or "", examples=False), ""]
    keys = list(_settings(path))
    return lines + (_table(keys, part) if keys else [])


def _class(path: Path) -> Any:
    target = yaml.safe_load(path.read_text())["_target_"]
    return plugins.find(target, path.parent.name) if target else None


def _source(part: str, name: str | None) -> str:
    """The sentence of a class's docstring that names its paper."""
    path = CONF / part / f"{name}.yaml"
    made = _class(path) if name else None
    doc = inspect.getdoc(made) or "" if made else ""
    match = _SOURCE.search(doc)
    return escaped(" ".join(match[1].split()).rstrip(".;") + ".") if match else ""


class Setting(NamedTuple):
    """A key of a YAML file with its parents (budget.n_trials), its value and its comment."""

    name: str
    value: Any
    comment: str


def _settings(path: Path) -> Iterator[Setting]:
    """Every key of a file, in order; what only composes it is left out."""
    text = path.read_text()
    said = comments(text)
    for key, value in yaml.safe_load(text).items():
        if key in ("defaults", "hydra", "_target_"):
            continue
        is_group = isinstance(value, dict) and any(f"{key}.{inner}" in said for inner in value)
        yield Setting(key, None if is_group else _yaml(value), said.get(key, ""))
        for inner, one in value.items() if is_group else ():
            yield Setting(f"{key}.{inner}", _yaml(one), said.get(f"{key}.{inner}", ""))


def _head(path: Path) -> list[str]:
    """The comment lines before a file's first key, but for Hydra's `@package`."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
    return [line.lstrip("# ") for line in lines if "@package" not in line]


def _table(keys: Iterable[Setting], group: str = "") -> list[str]:
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for key in keys:
        name = f"{group}.{key.name}" if group else key.name
        value = f"`{key.value}`" if key.value is not None else ""
        lines.append(f"| `{name}` | {value} | {escaped(key.comment)} |")
    return lines


def _first_sentence(path: Path) -> str:
    """Of a file's comment, after the lines that are commands."""
    lines = [line for line in _head(path) if not _COMMAND.match(line)]
    return re.split(r"(?<=[a-z0-9)])(?<! al)[.;] ", " ".join(lines))[0].rstrip(".")


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).splitlines()[0]


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))
