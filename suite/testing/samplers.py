"""What every sampler of the annealed regressor promises."""

from __future__ import annotations

import inspect
import random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from suite.annealing import samplers
from suite.annealing.samplers import Annealer
from suite.predictors.qsvr import QSVR
from suite.testing.base import Conformance
from suite.testing.predictors import curves

Floats = NDArray[np.float64]
READS, SWEEPS = 8, 50
"""The effort that predictor=qsvr asks for."""


def problem(n: int, seed: int, scale: float = 1.0) -> tuple[Floats, Floats]:
    """Fields h (n,) and couplings J (n, n; upper triangle) of a problem that couples all variables."""
    draws = np.random.default_rng([seed, n])
    return scale * draws.normal(size=n), scale * np.triu(draws.normal(size=(n, n)), 1)


def energies(h: Floats, J: Floats, spins: NDArray[np.int8]) -> Floats:
    """h's + s'Js of each row of spins. Shape (reads,)."""
    s = spins.astype(float)
    return np.asarray(s @ h + np.einsum("ri,ij,rj->r", s, J, s))


class SamplerConformance(Conformance):
    """A sampler is asked as a fit asks it; its answers pass the checks of suite.annealing.answers.

    leaf: of conf/sampler, `_target_` and arguments. deadline_s: most seconds of one call. A sampler that
    searches nothing (a control) says `anneals = False`.
    """

    group: ClassVar[str] = "sampler"
    deadline_s: ClassVar[float] = 60.0

    def build(self, **extra: Any) -> Any:
        return samplers.made({**self.leaf, **extra}, "sampler")

    def annealer(self, seed: int = 3, reads: int = READS) -> Annealer:
        """One fit's use of it; every answer is checked."""
        return Annealer(
            self.leaf,
            None,
            num_reads=reads,
            num_sweeps=SWEEPS,
            seed=seed,
            deadline_s=self.deadline_s,
        )

    def _seeded(self) -> bool:
        return "seed" in inspect.signature(self.build().sample).parameters

    def test_it_is_a_sampler_and_documented(self) -> None:
        sampler = self.build()
        name = type(sampler).__name__
        assert type(sampler).__doc__, f"{name}: has no docstring"
        known = inspect.signature(sampler.sample).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
        assert "num_reads" in known or takes_any, f"{name}.sample: must take num_reads"

    def test_answers_are_reads_of_the_problem(self) -> None:
        """Of spins and of bits, from one variable on: variables, values and energies are right."""
        for n in (1, 2, 3, 12, 40):
            h, J = problem(n, 1)
            spins = self.annealer().ising(h, J)
            assert spins.shape[1] == n and len(spins) <= READS, (
                f"{n} variables, num_reads={READS}: reads of shape {spins.shape}"
            )
            bits, _ = self.annealer().qubo(np.diag(h) + J)
            assert bits.shape[1] == n and len(bits) <= READS, (
                f"{n} bits, num_reads={READS}: reads of shape {bits.shape}"
            )

    def test_one_read_is_one_read(self) -> None:
        annealer = self.annealer(reads=1)
        annealer.ising(*problem(6, 2))
        assert annealer.info["n_reads"] == 1, f"num_reads=1: {annealer.info['n_reads']} reads"

    def test_problems_without_fields_or_couplings(self) -> None:
        h, J = problem(5, 3)
        for what, fields, couplings in (
            ("no fields", 0 * h, J), ("no couplings", h, 0 * J), ("nothing but zeros", 0 * h, 0 * J),
        ):  # fmt: skip
            assert self.annealer().ising(fields, couplings).shape[1] == 5, what

    def test_coefficients_of_any_size(self) -> None:
        for scale in (1e-6, 1e6):
            h, J = problem(12, 4, scale)
            spins = self.annealer().ising(h, J)
            if getattr(self.build(), "anneals", True):
                lowest = energies(h, J, spins).min() / scale
                assert lowest < -np.abs(problem(12, 4)[0]).mean(), (
                    f"coefficients of size {scale:g}: the lowest energy is {lowest:.3g} times it"
                )

    def test_it_finds_low_energies(self) -> None:
        """Lower than as many random bits, on most of ten problems of 40 variables."""
        if not getattr(self.build(), "anneals", True):
            return
        won = 0
        for k in range(10):
            h, J = problem(40, 10 + k)
            mine = energies(h, J, self.annealer(k).ising(h, J)).min()
            control = Annealer("random", None, num_reads=READS, num_sweeps=SWEEPS, seed=k)
            won += mine < energies(h, J, control.ising(h, J)).min()
        assert won >= 9, (
            f"its best read is below that of {READS} random ones on {won} of 10 problems"
        )

    def test_a_seed_decides(self) -> None:
        """Where `sample` names a seed: the same gives the same reads, and reads of one call differ."""
        if not self._seeded():
            return
        h, J = problem(40, 5)
        one, two = (self.annealer(3).ising(h, J).tolist() for _ in range(2))
        assert one == two, (
            "one seed, twice asked: other reads; draw from a generator made of `seed`"
        )
        # All half-filled spins are as low: ties without end, which only chance decides between.
        ties = np.zeros(16), np.triu(np.ones((16, 16)), 1)
        one, other = (self.annealer(seed).ising(*ties).tolist() for seed in (3, 4))
        assert one != other, "seeds 3 and 4 give the same reads; use `seed`"
        reads = self.build().sample(_bqm(*ties), num_reads=2, seed=1).record
        n = int(reads.num_occurrences.sum())
        assert n == 1 or len(np.unique(reads.sample, axis=0)) > 1, (
            f"{n} reads of one call are all alike; give each a seed of its own"
        )

    def test_it_uses_no_generator_that_others_use_too(self) -> None:
        if not self._seeded():
            return
        before = random.getstate(), np.random.get_state()[1:3]  # type: ignore[index]
        self.annealer().ising(*problem(12, 6))
        after = random.getstate(), np.random.get_state()[1:3]  # type: ignore[index]
        same = (
            before[0] == after[0]
            and before[1][1] == after[1][1]
            and (before[1][0] == after[1][0]).all()
        )
        assert same, "it moves a global generator (random, or numpy.random); make one of `seed`"

    def test_what_it_is_given_stays_as_it_was(self) -> None:
        bqm = _bqm(*problem(8, 7))
        before = bqm.copy()
        self.build().sample(bqm, num_reads=2)
        assert bqm == before, "it changes the problem"

    def test_a_regressor_learns_with_it(self) -> None:
        X, y = curves(0, 12)
        X_new, y_new = curves(100, 40)
        model = QSVR(sampler=self.leaf, sampler_deadline_s=self.deadline_s, random_state=0)
        predicted = model.set_params(rounds=20).fit(X, y).predict(X_new)
        error, chance = ((predicted - y_new) ** 2).mean(), ((y_new - y.mean()) ** 2).mean()
        assert error < 0.5 * chance, (
            f"mean squared error {error:.3g}; must be below half of the mean's, {chance:.3g}"
        )


def _bqm(h: Floats, J: Floats) -> Any:
    return samplers.model(h, J, "SPIN")
