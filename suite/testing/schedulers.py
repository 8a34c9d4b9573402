"""What every scheduler promises."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, ClassVar

from suite.core import types as t
from suite.core.errors import ConfigError
from suite.core.plugins import make
from suite.core.scheduler import Scheduler
from suite.core.types import DONE
from suite.testing.base import Conformance, expect_error
from suite.testing.driving import last_value, play, power_law

SMALL = {"max_epochs": 16, "eta": 2, "n_curves": 3, "n_full": 3, "overlap": False}
"""Settings with which a search takes milliseconds; a leaf takes those of them that it has."""
ORDERS = 40


def orders(n: int = ORDERS) -> Iterator[tuple[int, int]]:
    """(workers, seed of the order in which jobs finish): the same pairs each time; one worker comes first."""
    draws = random.Random(0)
    yield 1, 0
    for _ in range(n - 1):
        yield draws.randint(1, 9), draws.randrange(10**6)


class SchedulerConformance(Conformance):
    """A scheduler is driven with curves that are functions of the trial id, by one to nine workers."""

    group: ClassVar[str] = "scheduler"
    n_orders: ClassVar[int] = ORDERS
    """Searches of a check that tries many orders; the first has one worker."""

    @classmethod
    def small(cls) -> dict[str, Any]:
        """The leaf, with those of SMALL that it has."""
        return {**cls.leaf, **{key: value for key, value in SMALL.items() if key in cls.leaf}}

    def build(self, **extra: Any) -> Scheduler:
        scheduler: Scheduler = make(self.small(), "scheduler", **extra)
        return scheduler

    def test_it_is_a_scheduler_and_documented(self) -> None:
        scheduler = self.build()
        assert isinstance(scheduler, Scheduler), (
            f"{type(scheduler).__name__}: must be a suite.core.Scheduler"
        )
        assert type(scheduler).__doc__, f"{type(scheduler).__name__}: has no docstring"

    def test_it_ends_within_its_plan_and_never_exceeds_max_epochs(self) -> None:
        for workers, shuffle in orders(self.n_orders):
            scheduler = self.build()
            # play itself refuses a trial that is asked for twice at once.
            played = play(scheduler, workers=workers, shuffle=shuffle)
            plan, most = scheduler.plan(), scheduler.max_epochs
            where = f"{workers} workers, order {shuffle}"
            wanted = self.small().get("max_epochs", most)
            assert most == wanted, f"max_epochs={wanted}: the scheduler says {most}"
            for train in played.trains:
                assert 1 <= train.to_epoch <= most, (
                    f"{train}: to_epoch must be 1 to {most} ({where})"
                )
            trained = sorted(played.epochs)
            if scheduler.chooses_trials:
                assert 0 < len(trained) <= plan.n_trials and trained[0] >= 0, (
                    f"plan: at most {plan.n_trials} trials; trained were {trained} ({where})"
                )
            else:
                assert trained == list(range(plan.n_trials)), (
                    f"plan: {plan.n_trials} trials, numbered from 0; trained were {trained} ({where})"
                )
            assert 0 < played.n_epochs <= plan.n_epochs, (
                f"plan: at most {plan.n_epochs} epochs; asked for were {played.n_epochs} ({where})"
            )
            assert max(played.epochs.values()) == most and played.winner is not None, (
                f"no trial was trained to max_epochs={most} ({where})"
            )

    def test_a_trial_is_only_ever_trained_further(self) -> None:
        reached: dict[int, int] = {}
        for train in play(self.build(), workers=4, shuffle=1).trains:
            before = reached.get(train.trial_id, 0)
            assert train.to_epoch > before, f"{train}: the trial has been trained to epoch {before}"
            reached[train.trial_id] = train.to_epoch

    def test_the_same_answers_give_the_same_decisions(self) -> None:
        for workers, shuffle in orders(self.n_orders):
            one, two = (play(self.build(), workers=workers, shuffle=shuffle) for _ in range(2))
            assert one == two, f"two searches differ with {workers} workers, order {shuffle}"

    def test_it_survives_diverging_trials_and_trains_them_no_further(self) -> None:
        draws = random.Random(1)
        for workers, shuffle in orders(self.n_orders):
            diverging = set(draws.sample(range(61), draws.randrange(62)))

            def curve(trial_id: int, to_epoch: int, lost: set[int] = diverging) -> t.Curve | None:
                return None if trial_id in lost else power_law(trial_id, to_epoch)

            played = play(self.build(), curve, workers=workers, shuffle=shuffle)
            for trial_id in diverging & set(played.curves):
                n = sum(train.trial_id == trial_id for train in played.trains)
                assert n == 1, f"trial {trial_id} diverged and was trained {n} times"
            assert played.winner not in diverging, "a diverged trial won"

    def test_all_trials_diverging_does_not_raise(self) -> None:
        for after in range(17):
            play(
                self.build(),
                lambda i, e, last=after: None if e > last else power_law(i, e),  # type: ignore[misc]
                workers=3,
                shuffle=0,
            )

    def test_done_stays_done(self) -> None:
        for forecast in (last_value, lambda r: None, lambda r: [None] * len(r.X_new)):
            scheduler = self.build()
            play(scheduler, forecast=forecast)
            said = [scheduler.ask() for _ in range(3)]
            assert said == [DONE] * 3, f"after the end ask() says {said}"

    def test_stopped_trials_are_those_that_were_not_finished(self) -> None:
        scheduler = self.build()
        played = play(scheduler, workers=2, shuffle=5)
        for trial_id, epoch in scheduler.stopped_at.items():
            assert played.epochs[trial_id] == epoch < scheduler.max_epochs, (
                f"trial {trial_id}: said to be stopped at {epoch}, trained to {played.epochs[trial_id]}"
            )
        assert set(scheduler.bracket_of) <= set(played.epochs), (
            "a bracket of a trial that never began"
        )

    def test_bad_values_name_themselves(self) -> None:
        small = self.small()
        for name, value in {"max_epochs": 0, "eta": 1, "max_epoch": 9}.items():
            if name not in small and name != "max_epoch":
                continue  # max_epoch: nobody has it
            error = expect_error(
                ConfigError, f"{name}={value}",
                lambda wrong={name: value}: make({**small, **wrong}, "scheduler"),  # type: ignore[misc]
            )  # fmt: skip
            named = name if name == "max_epoch" else f"{name}={value}"
            assert named in str(error), f"{name}={value}: the error does not name it: {error}"
