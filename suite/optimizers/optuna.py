"""Optuna: its samplers with one of its own pruners, as a joint optimizer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, get_args

from suite.core.errors import ConfigError, check_integer, unknown_name
from suite.core.joint import JointOptimizer, Key, Wish
from suite.core.seeds import stream, stream_seed
from suite.core.space import Space
from suite.core.types import Done, Wait
from suite.optimizers.halving import rungs
from suite.optimizers.packages import check_package
from suite.optimizers.plain_space import PlainParameter, PlainSpace

Sampler = Literal["tpe", "gp", "cmaes", "random"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
Pruner = Literal["hyperband", "successive_halving", "median", "none"]
PRUNERS: tuple[Pruner, ...] = get_args(Pruner)
_MOST_ASKED = 50
"""Configurations of a sampler that break a constraint, one after the other."""


class Optuna(JointOptimizer):
    """A study of Optuna, asked and told: `sampler` proposes, `pruner` says after each rung whether a trial
    goes on. Rungs are min_epochs·eta^k, and max_epochs.

    sampler: tpe, gp, cmaes, random, each with the package's own settings. pruner: hyperband (its brackets are
    drawn, so that trials of one differ in the rung at which they may first be stopped), successive_halving,
    median, none; with min_epochs and eta where it takes them.
    What Optuna does not do: it does not pause. A trial is stopped or goes on at once, and a stopped one never
    comes back, so that the first trials go on with few to compare with. cmaes draws hyperparameters without
    an order at random. Conditions are met by asking for one hyperparameter after the other (tpe models each
    by itself; gp and cmaes draw at random what not all trials have). It knows no constraints: a configuration
    that breaks one is a FAIL to the study and another is asked for; after _MOST_ASKED of these one is drawn
    at random. On a table the study is told the
    objective of the row in the configuration's place as the configuration's.
    Failed trials are FAIL to the study: samplers leave them out. gp and cmaes learn from trials at max_epochs
    alone, tpe from stopped ones too.
    Source: Akiba et al. 2019 (KDD), doi 10.1145/3292500.3330701; Optuna 5 (MIT).
    Raises ConfigError where the package is absent or another version, or an argument is out of its range.
    """

    def __init__(
        self,
        sampler: Sampler = "tpe",
        pruner: Pruner = "hyperband",
        eta: int = 3,
        min_epochs: int = 1,
    ) -> None:
        check_integer("scheduler.optimizer.eta", eta, 2)
        check_integer("scheduler.optimizer.min_epochs", min_epochs, 1)
        for name, value, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
            if value not in known:
                raise unknown_name(f"scheduler.optimizer.{name}", value, known)
        self._sampler, self._pruner, self._eta, self._min_epochs = sampler, pruner, eta, min_epochs

    def check(self) -> None:
        check()
        if self._sampler == "cmaes":
            check_package("cmaes", "cmaes", "optuna", "0.12", "1")

    def open(self, space: Space, seed: int, max_epochs: int) -> None:
        if self._min_epochs > max_epochs:
            raise ConfigError(
                f"scheduler.optimizer.min_epochs={self._min_epochs}: must be at most max_epochs={max_epochs}."
            )
        optuna = imported()
        self._rungs = rungs(self._min_epochs, self._eta, max_epochs)
        self._space = PlainSpace(space, "Optuna", conditions=True, constraints=True)
        self._seed, self._n_forbidden = seed, 0
        self._distributions = distributions(self._space)
        # Hyperband's brackets are drawn by the study's name.
        self._study = optuna.create_study(
            sampler=made_sampler(self._sampler, stream_seed(seed, "optuna")),
            pruner=self._made_pruner(optuna, max_epochs),
            study_name=f"seed {seed}",
        )
        self._trials: dict[Key, Any] = {}
        self._going_on: deque[Wish] = deque()
        self._n_pruned = 0

    def _made_pruner(self, optuna: Any, max_epochs: int) -> Any:
        pruners = optuna.pruners
        makers: dict[str, Callable[[], Any]] = {
            "hyperband": lambda: pruners.HyperbandPruner(self._min_epochs, max_epochs, self._eta),
            "successive_halving": lambda: pruners.SuccessiveHalvingPruner(
                self._min_epochs, self._eta
            ),
            "median": pruners.MedianPruner,
            "none": pruners.NopPruner,
        }
        return makers[self._pruner]()

    def ask(self) -> Wish | Wait | Done:
        if self._going_on:
            return self._going_on.popleft()
        trial, n_forbidden = asked(self._study, self._space, self._distributions, self._seed)
        self._n_forbidden += n_forbidden
        self._trials[trial.number] = trial
        return trial.number, self._space.config(trial.params), self._rungs[0]

    def tell(self, key: Key, to_epoch: int, objective: float | None) -> None:
        states = imported().trial.TrialState
        trial = self._trials[key]
        if objective is None:
            self._study.tell(trial, state=states.FAIL)
            return
        trial.report(objective, to_epoch)
        if to_epoch == self._rungs[-1]:
            self._study.tell(trial, objective)
        elif trial.should_prune():
            self._n_pruned += 1
            self._study.tell(trial, state=states.PRUNED)
        else:
            self._going_on.append((key, None, self._rungs[self._rungs.index(to_epoch) + 1]))

    @property
    def diagnostics(self) -> dict[str, Any]:
        """forbidden: configurations that broke a constraint, in a space that has any."""
        counts = {"pruned": self._n_pruned}
        return (
            counts | {"forbidden": self._n_forbidden} if self._space.space.constraints else counts
        )


def check() -> None:
    """Raise ConfigError where Optuna is absent, or another version than 5."""
    check_package("optuna", "optuna", "optuna", "5", "6")


def imported() -> Any:
    """The package; it says nothing but warnings."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def made_sampler(name: Sampler, seed: int) -> Any:
    """A new sampler of the package with its own settings, seeded."""
    samplers, seed = imported().samplers, seed % 2**32
    quiet = {"warn_independent_sampling": False}
    makers: dict[str, Callable[[], Any]] = {
        "tpe": lambda: samplers.TPESampler(seed=seed),
        "gp": lambda: samplers.GPSampler(seed=seed, **quiet),
        "cmaes": lambda: samplers.CmaEsSampler(seed=seed, **quiet),
        "random": lambda: samplers.RandomSampler(seed=seed),
    }
    return makers[name]()


