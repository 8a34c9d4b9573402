"""Test metrics in bins: what is read from their names, and whose figure is drawn."""

import json

import pytest

from kit.report_runs import the_group, write_run
from suite import report
from suite.report import binned_figure

METRICS = {
    "val_loss": 1.0,
    "n_jets": 12.0,
    "n_jets/pt 20..30 GeV": 7.0,
    "n_jets/pt 30..inf GeV": 0.0,
    "response/pt 20..30 GeV": 0.9,
    "response:rule_based/pt 20..30 GeV": 1.1,
}


def measured(folder, metrics, **settings):
    """A run whose winner's test gave these metrics too."""
    write_run(folder, **settings)
    path = folder / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (scored,) = [line for line in lines if line.get("event") == "scored"]
    scored["metrics"] = {**scored.get("metrics", {}), **metrics}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_names_say_metric_series_axis_and_bin():
    (panel,) = binned_figure.panels(METRICS)
    assert (panel.name, panel.axis, panel.unit) == ("response", "pt", "GeV")
    assert panel.values == {"": {(20, 30): 0.9}, "rule_based": {(20, 30): 1.1}}
    assert panel.counts == {(20, 30): 7, (30, float("inf")): 0}
    assert panel.bins == [(20, 30), (30, float("inf"))]


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "a/b 1..",
        "a/b 1..2 GeV more",
        "a:b:c/d 1..2",
        "$x$/pt 1..2",
        "a/pt nan..2",
        "/pt 1..2",
    ],
)
def test_another_name_is_no_bin(name):
    assert binned_figure.panels({name: 1.0}) == []


def test_the_figure_is_of_the_best_winner_and_its_caption_says_so(tmp_path):
    measured(tmp_path / "a", METRICS, best=0.3)
    measured(tmp_path / "b", METRICS, best=0.1, algorithm="swift_svr", seed=0)
    write_run(tmp_path / "c", best=0.01, seed=1)
    group = the_group(tmp_path)
    assert "winner of swift_svr, seed 0, n = 1 training" in binned_figure.caption(group)
    out = report.write([tmp_path], tmp_path / "out")
    (figure,) = out.glob("*-bins.png")
    assert figure.stat().st_size > 5_000
    assert "What the winner measures, in bins" in (out / "report.html").read_text()


def test_without_metrics_in_bins_there_is_no_figure(tmp_path):
    write_run(tmp_path / "a")
    out = report.write([tmp_path], tmp_path / "out")
    assert not list(out.glob("*-bins.png"))


def test_hostile_bins_are_drawn_or_left_out_and_the_report_is_made(tmp_path):
    wild = {f"m{k}/x {k}..{k + 1}": 1e308 * (-1) ** k for k in range(40)}
    wild |= {f"many/x {k}..{k + 1} u": float(k) for k in range(2000)}
    wild |= {
        "back/x 5..1": 1.0,
        "huge/x 1e300..inf": 0.0,
        "n_x/x -inf..1": 3.0,
        "v/x 1e999..2": 1.0,
    }
    measured(tmp_path / "a", wild)
    out = report.write([tmp_path], tmp_path / "out")
    assert len(list(out.glob("*-bins.png"))) == 1
    assert "could not" not in (out / "report.md").read_text()
