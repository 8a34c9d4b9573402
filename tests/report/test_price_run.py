"""The page on one run of `price`: its tables by hand, and the figure."""

import copy

import pytest

from kit.report_runs import SAID, edited, on_table, row, say
from suite import report
from suite.report import contents, price_figure, price_run, price_said
from suite.report.groups import collect


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    monkeypatch.setattr("suite.report.style.DPI", 20)


def price_folder(folder, said=SAID, **values):
    """Two workers for 100 of 120 s: trial 0 to epoch 8, down to 0.3; trial 1 to epoch 1, in 80 s."""
    values = {"algorithm": "price", "config": {"budget": {"hours": 120 / 3600}}} | values
    return edited(on_table(folder, 0.3, **values), lambda rows: say(rows, said))


def the_page(top):
    (one,) = price_run.chosen(collect([top])[0])
    return one


def test_the_table_over_time_holds_what_happened(tmp_path):
    price_folder(tmp_path / "p")
    table, rungs = price_run.chapter([the_page(tmp_path)]).sections[0].tables
    assert [r[0] for r in table.rows] == [f"{12.0 * (i + 1):.1f}" for i in range(10)]
    first, seventh, last = (dict(zip(table.head, table.rows[i], strict=True)) for i in (0, 6, 9))
    assert first["node-hours"] == "0.0067"
    assert (first["workers busy"], first["handed back"]) == ("2.0", "0.0")
    assert (first["begun to epoch 1"], first["begun to epoch 8"]) == ("1", "1")
    assert (first["best at max_epochs"], first["price"]) == ("-", "0.800")
    # From 72 to 84 s: worker 2 trained for 8 of 12 s; its node is not needed from then on.
    assert (seventh["workers busy"], seventh["handed back"]) == ("1.7", "0.3")
    # The later of two prices in the sixth part, none in the seventh.
    assert table.rows[5][-1] == "0.0500" and seventh["price"] == "-"
    assert (last["workers busy"], last["handed back"]) == ("0.0", "2.0")
    assert (last["best at max_epochs"], last["best of any epoch"]) == ("0.3000", "0.3000")
    assert row(rungs, "1")["measured on [trials]"] == "0 (assumed)"
    assert row(rungs, "8")["correlation with the next"] == "-"


def test_the_sentences_say_what_it_measured(tmp_path):
    price_folder(tmp_path / "p")
    (section,) = price_run.chapter([the_page(tmp_path)]).sections
    words = " ".join([section.about, *section.sentences])
    assert "workers busy 75.0 %, node time handed back 25.0 %" in words
    assert (
        "the last training ended at 100 s. Node-hours: 0.05000 used, 0.01667 handed back" in words
    )
    assert "2 began, 1 came to max_epochs" in words
    assert "Share of new trials among the jobs: 75.0 %" in words
    assert "left out: 4; decisions in which no new trial could finish: 7" in words
    assert "first -0.25, last 0.50; with final values, as it was believed in the end: 0.44" in words
    assert "it has no prices" not in words


@pytest.mark.parametrize("prices", [SAID["prices"], []])
def test_the_figure_is_drawn_with_prices_and_without(tmp_path, prices):
    price_folder(tmp_path / "p", SAID | {"prices": prices, "policy": "rank"})
    page = the_page(tmp_path)
    path = price_figure.draw(page, tmp_path / "figure.png")
    assert path.stat().st_size > 500
    _, words = price_figure.caption(page)
    assert ("prices of what was chosen" in words) == bool(prices)
    sentences = price_run.chapter([page]).sections[0].sentences
    assert any("it has no prices" in sentence for sentence in sentences) != bool(prices)


def test_a_run_that_found_nothing_and_measured_nothing_is_drawn(tmp_path):
    nothing = {"policy": "rank", "rungs": {}, "prices": []}
    price_folder(tmp_path / "p", nothing, config={"budget": {"hours": 50 / 3600}})
    page = the_page(tmp_path)
    assert page.reading.best is None
    assert price_figure.draw(page, tmp_path / "figure.png").stat().st_size > 500
    section = price_run.chapter([page]).sections[0]
    assert section.tables[1].rows == ()
    assert "Forest: unknown fits" in " ".join(section.sentences)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("prices",), [[0.1]], "measured.scheduler.prices"),
        (("rungs", "epochs"), ["1"], "measured.scheduler.rungs.epochs"),
        (("forest", "correlation_with_end"), "high", "correlation_with_end=high"),
        (("fresh_share_of_jobs",), 3, "fresh_share_of_jobs=3"),
    ],
)
def test_what_no_version_says_is_refused_by_name_and_the_others_stay(tmp_path, path, value, words):
    said = copy.deepcopy(SAID)
    node = said
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    price_folder(tmp_path / "bad", said)
    price_folder(tmp_path / "good", seed=1)
    groups, unreadable = collect([tmp_path])
    assert [run.place for group in groups for run in group.runs] == ["good"]
    assert len(unreadable) == 1 and words in unreadable[0]


def test_other_runs_have_no_such_page(tmp_path):
    price_folder(tmp_path / "epochs", config={"budget": {"n_epochs": 9}})
    on_table(tmp_path / "h", 0.5, config={"budget": {"hours": 1.0}})
    price_folder(tmp_path / "other", {"waits": 3}, algorithm="swift")
    assert price_run.chosen(collect([tmp_path])[0]) == []
    assert price_said.said(collect([tmp_path / "h"])[0][0].runs[0]) is None


def test_the_page_stands_in_the_report_with_its_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "MOST_DRAWN", 0)
    price_folder(tmp_path / "runs/p")
    out = report.write([tmp_path / "runs"], tmp_path / "out")
    assert (out / "deadline-run-1.png").is_file()
    page = (out / "report.html").read_text()
    place = page.index('<section id="runs-until-a-deadline">')
    assert page.index("<img", place) > place and "Could not be made" not in page
    assert "![Until the deadline" in (out / "report.md").read_text()
    assert "Runs until a deadline" in report.summary([tmp_path / "runs"])