def asked(
    study: Any, plain: PlainSpace, distributions: dict[str, Any], seed: int
) -> tuple[Any, int]:
    """The study's next trial with its parameters, of a configuration that no constraint forbids; and how many
    were told to be FAIL before it, because one does.
    """
    space = plain.space
    if space.is_plain:
        return study.ask(distributions), 0
    for n_forbidden in range(_MOST_ASKED + 1):
        trial = study.ask()
        values: dict[str, Any] = {}
        for name in plain.in_order():
            if plain.plays_a_part(name, values):
                values[name] = _suggested(trial, name, plain.parameters[name])
        if space.forbids(plain.config(values)) is None:
            return trial, n_forbidden
        study.tell(trial, state=imported().trial.TrialState.FAIL)
        if n_forbidden + 1 == _MOST_ASKED:
            drawn = space.sample(stream(seed, "optuna", trial.number))
            study.enqueue_trial(plain.values(drawn))
    raise AssertionError("a configuration of the space is allowed")


def _suggested(trial: Any, name: str, plain: PlainParameter) -> Any:
    if plain.kind == "category":
        return trial.suggest_categorical(name, plain.places)
    if plain.kind == "float":
        return trial.suggest_float(name, plain.low, plain.high, log=plain.log)
    return trial.suggest_int(name, int(plain.low), int(plain.high), log=plain.log)


def distributions(space: PlainSpace) -> dict[str, Any]:
    """Name -> the package's distribution."""
    return {name: _distribution(plain) for name, plain in space.parameters.items()}


def _distribution(plain: PlainParameter) -> Any:
    kinds = imported().distributions
    if plain.kind == "category":
        return kinds.CategoricalDistribution(plain.places)
    if plain.kind == "float":
        return kinds.FloatDistribution(plain.low, plain.high, log=plain.log)
    return kinds.IntDistribution(int(plain.low), int(plain.high), log=plain.log)
