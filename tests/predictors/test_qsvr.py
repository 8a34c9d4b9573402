"""The annealed regressor: an estimator as scikit-learn's are, repeatable where seeded, and better
than predicting the mean.
"""

import pickle

import dimod
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import svm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from kit.driving import ROOT, power_law
from suite.annealing.errors import ProblemTooLarge, SamplerError
from suite.annealing.samplers import Annealer
from suite.core.errors import ConfigError
from suite.predictors import svr_dual
from suite.predictors.qsvr import QSVR
from suite.predictors.svr import SVR


def zoomed(**changes):
    return QSVR(**{"rounds": 10, "random_state": 3} | changes)


def published(**changes):
    return QSVR.published(**{"num_reads": 30, "num_sweeps": 100, "random_state": 3} | changes)


both = pytest.mark.parametrize("make", [zoomed, published])


def curves(n, e=10, R=30, first=0):
    X = np.array([power_law(i, e) for i in range(first, first + n)])
    y = np.array([power_law(i, R)[-1] for i in range(first, first + n)])
    return X, y


# --- an estimator ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        QSVR(rounds=5, sampler="steepest_descent"),
        pytest.param(QSVR(rounds=5), marks=pytest.mark.slow),
        pytest.param(QSVR.published(num_reads=100, num_sweeps=200), marks=pytest.mark.slow),
    ],
    ids=["steepest_descent", "five_rounds", "published"],
)
@pytest.mark.filterwarnings("ignore:Skipping check")
def test_it_is_what_scikit_learn_calls_a_regressor(model):
    checked = check_estimator(model, on_fail=None)
    assert len(checked) > 40
    wrong = [c for c in checked if c["status"] not in ("passed", "skipped")]
    assert not [(c["check_name"], c["exception"]) for c in wrong]
    skipped = [c["check_name"] for c in checked if c["status"] == "skipped"]
    assert skipped in ([], ["check_array_api_input"]), "needs SCIPY_ARRAY_API"


@both
def test_parameters_are_kept_as_given_and_cloned(make):
    model = make(gamma=0.2, sampler_options={"beta_range": [0.1, 4.0]})
    copy = clone(model)
    assert copy is not model and copy.get_params() == model.get_params()
    assert copy.set_params(C=3.0, refine=False) is copy
    assert (copy.C, copy.refine, model.refine) == (3.0, False, True)
    with pytest.raises(ValueError, match="Invalid parameter 'n_bits'"):
        copy.set_params(n_bits=3)


@both
def test_a_fitted_one_can_be_pickled(make):
    X, y = curves(8)
    model = make().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.fit(X, y).predict(X), model.predict(X))


def test_in_a_pipeline_and_a_search_over_its_parameters():
    X, y = curves(18)
    chain = make_pipeline(StandardScaler(), zoomed(rounds=4))
    grid = {"qsvr__gamma": [1e-6, 0.05], "qsvr__bits": [1, 2]}
    found = GridSearchCV(chain, grid, cv=3, error_score="raise").fit(X, y)
    assert found.best_params_["qsvr__gamma"] == 0.05 and found.best_score_ > 0.3
    assert found.best_estimator_.predict(X).shape == (18,)


def test_before_fit_there_is_nothing_to_predict():
    with pytest.raises(NotFittedError):
        zoomed().predict([[1.0]])


# --- random choices -------------------------------------------------------------------------------


@both
def test_a_seeded_fit_is_repeatable(make):
    X, y = curves(30)
    one, two = (make(max_samples=12).fit(X, y) for _ in range(2))
    assert np.array_equal(one.predict(X), two.predict(X))
    assert np.array_equal(one.fit(X, y).predict(X), two.predict(X)), "a second fit starts afresh"


