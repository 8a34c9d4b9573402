"""The contract of joint optimizers: one object that chooses configurations and epochs together.

Other people's optimizers come in as one: a package's own ask and tell, put into three methods.
`scheduler=joint searcher=joint` make of it what a run needs (suite.schedulers.joint, suite.searchers.joint).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from suite.core.space import Space
from suite.core.types import Config, Done, Wait

Key = int | str
"""The optimizer's own name of a trial."""
Wish = tuple[Key, Config | None, int]
"""(key, configuration, to_epoch): train this trial until it has to_epoch epochs in total."""


class JointOptimizer(ABC):
    """Chooses which configuration is trained next, and to which epoch.

    It lives on rank 0 and is called by one thread; while it thinks, no worker gets new work. A resumed run,
    and `swiftbench verify`, call it again in the same order with the same values: what it answers must be a
    function of these calls and the seed. So draw from `suite.core.stream(seed, ...)`, or seed the package's
    own generator in `open`; use no clock, and no generator that others use too.

    What breaks a rule below ends the run with the optimizer's name and the rule, as does whatever it raises.
    The journal holds all that was trained before.
    """

    def check(self) -> None:  # noqa: B027 (optional hook)
        """Called before anything is made or trained. Raise ConfigError where it cannot run here: its package
        is absent, or of a version that it does not fit.
        """

    @abstractmethod
    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        """Called once, before the first `ask`.

        space: what is searched; of a table, `space.rows` are all configurations that there are, and
        `space.sample` draws one of them. seed: the run's. max_epochs: R, the most epochs of a trial.
        """

    @abstractmethod
    def ask(self) -> Wish | Wait | Done:
        """What a free worker does next: (key, configuration, to_epoch); WAIT; or DONE.

        A new key begins a trial. Its configuration names the hyperparameters that are searched, each with a
        value of the space; those that are fixed need not be named. A known key goes on with its trial from
        its checkpoint: to_epoch is above what it has, and the configuration is None or the same. A key that
        is being trained, or has failed, is not asked for. WAIT: there is nothing until something is told; so
        something must be in training. DONE: nothing will ever be asked again.
        Of a table, the nearest row that no trial has yet is trained in the place of the configuration.
        """

    @abstractmethod
    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        """What was asked for is trained. objective: after to_epoch, finite, smaller is better; None: the
        trial diverged or was given up (its workers died, say), or no more configurations may begin; it never
        goes on.

        Answers come in the order in which jobs finish. At the end of a budget some never come.
        """

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Self-measurements for the record: plain JSON."""
        return {}
