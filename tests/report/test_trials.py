"""Trials as a sample: importance on functions whose answer is known, rank correlation, figures."""

import math
import random

import pytest

from kit.report_runs import the_group, write_run
from kit.text_boxes import crowded
from suite.report import contents, style, trial_figures, trial_sample
from suite.report import html as pages
from suite.report.figures import Figure
from suite.report.importance import LEAST_R2, Importances, importances
from suite.report.trial_sample import Sample, Trial, rank_correlations, rungs


def drawn_from(function, n=150, names=("a", "b", "c"), seed=0):
    """Uniform configurations with one value each."""
    rng = random.Random(seed)
    configs = [{name: rng.random() for name in names} for _ in range(n)]
    trials = [Trial(config, [function(config, rng)], False) for config in configs]
    return Sample(1, trials, n, names)


def test_importance_follows_the_variance_of_each_part_of_a_known_function():
    """f = 6 a + 2 b: shuffling loses twice the variance of a part: 1.8 and .2 of R², nothing for c."""
    found = importances(drawn_from(lambda x, _: 6 * x["a"] + 2 * x["b"]))
    loss = {name: mean for name, (mean, _) in found.of.items()}
    assert found.r2 > 0.9
    assert loss["a"] == pytest.approx(1.8, abs=0.3)
    assert loss["b"] == pytest.approx(0.2, abs=0.1)
    assert abs(loss["c"]) < 0.03


def test_importance_sees_what_no_single_correlation_shows():
    """f = (a - 1/2)(b - 1/2): alone neither says anything."""
    found = importances(drawn_from(lambda x, _: (x["a"] - 0.5) * (x["b"] - 0.5), n=200))
    loss = {name: mean for name, (mean, _) in found.of.items()}
    assert min(loss["a"], loss["b"]) > 0.5
    assert abs(loss["c"]) < 0.1


def test_words_and_logarithmic_hyperparameters_count_alike():
    def value(x, rng):
        x["rate"] = 10 ** (-5 * x.pop("c"))
        x["kind"] = rng.choice(["adam", "sgd"])
        return 3 * (x["kind"] == "sgd") + math.log10(x["rate"])

    chosen = drawn_from(value)
    chosen = Sample(1, chosen.trials, chosen.n_all, ("a", "rate", "kind"))
    assert chosen.column("kind")[1] == ["adam", "sgd"]
    loss = {name: mean for name, (mean, _) in importances(chosen).of.items()}
    assert min(loss["rate"], loss["kind"]) > 0.4
    assert abs(loss["a"]) < 0.05


def test_noise_has_no_importance_that_is_shown():
    assert importances(drawn_from(lambda _, rng: rng.random(), n=60)).r2 < LEAST_R2
    assert importances(drawn_from(lambda x, _: x["a"], n=10)) is None


def test_rank_correlation_is_over_the_trials_that_trained_for_both_epochs():
    """Ten trials; epoch 2 keeps the order of epoch 1; of the eight with three epochs, 3 turns it round."""
    trials = [Trial({"x": i}, [i, 10 * i, -i][: 3 if i < 8 else 2], False) for i in range(10)]
    assert rungs(trials) == [2, 3]
    assert rank_correlations(trials, [1, 2, 3]) == [
        [pytest.approx(1), pytest.approx(1), pytest.approx(-1)],
        [pytest.approx(1), pytest.approx(1), pytest.approx(-1)],
        [pytest.approx(-1), pytest.approx(-1), pytest.approx(1)],
    ]
    assert rank_correlations(trials[:7], [1]) == [[None]]


def test_the_sample_is_at_the_last_epoch_that_enough_trials_have(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_sample, "WANTED", 9)
    write_run(tmp_path / "a", n_epochs=20, n_stopped=9)  # trial 0: ten epochs, ten trials of one
    chosen = trial_sample.sample(the_group(tmp_path))
    assert (chosen.epoch, len(chosen.trials), chosen.n_all) == (1, 11, 11)
    assert chosen.names == ["width"]
    write_run(tmp_path / "b" / "c")
    assert trial_sample.sample(the_group(tmp_path / "b")) is None


def test_figures_of_trials_have_their_labels_apart(tmp_path, monkeypatch):
    rng = random.Random(0)
    names = ["optimizer", "learning_rate", *(f"a_long_hyperparameter_{i}" for i in range(10))]

    def config():
        values = [
            rng.choice(["adam", "sgd"]),
            10 ** rng.uniform(-6, -1),
            *(rng.random() for _ in names[2:]),
        ]
        return dict(zip(names, values, strict=True))

    trials = [
        Trial(c := config(), [math.log10(c["learning_rate"]) + e for e in range(1 + i % 3)], i == 0)
        for i in range(60)
    ]
    for module in (trial_figures, trial_sample):
        monkeypatch.setattr(module, "trials", lambda group: trials)
    known = Importances(dict.fromkeys(names, (0.1, 0.01)), 0.5)
    monkeypatch.setattr(trial_figures, "importances", lambda chosen: known)
    drawn = {}
    monkeypatch.setattr(style, "write", lambda figure, path: drawn.setdefault(path.name, figure))
    write_run(tmp_path / "a")
    group = the_group(tmp_path)
    with style.rc():
        for draw in (
            trial_figures.importance, trial_figures.slices, trial_figures.parallel,
            trial_figures.rank_correlation,
        ):  # fmt: skip
            draw(group, tmp_path / draw.__name__)
    assert {name: crowded(figure) for name, figure in drawn.items()} == {
        "importance": [], "slices": [], "parallel": [], "rank_correlation": [],
    }  # fmt: skip


def test_a_page_that_is_full_names_the_other_figures(tmp_path, monkeypatch):
    write_run(tmp_path / "a")
    monkeypatch.setattr(pages, "MOST_IMAGE_BYTES", 200)
    report = contents.read([tmp_path])
    for name, size in (("first.png", 100), ("second.png", 120), ("third.png", 10)):
        (tmp_path / name).write_bytes(bytes(size))
    figures = [Figure(tmp_path / f"{n}.png", n, "") for n in ("first", "second", "third")]
    page = pages.page(contents.replace(report, chapter=None, comparisons=[
        contents.Comparison(report.groups[0], figures)
    ]))  # fmt: skip
    assert page.count("<img ") == 2
    assert '<a href="second.png">second.png</a>' in page
