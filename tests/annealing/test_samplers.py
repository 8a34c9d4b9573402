"""Samplers by name: each is repeatable, sorted and consistent; what fails says so, or falls back as
it was told.
"""

import functools

import dimod
import numpy as np
import pytest

from suite.annealing import samplers
from suite.annealing.errors import ProblemTooLarge, SamplerError, TokenError
from suite.annealing.recordings import FILE, Recordings
from suite.annealing.samplers import Annealer
from suite.core.errors import ConfigError
from suite.predictors import qubo, svr_dual

LOCAL = ("simulated", "path_integral", "tabu", "steepest_descent", "exact", "random")
every = pytest.mark.parametrize("name", LOCAL)


def open_(sampler="simulated", options=None, seed=3, **changes):
    effort = {"num_reads": 12, "num_sweeps": 20} | changes
    return Annealer(sampler, options, seed=seed, **effort)


def matrix(n, seed=2):
    return np.triu(np.random.default_rng(seed).normal(size=(n, n)))


def ising(h, J, spins):
    s = spins.astype(float)
    return s @ h + np.einsum("ri,ij,rj->r", s, J, s)


@every
def test_reads_are_distinct_sorted_and_of_the_energies_they_claim(name):
    Q = matrix(9)
    bits, energies = open_(name).qubo(Q)
    assert set(np.unique(bits)) <= {0, 1} and bits.shape == (len(energies), 9)
    assert len({tuple(b) for b in bits.tolist()}) == len(bits)
    assert energies.tolist() == sorted(energies)
    assert qubo.energy(Q, bits) == pytest.approx(energies)


@every
def test_spins_are_sorted_by_the_ising_energy(name):
    Q = matrix(8)
    h, J = np.diag(Q).copy(), np.triu(Q, 1)
    spins = open_(name).ising(h, J)
    assert set(np.unique(spins)) <= {-1, 1}
    energies = ising(h, J, spins)
    assert (np.diff(energies) >= -1e-9).all()


@every
def test_the_same_seed_gives_the_same_reads_and_another_one_others(name):
    Q = matrix(12, 5)
    one, two, other = (open_(name, seed=seed).qubo(Q)[0].tolist() for seed in (3, 3, 4))
    assert one == two
    if name == "random":  # the others find the lowest whatever the seed
        assert one != other
    h, J = np.zeros(12), np.triu(np.ones((12, 12)), 1)  # all halves are as low: ties without end
    ties = [open_(name, seed=seed, num_reads=3).ising(h, J).tolist() for seed in (3, 3, 4)]
    assert ties[0] == ties[1] and (name == "exact" or ties[0] != ties[2])


@pytest.mark.parametrize("name", [name for name in LOCAL if name != "exact"])
def test_each_call_of_one_fit_has_a_seed_of_its_own(name):
    h, J = np.zeros(16), np.triu(np.ones((16, 16)), 1)
    annealer = open_(name, num_reads=3)
    assert annealer.ising(h, J).tolist() != annealer.ising(h, J).tolist()
    assert annealer.info == {"sampler": name, "n_calls": 2, "n_reads": 6}


