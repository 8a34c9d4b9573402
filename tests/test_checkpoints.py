"""Checkpoints: whole or not there, the newest valid one is read, and the last two stay."""

import errno
import os

import pytest

from suite.checkpoints import CheckpointError, Checkpoints


def write(text):
    return lambda path: path.write_text(text)


def read(store, trial_id, epoch):
    found = []
    store.load(trial_id, epoch, lambda path: found.append(path.read_text()))
    return found[0]


def files(store, trial_id=0):
    return sorted(os.listdir(store._of(trial_id)))


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def test_what_was_saved_is_loaded_by_trial_and_epoch(store):
    for trial_id, epoch in ((0, 3), (0, 9), (1, 3)):
        path = store.save(trial_id, 10 + epoch, epoch, write(f"{trial_id}@{epoch}"))
        assert path.exists()
    assert (read(store, 0, 3), read(store, 0, 9), read(store, 1, 3)) == ("0@3", "0@9", "1@3")


def test_the_name_says_epoch_job_size_and_digest(store):
    path = store.save(2, 12, 9, write("weights"))
    assert path.parent.name == "trial-000002"
    assert path.name.startswith("epoch-00009-job-000012-7-") and path.suffix == ".ckpt"


@pytest.mark.parametrize("epoch", [1, 4])
def test_what_is_not_there(store, epoch):
    store.save(0, 1, 3, write("x"))
    with pytest.raises(CheckpointError, match=f"trial 0: no valid checkpoint of epoch {epoch}"):
        store.load(0, epoch, lambda path: None)


@pytest.mark.parametrize("damage", [b"", b"weightz", b"weights!", b"weigh"])
def test_a_damaged_file_is_not_read_and_an_older_one_of_the_epoch_is(store, damage):
    store.save(0, 1, 3, write("of job 1"))
    store.save(0, 5, 3, write("weights")).write_bytes(damage)
    assert read(store, 0, 3) == "of job 1"


def test_only_damaged_files_are_as_good_as_none(store):
    path = store.save(0, 1, 3, write("weights"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError):
        read(store, 0, 3)


def test_two_writers_of_one_epoch_share_no_file_and_the_later_job_counts(store):
    store.save(0, 7, 3, write("successor"))
    store.save(0, 4, 3, write("zombie"))
    assert len(files(store)) == 2
    assert read(store, 0, 3) == "successor"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_half_written(store, number):
    store.save(0, 1, 3, write("whole"))
    before = files(store)

    def full(path):
        path.write_text("hal")
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match=os.strerror(number)):
        store.save(0, 2, 9, full)
    assert files(store) == before and read(store, 0, 3) == "whole"


def test_a_process_that_dies_while_writing_leaves_no_checkpoint(store):
    def die(path):
        path.write_text("hal")
        os.link(path, path.parent / "as a killed process leaves it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(0, 2, 9, die)
    os.rename(store._of(0) / "as a killed process leaves it", store._of(0) / ".job-000002.part")
    with pytest.raises(CheckpointError):
        read(store, 0, 9)
    store.save(0, 2, 9, write("second try"))
    assert read(store, 0, 9) == "second try" and len(files(store)) == 1


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
    store.save(0, 2, 9, write("x"))
    assert steps == [".job-000002.part", "rename", "trial-000000"]


def test_prune_keeps_the_last_two_of_earlier_jobs(store):
    for job_id, epoch in ((1, 1), (4, 3), (4, 4), (6, 9)):
        store.save(0, job_id, epoch, write(f"{epoch}"))
    store.prune(0, before_job=6)
    assert [name[:22] for name in files(store)] == [
        "epoch-00003-job-000004",
        "epoch-00004-job-000004",
        "epoch-00009-job-000006",
    ]
    store.prune(0, before_job=9)
    assert [name[6:11] for name in files(store)] == ["00004", "00009"]
    store.prune(7, before_job=9)  # a trial without any is no error


def test_at_the_end_only_the_winners_last_one_stays(store):
    for trial_id in range(3):
        for job_id, epoch in ((1, 1), (4, 3)):
            store.save(trial_id, job_id, epoch, write("x"))
    store.drop_all_but(1)
    assert [path.name for path in store.folder.iterdir()] == ["trial-000001"]
    assert [name[:11] for name in files(store, 1)] == ["epoch-00003"]
    store.drop_all_but(None)
    assert list(store.folder.iterdir()) == []


def test_the_checkpoint_that_the_job_starts_from_is_never_pruned(store):
    """The journal knows epoch 3; a power cut took the lines about 5 and 7, whose checkpoints are on
    disk.
    """
    for epoch in (3, 5, 7):
        store.save(0, 4, epoch, write(f"{epoch}"))
    store.prune(
        0, before_job=9, needed=3
    )  # as Worker._train does before job 9, which starts at epoch 3
    assert read(store, 0, 3) == "3"
