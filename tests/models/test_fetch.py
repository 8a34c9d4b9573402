"""Staging against a server on this machine: resuming, checking, unpacking, and what is refused."""

import fcntl
import io
import json
from dataclasses import replace

import pytest

from kit.published import arff, cifar_batches, md5, publish, served, tar_gz, tiny_files, zipped
from models.data import cifar10, fetch, sources, tiny_imagenet, transfer
from models.data.sources import SOURCES
from models.data.transfer import Progress
from suite.core.errors import ConfigError, DataError

CIFAR = "cifar-10-python.tar.gz"
TINY = "tiny-imagenet-200.zip"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    monkeypatch.setattr(transfer, "BLOCK", 4096)


@pytest.fixture
def site():
    """A server with small data sets in the published formats."""
    batches, _, _ = cifar_batches(20)
    files = {
        CIFAR: tar_gz({f"cifar-10-batches-py/{name}": b for name, b in batches.items()}),
        TINY: zipped(tiny_files()),
        "babi.tar.gz": tar_gz(
            {
                f"tasks_1-20_v1-2/en-10k/qa17_positional-reasoning_{part}.txt": b"1 The red.\n" * 50
                for part in ("train", "test")
            }
        ),
    }
    with served(files) as site:
        yield site


@pytest.fixture
def cifar(monkeypatch, site):
    batches, _, _ = cifar_batches(20)
    members = {f"cifar-10-batches-py/{k}": f"md5:{md5(b)}" for k, b in batches.items()}
    publish(monkeypatch, site, "cifar10", CIFAR, members=members)
    monkeypatch.setattr(cifar10, "CIFAR10_MD5", {k: md5(b) for k, b in batches.items()})
    monkeypatch.setattr(cifar10, "ROWS", 20)
    return site


def test_a_set_is_fetched_checked_unpacked_and_read(cifar, tmp_path, capsys):
    assert fetch.main(["cifar10", "--to", str(tmp_path)]) == 0
    folder = tmp_path / "cifar10"
    assert not list(folder.glob("*.part")) and not list(folder.glob("*.unpacking"))
    assert cifar10.load(folder)[0].shape == (100, 3, 32, 32)
    assert "100%" in capsys.readouterr().err
    assert fetch.main(["cifar10", "--to", str(tmp_path), "--verify"]) == 0
    assert cifar.count(CIFAR) == 1


def test_what_is_there_and_right_is_not_fetched_again(cifar, tmp_path):
    def kept():
        return [(tmp_path / "cifar10" / name).stat() for name in (CIFAR, "cifar-10-batches-py")]

    fetch.stage("cifar10", tmp_path)
    before = [(s.st_ino, s.st_mtime_ns) for s in kept()]
    fetch.stage("cifar10", tmp_path)
    assert cifar.count(CIFAR) == 1
    assert [(s.st_ino, s.st_mtime_ns) for s in kept()] == before, "nor unpacked again"


def test_a_cut_connection_goes_on_where_it_ended(cifar, tmp_path):
    cifar.cut[CIFAR] = [50_000]
    fetch.stage("cifar10", tmp_path)
    assert [wanted for _, wanted in cifar.asked] == [None, "bytes=50000-"]
    assert cifar10.load(tmp_path / "cifar10")[1].shape == (100,)


def test_a_later_command_goes_on_too(cifar, tmp_path):
    cifar.cut[CIFAR] = [50_000, 10_000, 10_000]
    with pytest.raises(DataError, match="to continue at byte 70000"):
        fetch.stage("cifar10", tmp_path)
    assert len(cifar.asked) == 3, "two retries at most"
    fetch.stage("cifar10", tmp_path)
    assert cifar.asked[-1] == (CIFAR, "bytes=70000-")


def test_a_server_without_ranges_sends_all_again(cifar, tmp_path):
    cifar.ranges, cifar.cut[CIFAR] = False, [50_000]
    fetch.stage("cifar10", tmp_path)
    assert cifar.count(CIFAR) == 2


def test_other_bytes_than_asked_for_are_not_joined(cifar, tmp_path):
    cifar.shifted, cifar.cut[CIFAR] = True, [50_000]
    fetch.stage("cifar10", tmp_path)
    assert [wanted for _, wanted in cifar.asked] == [None, "bytes=50000-", None]