@pytest.mark.parametrize("name", ["simulated", "path_integral", "tabu", "steepest_descent"])
def test_who_anneals_finds_what_trying_all_bit_strings_finds(name):
    """2 points x 2 bits: 8 variables, 256 bit strings."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, y = rng.random((2, 3)), rng.random(2)
        weights = qubo.bit_weights(2, 0.5, 0.005)
        Q = qubo.build(svr_dual.rbf_kernel(X, X, 0.1), y, weights, 0.02, 0.01)
        every = (np.arange(256)[:, None] >> np.arange(8)) & 1
        lowest = qubo.energy(Q, every).min()
        assert open_("exact").qubo(Q)[1][0] == pytest.approx(lowest)
        found = open_(name, num_reads=50, num_sweeps=200).qubo(Q)[1]
        assert found[0] == pytest.approx(lowest)


def test_exact_tries_all():
    bits, _ = open_("exact").qubo(matrix(5))
    assert len(bits) == 32


class Backwards:
    """A sampler that names the variables in the reverse order, as dimod allows."""

    def sample(self, bqm, **options):
        names = sorted(bqm.variables, reverse=True)
        rows = np.arange(len(names))[None, :] % 3 == 0
        values = rows if bqm.vartype is dimod.BINARY else 2 * rows - 1
        samples = values.astype(np.int8), names
        energies = bqm.energies(samples)
        return dimod.SampleSet.from_samples(samples, bqm.vartype, energies, sort_labels=False)


def test_columns_are_in_the_order_of_the_variables_whatever_the_sampler_says():
    Q = matrix(8)
    bits, energies = open_(Backwards()).qubo(Q)
    assert bits.tolist() == [[0, 1, 0, 0, 1, 0, 0, 1]]
    assert qubo.energy(Q, bits) == pytest.approx(energies)
    assert (
        open_(Backwards()).ising(np.diag(Q).copy(), np.triu(Q, 1)).tolist()
        == (2 * bits - 1).tolist()
    )


def test_all_bit_strings_of_many_variables_are_too_many():
    says = "n_variables=21: sampler=exact .*at most n = 20; take sampler=simulated, fewer"
    with pytest.raises(ProblemTooLarge, match=says):
        open_("exact").qubo(matrix(21))
    with pytest.raises(ValueError):  # scikit-learn's word for it
        open_("exact").qubo(matrix(21))


def test_an_unknown_sampler_lists_the_known_ones():
    says = "sampler=simulatd: unknown; known are exact, mock, .*tabu. Did you mean simulated?"
    with pytest.raises(ConfigError, match=says):
        samplers.check("simulatd")
    with pytest.raises(ConfigError, match=says):
        open_("simulatd").qubo(matrix(3))
    with pytest.raises(ConfigError, match="fallback=sa: unknown"):
        samplers.check("sa", None, "fallback")
    for name in samplers.SAMPLERS:
        samplers.check(name, {"recording": "x"} if name == "replay" else None)


@pytest.mark.parametrize("name", ["simulated", "tabu", "random"])
def test_a_slip_in_an_option_of_the_call_is_said(name):
    with pytest.raises(ConfigError, match="num_swep: unknown; known are .*num_reads"):
        open_(name, {"num_swep": 7}).qubo(matrix(3))


class Failing:
    """Answers `good` times, then no more."""

    def __init__(self, good=0, error=None):
        self.left, self.error = good, error or SamplerError("the fridge is warm")

    def sample(self, bqm, **options):
        if not self.left:
            raise self.error
        self.left -= 1
        return dimod.RandomSampler().sample(bqm, seed=1, **options)


def test_an_object_is_given_reads_and_its_own_options_and_is_recorded(tmp_path):
    heard = []

    class Object(Backwards):
        def sample(self, bqm, **options):
            heard.append(options)
            return super().sample(bqm)

    annealer = open_(Object(), {"annealing_time": 7}, recordings=Recordings(tmp_path))
    annealer.qubo(matrix(4))
    assert heard == [{"num_reads": 12, "annealing_time": 7}]
    assert annealer.name == annealer.info["sampler"] == "Object"
    assert len((tmp_path / FILE).read_text().splitlines()) == 1


@every
def test_what_can_be_repeated_is_not_recorded(name, tmp_path):
    open_(name, recordings=Recordings(tmp_path)).qubo(matrix(4))
    assert not (tmp_path / FILE).exists()


def test_a_failure_is_raised_unless_a_fallback_is_asked_for():
    with pytest.raises(SamplerError, match="the fridge is warm"):
        open_(Failing()).qubo(matrix(4))


def test_a_fallback_takes_over_for_the_rest_of_the_fit_and_says_why():
    annealer = open_(Failing(2, TokenError("DWAVE_API_TOKEN: not set.")), fallback="exact")
    for _ in range(2):
        assert len(annealer.qubo(matrix(4))[0]) <= 12
    assert annealer.name == "Failing" and "fallback" not in annealer.info
    for _ in range(2):
        assert len(annealer.qubo(matrix(4))[0]) == 16
    assert annealer.name == "exact (for Failing: TokenError)"
    assert annealer.info == {
        "sampler": "Failing", "n_calls": 4, "n_reads": 12 + 12 + 16 + 16, "fallback": "exact",
        "fallback_from": "Failing", "fallback_why": "TokenError: DWAVE_API_TOKEN: not set.",
    }  # fmt: skip


def test_a_fallback_that_fails_too_is_the_end():
    with pytest.raises(ProblemTooLarge):
        open_(Failing(), fallback="exact").qubo(matrix(21))


def test_the_first_samplers_options_are_not_the_fallbacks():
    annealer = open_(Failing(), {"num_reads": 1}, fallback="simulated")
    annealer.qubo(matrix(4))
    assert annealer.info["n_reads"] == 12


@pytest.mark.parametrize(
    ("name", "class_", "options", "expected"),
    [
        (
            "simulated", "SimulatedAnnealingSampler", {"beta_range": [0.1, 4.0]},
            {"num_reads": 12, "num_sweeps": 20, "beta_range": [0.1, 4.0]},
        ),
        (
            "simulated", "SimulatedAnnealingSampler", {"num_sweeps": 7},
            {"num_reads": 12, "num_sweeps": 7},
        ),
        (
            "path_integral", "PathIntegralAnnealingSampler", {"Gamma": 2.0},
            {"num_reads": 12, "num_sweeps": 20, "Gamma": 2.0},
        ),
        (
            "tabu", "TabuSampler", {"tenure": 2},
            {
                "num_reads": 12, "tenure": 2, "timeout": None, "num_restarts": 0,
                "coefficient_z_first": 0, "lower_bound_z": 20 * 5,
            },
        ),
        ("steepest_descent", "SteepestDescentSampler", None, {"num_reads": 12}),
    ],
)  # fmt: skip
def test_effort_and_options_reach_the_call(name, class_, options, expected, monkeypatch):
    import dwave.samplers

    heard = []
    inner = getattr(dwave.samplers, class_).sample

    @functools.wraps(inner)
    def sample(self, bqm, **given):
        heard.append(given)
        return inner(self, bqm, **given)

    monkeypatch.setattr(getattr(dwave.samplers, class_), "sample", sample)
    open_(name, options).qubo(matrix(5))
    seed = heard[0].pop("seed")
    assert heard == [expected] and 0 <= seed < 2**31


class Saying:
    """A device's words beside its samples, call by call."""

    def __init__(self, *infos):
        self.infos = list(infos)

    def sample(self, bqm, **options):
        found = dimod.RandomSampler().sample(bqm, seed=1, **options)
        found.info.update(self.infos.pop(0))
        return found


