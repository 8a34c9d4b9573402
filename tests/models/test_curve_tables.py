"""Recorded curve tables: fetched from a server on this machine, and read by the table's YAML."""

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kit.published import served
from models.data import fetch, transfer
from models.data.sources import SOURCES, File
from models.recorded_curves import Table
from suite.core.errors import ConfigError, DataError
from suite.files import published_tables
from suite.launch import cli

DESCRIBED = {name: entry.description() for name, entry in published_tables().items()}
DATA = Path(os.environ.get("SUITE_DATA", "data")) / "curves"
NAME = "lstm_ptb.csv"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)


def offered(monkeypatch, site, contents):
    """Let the data set be these files, at the paths where their publishers have them."""
    files = []
    for file in SOURCES["curves"].files:
        path = file.addresses[0].removeprefix("https://raw.githubusercontent.com/")
        if file.name in contents:
            site.files[path] = contents[file.name]
            files.append(replace(file, addresses=(f"{site.base}/{path}",)))
    monkeypatch.setitem(SOURCES, "curves", replace(SOURCES["curves"], files=tuple(files)))


@pytest.fixture
def site(monkeypatch):
    """A server with one small table, published with its size and digest."""
    content = b"n_layer,n_inputs,base_lr,ss,ep_0\n1,2,0.1,0.5,99.0\n"
    digest = hashlib.sha256(content).hexdigest()
    small = File(NAME, SOURCES["curves"].files[2].addresses, len(content), f"sha256:{digest}")
    monkeypatch.setitem(SOURCES, "curves", replace(SOURCES["curves"], files=(small,)))
    with served({}) as site:
        offered(monkeypatch, site, {NAME: content})
        yield site


def fetched(root):
    return fetch.main(["curves", "--to", str(root)])


def left(root):
    return sorted(path.name for path in (root / "curves").iterdir() if path.name != ".lock")


def test_every_address_names_a_commit_and_every_name_is_one_files():
    for file in SOURCES["curves"].files:
        assert Path(file.name).name == file.name
        assert file.n_bytes and file.checksum
    assert all(entry.commit in entry.address for entry in published_tables().values())


def test_a_table_is_fetched_under_the_name_that_its_yaml_wants(site, tmp_path, capsys):
    assert fetched(tmp_path) == 0
    (path, _), *more = site.asked
    assert path.endswith("/data/lstm_ptb.csv") and not more
    assert (tmp_path / "curves" / NAME).read_bytes() == site.files[path]
    assert fetch.main(["curves", "--to", str(tmp_path), "--verify"]) == 0
    assert "curves: verified" in capsys.readouterr().err


def damaged(site):
    (path,) = site.files
    site.files[path] = site.files[path].replace(b"99", b"98")


def longer(site):
    (path,) = site.files
    site.files[path] += b"1,2,0.1,0.5,99.0\n"


def gone(site):
    site.files.clear()


def cut(site):
    (path,) = site.files
    site.cut[path] = [20, 5, 5]


@pytest.mark.parametrize(
    ("fault", "words", "kept"),
    [
        (damaged, "sha256 is .*, published is .*What was received is removed", []),
        (longer, "offers 67 bytes, published are 50", []),
        (gone, "HTTP 404", []),
        (cut, "connection was cut at 30 of 50 bytes", [f"{NAME}.part"]),
    ],
)
def test_what_is_not_as_published_never_becomes_a_table(site, tmp_path, capsys, fault, words, kept):
    fault(site)
    assert fetched(tmp_path) == 1
    printed = capsys.readouterr().err
    assert re.search(words, printed) and "Traceback" not in printed
    assert left(tmp_path) == kept
    if kept:
        # The same command continues.
        assert fetched(tmp_path) == 0 and site.asked[-1][1] == "bytes=30-"


def test_a_link_in_the_folder_is_replaced_and_not_followed(site, tmp_path):
    outside = tmp_path / "mine.csv"
    outside.write_text("mine")
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / NAME).symlink_to(outside)
    assert fetched(tmp_path) == 0
    assert outside.read_text() == "mine" and not (tmp_path / "curves" / NAME).is_symlink()


def test_the_error_of_a_missing_table_says_the_command(tmp_path):
    described, root = DESCRIBED["ptb"], tmp_path / "data"
    with pytest.raises(DataError, match=f"fetch curves --only {NAME} --to {root}"):
        Table(described, folder=str(root / "curves"))
    with pytest.raises(DataError, match=r"--to DIR, then model\.folder=DIR/curves"):
        Table(described, folder=str(root))
    with pytest.raises(DataError, match=r"fetch it from .*nas, or name its folder: model\.folder"):
        Table({**described, "file": "other.csv"}, folder=str(root / "curves"))


def staged(root, text):
    (root / "curves").mkdir(parents=True)
    (root / "curves" / NAME).write_text(text)
    return str(root / "curves")


def test_another_version_of_a_file_is_refused_with_what_differs(tmp_path):
    header = ",".join(["n_layer,n_inputs,base_lr,ss", *(f"ep_{i}" for i in range(60))])
    row = ",".join(["2,10,0.1,15000", *["99.0"] * 60])
    described = {**DESCRIBED["ptb"], "rows": 280}
    again = f"stage it again: swiftbench fetch curves --only {NAME}"
    for name, text, says in (
        ("rows", f"{header}\n{row}\n", r"file \(it has 1 rows, must have 280\)"),
        (
            "header",
            f"{header.replace('base_lr', 'lr')}\n{row}\n",
            r"file \(its header has no column base_lr\)",
        ),
        ("values", "\n".join([header, *[row] * 280]) + "\n", "file;"),
    ):
        with pytest.raises(DataError, match=rf"sha256=.*another version of the {says}") as error:
            Table(described, folder=staged(tmp_path / name, text))
        assert again in str(error.value)


def test_the_first_folder_that_has_the_file_is_read(tmp_path):
    text = "n_layer,n_inputs,base_lr,ss,ep_0\n1,2,0.1,0.5,99.0\n1,3,0.1,0.5,98.0\n"
    folder = staged(tmp_path, text)
    described = {
        **DESCRIBED["ptb"],
        "sha256": None,
        "curve": {"prefix": "ep_", "first": 0, "last": 0},
    }
    for folders in ((folder, str(tmp_path / "bank")), (str(tmp_path / "bank"), folder)):
        assert len(Table(described, folder=folders).table.configs) == 2
    with pytest.raises(DataError, match=rf"in folder={tmp_path}/a, {tmp_path}/b; fetch it"):
        Table(described, folder=(f"{tmp_path}/a", f"{tmp_path}/b"))
    with pytest.raises(ConfigError, match="names no folder"):
        Table(described, folder=())


def test_the_published_simulation_runs_from_what_was_fetched(tmp_path, monkeypatch, capsys):
    name = DESCRIBED["mlpf"]["file"]
    if not (DATA / name).exists():
        pytest.skip(f"no curve table in {DATA}: set SUITE_DATA")
    root = tmp_path / "data"
    with served({}) as site:
        offered(monkeypatch, site, {name: (DATA / name).read_bytes()})
        assert fetched(root) == 0
    monkeypatch.setenv("SUITE_DATA", str(root))
    monkeypatch.setenv("SUITE_RUNS", str(tmp_path / "runs"))
    words = ["experiment=published_mlpf", "algorithm=hyperband,swift_svr", "seed=0", "report=false"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.count("completed") == 2