@both
def test_a_random_state_object_is_as_good(make):
    X, y = curves(10)
    one, two, other = (
        make(random_state=np.random.RandomState(seed)).fit(X, y).predict(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    drawn = np.random.RandomState(1)
    first, second = (make(random_state=drawn).fit(X, y).predict(X) for _ in range(2))
    assert not np.array_equal(first, second), "it is consumed, as scikit-learn has it"


def test_without_a_random_state_it_follows_numpys():
    X, y = curves(10)
    np.random.seed(5)
    one = zoomed(random_state=None).fit(X, y).predict(X)
    np.random.seed(5)
    assert np.array_equal(zoomed(random_state=None).fit(X, y).predict(X), one)


@both
def test_a_seeded_fit_leaves_numpys_random_state_alone(make):
    X, y = curves(10)
    before = np.random.get_state()[1].copy()
    make().fit(X, y)
    assert np.array_equal(np.random.get_state()[1], before)


@both
def test_the_seed_chooses_the_rows(make):
    X, y = curves(40)
    one, other = (make(max_samples=10, random_state=seed).fit(X, y) for seed in (3, 4))
    assert one.support_vectors_.shape == other.support_vectors_.shape == (10, 10)
    assert not np.array_equal(one.support_vectors_, other.support_vectors_)
    assert not np.array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize("seed", [0, 3, 2**62])
def test_it_trains_on_the_rows_that_the_svr_trains_on(seed, monkeypatch):
    X, y = curves(40)
    seen = []
    inner = SVR.fit.__globals__["subset"]

    def spy(*args):
        rows, target = inner(*args)
        seen.append((rows.tolist(), target.tolist()))
        return rows, target

    for module in ("svr", "qsvr"):
        monkeypatch.setattr(f"suite.predictors.{module}.subset", spy)
    for make in (SVR, zoomed, published):
        make(max_samples=12, random_state=seed).fit(X, y)
    assert seen[0] == seen[1] == seen[2] and len(seen[0][1]) == 12
    where = [y.tolist().index(value) for value in seen[0][1]]
    assert where == sorted(where) and seen[0][0] == X[where].tolist()


# --- what it is given -----------------------------------------------------------------------------


class Refusing:
    def sample(self, bqm, **options):
        raise AssertionError("asked although there is nothing to find")


@both
@pytest.mark.parametrize("scale", ["minmax", None])
@pytest.mark.parametrize("level", [0.7, 0.1 + 0.2, -1e12, 0.0])
def test_a_constant_target_is_predicted_exactly_and_nothing_is_sampled(make, scale, level):
    X, _ = curves(8)
    model = make(sampler=Refusing(), scale=scale).fit(X, np.full(8, level))
    assert (model.predict(curves(5, first=60)[0]) == level).all()
    assert model.sampler_info_ == {"sampler": "Refusing", "n_calls": 0, "n_reads": 0}
    assert model.dual_gap_ == model.dual_energy_ == 0.0


@both
def test_duplicates_and_a_feature_without_variance(make, recwarn):
    X, y = curves(6)
    X = np.repeat(np.column_stack([X, np.ones(6)]), 2, axis=0)
    predicted = make().fit(X, np.repeat(y, 2)).predict(X)
    assert np.isfinite(predicted).all() and np.array_equal(predicted[::2], predicted[1::2])
    contradicting = make(xi=0.0).fit(X, np.arange(12.0)).predict(X)
    assert np.isfinite(contradicting).all() and not recwarn.list


@both
def test_two_points(make, recwarn):
    near = make().fit([[0.0], [1.0]], [3.0, 4.0]).predict([[0.0], [1.0]])
    assert near[0] < near[1]
    equal = make().fit([[1.0, 2.0], [1.0, 2.0]], [3.0, 4.0]).predict([[1.0, 2.0]])
    assert 3.0 <= equal[0] <= 4.0 and not recwarn.list


@both
def test_what_is_not_finite_is_refused(make):
    X, y = curves(4)
    model = make().fit(X, y)
    for bad in (np.nan, np.inf, -np.inf):
        broken = X.copy()
        broken[1, 2] = bad
        for call in (
            lambda broken=broken: make().fit(broken, y),
            lambda bad=bad: make().fit(X, [*y[:3], bad]),
            lambda broken=broken: model.predict(broken),
        ):
            with pytest.raises(ValueError, match="NaN|infinity"):
                call()


@both
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_samples_are_too_few(make, n):
    with pytest.raises(ValueError, match="sample"):
        make().fit(np.ones((n, 3)), np.ones(n))


@both
def test_other_shapes_are_refused(make):
    X, y = curves(5)
    for rows, target in ((X[0], y), (X, y[:3]), (X, np.column_stack([y, y]))):
        with pytest.raises(ValueError):
            make().fit(rows, target)
    with pytest.raises(ValueError, match="9 features, but QSVR is expecting 10"):
        make().fit(X, y).predict(X[:, :9])


@both
def test_what_it_is_given_stays_as_it_was(make):
    X, y = curves(8)
    before = X.copy(), y.copy()
    make().fit(X, y).predict(X)
    assert np.array_equal(X, before[0]) and np.array_equal(y, before[1])


def test_the_class_and_its_yaml_have_the_same_defaults():
    own = yaml.safe_load((ROOT / "conf" / "predictor" / "qsvr.yaml").read_text())
    defaults = QSVR().get_params()
    assert {k: v for k, v in own.items() if k in defaults and not str(v).startswith("${")} == {
        k: defaults[k] for k in own if k in defaults and k != "max_samples"
    }


@pytest.mark.parametrize("scale", ["minmax", None])
def test_gamma_scale_is_scikit_learns(scale):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12.0)
    model = zoomed(gamma="scale", scale=scale).fit(X, y)
    assert model.gamma_ == pytest.approx(
        svm.SVR(gamma="scale").fit(model.support_vectors_, y)._gamma
    )
    assert zoomed(gamma="scale").fit(np.ones((4, 2)), np.arange(4.0)).gamma_ == 1.0


# --- parameters -----------------------------------------------------------------------------------

WRONG = [
    ({"C": 0}, "C=0: must be greater"),
    ({"C": float("nan")}, "C=nan: must be greater"),
    ({"gamma": -1.0}, "gamma=-1.0: must be greater"),
    ({"gamma": "auto"}, "gamma=auto: must be a number greater than 0, or scale"),
    ({"epsilon": -0.1}, "epsilon=-0.1: must be 0 or greater"),
    ({"xi": -0.1}, "xi=-0.1: must be 0 or greater"),
    ({"bits": 0}, "bits=0: must be an integer >= 1"),
    ({"bits": 1.5}, "bits=1.5: must be an integer >= 1"),
    ({"rounds": 0}, "rounds=0: must be an integer >= 1"),
    ({"num_reads": 0}, "num_reads=0: must be an integer >= 1"),
    ({"num_sweeps": -5}, "num_sweeps=-5: must be an integer >= 1"),
    ({"max_samples": 1}, "max_samples=1: must be an integer >= 2"),
    ({"encoding": "zom"}, "encoding=zom: unknown; known are published, zoom. Did you mean zoom"),
    ({"combine": "worst"}, "combine=worst: unknown; known are all, best, energy"),
    ({"scale": "standard"}, "scale=standard: unknown; known are None, minmax"),
    ({"sampler": "sa"}, "sampler=sa: unknown; known are exact, mock"),
    ({"fallback": "sa"}, "fallback=sa: unknown; known are exact, mock"),
]
UNSOUND = [
    ({"C": float("inf")}, "C=inf"),
    ({"gamma": float("inf")}, "gamma=inf"),
    ({"C": "much"}, "C=much"),
    ({"epsilon": None}, "epsilon=None"),
    ({"sampler": 5}, "sampler=5"),
    ({"sampler": None}, "sampler=None"),
    ({"sampler": "replay"}, "recording"),
    ({"fallback": "replay"}, "fallback=replay"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG + UNSOUND)
@both
def test_bad_parameters_are_found_before_anything_is_sampled_but_not_at_once(make, wrong, says):
    X, y = curves(4)
    model = make(**{"sampler": Refusing()} | wrong)
    name, value = next(iter(wrong.items()))
    assert str(clone(model).get_params()[name]) == str(value)
    for call in (model.check, lambda: model.fit(X, y)):
        with pytest.raises(ConfigError, match=says):
            call()


@pytest.mark.parametrize("number", [np.int64(4), np.int32(4)])
@pytest.mark.parametrize("name", ["bits", "rounds", "num_reads", "num_sweeps", "max_samples"])
def test_numpys_integers_are_integers(name, number):
    X, y = curves(6)
    changed, plain = zoomed(**{name: number}), zoomed(**{name: 4})
    assert np.array_equal(changed.fit(X, y).predict(X), plain.fit(X, y).predict(X))


@both
def test_good_parameters_pass(make):
    for good in (
        {"epsilon": 0.0, "xi": 0.0},
        {"sampler": dimod.ExactSolver()},
        {"sampler": "qpu", "fallback": "simulated"},
        {"scale": None, "combine": "best", "refine": False},
    ):
        make(**good).check()


# --- what it says of a fit ------------------------------------------------------------------------


def test_the_zoom_counts_its_calls():
    model = zoomed(rounds=7, num_reads=5).fit(*curves(20))
    assert model.sampler_used_ == "simulated" and model.n_variables_ == 40
    assert model.sampler_info_ == {"sampler": "simulated", "n_calls": 7, "n_reads": 35}
    assert zoomed(bits=3, max_samples=10).fit(*curves(20)).n_variables_ == 30
    assert published().fit(*curves(30)).n_variables_ == 120


def test_a_fallback_is_said_in_the_samplers_name():
    class Failing:
        def sample(self, bqm, **options):
            raise SamplerError("the fridge is warm")

    X, y = curves(6)
    with pytest.raises(SamplerError, match="the fridge is warm"):
        zoomed(sampler=Failing()).fit(X, y)
    model = zoomed(sampler=Failing(), fallback="simulated").fit(X, y)
    assert model.sampler_used_ == "simulated (for Failing: SamplerError)"
    assert model.sampler_info_["fallback_why"] == "SamplerError: the fridge is warm"
    assert np.array_equal(model.predict(X), zoomed().fit(X, y).predict(X))
    with pytest.raises(ProblemTooLarge):
        published(sampler="exact").fit(X, y)


@both
@given(st.integers(2, 9), st.integers(0, 99), st.sampled_from([0.3, 5.0]), st.booleans())
@settings(max_examples=15)
def test_its_certificate_is_that_of_its_own_answer(make, n, first, C, scaled):
    X, y = curves(n, first=first)
    model = make(C=C, rounds=4, num_reads=4, scale="minmax" if scaled else None).fit(X, y)
    assert model.dual_gap_ >= 0
    assert np.abs(model.beta_).max() <= (C if model.encoding == "zoom" else 1.757)
    kernel = svr_dual.rbf_kernel(*2 * (model.support_vectors_,), model.gamma)
    target = (y - y.min()) / np.ptp(y) if scaled else y
    target = target - (target.mean() if model.encoding == "zoom" else 0.0)
    given_ = kernel, target, model.epsilon, model.xi
    assert model.dual_energy_ == pytest.approx(svr_dual.dual_energy(model.beta_, *given_))
    assert model.dual_energy_ <= 1e-12
    best = zoomed(C=C, rounds=60, scale=model.scale, xi=model.xi, gamma=model.gamma).fit(X, y)
    if model.encoding == "zoom":
        assert model.dual_energy_ - model.dual_gap_ <= best.dual_energy_ + 1e-9


@both
def test_it_beats_the_mean_on_smooth_curves(make):
    X, y = curves(20)
    X_new, y_new = curves(60, first=100)
    error = make().fit(X, y).predict(X_new) - y_new
    assert (error**2).mean() < 0.3 * ((y_new - y.mean()) ** 2).mean()


def test_more_rounds_lower_the_energy_and_refinement_does():
    X, y = curves(16)
    fitted = [zoomed(C=15.0, rounds=rounds).fit(X, y) for rounds in (1, 8, 60)]
    energies = [model.dual_energy_ for model in fitted]
    assert 0 > energies[0] > energies[1] > energies[2]
    assert fitted[0].dual_gap_ > 5 * fitted[2].dual_gap_, "an overestimate, but one that shrinks"
    plain = zoomed(C=15.0, rounds=30, refine=False).fit(X, y)
    refined = zoomed(C=15.0, rounds=30).fit(X, y)
    assert refined.dual_energy_ < plain.dual_energy_ < 0
    assert np.isfinite(plain.predict(X)).all()


def test_for_a_heavy_penalty_it_predicts_what_libsvm_does():
    X, y = curves(12)
    X_new, _ = curves(20, first=70)
    model = zoomed(rounds=300, C=2.0, gamma=0.1, xi=20.0).fit(X, y)
    low, span = X.min(axis=0), np.ptp(X, axis=0)
    theirs = svm.SVR(C=2.0, gamma=0.1, epsilon=0.02, tol=1e-8)
    theirs.fit((X - low) / span, (y - y.min()) / np.ptp(y))
    expected = y.min() + np.ptp(y) * theirs.predict((X_new - low) / span)
    assert model.predict(X_new) == pytest.approx(expected, abs=0.05 * np.ptp(y))


# --- scales ---------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("unit", [2.0**20, 2.0**-20])
def test_units_do_not_matter(make, unit):
    """Powers of two, so that not a bit is rounded otherwise."""
    X, y = curves(10)
    X_new, _ = curves(5, first=50)
    plain = make().fit(X, y).predict(X_new)
    assert np.array_equal(make().fit(X, unit * y).predict(X_new), unit * plain)
    assert np.array_equal(make().fit(unit * X, y).predict(unit * X_new), plain)


def test_a_million_times_the_target_is_a_million_times_the_prediction():
    X, y = curves(10)
    plain, large = (zoomed(rounds=60).fit(X, unit * y).predict(X) for unit in (1.0, 1e6))
    assert large == pytest.approx(1e6 * plain, rel=0.02)


def test_unscaled_it_takes_the_numbers_as_they_are():
    X, y = curves(8)
    model = zoomed(scale=None).fit(X, y)
    assert np.array_equal(model.support_vectors_, X)
    low, span, unit = X.min(axis=0), np.ptp(X, axis=0), np.ptp(y)
    scaled = zoomed(scale=None).fit((X - low) / span, (y - y.min()) / unit)
    by_itself = zoomed().fit(X, y)
    assert scaled.predict((X - low) / span) * unit + y.min() == pytest.approx(by_itself.predict(X))
    assert model.predict(X) != pytest.approx(by_itself.predict(X))


# --- waking up ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["qpu", "mock", "replay", Refusing()])
@both
def test_it_warms_up_on_this_machines_processor_whatever_its_sampler(make, sampler, monkeypatch):
    opened, inner = [], Annealer._open

    def spy(self):
        opened.append(self.name)
        return inner(self)

    monkeypatch.setattr(Annealer, "_open", spy)
    model = make(sampler=sampler, fallback="qpu", max_samples=2)
    model.warm_up()
    assert opened == ["simulated"] and not hasattr(model, "beta_")
    assert model.sampler is sampler
