"""Checkpoints: whole or not there, the newest valid one is read, and the last two stay."""

import dataclasses
import errno
import os
import re

import pytest

from models.synthetic_curves import TableTarget
from suite.core import types as t
from suite.core.errors import ConfigError
from suite.files import UnsafeFileError
from suite.worker import facts
from suite.worker.checkpoints import (
    CheckpointError,
    CheckpointPlace,
    Checkpoints,
    open_checkpoints,
)


def job(trial_id, job_id, start=0):
    return t.Job(job_id, trial_id, start, 99, {"lr": 0.1 * trial_id}, 7)


def write(text):
    return lambda path: path.write_text(text)


def read(store, trial_id, epoch):
    found = []
    store.load(job(trial_id, 99, epoch), lambda path: found.append(path.read_text()))
    return found[0]


def files(store, trial_id=0):
    return sorted(os.listdir(store._of(trial_id)))


@pytest.fixture
def store(tmp_path):
    return Checkpoints(CheckpointPlace(tmp_path, tmp_path / "checkpoints", "one"))


def test_what_was_saved_is_loaded_by_trial_and_epoch(store):
    for trial_id, epoch in ((0, 3), (0, 9), (1, 3)):
        path = store.save(job(trial_id, 10 + epoch), epoch, write(f"{trial_id}@{epoch}"))
        assert path.exists()
    assert (read(store, 0, 3), read(store, 0, 9), read(store, 1, 3)) == ("0@3", "0@9", "1@3")


def test_the_name_says_epoch_job_origin_size_and_digest(store):
    path = store.save(job(2, 12), 9, write("weights"))
    assert path.parent.name == "trial-000002"
    assert re.match("epoch-00009-job-000012-[0-9a-f]{16}-7-", path.name) and path.suffix == ".ckpt"


@pytest.mark.parametrize("epoch", [1, 4])
def test_what_is_not_there(store, epoch):
    store.save(job(0, 1), 3, write("x"))
    with pytest.raises(CheckpointError, match=f"trial 0: no valid checkpoint of epoch {epoch}"):
        store.load(job(0, 9, epoch), lambda path: None)


@pytest.mark.parametrize("damage", [b"", b"weightz", b"weights!", b"weigh"])
def test_a_damaged_file_is_not_read_and_an_older_one_of_the_epoch_is(store, damage):
    store.save(job(0, 1), 3, write("of job 1"))
    store.save(job(0, 5), 3, write("weights")).write_bytes(damage)
    assert read(store, 0, 3) == "of job 1"


def test_only_damaged_files_are_as_good_as_none(store):
    path = store.save(job(0, 1), 3, write("weights"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError):
        read(store, 0, 3)


def test_two_writers_of_one_epoch_share_no_file_and_the_later_job_counts(store):
    store.save(job(0, 7), 3, write("successor"))
    store.save(job(0, 4), 3, write("zombie"))
    assert len(files(store)) == 2
    assert read(store, 0, 3) == "successor"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_half_written(store, number):
    store.save(job(0, 1), 3, write("whole"))
    before = files(store)

    def full(path):
        path.write_text("hal")
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match=os.strerror(number)):
        store.save(job(0, 2), 9, full)
    assert files(store) == before and read(store, 0, 3) == "whole"


def test_a_process_that_dies_while_writing_leaves_no_checkpoint(store):
    def die(path):
        path.write_text("hal")
        os.link(path, path.parent / "as a killed process leaves it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(job(0, 2), 9, die)
    os.rename(store._of(0) / "as a killed process leaves it", store._of(0) / ".job-000002.part")
    with pytest.raises(CheckpointError):
        read(store, 0, 9)
    store.save(job(0, 2), 9, write("second try"))
    assert read(store, 0, 9) == "second try"
    assert [name for name in files(store) if not name.startswith(".")] == files(store)[-1:]


def test_it_is_synced_before_it_has_its_name(store, monkeypatch):
    steps = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (steps.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))), fsync(fd))[
            1
        ],
    )
    monkeypatch.setattr(
        os, "rename", lambda a, b, **k: (steps.append("rename"), rename(a, b, **k))[1]
    )
    store.save(job(0, 2), 9, write("x"))
    assert steps[0].startswith(".job-000002.") and steps[1:] == ["rename", "trial-000000"]


def test_prune_keeps_the_last_two_of_earlier_jobs(store):
    for job_id, epoch in ((1, 1), (4, 3), (4, 4), (6, 9)):
        store.save(job(0, job_id), epoch, write(f"{epoch}"))
    store.prune(job(0, 6))
    assert [name[:22] for name in files(store)] == [
        "epoch-00003-job-000004",
        "epoch-00004-job-000004",
        "epoch-00009-job-000006",
    ]
    store.prune(job(0, 9))
    assert [name[6:11] for name in files(store)] == ["00004", "00009"]
    store.prune(job(7, 9))  # a trial without any is no error


def test_at_the_end_only_the_winners_last_one_stays(store):
    for trial_id in range(3):
        for job_id, epoch in ((1, 1), (4, 3)):
            store.save(job(trial_id, job_id), epoch, write("x"))
    store.drop_all_but(1)
    assert [path.name for path in store.folder.iterdir()] == ["trial-000001"]
    assert [name[:11] for name in files(store, 1)] == ["epoch-00003"]
    store.drop_all_but(None)
    assert not store.folder.exists()


