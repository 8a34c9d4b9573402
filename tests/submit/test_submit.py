"""`swiftbench submit`: a folder and its archive, the same bytes for the same runs, and no name of a place."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil

import pytest
from jsonschema import Draft202012Validator

from kit.submissions import SYSTEM, run, submission
from suite.core.errors import ConfigError, SuiteError
from suite.results import record as records
from suite.run import journal as journals
from suite.run.paths import SCHEMAS
from suite.submit import __main__ as door
from suite.submit import package
from suite.submit.submitting import Wanted, submit
from suite.submit.system import read_system

WORDS = ("model=table_target", "algorithm=random_search", "scheduler.n_trials=3", "max_epochs=2",
         "backend=inline", "name=small", "tracking=later")  # fmt: skip
UNFOLDS = "software:\n  a0: &a0 [x]\n" + "".join(
    f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
"""Twelve lines that are 9^11 values."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs") / "one", WORDS)


def test_the_same_runs_give_the_same_bytes(made, tmp_path):
    one = submission(tmp_path / "a" / "sub", [made])
    other = submission(tmp_path / "b" / "sub", [shutil.copytree(made, tmp_path / "c" / "one")])
    archives = [path.with_name("sub.tar").read_bytes() for path in (one, other)]
    assert archives[0] == archives[1]
    schema = json.loads((SCHEMAS / package.SCHEMA).read_text())
    Draft202012Validator(schema).validate(package.read_first(one))


def test_every_file_is_named_by_its_digest(made, tmp_path):
    folder = submission(tmp_path / "sub", [made])
    named = {one["path"]: one["sha256"] for one in package.read_first(folder)["files"]}
    there = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != package.NAME
    }
    assert named == there and len(there) == 3


def test_names_of_places_are_replaced_and_the_record_is_of_the_packed_journal(
    made, tmp_path, monkeypatch
):
    monkeypatch.setenv("USER", "wilhelmina")
    copy = shutil.copytree(made, tmp_path / "one")
    rows = (copy / journals.NAME).read_text().splitlines()
    header = json.loads(rows[0])
    header["config"]["backend"]["checkpoints"] = "/scratch/wilhelmina/runs"
    header["host"]["os"] = "Linux of wilhelmina"
    rows[0] = json.dumps(header, separators=(",", ":"))
    (copy / journals.NAME).write_text("\n".join(rows) + "\n")
    done = submit([copy], Wanted(system(tmp_path), tmp_path / "sub"))
    packed = tmp_path / "sub" / "runs" / "one"
    text = "".join(path.read_text() for path in done.folder.rglob("*") if path.is_file())
    assert done.n_cleaned == 1 and "wilhelmina" not in text and "/scratch" not in text
    after = (packed / journals.NAME).read_text().splitlines()
    assert after[1:] == rows[1:] and "<path>" in after[0] and "<user>" in after[0]
    digest = hashlib.sha256((packed / journals.NAME).read_bytes()).hexdigest()
    assert records.load(packed / records.NAME)["journal"]["sha256"] == digest
    first = package.read_first(done.folder)["runs"][0]
    original = hashlib.sha256((copy / journals.NAME).read_bytes()).hexdigest()
    assert (first["journal_sha256"], first["original_sha256"]) == (digest, original)


