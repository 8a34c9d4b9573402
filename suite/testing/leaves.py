"""From `scheduler=mine` and a folder of YAML files to the conformance suite of that plug-in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.core.errors import ConfigError
from suite.launch.compose import compose
from suite.testing.base import Conformance
from suite.testing.joint import JointConformance
from suite.testing.predictors import PredictorConformance
from suite.testing.samplers import SamplerConformance
from suite.testing.schedulers import SchedulerConformance
from suite.testing.searchers import SearcherConformance
from suite.testing.targets import TargetConformance

KINDS: dict[str, type[Conformance]] = {
    "model": TargetConformance,
    "scheduler": SchedulerConformance,
    "predictor": PredictorConformance,
    "searcher": SearcherConformance,
    "algorithm": JointConformance,
    "sampler": SamplerConformance,
}
"""Group of conf/ -> the conformance suite of its classes; of an algorithm, of its joint optimizer."""
EXAMPLES = {
    "model": "digits_cnn", "scheduler": "hyperband", "predictor": "svr", "searcher": "tpe",
    "algorithm": "joint_halving", "sampler": "dwave_hybrid",
}  # fmt: skip
"""Group -> one of ours."""
COMMANDS = {"model": "check-target", "algorithm": "check-joint"}
"""Group -> its command, where it is not check-GROUP."""


def conformance(
    choice: str, *overrides: str, config_dir: str | Path | None = None
) -> type[Conformance]:
    """The conformance suite of one plug-in, a class that pytest collects under a name like TestMine.

    choice: group=name, as on the command line. overrides: of its settings and of others', e.g.
    model.limit=96. config_dir: a folder with the YAML file in a folder of the group's name.

    Raises ConfigError where there is no such group or file, or an override is wrong.

    >>> sorted(conformance("searcher=random").leaf)
    ['_target_']
    """
    group, _, name = choice.partition("=")
    if group not in KINDS or not name:
        raise ConfigError(f"{choice}: must be GROUP=NAME; groups are {', '.join(KINDS)}.")
    # Schedulers that forecast take their features from the predictor.
    before = ["predictor=svr"] if group == "scheduler" else []
    if group == "sampler":
        # It is a part of a predictor, and has its place there.
        before, choice = ["predictor=qsvr"], f"sampler@predictor.sampler={name}"
    config = compose([*before, choice, *overrides], config_dir)
    leaf = config[{"algorithm": "scheduler", "sampler": "predictor"}.get(group, group)]
    if group == "sampler":
        leaf = leaf[group]
    if group == "algorithm" and not leaf.get("optimizer"):
        raise ConfigError(
            f"{choice}: has no joint optimizer; its scheduler and searcher have checks of their own "
            "(check-scheduler, check-searcher)."
        )
    if not leaf.get("_target_"):
        raise ConfigError(f"{choice}: names no class; there is nothing to check.")
    return KINDS[group].of(leaf)


def conformances(config_dir: str | Path, group: str | None = None) -> dict[str, type[Conformance]]:
    """The conformance suites of all YAML files in a folder, by their choice ("scheduler=mine").

    group: of this one alone; None: of every group that has a folder there.
    """
    return {
        f"{name}={path.stem}": conformance(f"{name}={path.stem}", config_dir=config_dir)
        for name in ([group] if group else KINDS)
        for path in sorted((Path(config_dir) / name).glob("*.yaml"))
        # An algorithm of known parts has nothing of its own to check.
        if name != "algorithm" or "optimizer:" in path.read_text()
    }


def chosen(
    group: str, overrides: Sequence[str], config_dir: str | Path | None
) -> dict[str, type[Conformance]]:
    """The suites that command-line words ask for: one where they hold group=NAME, else all of config_dir."""
    names = [word for word in overrides if word.startswith(f"{group}=")]
    if not overrides and config_dir is not None:
        suites = conformances(config_dir, group)
        if not suites:
            raise ConfigError(
                f"--config-dir={config_dir}: holds no {group}/*.yaml; name its folder."
            )
        return suites
    if len(names) != 1:
        raise ConfigError(f"{group}: name one, e.g. {group}=mine (and --config-dir its folder).")
    rest = [word for word in overrides if word != names[0]]
    return {names[0]: conformance(names[0], *rest, config_dir=config_dir)}
