"""From command-line arguments to plain configurations. The one package that knows Hydra and OmegaConf.

It reads a command line as Hydra's own command does: the same options, the same grammar of overrides (lists,
ranges, choices, globs), the same order of a sweep; `runs` makes runs of it. Composing makes no folder. Not
supported, and refused: other launchers and sweepers of Hydra, what reaches beyond the configuration
(`hydra_rules`), and other primary configurations than conf/config.yaml. What is composed is checked
(`checks`) before it is handed on, so that nothing which is wrong with it reaches a file.
"""

from suite.launch.compose.loader import (
    CHOSEN,
    GROUPS,
    NEEDED,
    Loader,
    Plain,
    beside_hydra,
    compose,
    hydra_page,
)
from suite.launch.compose.refusals import refusals

__all__ = [
    "CHOSEN", "GROUPS", "NEEDED", "Loader", "Plain", "beside_hydra", "compose", "hydra_page", "refusals",
]  # fmt: skip
