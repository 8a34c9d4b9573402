"""`swiftbench run --help` and `plan --help`: every choice and setting, with what its YAML file says of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.core.settings import shown
from suite.launch import tables
from suite.launch.compose import CHOSEN, NEEDED, Loader, refusals
from suite.launch.runs import chosen
from suite.run.paths import CONF

_WIDTH, _MEANING = 110, 40
RUN = """\
usage: {run} [group=option] [key=value] ... [-m] [--config-dir DIR]

A search, or with -m a sweep of several: trains, writes runs/NAME/TIME/, and ends with a report.

    {run} algorithm=swift_svr max_epochs=9                    one run, in this process
    {run} -m algorithm=hyperband,swift_svr seed=0,1,2         a sweep: six runs
    mpirun -n 3 {run} experiment=quickstart                   on two workers; rank 0 decides
    {run} resume=runs/quickstart/TIME                         continue what was cut: a run or a sweep
    {run} --config-dir myconf model=mine                      with YAML files of your own
    {run} algorithm=swift_qsvr --help                         this page, with that algorithm's settings

Exit code: 0; 1: a run failed or lacks its record, report or import failed, or bad input; 2: wrong options;
75: paused at the job's time limit; 130: interrupted.
"""
PLAN = """\
usage: {plan} [group=option] [key=value] ... [workers=N] [nodes=N] [epoch_s=S] [--measure]
       [--sbatch | --batch=SYSTEM]

What a run or a sweep would train, on how many workers, for how long. Trains nothing, but for --measure.

    {plan} algorithm=swift_svr max_epochs=100 workers=50      brackets, epochs, disk, hours
    {plan} model=mlpf max_epochs=100 nodes=50 epoch_s=12      with seconds an epoch of your own
    {plan} model=cifar10_cnn --measure                        one epoch is trained here and timed
    {plan} experiment=quickstart nodes=2 site=mine --sbatch   the line that submits it to Slurm

workers=N    workers of the run; with nodes=N: of a node
nodes=N      nodes of the job, each with a worker a GPU of the site (site=NAME, SUITE_SITE), else 1
epoch_s=S    seconds that an epoch takes on your device, in place of the figure that the target states
--measure    train one epoch on this machine, in this process, and take its seconds; the device is named
--sbatch     print only the line that submits the runs to Slurm; submits nothing
--batch=SYSTEM    the same for pbs, gridengine, htcondor or slurm

Exit code: 0; 1: bad input; 2: wrong options.
"""


def page(head: str, overrides: Sequence[str], config_dir: str | None, *, sweep: bool) -> str:
    """The help page for these overrides. Raises ConfigError where they cannot be composed."""
    with refusals():
        loader = Loader(config_dir)
        config = loader.plain(loader.load(overrides, sweep=sweep))
    folders = [CONF] if config_dir is None else [Path(config_dir), CONF]
    lines = [head, "Groups (group=option):"]
    for group in ("experiment", "algorithm", *NEEDED, "task"):
        lines.append(f"  {group}=")
        lines += [
            _row(f"    {name}", _about(folders, f"{group}/{name}"))
            for name in _options(folders, group)
        ]
    lines += ["", "Settings (key=value), with their present values:"]
    lines += list(_rows(config, "", comments(_text(folders, "config"))))
    for group in NEEDED:
        name = chosen(config, group) or _default(group)
        rows = list(_rows(config[group], f"{group}.", _all_comments(folders, group, name)))
        if rows:
            lines += ["", f"Settings of {group}={name}:", *rows]
    return "\n".join(lines)


def _rows(config: Mapping[str, Any], prefix: str, comments: Mapping[str, str]) -> Iterator[str]:
    for key, value in config.items():
        if key in (*CHOSEN, "choices", "_target_"):
            continue
        if not prefix and isinstance(value, Mapping) and value:
            yield from (
                _row(
                    f"  {key}.{inner}={_value(one)}",
                    comments.get(f"{key}.{inner}", comments.get(key, "")),
                )
                for inner, one in value.items()
            )
        else:
            yield _row(f"  {prefix}{key}={_value(value)}", comments.get(key, ""))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return shown(value)


def _row(name: str, meaning: str) -> str:
    """A name and its meaning, which stands in the next line where the name is long."""
    lines = textwrap.wrap(meaning, _WIDTH - _MEANING)
    if len(name) > _MEANING - 2 or not lines:
        lines.insert(0, "")
    first, *rest = lines
    return "\n".join(
        [f"{name:{_MEANING}}{first}".rstrip(), *(f"{'':{_MEANING}}{line}" for line in rest)]
    )


# --- YAML files and what stands beside their settings ---------------------------------------------


def _text(folders: Sequence[Path], name: str) -> str:
    paths = [folder / f"{name}.yaml" for folder in folders]
    return (
        next((path.read_text() for path in paths if path.is_file()), None)
        or tables.text(name)
        or ""
    )


def _options(folders: Sequence[Path], group: str) -> list[str]:
    files = {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
    return sorted(files | set(tables.names(group)))


def _default(group: str) -> str:
    """The choice of a group that configurations do not keep, by conf/config.yaml."""
    match = re.search(rf"^  - {group}: (\w+)", _text([CONF], "config"), re.M)
    return match[1] if match else ""


def _about(folders: Sequence[Path], name: str) -> str:
    """A file's first line of comment that says what it is: no package, no command."""
    for line in _text(folders, name).splitlines():
        if not line.startswith("#"):
            break
        comment = line.lstrip("# ").rstrip()
        if not re.match(r"@package|\S*mpirun|\S*python|\./bench|SUITE_\w+=", comment):
            return comment
    return ""


def _all_comments(folders: Sequence[Path], group: str, name: str) -> dict[str, str]:
    """Those of a file, and of the files of its group that it is made from."""
    text = _text(folders, f"{group}/{name}")
    match = re.search(r"^defaults: *\[(\w+)\]", text, re.M)
    before = _all_comments(folders, group, match[1]) if match and match[1] != name else {}
    return {**before, **comments(text)}


def comments(text: str) -> dict[str, str]:
    """Setting -> its comment: behind it and in the lines that go on there, or in the lines above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    outer = key = ""
    for line in text.splitlines():
        match = re.match(r"( *)([A-Za-z_]\w*):(?: (.*?))??(?:\s+# (.*))?$", line)
        comment = re.match(r"( *)# ?(.*)$", line)
        if match:
            outer = match[2] if not match[1] else outer
            key = f"{outer}.{match[2]}" if match[1] else outer
            found[key] = " ".join([*above, *filter(None, [match[4]])])
            above = []
        elif comment and len(comment[1]) > 8 and key:
            found[key] = f"{found[key]} {comment[2].strip()}".strip()
        elif comment and "@package" not in line:
            above.append(comment[2].strip())
        else:
            above = []
    return found
