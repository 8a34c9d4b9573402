"""A sampler of Optuna as a searcher: its proposals under any scheduler, such as Hyperband."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from suite.core.errors import ConfigError, unknown_name
from suite.core.searcher import Searcher
from suite.core.seeds import stream_seed
from suite.core.space import Space
from suite.core.types import Config, Trial
from suite.optimizers.optuna import asked, check, distributions, imported, made_sampler
from suite.optimizers.plain_space import PlainSpace
from suite.optimizers.time_limit import NoAnswerError, at_most, check_limit
from suite.surrogates.comparable_objectives import comparable

Sampler = Literal["tpe", "gp"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)


class Optuna(Searcher):
    """What a sampler of Optuna proposes, given all trials so far, under any scheduler.

    sampler: tpe or gp, with the package's own settings. For each proposal a new study is filled with the
    trials: objectives after the most epochs that `n_least` of them have, in logarithms where all are
    positive (as searcher=tpe); a failed trial is the worst; those that have no such value are running. Of a
    table it proposes the unused row that is nearest to what the sampler wants.
    gp takes seconds a proposal with some tens of trials, for it is fitted anew each time. A proposal that is
    not there after answer_timeout_s seconds ends the run.
    What Optuna does not do here: cmaes keeps a state from proposal to proposal, which a searcher has not; it
    runs in `algorithm=optuna`. Conditions and constraints: as there.
    Source: Akiba et al. 2019 (KDD), doi 10.1145/3292500.3330701; Optuna 5 (MIT).
    Raises ConfigError where the package is absent or another version, or of a table no row is left.
    """

    adaptive = True

    def __init__(
        self, sampler: Sampler = "tpe", n_least: int = 8, answer_timeout_s: float = 600.0
    ) -> None:
        if sampler not in SAMPLERS:
            raise unknown_name("searcher.sampler", sampler, SAMPLERS)
        check_limit("searcher.answer_timeout_s", answer_timeout_s)
        self._answer_timeout_s = answer_timeout_s
        self._sampler, self._n_least = sampler, n_least
        self._n_by_sampler = self._n_at_random = 0

    def begin(self, space: Space, seed: int) -> None:
        check()
        super().begin(space, seed)
        self._plain = PlainSpace(space, "Optuna", conditions=True, constraints=True)
        self._distributions = distributions(self._plain)

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Proposals by the sampler, and at random: too few objectives that can be compared."""
        return {"by_sampler": self._n_by_sampler, "at_random": self._n_at_random}

    def propose(self, trial_id: int, trials: Mapping[int, Trial]) -> Config:
        curves = {i: None if trial.failed else trial.curve for i, trial in trials.items()}
        seen = comparable(curves, self._n_least, clip=1.0)
        if seen is None or not self._distributions:
            self._n_at_random += 1
            return self.draw(trial_id, trials)
        self._n_by_sampler += 1
        seed = stream_seed(self.seed, "optuna", trial_id)
        study = imported().create_study(sampler=made_sampler(self._sampler, seed))
        study.add_trials([self._told(trial, seen[1].get(i)) for i, trial in trials.items()])
        try:
            with at_most(self._answer_timeout_s):
                wanted = asked(study, self._plain, self._distributions, seed)[0].params
        except NoAnswerError as error:
            raise ConfigError(
                f"searcher=Optuna, sampler={self._sampler}: no proposal after {self._answer_timeout_s:g} s "
                f"({error}): it must answer in that time; raise searcher.answer_timeout_s."
            ) from error
        return self.nearest(self._plain.config(wanted), trial_id, trials)[0]

    def _told(self, trial: Trial, value: float | None) -> Any:
        """A trial as the study has it; without a value it runs."""
        words = imported().trial
        states = words.TrialState
        params = self._plain.values(trial.config)
        return words.create_trial(
            state=states.RUNNING if value is None else states.COMPLETE,
            value=value,
            params=params,
            distributions={name: self._distributions[name] for name in params},
        )
