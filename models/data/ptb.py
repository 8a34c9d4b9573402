"""Penn Treebank as language models read it: three files of lower-case words, 10,000 of them, and <unk>.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared; versions: Python 3.11; n: none was read
here, the files were not at hand: the reader was tried on files of the same form; lineage: Marcus et al.
1993, as prepared by Mikolov et al. 2010 (Interspeech, p. 1045) and used by Zaremba et al. 2014 (arXiv
1409.2329).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from suite.core.errors import DataError
from suite.files import UnsafeFileError, read_bytes

FILES = {"train": "ptb.train.txt", "valid": "ptb.valid.txt", "test": "ptb.test.txt"}
MD5 = {  # as torchtext states them
    "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
    "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
}
# The training file has 5.1 MB.
_MOST_BYTES = 1 << 24
_REMEDY = "stage it again: swiftbench fetch ptb --to DIR"

Sentences = list[list[str]]


def present(folder: Path) -> bool:
    """Whether all three files are there. Reads nothing."""
    return all((folder / name).is_file() for name in FILES.values())


def load(folder: Path) -> dict[str, Sentences]:
    """The words of each sentence, of "train", "valid" and "test".

    Raises DataError where a file is missing, or is not the published one by its md5.
    """
    parts = {}
    for part, name in FILES.items():
        path = folder / name
        try:
            content = read_bytes(path, max_bytes=_MOST_BYTES, below=folder)
        except (OSError, UnsafeFileError) as error:
            raise DataError(f"{path}: cannot be read ({error}); {_REMEDY}.") from error
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if md5 != MD5[name]:
            raise DataError(f"{path}: md5 is {md5}, published is {MD5[name]}; {_REMEDY}.")
        parts[part] = [words for line in content.decode().splitlines() if (words := line.split())]
    return parts
