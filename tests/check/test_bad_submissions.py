"""Damaged and hostile submissions: each is named, nothing escapes, nothing runs, nothing is written."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest
from jsonschema import Draft202012Validator

from kit import mutations
from kit.falsifications import findings
from kit.submissions import SIMULATED, Cheat, again, run, submission
from suite.check import __main__ as door
from suite.check.findings import OF_RUN, Asked
from suite.check.submission import check
from suite.core.errors import DataError
from suite.results import record as records
from suite.run import journal as journals
from suite.run.paths import SCHEMAS
from suite.submit import archive as archives
from suite.submit import package


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    small = [word.replace("=16", "=4") for word in SIMULATED]
    return submission(folder / "sub", [run(folder / "runs" / "one", small)])


@pytest.fixture
def sub(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "sub")


def words(path, **asked):
    """What is wrong with a submission, as text."""
    (checked,) = check([path], Asked(**asked))
    assert checked.verdict != "pass"
    return " | ".join(one.text for one in findings(checked) if one.status in ("fail", "skip"))


def snapshot(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_and_its_archive_pass_alike_and_nothing_is_written(whole, capsys):
    before = snapshot(whole.parent)
    assert door.main([str(whole)]) == 0
    assert door.main([str(whole.with_name("sub.tar"))]) == 0
    assert "0 are broken" in capsys.readouterr().out
    assert snapshot(whole.parent) == before


def test_the_document_follows_its_schema(whole, sub, capsys):
    again(sub)
    (sub / "more").write_text("x")
    assert door.main([str(sub), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((SCHEMAS / "check.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    rules = {one["rule"]: one for one in document["submissions"][0]["rules"]}
    assert (
        rules["package"]["status"] == "fail" and "more: is not named" in rules["package"]["value"]
    )


def test_a_broken_line_is_named_by_its_number(sub):
    cheat = Cheat(sub, sub.with_name("cheat"))
    cheat.of("scored")[0]["test_value"] = -1.0
    number = cheat.lines.index(cheat.of("scored")[0]) + 1
    (checked,) = check([cheat.finish()], Asked())
    assert (number, "fail") in {(one.line, one.status) for one in findings(checked)}


def test_two_submissions_of_one_run_are_named(whole, sub):
    one, other = check([whole, sub], Asked())
    assert one.verdict == "pass" and other.verdict == "fail"
    (text,) = [f.text for f in findings(other) if f.status == "fail"]
    assert text == "runs/one is the same run as runs/one of submission 1 (sub)"


def test_another_version_is_named_with_what_to_install(sub):
    cheat = Cheat(sub, sub.with_name("cheat"))
    cheat.header["suite_version"] = cheat.header["versions"]["suite"] = "0.0.7"
    path = cheat.finish()
    assert "pip install swiftbench==0.0.7" in words(path)
    assert door.main([str(path)]) == 3


def test_another_version_of_the_package_is_named(sub):
    first = json.loads((sub / package.NAME).read_text())
    (sub / package.NAME).write_text(json.dumps(first | {"schema_version": "9.0.0"}))
    assert "schema_version=9.0.0" in words(sub) and "check with that version" in words(sub)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (journals.NAME, "journal.jsonl: missing"),
        (records.NAME, "record.json: missing"),
        ("../../system.json", "system.json: missing"),
        ("../../submission.json", "submission.json: missing"),
    ],
)
def test_a_missing_file_is_named(sub, name, said):
    (sub / "runs" / "one" / name).unlink()
    assert said in words(sub)


def test_a_missing_run_is_named_when_digests_were_made_again(sub):
    shutil.rmtree(sub / "runs" / "one")
    again(sub)
    assert "runs/one/journal.jsonl: missing" in words(sub)


def test_a_truncated_file_is_named(sub):
    path = sub / "runs" / "one" / journals.NAME
    path.write_bytes(path.read_bytes()[:-40])
    assert "is not the file that was submitted" in words(sub)
    again(sub)
    assert "are no whole line" in words(sub)


@pytest.mark.parametrize(
    "where", ["runs/one/journal.jsonl", "system.json", "submission.json", "report"]
)
def test_a_link_is_refused(sub, where):
    path = sub / where
    outside = sub.with_name("outside")
    if path.exists():
        shutil.move(path, outside)
    else:
        outside.mkdir()
    path.symlink_to(outside)
    assert "link" in words(sub)


def test_a_pipe_does_not_block(sub):
    os.mkfifo(sub / "pipe")
    assert "pipe" in words(sub)


def test_a_gigantic_line_is_refused(sub, monkeypatch, capsys):
    monkeypatch.setattr("suite.run.journal_reading.MAX_HEADER", 1000)
    again(sub)
    assert "has more than 1000 bytes" in words(sub)
    assert door.main([str(sub)]) == 1
    said = capsys.readouterr().out
    assert said.count("the journal cannot be read") == 1 and "1 is broken" in said
    assert f"; so for {', '.join(list(OF_RUN)[2:])}\n" in said


def test_too_many_files_are_refused(sub, monkeypatch):
    monkeypatch.setattr(package, "MAX_FILES", 3)
    assert "more than 3 files" in words(sub)


def packed(tmp_path, *members, data=b"x"):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member in members:
            if member.isreg():
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            else:
                archive.addfile(member)
    return path


def member(name, kind=tarfile.REGTYPE, target=""):
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, target
    return one


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("sub/../../escaped")], "leads out"),
        ([member("/etc/escaped")], "leads out"),
        ([member("sub/a\\b")], "leads out"),
        ([member("sub/.hidden")], "leads out"),
        ([member("sub/link", tarfile.SYMTYPE, "/etc/passwd")], "is a link"),
        ([member("sub/hard", tarfile.LNKTYPE, "sub/x")], "is a link"),
        ([member("sub/device", tarfile.CHRTYPE)], "a device"),
        ([member("sub/pipe", tarfile.FIFOTYPE)], "a device"),
        ([member("sub/a"), member("sub/a")], "stands twice"),
        ([member("one/a"), member("two/a")], "2 entries at its top"),
        ([], "0 entries at its top"),
    ],
)
def test_an_archive_that_escapes_is_refused(tmp_path, members, said):
    path = packed(tmp_path, *members)
    (tmp_path / "to").mkdir()
    with pytest.raises(DataError, match=said):
        archives.unpack(path, tmp_path / "to")
    assert not (tmp_path / "escaped").exists()
    assert said in words(path)


def test_an_extended_header_of_any_size_is_not_read(tmp_path):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member("sub/" + "x" * 300))
    assert "leads out" in words(path) or "extended header" in words(path)


def test_a_bomb_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1_000_000)
    plain = packed(tmp_path, member("sub/zeros"), data=bytes(5_000_000))
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(plain.read_bytes()))
    assert bomb.stat().st_size < 10_000
    assert "more than" in words(bomb)


@pytest.mark.parametrize("packed_by", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("more", ["itself", "words"])
def test_what_follows_an_archive_is_refused(whole, tmp_path, more, packed_by):
    """One program stops at the end that another one reads over: two submissions in one file."""
    data = whole.with_name("sub.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(
        packed_by(data) + packed_by(data if more == "itself" else b"x")
    )
    assert "more follows the archive's end" in words(tmp_path / "a.tar")


def test_a_key_that_stands_twice_in_a_line_is_named(sub):
    """With a record that was made of it, as every file a cheat sends."""
    path = sub / "runs" / "one" / journals.NAME
    text = path.read_text()
    path.write_text(text.replace('"event":"closed"', '"event":"closed","time_s":0.5', 1))
    record = records.build(path.parent)
    (path.parent / records.NAME).write_text(records.dumps(record))
    again(sub)
    n = text.count("\n")
    assert words(sub) == f"line {n}: key 'time_s' stands twice"


@pytest.mark.parametrize("data", [b"", b"abc", b"\x1f\x8b\x08broken", bytes(2000)])
def test_what_is_no_archive_is_named(tmp_path, data):
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    assert "archive" in words(path) or "entries at its top" in words(path)


def test_a_cut_archive_is_named(whole, tmp_path):
    data = whole.with_name("sub.tar").read_bytes()
    for n in (600, len(data) // 2):
        path = tmp_path / f"{n}.tar"
        path.write_bytes(data[:n])
        assert "no whole tar archive" in words(path)


def test_no_code_and_no_file_of_a_submission_is_taken(sub, tmp_path):
    """Neither another class, nor a path, nor a command that reads the environment."""
    cheat = Cheat(sub, tmp_path / "cheat")
    cheat.header["config"]["model"]["_target_"] = "models.recorded_curves.Table"
    cheat.header["command"].append("name=${oc.env:HOME}")
    said = words(cheat.finish())
    assert "is models.synthetic_curves.TableTarget here" in said
    assert os.environ["HOME"] not in said


def test_a_configuration_that_no_searcher_drew_is_not_trained(sub, tmp_path):
    cheat = Cheat(sub, tmp_path / "cheat")
    line = next(line for line in cheat.lines[1:] if line.get("trials"))
    next(iter(line["trials"].values()))["config"]["width"] = 10**12
    (checked,) = check([cheat.finish()], Asked(retrain=3))
    (finding,) = [one for one in findings(checked) if one.rule == "training"]
    assert finding.status == "skip" and "see replay" in finding.text


def test_a_signature_counts_only_of_an_allowed_signer(whole, tmp_path):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen")
    for name in ("mine", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)],
            check=True,
        )
    allowed = tmp_path / "allowed"
    allowed.write_text(f"site@example.org {(tmp_path / 'mine.pub').read_text()}")
    runs = list((whole.parent / "runs").iterdir())
    signed = submission(tmp_path / "s" / "signed", runs, sign=tmp_path / "mine")
    foreign = submission(tmp_path / "f" / "foreign", runs, sign=tmp_path / "other")

    def finding(path):
        (checked,) = check([path], Asked(), allowed)
        return next(one for one in checked.findings if one.rule == "signature")

    assert finding(signed).status == "pass" and "site@example.org" in finding(signed).text
    assert finding(foreign).status == "fail" and finding(whole).status == "fail"
    (signed / "system.json").write_text((signed / "system.json").read_text().replace("2", "3"))
    again(signed)
    assert finding(signed).status == "fail"


def test_changed_headers_and_lines_never_end_in_a_traceback(sub, tmp_path):
    """Drawn changes of every type, with record and digests made again: a verdict each time."""
    data = (sub / "runs" / "one" / journals.NAME).read_bytes()
    drawn = [*mutations.sample(mutations.header_changes(data), 25, seed=4),
             *mutations.sample(mutations.line_changes(data), 25, seed=4)]  # fmt: skip
    for number, one in enumerate(drawn):
        cheat = Cheat(sub, tmp_path / str(number))
        (cheat.run / journals.NAME).write_bytes(one.data)
        with contextlib.suppress(ValueError, RecursionError):
            cheat.lines = [json.loads(row) for row in one.data.splitlines()]
            cheat.finish()
        (checked,) = check([cheat.folder], Asked())
        assert checked.verdict in ("pass", "fail", "open"), one.what
        shutil.rmtree(cheat.folder)
