"""`swiftbench leaderboard`: what is counted and what is not, and that a stranger's text is text alone."""

from __future__ import annotations

import html
import json
import re
import shutil
import tarfile
from html.parser import HTMLParser

import pytest
from jsonschema import Draft202012Validator

from kit.submissions import SIMULATED, SYSTEM, Cheat, again, run, submission
from suite.check.findings import Asked
from suite.check.levels import Level
from suite.check.submission import Checked
from suite.leaderboard import __main__ as door
from suite.leaderboard import entries, plots, sections, site
from suite.results import record as records
from suite.run import journal as journals
from suite.run.paths import SCHEMAS
from suite.submit import package

SMALL = [word.replace("=16", "=4") for word in SIMULATED]
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>\' --><a href="javascript:x">'


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [run(folder / f"seed{seed}", [*SMALL, f"seed={seed}"]) for seed in (0, 1)]


@pytest.fixture
def folder(runs, tmp_path):
    """Two submissions of one run each, as folders."""
    for i, one in enumerate(runs):
        submission(tmp_path / "subs" / f"sub{i}", [one])
        (tmp_path / "subs" / f"sub{i}.tar").unlink()
    (tmp_path / "subs" / "system.yaml").unlink()
    return tmp_path / "subs"


def board(folder, to, *more):
    assert door.main([str(folder), "--to", str(to), *more]) == 0
    return (to / "index.html").read_text()


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Parts(HTMLParser):
    """Tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data


def test_a_site_has_a_page_a_submission_and_the_verdicts_for_programs(folder, tmp_path, capsys):
    before = snapshot(folder)
    text = board(folder, tmp_path / "board", "--label", "made up")
    assert "2 submissions (2 counted)" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "board").iterdir())
    assert names == ["check.json", "index.html", "submission-1.html", "submission-2.html"]
    document = json.loads((tmp_path / "board" / "check.json").read_text())
    Draft202012Validator(json.loads((SCHEMAS / "check.schema.json").read_text())).validate(document)
    said = Parts(text).text
    for word in ("made up", "2 submissions", "synthetic data", "simulated time", "Test machine"):
        assert word in said
    page = Parts((tmp_path / "board" / "submission-1.html").read_text()).text
    for one in document["submissions"][0]["runs"][0]["rules"]:
        assert one["rule"] in page and one["value"] in page
    assert snapshot(folder) == before


def test_what_is_broken_is_named_and_its_numbers_are_not_shown(folder, tmp_path):
    cheat = Cheat(folder / "sub1", folder / "sub2")
    shutil.rmtree(folder / "sub1")
    cheat.of("scored")[0]["test_value"] = -123.0
    cheat.finish()
    read = entries.read(folder, Asked())
    assert [entry.status for entry in read.entries] == ["counted", "broken"]
    text = Parts(board(folder, tmp_path / "board")).text
    assert "Not counted" in text and re.search(r"broken Test machine \(sub2\): \w+: ", text)
    assert text.count("swift_svr") == 2  # a row of the one that counts, and the filter
    alone = Parts(sections.index(entries.Board(read.entries[1:], ()), Asked(), "", "")).text
    assert "No submission here is counted" in alone and "best value" not in alone


def test_a_run_that_was_not_completed_is_told_by_a_badge(runs, tmp_path):
    """In the open division it counts for what it had reached, and that must not look like a whole search."""
    cut = shutil.copytree(runs[0], tmp_path / "cut")
    rows = (cut / journals.NAME).read_text().splitlines()
    end = {**json.loads(rows[-1]), "status": "interrupted", "reason": "stopped by a signal"}
    (cut / journals.NAME).write_text("\n".join([*rows[:-1], json.dumps(end)]) + "\n")
    (cut / records.NAME).write_text(records.dumps(records.build(cut)))
    submission(tmp_path / "subs" / "sub", [cut])
    (tmp_path / "subs" / "sub.tar").unlink()
    assert "interrupted run" in Parts(board(tmp_path / "subs", tmp_path / "board")).text
    page = Parts((tmp_path / "board" / "submission-1.html").read_text()).text
    assert "swift_svr, seed 0, interrupted" in page


def test_two_submissions_of_one_run_are_named_and_neither_counts(folder, tmp_path):
    shutil.copytree(folder / "sub0", folder / "copy")
    read = entries.read(folder, Asked())
    assert {e.checked.name: e.status for e in read.entries} == {
        "copy": "disputed", "sub0": "disputed", "sub1": "counted",
    }  # fmt: skip
    text = Parts(board(folder, tmp_path / "board")).text
    assert "is the same run as runs/seed0 of submission 1 (copy)" in text
    assert "(copy): a run of it stands in sub0 too" in text


def test_an_archive_beside_its_folder_is_one_submission(folder, runs):
    submission(folder / "sub3" / "sub0", [runs[0]])
    (folder / "sub3" / "sub0.tar").rename(folder / "sub0.tar")
    shutil.rmtree(folder / "sub3")
    read = entries.read(folder, Asked())
    assert [(e.checked.name, list(e.also)) for e in read.entries] == [
        ("sub0", ["sub0.tar"]), ("sub1", []),
    ]  # fmt: skip
    (folder / "sub1").rename(folder / "other")
    (folder / "sub0.tar").rename(folder / "other.tar")
    shutil.rmtree(folder / "sub0")
    assert [e.status for e in entries.read(folder, Asked()).entries] == ["counted", "counted"]


@pytest.mark.parametrize("end", [".tar.gz", ".tgz"])
def test_an_archive_may_have_been_compressed(folder, end):
    with tarfile.open(folder / f"sub1{end}", "w:gz", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(folder / "sub1", arcname="sub1")
    shutil.rmtree(folder / "sub1")
    read = entries.read(folder, Asked())
    assert [(e.checked.name, e.status) for e in read.entries] == [
        ("sub0", "counted"), (f"sub1{end}", "counted"),
    ]  # fmt: skip


def test_a_name_that_no_archive_holds_ends_no_board(folder):
    (folder / "sub0" / ("x" * 200)).write_text("")
    (folder / "sub0.tar").write_bytes(b"")
    read = entries.read(folder, Asked())
    assert {e.checked.name: e.status for e in read.entries} == {
        "sub0": "broken", "sub0.tar": "broken", "sub1": "counted",
    }  # fmt: skip


def test_a_link_and_a_verdict_that_was_brought_are_passed_over(folder, tmp_path):
    (folder / "linked").symlink_to(folder / "sub0")
    (folder / "check.json").write_text('{"verdict": "pass"}')
    read = entries.read(folder, Asked())
    assert list(read.passed_over) == ["check.json", "linked"] and len(read.entries) == 2
    assert "linked: is no submission, or a link" in Parts(board(folder, tmp_path / "b")).text


def test_text_of_a_submission_is_neither_markup_nor_a_name_of_a_file(folder, tmp_path):
    system = json.loads((folder / "sub0" / package.SYSTEM).read_text())
    for key in ("name", "owner", "notes", "network", "power"):
        system[key] = HOSTILE
    system["node"]["processors"][0]["model"] = system["software"] = HOSTILE
    system["software"] = {HOSTILE: HOSTILE}
    cheat = Cheat(folder / "sub0", folder / "<b>&'sub\n\x1b[2J")
    shutil.rmtree(folder / "sub0")
    cheat.header["algorithm"] = cheat.header["experiment"] = HOSTILE
    cheat.header["target"]["data"] = "synthetic"
    (cheat.folder / package.SYSTEM).write_text(json.dumps(system))
    cheat.finish()
    first = json.loads((cheat.folder / package.NAME).read_text())
    first |= {"site": HOSTILE, "contact": HOSTILE, "level": HOSTILE[:60], "image": HOSTILE}
    (cheat.folder / package.NAME).write_text(json.dumps(first))
    again(cheat.folder)
    board(folder, tmp_path / "board", "--title", HOSTILE, "--label", HOSTILE)
    files = sorted((tmp_path / "board").iterdir())
    assert [path.name for path in files] == [
        "check.json", "index.html", "submission-1.html", "submission-2.html",
    ]  # fmt: skip
    seen = 0
    for path in files[1:]:
        text = path.read_text()
        parts = Parts(text)
        scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
        assert all("alert" not in script for script in scripts) and 1 <= len(scripts) <= 2
        assert sum(tag == "script" for tag, _ in parts.tags) == len(scripts)
        assert "default-src 'none'" in text and "\x1b" not in text
        for tag, attributes in parts.tags:
            assert tag != "iframe" and not any(name.startswith("on") for name in attributes)
            if tag == "a":
                assert re.fullmatch(r"(index|submission-\d+)\.html|check\.json", attributes["href"])
            if tag == "img":
                assert attributes["src"].startswith("data:image/png;base64,")
        seen += parts.text.count(HOSTILE)
    assert seen > 10


@pytest.mark.parametrize(
    ("machines", "unit", "sizes"),
    [
        (((1, 4), (8, 32)), "nodes", [1, 8]),
        (((1, 1), (1, 2)), "workers", [1, 2]),
        (((None, 50), (2, 8)), "workers", [50, 8]),
    ],
)
def test_machines_of_one_node_are_drawn_by_their_workers(machines, unit, sizes):
    of = [
        entries.Entry(number, Checked("x"), "counted", (), (), nodes, workers)
        for number, (nodes, workers) in enumerate(machines, 1)
    ]
    assert plots.sizes_of(of) == (unit, dict(enumerate(sizes, 1)))


def test_only_a_board_is_replaced(folder, tmp_path, capsys):
    to = tmp_path / "board"
    board(folder, to)
    board(folder, to)
    (to / "mine.txt").write_text("x")
    for place in (to, tmp_path / "subs", tmp_path / "link"):
        if place.name == "link":
            place.symlink_to(tmp_path / "elsewhere")
        assert door.main([str(folder), "--to", str(place)]) == 1
        assert "is no leaderboard" in capsys.readouterr().err
    assert (to / "mine.txt").read_text() == "x"
    assert not list(tmp_path.glob(".leaderboard-*"))


def test_a_board_that_cannot_be_made_leaves_the_earlier_one(folder, tmp_path, monkeypatch):
    text = board(folder, tmp_path / "board")
    monkeypatch.setattr(site, "submission_page", lambda entry: 1 / 0)
    assert door.main([str(folder), "--to", str(tmp_path / "board")]) == 1
    assert (tmp_path / "board" / "index.html").read_text() == text
    assert not list(tmp_path.glob(".leaderboard-*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "folder=nowhere: no such folder"),
        (["."], "holds 0 submissions"),
        ([".", "--share", "0"], "share=0.0"),
        ([".", "--retrain", "-1"], "retrain=-1"),
    ],
)
def test_bad_arguments_are_named(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert door.main(words) == 1
    assert said in capsys.readouterr().err


def test_a_level_ranks_by_score_and_says_its_reference(runs, folder, tmp_path, monkeypatch):
    words = tuple("+" + word if word.startswith("common.") else word for word in SMALL)
    level = Level(
        "small", "", ("-m", *words, "seed=0,1"), 1e9, 2, {"swift_svr": 1000.0}, "small", "that one"
    )
    for module in ("check.submission", "check.configuration", "check.run", "leaderboard.sections"):
        monkeypatch.setattr(f"suite.{module}.levels", lambda: {"small": level})
    shutil.rmtree(folder / "sub1")
    submission(folder / "all", runs, level="small", division="closed")
    (folder / "all.tar").unlink()
    (folder / "system.yaml").unlink()
    read = entries.read(folder, Asked())
    scored = next(entry for entry in read.entries if entry.level)
    assert scored.checked.score is not None and scored.status == "disputed"  # seed0 is in sub0 too
    shutil.rmtree(folder / "sub0")
    text = board(folder, tmp_path / "board")
    said = html.unescape(Parts(text).text)
    for word in (
        "Level small",
        "Closed division",
        "that one",
        "x reference",
        f"{scored.checked.score:.3f}",
    ):
        assert word in said
    (figure,) = (a for tag, a in Parts(text).tags if tag == "img")
    assert figure["src"].startswith("data:image/png;base64,")
    assert SYSTEM.splitlines()[0].removeprefix("name: ") in said