def test_the_server_at_fault_is_asked_twice_more(cifar, tmp_path):
    cifar.fail[CIFAR] = 2
    fetch.stage("cifar10", tmp_path)
    cifar.fail["gone"] = 9
    with pytest.raises(DataError, match="503"):
        transfer.text(f"{cifar.base}/gone")
    assert cifar.count("gone") == 3


def test_a_part_longer_than_the_file_is_thrown_away(cifar, tmp_path, monkeypatch):
    known = SOURCES["cifar10"].files[0]
    untold = replace(SOURCES["cifar10"], files=(replace(known, n_bytes=None),))
    monkeypatch.setitem(SOURCES, "cifar10", untold)
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / f"{CIFAR}.part").write_bytes(bytes(len(cifar.files[CIFAR]) + 5))
    fetch.stage("cifar10", tmp_path)
    assert [wanted is None for _, wanted in cifar.asked] == [False, True]


def test_without_a_checksum_nothing_is_resumed(monkeypatch, site, tmp_path):
    publish(monkeypatch, site, "babi", "babi.tar.gz", told=False)
    (tmp_path / "babi").mkdir()
    name = SOURCES["babi"].files[0].name
    (tmp_path / "babi" / f"{name}.part").write_bytes(b"of another version")
    fetch.stage("babi", tmp_path)
    assert site.asked == [("babi.tar.gz", None)]
    assert (tmp_path / "babi" / name).read_bytes() == site.files["babi.tar.gz"]


def test_a_dead_address_gives_way_to_the_next(monkeypatch, site, tmp_path):
    publish(monkeypatch, site, "babi", "babi.tar.gz")
    file = SOURCES["babi"].files[0]
    several = replace(file, addresses=(f"{site.base}/moved", *file.addresses))
    monkeypatch.setitem(SOURCES, "babi", replace(SOURCES["babi"], files=(several,)))
    fetch.stage("babi", tmp_path)
    assert [name for name, _ in site.asked] == ["moved", "babi.tar.gz"]


@pytest.mark.parametrize(
    "damage",
    [lambda c: c[:-7], lambda c: c + b"more", lambda c: c[:99] + bytes([c[99] ^ 1]) + c[100:]],
)
def test_what_was_not_published_is_refused_before_it_is_unpacked(
    cifar, tmp_path, damage, monkeypatch
):
    monkeypatch.setattr(fetch, "unpack", lambda *_: pytest.fail("unpacked unchecked"))
    good, cifar.files[CIFAR] = cifar.files[CIFAR], damage(cifar.files[CIFAR])
    with pytest.raises(DataError, match=rf"{CIFAR}.*published (is|are)") as error:
        fetch.stage("cifar10", tmp_path)
    assert str(len(good)) in str(error.value) or md5(good) in str(error.value)
    assert {p.name for p in (tmp_path / "cifar10").iterdir()} == {".lock"}


def test_a_tampered_file_on_disk_is_named_and_fetched_anew(cifar, tmp_path, capsys):
    folder = fetch.stage("cifar10", tmp_path)
    (folder / CIFAR).write_bytes(bytes(len(cifar.files[CIFAR])))
    (folder / "cifar-10-batches-py" / "test_batch").write_bytes(b"other")
    assert fetch.main(["cifar10", "--to", str(tmp_path), "--verify"]) == 1
    said = capsys.readouterr().err
    assert f"{CIFAR}: md5 is" in said and "test_batch: md5 is" in said
    assert f"fetch cifar10 --to {tmp_path}" in said
    fetch.stage("cifar10", tmp_path)
    fetch.verify("cifar10", tmp_path)
    assert cifar.count(CIFAR) == 2


def test_verify_uses_no_network_and_names_what_is_missing(cifar, tmp_path):
    with pytest.raises(DataError, match=CIFAR):
        fetch.verify("cifar10", tmp_path)
    assert not cifar.asked and not (tmp_path / "cifar10").exists()