def test_the_checkpoint_that_the_job_starts_from_is_never_pruned(store):
    """The journal knows epoch 3; a power cut took the lines about 5 and 7, whose checkpoints are on
    disk.
    """
    for epoch in (3, 5, 7):
        store.save(job(0, 4), epoch, write(f"{epoch}"))
    store.prune(job(0, 9, start=3))  # as Worker._train does before job 9, which starts at epoch 3
    assert read(store, 0, 3) == "3"


# --- whose a checkpoint is ---------------------------------------------------------------------------


def place(tmp_path, run_id="one"):
    return CheckpointPlace.of(tmp_path, None, run_id)


OTHERS = {
    "another run": lambda p: (Checkpoints(place(p, "two"), lambda: ["code", "data"]), job(1, 9, 3)),
    "other data": lambda p: (Checkpoints(place(p), lambda: ["code", "other"]), job(1, 9, 3)),
    "other code": lambda p: (Checkpoints(place(p), lambda: ["new", "data"]), job(1, 9, 3)),
    "another configuration": lambda p: (
        Checkpoints(place(p), lambda: ["code", "data"]),
        dataclasses.replace(job(1, 9, 3), config={"lr": 0.2}),
    ),
    "another seed": lambda p: (
        Checkpoints(place(p), lambda: ["code", "data"]),
        dataclasses.replace(job(1, 9, 3), seed=8),
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_weights_of_another_training_are_never_restored(tmp_path, other):
    mine = Checkpoints(place(tmp_path), lambda: ["code", "data"])
    mine.save(job(1, 1), 3, write("mine"))
    store, start = OTHERS[other](tmp_path)
    with pytest.raises(CheckpointError, match="no valid checkpoint of epoch 3"):
        store.load(start, lambda path: pytest.fail("restored"))
    assert read(mine, 1, 3) == "mine"


def test_a_targets_checkpoints_are_of_its_data_set_and_code(tmp_path, monkeypatch):
    def store(sha256):
        target = TableTarget()
        target.provenance = {"name": "table", "sha256": sha256}
        return open_checkpoints("job", place(tmp_path), target)

    store("a").save(job(0, 1), 3, write("mine"))
    assert read(store("a"), 0, 3) == "mine"
    with pytest.raises(CheckpointError):
        read(store("b"), 0, 3)
    monkeypatch.setattr(facts, "code", lambda target: "0123456789abcdef")
    with pytest.raises(CheckpointError):
        read(store("a"), 0, 3)


def test_a_file_that_does_not_say_whose_it_is_is_not_restored_and_is_tidied(store):
    """Revision 0e27403 wrote names without an origin."""
    path = store.save(job(0, 1), 3, write("x"))
    origin = re.fullmatch(r".*job-000001(-[0-9a-f]{16})-1-.*", path.name)[1]
    path.rename(path.with_name(path.name.replace(origin, "")))
    with pytest.raises(CheckpointError):
        read(store, 0, 3)
    assert store.drop_all_but(0) == [] and not store.folder.exists()


def test_runs_that_share_a_folder_have_one_of_their_own(tmp_path):
    a, b = (
        Checkpoints(
            CheckpointPlace.of(tmp_path / name / "hyperband-seed0", str(tmp_path / "s"), name)
        )
        for name in ("a", "b")
    )
    a.save(job(0, 1), 3, write("a"))
    b.save(job(0, 1), 3, write("b"))
    assert a.drop_all_but(None) == []
    assert read(b, 0, 3) == "b" and os.listdir(tmp_path / "s") == ["b"]


@pytest.mark.parametrize("run_id", ["", "..", "../victim", "a/b", "x" * 65, "a\nb", ".hidden"])
def test_a_run_id_that_is_no_name_of_a_folder_is_refused(tmp_path, run_id):
    with pytest.raises(ConfigError, match="run_id="):
        CheckpointPlace.of(tmp_path / "run", str(tmp_path), run_id)


# --- a folder from somebody else ---------------------------------------------------------------------


def test_what_is_not_ours_stays_and_links_are_not_followed(store, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "epoch-00003-job-000001-1-0123456789abcdef.ckpt").write_text("precious")
    store.save(job(0, 1), 3, write("x"))
    (store._of(0) / "results.csv").write_text("precious")
    (store._of(0) / ".job-000002.0123abcd.part").write_text("of a killed process")
    (store.folder / "trial-999999").symlink_to(thesis)
    (store.folder / "notes").write_text("precious")
    assert store.drop_all_but(None) == ["notes", "trial-000000/results.csv", "trial-999999"]
    assert len(os.listdir(thesis)) == 1 and os.listdir(store._of(0)) == ["results.csv"]


def test_a_folder_of_checkpoints_that_is_a_link_is_refused(store, tmp_path):
    victim = tmp_path / "victim" / "trial-000000"
    victim.mkdir(parents=True)
    (victim / "epoch-00003-job-000001-1-0123456789abcdef.ckpt").write_text("precious")
    store.folder.symlink_to(victim.parent)
    for attempt in (
        lambda: store.save(job(0, 1), 3, write("x")),
        lambda: store.drop_all_but(None),
        lambda: store.prune(job(0, 1)),
    ):
        with pytest.raises(UnsafeFileError, match="checkpoints is a link"):
            attempt()
    assert len(os.listdir(victim)) == 1


@pytest.mark.timeout(20)
def test_a_pipe_under_a_checkpoints_name_does_not_hang(store):
    path = store.save(job(0, 1), 3, write("x"))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError):
        read(store, 0, 3)
