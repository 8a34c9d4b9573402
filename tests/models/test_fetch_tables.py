"""`swiftbench fetch curves --family`: from a server on this machine and from a folder, with small files."""

import hashlib
import json
from dataclasses import replace

import pytest

from kit.published import served, tar_gz
from models.data import fetch, fetch_tables, transfer
from models.data.converters import converter
from suite.files import published_tables

KLEIN, TASKSET = "cnn_cifar10_klein", "taskset_imdb_patch32_gru128_bs128"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def run(lr):
    return json.dumps(
        {"config": {"lr": lr}, "learning_curve": [0.5] * 40, "time_steps": [*range(1, 41)]}
    ).encode()


FILES = {f"data/final_project/config_{i}.json": run(i) for i in (1, 2, 10)}
LOSSES = json.dumps([{"hp": {"lr": 0.1}, "valid": {"loss": [1.0] * 51}}]).encode()


def as_published(entry, files):
    """The entry with the sizes and digests of these files."""
    content = converter(entry.family)(entry.name, iter(files.items())).encode()
    published = replace(entry.published, n_bytes=sum(map(len, files.values())))
    if published.n_files is None:
        (raw,) = files.values()
        published = replace(published, sha256=sha256(raw))
    else:
        listed = "".join(f"{sha256(files[path])}  {path}\n" for path in sorted(files))
        published = replace(published, sha256=sha256(listed.encode()), n_files=len(files))
    return replace(entry, published=published, sha256=sha256(content))


@pytest.fixture
def entries(monkeypatch):
    """Two tables, whose publishers have small files."""
    real = published_tables()
    taskset = {real[TASKSET].published.path: LOSSES}
    small = {KLEIN: as_published(real[KLEIN], FILES), TASKSET: as_published(real[TASKSET], taskset)}
    monkeypatch.setattr(fetch_tables, "published_tables", lambda: small)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    return small


@pytest.fixture
def site(entries):
    archive = tar_gz({f"dlfinal-943/{path}": content for path, content in FILES.items()}
                     | {"dlfinal-943/data/final_project/notes.txt": b"x" * 999})  # fmt: skip
    klein = entries[KLEIN]
    with served({f"dlfinal-{klein.commit}.tar.gz": archive}) as site:
        site.files[entries[TASKSET].published.path.rpartition("/")[2]] = LOSSES
        yield site


def fetched(root, family, *words):
    return fetch.main(["curves", "--family", family, "--to", str(root), *words])


def left(root):
    return sorted(path.name for path in (root / "curves").iterdir() if path.name != ".lock")


def test_a_family_is_downloaded_converted_and_checked(site, entries, tmp_path, capsys):
    assert fetched(tmp_path, "klein", "--from", site.base) == 0
    assert left(tmp_path) == [f"{KLEIN}.csv"]
    content = (tmp_path / "curves" / f"{KLEIN}.csv").read_bytes()
    assert sha256(content) == entries[KLEIN].sha256
    # A publisher without a licence is named, so that nobody ships the table.
    assert "states no licence" in capsys.readouterr().err
    assert fetched(tmp_path, "klein", "--verify") == 0
    n_asked = len(site.asked)
    assert fetched(tmp_path, "klein", "--from", site.base) == 0 and len(site.asked) == n_asked


def test_all_families_at_once(site, tmp_path):
    assert fetched(tmp_path, "all", "--from", site.base) == 0
    assert left(tmp_path) == [f"{KLEIN}.csv", f"{TASKSET}.csv"]


def test_a_clone_of_the_repository_serves_as_well(entries, tmp_path):
    for path, content in FILES.items():
        (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / path).write_bytes(content)
    assert fetched(tmp_path, "klein", "--from", str(tmp_path / "clone")) == 0
    assert left(tmp_path) == [f"{KLEIN}.csv"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda files: {**files, "a/data/final_project/config_3.json": run(3)}, "another version"),
        (lambda files: dict(list(files.items())[:2]), "2 files of sha256=.*published are 3"),
        (lambda files: {path: run(7) for path in files}, "3 files of sha256=|another version"),
        (lambda files: dict.fromkeys(files, b"[]"), "not in the published format"),
    ],
    ids=["one more", "one less", "another", "another format"],
)
def test_another_version_of_what_is_published_never_becomes_a_table(
    site, tmp_path, capsys, change, says
):
    import re

    name = next(name for name in site.files if name.endswith(".tar.gz"))
    site.files[name] = tar_gz(change({f"a/{path}": content for path, content in FILES.items()}))
    assert fetched(tmp_path, "klein", "--from", site.base) == 1
    assert re.search(says, capsys.readouterr().err)
    assert f"{KLEIN}.csv" not in left(tmp_path)


def test_a_broken_archive_is_removed_and_fetched_anew(site, tmp_path, capsys):
    name = next(name for name in site.files if name.endswith(".tar.gz"))
    whole = site.files[name]
    site.files[name] = whole[: len(whole) // 2]
    assert fetched(tmp_path, "klein", "--from", site.base) == 1
    assert "no archive that can be read" in capsys.readouterr().err
    site.files[name] = whole
    assert fetched(tmp_path, "klein", "--from", site.base) == 0


def test_a_conversion_with_another_digest_is_refused(site, entries, tmp_path, capsys):
    entries[TASKSET] = replace(entries[TASKSET], sha256="0" * 64)
    assert fetched(tmp_path, "taskset", "--from", site.base) == 1
    assert "a library may round otherwise" in capsys.readouterr().err
    assert f"{TASKSET}.csv" not in left(tmp_path)


def test_verify_names_every_table_that_is_missing(entries, tmp_path, capsys):
    assert fetched(tmp_path, "all", "--verify") == 1
    said = capsys.readouterr().err
    assert f"{KLEIN}.csv" in said and f"{TASKSET}.csv" in said
    assert f"swiftbench fetch curves --family all --to {tmp_path}" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("klien",), "Did you mean klein"),
        (("klein", "--only", "x.csv"), "no table's file is called x.csv"),
    ],
)
def test_what_is_unknown_is_refused_by_name(entries, tmp_path, capsys, words, says):
    assert fetched(tmp_path, *words) == 1
    assert says in capsys.readouterr().err


def test_a_family_is_of_curves_alone(tmp_path, capsys):
    with pytest.raises(SystemExit):
        fetch.main(["cifar10", "--family", "klein", "--to", str(tmp_path)])
    assert "--family NAME is of curves" in capsys.readouterr().err
