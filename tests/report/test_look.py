"""What a reader sees: labels apart, merits named, words explained, ways on from the page."""

import re

import pytest

from kit.report_runs import column, the_group, write_run
from kit.text_boxes import crowded
from suite import report
from suite.report import comparison_figures, measures, reading, run_figures, style, tables
from suite.report.html import page
from suite.report.merits import merits

NAMES = [
    "hyperband", "swift_svr", "swift_qsvr", "swift_qsvr_published", "swift_constant", "calibrated_gate",
    "successive_halving", "fit_and_threshold", "fast_hyperband", "random_search", "swift_asha", "bohb",
]  # fmt: skip


def write_algorithms(top, n, **header):
    for i, name in enumerate(NAMES[:n]):
        for seed in range(2):
            write_run(
                top / f"{name}-{seed}", algorithm=name, seed=seed, n_epochs=400 - 11 * i,
                best=0.1 + 0.001 * i, seconds=7000.0 + 10 * i, n_stopped=i % 3, **header,
            )  # fmt: skip
    return the_group(top)


@pytest.mark.parametrize("n", [3, 12])
def test_no_label_of_a_figure_lies_over_another_or_beyond_the_edge(tmp_path, monkeypatch, n):
    drawn = {}
    monkeypatch.setattr(style, "write", lambda figure, path: drawn.setdefault(path.name, figure))
    target = {"metric": "val_loss", "mode": "min", "data": "recorded", "framework": "numpy"}
    group = write_algorithms(tmp_path, n, target=target, simulated=True)
    with style.rc():
        for draw in (
            comparison_figures.anytime, comparison_figures.comparison, run_figures.curves,
            run_figures.timeline,
        ):  # fmt: skip
            draw(group, tmp_path / draw.__name__)
    assert {name: crowded(figure) for name, figure in drawn.items()} == {
        "anytime": [], "comparison": [], "curves": [], "timeline": [],
    }  # fmt: skip