def test_unpacked_folders_alone_are_verified_by_their_members(cifar, tmp_path):
    folder = fetch.stage("cifar10", tmp_path)
    (folder / CIFAR).unlink()
    fetch.verify("cifar10", tmp_path)
    (folder / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3"):
        fetch.verify("cifar10", tmp_path)


def test_a_mirror_or_a_folder_serves_instead(cifar, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / CIFAR).write_bytes(cifar.files[CIFAR])
    fetch.main(["cifar10", "--to", str(tmp_path / "a"), "--from", str(tmp_path / "copy")])
    assert not cifar.asked
    fetch.verify("cifar10", tmp_path / "a")
    cifar.files[f"mirror/{CIFAR}"] = cifar.files[CIFAR]
    fetch.stage("cifar10", tmp_path / "b", origin=f"{cifar.base}/mirror/")
    assert cifar.asked == [(f"mirror/{CIFAR}", None)]
    (tmp_path / "copy" / CIFAR).write_bytes(b"damaged")
    with pytest.raises(DataError, match="7 bytes, published are"):
        fetch.stage("cifar10", tmp_path / "c", origin=str(tmp_path / "copy"))


def test_two_at_once_are_refused(cifar, tmp_path):
    (tmp_path / "cifar10").mkdir()
    with (tmp_path / "cifar10" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another fetch is at work"):
            fetch.stage("cifar10", tmp_path)
    fetch.stage("cifar10", tmp_path)


def test_a_full_disk_is_said_before_anything_is_fetched(cifar, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="1000 are free"):
        fetch.stage("cifar10", tmp_path)
    assert not cifar.asked


def test_an_unknown_name_lists_the_known_ones(tmp_path, capsys):
    with pytest.raises(ConfigError, match="Did you mean cifar10"):
        fetch.stage("cifar", tmp_path)
    assert fetch.main(["cifar", "--to", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_only_http_addresses_are_opened(monkeypatch, site, tmp_path):
    publish(monkeypatch, site, "babi", "babi.tar.gz")
    file = replace(SOURCES["babi"].files[0], addresses=("file:///etc/hostname",))
    monkeypatch.setitem(SOURCES, "babi", replace(SOURCES["babi"], files=(file,)))
    with pytest.raises(DataError, match="must begin with http"):
        fetch.stage("babi", tmp_path)


# --- listings -------------------------------------------------------------------------------------


def record(site, names, content=b"events"):
    site.files |= {f"files/{name}": content for name in names}
    told = [
        {"key": name, "size": len(content), "checksum": f"md5:{md5(content)}",
         "links": {"self": f"{site.base}/files/{name}"}}
        for name in names
    ]  # fmt: skip
    site.files["record"] = json.dumps({"files": told}).encode()


def test_zenodos_listing_gives_names_sizes_and_checksums_and_is_kept(monkeypatch, site, tmp_path):
    names = [f"tev14_pythia8_ttbar_0_{k}.pkl.bz2" for k in (0, 1, 49)]
    record(site, [*names, "tev14_pythia8_qcd_10_0.pkl.bz2", "README.md", "../../evil.pkl.bz2"])
    delphes = replace(SOURCES["delphes"], listing=f"{site.base}/record")
    monkeypatch.setitem(SOURCES, "delphes", delphes)
    folder = fetch.stage("delphes", tmp_path, only="*ttbar*")
    assert sorted(p.name for p in folder.glob("*.bz2")) == names
    site.asked.clear()
    fetch.verify("delphes", tmp_path, only="*ttbar*")
    with pytest.raises(DataError, match="qcd_10_0"):
        fetch.verify("delphes", tmp_path)
    (folder / names[1]).write_bytes(b"evened")
    with pytest.raises(DataError, match=rf"{names[1]}: md5 is"):
        fetch.verify("delphes", tmp_path, only=names[1])
    assert not site.asked
    with pytest.raises(DataError, match="no file is called"):
        fetch.stage("delphes", tmp_path, only="*zz*")


def test_event_files_without_a_listing_are_taken_and_said_to_have_no_checksum(tmp_path, capsys):
    (tmp_path / "copy").mkdir()
    for name in ("tev14_pythia8_ttbar_9_0.pkl.bz2", "other.txt"):
        (tmp_path / "copy" / name).write_bytes(b"events")
    fetch.stage("delphes", tmp_path / "root", origin=str(tmp_path / "copy"))
    fetch.verify("delphes", tmp_path / "root")
    assert "no checksum is published, sha256:" in capsys.readouterr().err
    assert not (tmp_path / "root" / "delphes" / "other.txt").exists()


def test_openmls_listing_gives_the_address_and_the_checksum(monkeypatch, site, tmp_path):
    site.files["table.arff"], _ = arff()
    told = {"url": f"{site.base}/table.arff", "md5_checksum": md5(site.files["table.arff"])}
    site.files["44973"] = json.dumps({"data_set_description": told}).encode()
    openml = replace(SOURCES["openml"], listing=f"{site.base}/44973")
    monkeypatch.setitem(SOURCES, "openml", openml)
    folder = fetch.stage("openml", tmp_path)
    assert (folder / sources.OPENML_FILE).read_bytes() == site.files["table.arff"]
    fetch.verify("openml", tmp_path)


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b'{"files": [{"key": "a"}]}', b'{"files": 3}']
)
def test_a_listing_that_is_none_is_said(monkeypatch, site, tmp_path, answer):
    site.files["record"] = answer
    delphes = replace(SOURCES["delphes"], listing=f"{site.base}/record")
    monkeypatch.setitem(SOURCES, "delphes", delphes)
    with pytest.raises(DataError, match="listing"):
        fetch.stage("delphes", tmp_path)
    assert not (tmp_path / "delphes" / sources.LISTING).exists()


def test_every_source_states_where_it_is_and_invents_no_checksum():
    for name, source in SOURCES.items():
        assert source.name == name and source.title and source.licence
        addresses = [a for file in source.files for a in file.addresses] + [source.listing or ""]
        assert any(a.startswith("http") for a in addresses)
    assert SOURCES["babi"].files[0].checksum is None
    assert not SOURCES["delphes"].files and not SOURCES["openml"].files


def test_tiny_imagenet_stays_packed_unless_asked_and_is_decoded_at_once(
    monkeypatch, site, tmp_path
):
    publish(monkeypatch, site, "tiny_imagenet", TINY)
    monkeypatch.setattr(tiny_imagenet, "SHAPE", tiny_imagenet.Shape(3, 12, 6))
    folder = fetch.stage("tiny_imagenet", tmp_path)
    assert (
        not (folder / tiny_imagenet.FOLDER).exists()
        and (folder / tiny_imagenet.CACHE / "x_train.npy").exists()
    )
    fetch.stage("tiny_imagenet", tmp_path, unpacked=True)
    assert (folder / tiny_imagenet.FOLDER / "wnids.txt").exists() and site.count(TINY) == 1
    fetch.verify("tiny_imagenet", tmp_path)
    (folder / tiny_imagenet.FOLDER / "train/n01/images/n01_3.JPEG").unlink()
    with pytest.raises(DataError, match=r"n01_3\.JPEG"):
        fetch.verify("tiny_imagenet", tmp_path)
    fetch.stage("tiny_imagenet", tmp_path, unpacked=True)
    fetch.verify("tiny_imagenet", tmp_path)


# --- progress -------------------------------------------------------------------------------------


def test_a_terminal_shows_a_bar_and_a_log_plain_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = {}
    for stream in (Terminal(), io.StringIO()):
        progress = Progress(stream)
        progress.begin("file", 0, 2_000_000)
        progress.add(1_000_000)
        progress.end()
        shown[type(stream).__name__] = stream.getvalue()
    assert "\r" in shown["Terminal"] and "[############            ]  50%" in shown["Terminal"]
    assert "\r" not in shown["StringIO"] and "1.0 MB of 2.0  50%" in shown["StringIO"]


def test_other_bytes_of_the_published_length_are_no_archive(monkeypatch, site, tmp_path):
    """bAbI's publisher states no checksum: what came is read to its end."""
    site.files["babi.tar.gz"] = b"\x1f\x8b" + bytes(400)
    publish(monkeypatch, site, "babi", "babi.tar.gz")
    name = SOURCES["babi"].files[0].name
    with pytest.raises(DataError, match=r"What was received is removed\."):
        fetch.stage("babi", tmp_path)
    assert not (tmp_path / "babi" / name).exists()