def system(folder, text=SYSTEM):
    path = folder / "system.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SYSTEM + "colour: blue\n", "colour: unknown key"),
        (SYSTEM + "acceleratorz: 1\n", "unknown key"),
        (SYSTEM.replace("cores: 2", "cores: 2, core: 1"), "core: unknown key"),
        (
            SYSTEM.replace("nodes: 1", "nodes: many"),
            r'^system.yaml: nodes="many": must be a whole number \(results_schema/system.schema.json\)',
        ),
        (SYSTEM.replace("nodes: 1", "nodes: 0"), "nodes=0: must be 1 or more"),
        (SYSTEM + "software: {os: 12}\n", "software.os=12: must be text; write it in quotes"),
        (SYSTEM + "status: production\n", "status=.*: must be one of available, preview, research"),
        (SYSTEM + f"owner: {'o' * 300}\n", "owner=.*: must be of at most 200 characters"),
        (SYSTEM + "software: {since: 2026-13-01}\n", "must be in 1..12; write the value in quotes"),
        ("name: x\nnodes: 1\n", "system.yaml: node: missing; it must be there"),
        (
            "name: x\nnodes: 1\nnode: {processors: [{model: x}]}\n",
            r"processors\[0\].count: missing",
        ),
        ("", "system.yaml: name: missing"),
        ("- a\n", "line 1: must hold names with values"),
        ("name: x\na: [", "line 2, column 5: is not YAML"),
        (SYSTEM + "nodes: 2\n", r"line \d+: nodes stands in line \d+ already"),
        (SYSTEM + "notes: *unknown\n", "is not YAML"),
        (SYSTEM + UNFOLDS, "more than 100000 values, with each alias"),
        (SYSTEM + "notes: in /home/wilhelmina/x\n", "notes: names a path"),
        (SYSTEM + "software: {api_token: abcdefgh}\n", "looks like a secret"),
        (SYSTEM + "notes: http://me:secret@host/\n", "URL with a user"),
    ],
)
def test_a_wrong_description_of_the_machine_is_named(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_system(system(tmp_path, text))


def test_a_close_key_is_proposed(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean network"):
        read_system(system(tmp_path, SYSTEM + "networks: none\n"))


def test_a_file_that_is_not_there_is_named(tmp_path, made, capsys):
    code = door.main(
        [str(made), "--system", str(tmp_path / "no.yaml"), "--to", str(tmp_path / "s")]
    )
    assert code == 1 and "cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_run_that_has_not_ended_is_refused_and_nothing_is_left(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "one")
    rows = (copy / journals.NAME).read_text().splitlines(keepends=True)
    (copy / journals.NAME).write_text("".join(rows[:-1]))
    said = rf"^one: .*has not ended\. Continue it \(swiftbench run resume={re.escape(str(copy))}\)"
    with pytest.raises(ConfigError, match=said):
        submission(tmp_path / "out" / "sub", [copy])
    assert os.listdir(tmp_path / "out") == ["system.yaml"]


def test_one_run_twice_is_refused(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "two")
    with pytest.raises(ConfigError, match="is that of"):
        submission(tmp_path / "sub", [made, copy])


def test_two_folders_of_one_name_are_named(made, tmp_path):
    runs = [shutil.copytree(made, tmp_path / up / "day" / "run") for up in ("a", "b")]
    with pytest.raises(
        ConfigError, match=r"runs: \S+/[ab]/day/run and \S+/[ab]/day/run would both be runs/day-run"
    ):
        submission(tmp_path / "sub", runs)


@pytest.mark.parametrize(
    ("run_name", "to", "said"),
    [
        ("r" * 180, "sub", "name is too long for an archive; shorten"),
        ("my run", "sub", "^run=my run: must be a name of letters"),
        ("run", "my sub", "^to=my sub: must be a name of letters"),
    ],
)
def test_a_name_that_no_archive_holds_is_named_and_nothing_is_left(
    made, tmp_path, run_name, to, said
):
    copy = shutil.copytree(made, tmp_path / run_name)
    with pytest.raises(SuiteError, match=said):
        submission(tmp_path / "out" / to, [copy])
    assert os.listdir(tmp_path / "out") == ["system.yaml"]


def test_a_folder_that_exists_is_not_touched(made, tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(ConfigError, match="exists"):
        submission(tmp_path / "sub", [made])


def test_a_secret_in_a_header_is_refused(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "one")
    rows = (copy / journals.NAME).read_text().splitlines()
    header = json.loads(rows[0])
    header["config"]["model"]["api_token"] = "abcdefgh"
    rows[0] = json.dumps(header)
    (copy / journals.NAME).write_text("\n".join(rows) + "\n")
    with pytest.raises(ConfigError, match="looks like a secret"):
        submission(tmp_path / "sub", [copy])


def test_the_command_says_what_comes_next(made, tmp_path, capsys):
    code = door.main(
        [
            str(made),
            "--system",
            str(system(tmp_path)),
            "--to",
            str(tmp_path / "sub"),
            "--site",
            "Here",
        ]
    )
    assert code == 0 and "next: swiftbench check" in capsys.readouterr().out
    assert package.read_first(tmp_path / "sub")["site"] == "Here"
