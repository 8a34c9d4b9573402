"""A stranger's samplers: one that does as it should, and others with a fault each."""

import time

import dimod
import numpy as np

from suite.predictors.constant import Constant


class Greedy:
    """Steepest descent from the best of a few random starts."""

    def __init__(self, starts: int = 4) -> None:
        self.starts = starts

    def sample(self, bqm, num_reads=1, seed=None):
        draws = np.random.default_rng(seed)
        reads = np.array([self.read(bqm, draws) for _ in range(num_reads)])
        return dimod.SampleSet.from_samples_bqm((reads, list(bqm.variables)), bqm)

    def read(self, bqm, draws):
        variables, values = list(bqm.variables), sorted(bqm.vartype.value)
        start = draws.choice(values, (self.starts, len(variables)))
        read = start[np.argmin(bqm.energies((start, variables)))]
        while True:
            turned = np.tile(read, (len(read), 1))
            np.fill_diagonal(turned, sum(values) - read)
            energies = bqm.energies((turned, variables))
            if energies.min() >= bqm.energies((read, variables))[0]:
                return read
            read = turned[np.argmin(energies)]


class Stuck(Greedy):
    """Its seed is not used."""

    def sample(self, bqm, num_reads=1, seed=None):
        return super().sample(bqm, num_reads, 1)


class Alike(Greedy):
    """One read, several times."""

    def sample(self, bqm, num_reads=1, seed=None):
        return dimod.concatenate([super().sample(bqm, 1, seed)] * num_reads)


class Global(Greedy):
    """It seeds what is not its own."""

    def sample(self, bqm, num_reads=1, seed=None):
        np.random.seed(seed)
        return super().sample(bqm, num_reads, seed)


class Changing(Greedy):
    """It scales the problem where it lies."""

    def sample(self, bqm, num_reads=1, seed=None):
        answer = super().sample(bqm, num_reads, seed)
        bqm.scale(2.0)
        return answer


class Random(Greedy):
    """It does not search, and does not say so."""

    def read(self, bqm, draws):
        return draws.choice(sorted(bqm.vartype.value), bqm.num_variables)


class More(Random):
    """More reads than were asked for."""

    def sample(self, bqm, num_reads=1, seed=None):
        return super().sample(bqm, 9 * num_reads, seed)


class Wrong(Random):
    """An answer that is none. fault: a name of FAULTS."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def sample(self, bqm, num_reads=1, seed=None):
        answer = super().sample(bqm, num_reads, seed)
        return FAULTS[self.fault](bqm, answer)


def _renewed(answer, **changes):
    record = answer.record
    parts = {
        "samples": record.sample, "variables": list(answer.variables), "energy": record.energy,
        "num_occurrences": record.num_occurrences, "vartype": answer.vartype,
    } | changes  # fmt: skip
    rows = (parts.pop("samples"), parts.pop("variables"))
    return dimod.SampleSet.from_samples(rows, sort_labels=False, **parts)


def _raise(bqm, answer):
    raise ZeroDivisionError("one divided by nothing")


def _sleep(bqm, answer):
    time.sleep(2)
    return answer


FAULTS = {
    "none": lambda bqm, answer: None,
    "array": lambda bqm, answer: answer.record.sample,
    "other vartype": lambda bqm, answer: answer.change_vartype("BINARY", inplace=False),
    "values": lambda bqm, answer: _renewed(answer, samples=answer.record.sample * 3),
    "fewer variables": lambda bqm, answer: _renewed(
        answer, samples=answer.record.sample[:, 1:], variables=list(answer.variables)[1:]
    ),
    "other variables": lambda bqm, answer: answer.relabel_variables({0: "zero"}, inplace=False),
    "energies": lambda bqm, answer: _renewed(answer, energy=answer.record.energy + 1),
    "nan": lambda bqm, answer: _renewed(answer, energy=answer.record.energy * np.nan),
    "occurrences": lambda bqm, answer: _renewed(
        answer, num_occurrences=np.zeros(len(answer), int)
    ),
    "empty": lambda bqm, answer: answer.truncate(0),
    "raises": _raise,
    "hangs": _sleep,
}  # fmt: skip


class SlowMean(Constant):
    """A predictor whose fit takes 20 milliseconds of the processor."""

    def fit(self, X, y):
        begun = time.process_time()
        while time.process_time() - begun < 0.02:
            pass
        return super().fit(X, y)
