"""Where the recorded curve tables are published: `swiftbench fetch curves`.

A family is what one publication recorded. An entry is one table: its name here, which the table's YAML
(conf/model/*_table.yaml) names as `file`, and path, bytes and SHA-256 of the published file. The address
holds a commit, so that it always gives the same bytes; their SHA-256 was computed from that commit. To add
a family, add one to FAMILIES: `fetch curves` and the text of a missing table's error follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DATA_SET = "curves"
"""Name of the data set, and of its folder below the data root."""


@dataclass(frozen=True, slots=True)
class Table:
    """A published file: path in its repository, size in bytes, SHA-256."""

    path: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Family:
    """Tables of one publication. repository: OWNER/NAME on GitHub. commit: 40 hexadecimal digits."""

    repository: str
    commit: str
    licence: str
    tables: Mapping[str, Table]

    @property
    def source(self) -> str:
        """The publisher's page."""
        return f"https://github.com/{self.repository}"

    def address(self, name: str) -> str:
        """Where one table is downloaded."""
        path = self.tables[name].path
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{path}"


FAMILIES = (
    # MLPF on Delphes events; CNNs on MNIST
    Family(
        "JP-Amboage/performance-pred",
        "87ff6f6612b73601038e121013e0240ed2c1a164",
        "Apache-2.0",
        {
            "mlpf_delphes.csv": Table(
                "data/mlpf/delphes_trainings_processed.csv",
                549_261,
                "83c7ae6933f20379d8edbb733dbc5a5a463009c99ecb3d6d906459c4c14d7fa6",
            ),
            "cnn_mnist_4hp.csv": Table(
                "data/mnist/all_4hp_rusty.csv",
                407_925,
                "719280f0b03389baad10542053532c696035eb5dad534c2094407088af5eee4f",
            ),
        },
    ),
    # LSTMs on Penn Treebank; ResNets on CIFAR-10; MetaQNN's CNNs (Baker et al. 2017, arXiv 1705.10823)
    Family(
        "MITAutoML/accelerating_nas",
        "82ed099d8ef1c8b2f4b362232be72cbc55c36d69",
        "MIT",
        {
            "lstm_ptb.csv": Table(
                "data/lstm_ptb.csv",
                108_340,
                "154d96926a0085287ac507e39f37f5943425224af0eee8d126e00aab702441d9",
            ),
            "resnet_cifar10.csv": Table(
                "data/deep_resnets_cifar10.csv",
                317_610,
                "27dbe828a15275ebc59a92dfec9f43ff7f28cac25353819c08d4afc7b8943994",
            ),
            "metaqnn_cifar10.csv": Table(
                "data/metaqnn_cifar10.csv",
                290_241,
                "ba00613f32132d0e605b4652828d4e363e634f523b034db8a8a4cf96336f1c71",
            ),
            "metaqnn_svhn.csv": Table(
                "data/metaqnn_svhn.csv",
                379_896,
                "9407b8b58e1739244376a968ecf5ac1250360da67ca30834ce34eece91d53283",
            ),
        },
    ),
)


def is_published(name: str) -> bool:
    """Whether `fetch curves` brings the table."""
    return any(name in family.tables for family in FAMILIES)