def test_what_a_device_says_is_counted_over_its_calls():
    words = {"solver": "made_1", "topology": "pegasus", "max_chain_length": 7, "secret": "x"}
    annealer = open_(
        Saying(
            words | {"chain_break_fraction": 0.1, "qpu_access_time_s": 0.5},
            words | {"chain_break_fraction": 0.2, "qpu_access_time_s": 0.25},
            words | {"chain_break_fraction": 0.6, "qpu_access_time_s": 0.25},
        )
    )
    for _ in range(3):
        annealer.qubo(matrix(4))
    info = dict(annealer.info)
    assert info.pop("chain_break_fraction") == pytest.approx(0.3)
    assert info.pop("qpu_access_time_s") == pytest.approx(1.0)
    assert info == {
        "sampler": "Saying", "n_calls": 3, "n_reads": 36, "solver": "made_1",
        "topology": "pegasus", "max_chain_length": 7,
    }  # fmt: skip


def test_reads_are_counted_as_often_as_they_were_read():
    class Aggregated:
        def sample(self, bqm, **options):
            return dimod.RandomSampler().sample(bqm, num_reads=50, seed=1).aggregate()

    annealer = open_(Aggregated())
    assert len(annealer.qubo(matrix(3))[0]) <= 8 and annealer.info["n_reads"] == 50


@every
def test_tables_stay_as_they_were(name):
    Q = matrix(5)
    before = Q.copy()
    open_(name).qubo(Q)
    assert np.array_equal(Q, before)