def test_ticks_of_epochs_are_whole_numbers(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(style, "write", lambda figure, path: drawn.append(figure))
    write_run(tmp_path / "a", n_epochs=4)
    with style.rc():
        for draw in (
            comparison_figures.anytime, comparison_figures.comparison, run_figures.curves,
        ):  # fmt: skip
            draw(the_group(tmp_path), tmp_path / "x")
    for figure in drawn:
        figure.canvas.draw()
        ticks = figure.axes[0].get_xticks()
        assert all(tick == int(tick) for tick in ticks), ticks


@pytest.mark.parametrize("n", [4, 5])
def test_a_band_is_drawn_from_five_seeds_on(tmp_path, monkeypatch, n):
    drawn = []
    monkeypatch.setattr(style, "write", lambda figure, path: drawn.append(figure))
    for seed in range(n):
        write_run(tmp_path / f"{seed}", seed=seed, best=0.1 + seed)
    with style.rc():
        comparison_figures.anytime(the_group(tmp_path), tmp_path / "x")
    from matplotlib.collections import PolyCollection

    assert bool(drawn[0].axes[0].findobj(PolyCollection)) == (n == 5)


def test_each_algorithm_is_shown_by_its_own_largest_gain(tmp_path):
    """a: fewer epochs; b: less time; c: nothing."""
    for seed in range(3):
        write_run(tmp_path / f"h{seed}", seed=seed, n_epochs=40, seconds=100.0)
        write_run(tmp_path / f"a{seed}", algorithm="a", seed=seed, n_epochs=20, seconds=90.0)
        write_run(tmp_path / f"b{seed}", algorithm="b", seed=seed, n_epochs=36, seconds=50.0)
        write_run(tmp_path / f"c{seed}", algorithm="c", seed=seed, n_epochs=40, seconds=100.0)
    gains = {merit.algorithm: merit.gain for merit in merits(the_group(tmp_path))}
    assert (gains["a"].quantity, round(gains["a"].percent)) == ("epochs", -50)
    assert (gains["b"].quantity, round(gains["b"].percent)) == ("wall clock", -50)
    assert gains["c"] is None
    html = page(report.contents.read([tmp_path]))
    assert "50.0<span> % fewer epochs</span>" in html
    assert "50.0<span> % less wall clock</span>" in html
    assert "no gain</p>" in html
    assert "chosen from those below it after the runs" in html
    assert "-0.0" not in html


def test_a_gain_that_costs_quality_says_so_beside_the_large_number(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"h{seed}", seed=seed, n_epochs=40, best=0.1)
        write_run(tmp_path / f"a{seed}", algorithm="a", seed=seed, n_epochs=20, best=0.2)
        write_run(tmp_path / f"b{seed}", algorithm="b", seed=seed, n_epochs=20, best=0.05)
    first, second = page(report.contents.read([tmp_path])).split('<div class="card">')[1:3]
    assert "<h4>a</h4>" in first and "but a worse " in first
    assert "<h4>b</h4>" in second and "but a worse " not in second


def test_a_headline_names_few_algorithms_and_counts_many(tmp_path):
    write_run(tmp_path / "h")
    for name in "abcdef":
        write_run(tmp_path / name, algorithm=name)
    html = page(report.contents.read([tmp_path]))
    assert "hyperband against 6 other algorithms</h1>" in html


def test_what_never_reaches_the_baselines_best_value_gains_no_epochs_to_it(tmp_path):
    write_run(tmp_path / "h", best=0.1)
    write_run(tmp_path / "a", algorithm="a", best=0.2)
    write_run(tmp_path / "b", algorithm="b", best=0.05, n_epochs=20)
    kinds = {m.algorithm: {c.quantity for c in m.changes} for m in merits(the_group(tmp_path))}
    to_best = "epochs to hyperband's best value"
    assert to_best in kinds["b"]
    assert to_best not in kinds["a"]


def diverge(folder, reason="loss is not finite after epoch 3"):
    """Make trial 1 of a run diverge."""
    path = folder / "journal.jsonl"
    text = path.read_text().replace(
        '"given_up": {"1": "x"}', f'"given_up": {{"1": "diverged: {reason}"}}'
    )
    path.write_text(text)


def test_diverged_trials_are_a_row_and_explained(tmp_path):
    write_run(tmp_path / "a", given_up="x")
    diverge(tmp_path / "a")
    group = the_group(tmp_path)
    assert column(group, "hyperband")["trials diverged"] == "1"
    said = "hyperband seed 0: 1 of 2 trials diverged, for example: loss is not finite after epoch 3"
    assert reading.diverged(group) == [said]
    assert said in page(report.contents.read([tmp_path]))
    assert said in tables.report_as_markdown(report.contents.read([tmp_path]))


def with_accuracy(folder):
    path = folder / "journal.jsonl"
    path.write_text(
        re.sub(r'"metrics": \{', '"metrics": {"val_accuracy": 0.75, ', path.read_text())
    )


def test_accuracy_stands_beside_the_loss_where_the_target_reports_it(tmp_path):
    write_run(tmp_path / "a")
    assert "validation accuracy of the winner" not in column(the_group(tmp_path), "hyperband")
    with_accuracy(tmp_path / "a")
    cells = column(the_group(tmp_path), "hyperband")
    assert cells["validation accuracy of the winner"] == "0.7500"
    assert cells["test accuracy of the winner"] == "0.7500"


def test_a_test_value_far_from_validation_and_few_seeds_point_to_retrain(tmp_path):
    for seed in range(6):
        write_run(tmp_path / f"{seed}", seed=seed, best=0.1, test=0.11)
    assert reading.next_steps(the_group(tmp_path)) == []
    write_run(tmp_path / "far", seed=6, best=0.1, test=0.4)
    [said] = reading.next_steps(the_group(tmp_path))
    assert "hyperband seed 6: test 0.4000, best validation 0.1000" in said
    assert "`swiftbench retrain far`" in said
    table = {"reference": {"best": 0.1, "median": 1.0}}
    write_run(tmp_path / "t" / "a", model="t", **table)
    assert reading.next_steps(the_group(tmp_path / "t")) == []


def test_the_page_explains_its_words_and_leads_to_its_sources(tmp_path):
    words = ["-m", "algorithm=hyperband,swift_svr", "name=a b"]
    run = write_run(tmp_path / "runs" / "a b", command=words)
    (run / "record.json").write_text("{}")
    html = page(report.contents.read([tmp_path]), tmp_path / "out")
    for term in ("overlap", "bracket", "stopped", "idle", "predictor [s]", "paired"):
        assert f"<dt>{term}</dt>" in html
    assert "swiftbench run -m algorithm=hyperband,swift_svr &#x27;name=a b&#x27;" in html
    assert 'href="../runs/a%20b/journal.jsonl"' in html
    assert 'href="../runs/a%20b/record.json"' in html
    assert html.count("a processor") == 1


def test_machines_that_differ_are_told_apart(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", seed=1, host={"cpu": "another one", "n_cores": 4})
    first, second = reading.machines(the_group(tmp_path))
    assert (first["runs"], first["processor"]) == ("hyperband seed 0", "a processor")
    assert (second["runs"], second["processor"]) == ("hyperband seed 1", "another one")


def test_what_rounds_to_zero_has_no_sign():
    assert measures.fixed(-0.04, 1) == measures.fixed(0.0, 1, "+") == "0.0"
    assert measures.number(-1e-9, 3, signed=True, like=1.0) == "0.00"
