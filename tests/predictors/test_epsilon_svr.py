"""The pair of QSVR: the same regression, solved exactly, with the same settings."""

import inspect

import numpy as np
import pytest

from kit.driving import compose
from suite.core.errors import ConfigError
from suite.predictors import QSVR
from suite.predictors.epsilon_svr import EpsilonSVR
from suite.predictors.svr_dual import dual_energy, rbf_kernel

DRAWS = np.random.default_rng(2)
X = np.sort(DRAWS.uniform(size=(20, 8)), axis=1)[:, ::-1]
Y = X[:, -1] * 0.8


def defaults(cls):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is not parameter.empty
    }


def test_qsvrs_class_and_its_file_have_the_same_defaults():
    leaf = compose("predictor=qsvr")["predictor"]
    shared = {key: value for key, value in defaults(QSVR).items() if key in leaf}
    assert {"C", "gamma", "epsilon", "xi", "bits", "rounds", "num_reads"} < set(shared)
    assert shared == {key: leaf[key] for key in shared}


def test_the_published_encodings_file_and_class_method_differ_in_effort_alone():
    leaf = compose("predictor=qsvr_published")["predictor"]
    own = QSVR.published().get_params()
    apart = {key for key in own if key in leaf and leaf[key] != own[key]}
    assert apart == {"num_reads", "num_sweeps"}


@pytest.mark.parametrize("key", ["C", "gamma", "epsilon", "max_samples", "features"])
def test_the_pair_has_the_same_settings(key):
    exact, annealed = (compose(f"predictor={n}")["predictor"] for n in ("epsilon_svr", "qsvr"))
    assert exact[key] == annealed[key]
    if key != "features":
        assert defaults(EpsilonSVR)[key] == defaults(QSVR)[key]


@pytest.mark.parametrize("gamma", [0.05, "scale"])
def test_annealing_comes_near_to_the_exact_solution(gamma):
    exact = EpsilonSVR(gamma=gamma).fit(X, Y)
    annealed = QSVR(gamma=gamma, random_state=0).fit(X, Y)
    near = np.abs(exact.predict(X) - annealed.predict(X)).max()
    assert near < 0.05 * np.ptp(Y)
    # Energies are negative: annealing comes to 80 % of the exact solution's, at least.
    beta = np.zeros(len(Y))
    beta[exact._svr.support_] = exact._svr.dual_coef_[0]
    rows = annealed.support_vectors_
    scaled = (Y - Y.min()) / np.ptp(Y)
    given = (rbf_kernel(rows, rows, annealed.gamma_), scaled - scaled.mean(), 0.02, 0.5)
    assert annealed.dual_energy_ <= 0.8 * float(dual_energy(beta, *given))


@pytest.mark.parametrize(
    "setting", [{"C": 0.0}, {"gamma": -1.0}, {"epsilon": -0.1}, {"gamma": "auto"}]
)
def test_settings_out_of_range_are_named(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ConfigError, match=f"{name}={value}: must be"):
        EpsilonSVR(**setting).check()
