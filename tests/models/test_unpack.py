"""Archives that are not trusted: refused with their name, and nothing is left of them."""

import gzip
import io
import tarfile
import zipfile

import pytest

from kit.published import publish, served, tar_gz
from models.data import fetch
from models.data.sources import Archive
from models.data.unpack import unpack
from suite.core.errors import DataError

CIFAR = "cifar-10-python.tar.gz"
TINY = "tiny-imagenet-200.zip"


@pytest.fixture
def site():
    with served({}) as site:
        yield site


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


F = "cifar-10-batches-py"
TARS = {
    "climbs": (tar_gz({f"{F}/../../evil": b"x"}), "outside"),
    "absolute": (tar_gz({"/tmp/evil": b"x"}), "outside"),
    "elsewhere": (tar_gz({"other/file": b"x"}), "outside"),
    "symlink": (tar_gz({f"{F}/a": b"x"}, (link(f"{F}/b", "../../.."),)), "no plain file"),
    "hardlink": (tar_gz({}, (link(f"{F}/b", "/etc/passwd", tarfile.LNKTYPE),)), "no plain file"),
    "device": (tar_gz({}, (link(f"{F}/b", "", tarfile.CHRTYPE),)), "no plain file"),
    "bomb": (tar_gz({f"{F}/zeros": bytes(2_000_000)}), "more than"),
    "many": (tar_gz({f"{F}/{k}": b"" for k in range(40)}), "more than 16 members"),
    "empty": (tar_gz({}), "holds no"),
    "no archive": (b"<html>not found</html>", "cannot be unpacked"),
    "cut": (tar_gz({f"{F}/a": bytes(range(256)) * 400})[:-300], "cannot be unpacked"),
}


@pytest.mark.parametrize("case", TARS)
def test_a_tar_that_is_not_trusted_leaves_nothing(monkeypatch, site, tmp_path, case):
    site.files["bad.tar.gz"], message = TARS[case]
    archive = Archive(CIFAR, F, 16, 1_000_000)
    publish(monkeypatch, site, "cifar10", "bad.tar.gz", archive=archive, members={})
    with pytest.raises(DataError, match=message):
        fetch.stage("cifar10", tmp_path / "root" / "deep")
    left = {p.name for p in tmp_path.rglob("*") if p.is_file() or p.is_symlink()}
    assert left <= {".lock", CIFAR}


def test_headers_alone_can_not_fill_the_memory(tmp_path):
    """A pax header of 50 MB: its size stands in no member."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as bundle:
        info = tarfile.TarInfo(f"{F}/a")
        info.pax_headers = {"comment": "0" * 50_000_000}
        bundle.addfile(info)
    path = tmp_path / CIFAR
    path.write_bytes(gzip.compress(raw.getvalue(), 1))
    with pytest.raises(DataError, match="more than the data set holds"):
        unpack(path, Archive(CIFAR, F, 16, 1_000_000))


def zip_with(name, content=b"x", mode=0o100644, n=1):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as bundle:
        for k in range(n):
            info = zipfile.ZipInfo(name.format(k))
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(info, content)
    return raw.getvalue()


def lying_zip():
    """A member that unpacks to more than its directory entry says."""
    content = zip_with("tiny-imagenet-200/a", bytes(500_000))
    told, said = (500_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    return content.replace(told, said)


T = "tiny-imagenet-200"
ZIPS = {
    "climbs": (zip_with(f"{T}/../../evil"), "outside"),
    "absolute": (zip_with("/tmp/evil"), "outside"),
    "windows": (zip_with(f"{T}/..\\..\\evil"), "outside"),
    "symlink": (zip_with(f"{T}/a", b"/etc/passwd", mode=0o120777), "link"),
    "bomb": (zip_with(f"{T}/zeros", bytes(2_000_000)), "more than 1000000 bytes"),
    "many": (zip_with(f"{T}/{{}}", b"", n=40), "more than 16 members"),
    "lies": (lying_zip(), "cannot be unpacked"),
    "no archive": (b"<html>not found</html>", "damaged"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_that_is_not_trusted_leaves_nothing(monkeypatch, site, tmp_path, case):
    site.files["bad.zip"], message = ZIPS[case]
    archive = Archive(TINY, T, 16, 1_000_000)
    publish(monkeypatch, site, "tiny_imagenet", "bad.zip", archive=archive)
    with pytest.raises(DataError, match=message):
        fetch.stage("tiny_imagenet", tmp_path / "root" / "deep", unpacked=True)
    left = {p.name for p in tmp_path.rglob("*") if p.is_file() or p.is_symlink()}
    assert left <= {".lock", TINY}
