"""bAbI task 17, 10,000 + 1,000 questions: files to stories, tokens, padded integers, splits.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: Python 3.11, numpy 2.4; n = 5;
number: 0.22 s from plain files to padded arrays; lineage: Weston et al. 2015 (arXiv:1502.05698);
file format and both tokenisers as in the published study's workflow.

Archive: tasks_1-20_v1-2.tar.gz, 11,745,123 bytes; no checksum was ever published. It is read where
it lies, unpacked nowhere. What may lie in `<root>/babi/`, the first found is taken:
    tasks_1-20_v1-2.tar.gz, babi_tasks_1-20_v1-2.tar.gz or babi-tasks-v1-2.tar.gz        real
    tasks_1-20_v1-2/en-10k/qa17_positional-reasoning_{train,test}.txt (it, unpacked)     real
    qa17_positional-reasoning_{train,test}.txt                                           stand-in
Loose files cannot show that they are the published ones, so they are called a stand-in; those of
known digest have their origin named.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.data import babi_generator
from models.data.locate import DataChoice, fetch_line, real_or_stand_in
from suite.core.errors import DataError
from suite.core.seeds import stream_seed
from suite.files import UnsafeFileError, open_regular, read_bytes

URLS = (
    "http://www.thespermwhale.com/jaseweston/babi/tasks_1-20_v1-2.tar.gz",
    "https://s3.amazonaws.com/text-datasets/babi_tasks_1-20_v1-2.tar.gz",
)
ARCHIVES = ("tasks_1-20_v1-2.tar.gz", "babi_tasks_1-20_v1-2.tar.gz", "babi-tasks-v1-2.tar.gz")
ARCHIVE_BYTES = 11_745_123
MEMBERS = "tasks_1-20_v1-2/en-10k"
PARTS = ("train", "test")
FILE = babi_generator.NAME
# The split belongs to the data, not to a run.
SPLIT_SEED = 2024
ORIGINS = {  # md5 of train and test file
    (
        "6484892fac49b793bbc69f47d68697a6",
        "411c8a84bef8b0abb661ffc903b6a80b",
    ): "public bAbI-tasks generator (a rewrite by its authors), seeds 17 and 1017",
    (
        "ffeeba7815a03b2a74be913b762b8dce",
        "a02c8480f68d8d59ca528d008581a4e7",
    ): "models.data.babi_generator, seed 17",
}
# Most bytes of a member: a hostile archive must not fill the memory.
_MOST_BYTES = 1 << 26
_REMEDY = "stage the data again (swiftbench fetch babi --to DIR)"


@dataclass(frozen=True, slots=True)
class Question:
    """One line with a question: all facts of its story so far, as sentences, and the answer."""

    story: int
    facts: tuple[str, ...]
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Arrays:
    """Padded integers; n questions, S and Q the longest story and question in tokens.

    story int32 (n, S) and question int32 (n, Q), zeros before the first token; answer int32 (n,).
    train, valid, test: int64 row numbers, in file order.
    vocabulary: the tokens, sorted; token i has the number i + 1.
    """

    story: Any
    question: Any
    answer: Any
    train: Any
    valid: Any
    test: Any
    vocabulary: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """V (tokens and padding), S, Q."""
        return len(self.vocabulary) + 1, self.story.shape[1], self.question.shape[1]


# --- files ----------------------------------------------------------------------------------------


def present(folder: Path | None) -> bool:
    """Whether the published archive, or its unpacked folder, lies here. Reads nothing."""
    return folder is not None and (_archive(folder) is not None or _plain(folder / MEMBERS))


def loose(folder: Path | None) -> bool:
    """Whether the two plain files lie here, of whatever origin. Reads nothing."""
    return folder is not None and _plain(folder)


def choose(data: DataChoice, folder: Path | None) -> tuple[str, Path | None]:
    """What to call the data, "real" or "stand-in", and the folder to read (None: to be generated).

    data: "auto", "real" or "stand_in" (always generated). Looks whether files exist; reads none.

    Raises ConfigError for another `data`, DataError for "real" without the archive.
    """
    kind = real_or_stand_in(
        data,
        present(folder),
        f"bAbI's archive is not in {folder or 'SUITE_DATA (unset)'} (loose files cannot show what "
        f"they are); {fetch_line('babi', folder)}",
    )
    if kind == "real":
        return kind, folder
    return kind, folder if data == "auto" and loose(folder) else None


def texts(folder: Path) -> tuple[dict[str, bytes], dict[str, str], str]:
    """The bytes of "train" and "test", a name for each of the two, and where they are from.

    Raises DataError where neither archive nor files are there, or they are damaged.
    """
    if (archive := _archive(folder)) is not None:
        contents = _from_archive(archive)
        names = {part: f"{archive}:{MEMBERS}/{FILE.format(part=part)}" for part in PARTS}
        return contents, names, "published archive"
    inside = folder / MEMBERS
    if not _plain(inside) and not _plain(folder):
        raise DataError(f"{folder}: holds neither bAbI's archive nor its two files; {_REMEDY}.")
    unpacked = _plain(inside)
    paths = {part: (inside if unpacked else folder) / FILE.format(part=part) for part in PARTS}
    try:
        contents = {part: read_bytes(path, max_bytes=_MOST_BYTES) for part, path in paths.items()}
    except (OSError, UnsafeFileError) as error:
        raise DataError(f"{folder}: cannot be read ({error}); {_REMEDY}.") from error
    train, test = (hashlib.md5(contents[part]).hexdigest() for part in PARTS)
    names = {part: str(path) for part, path in paths.items()}
    known = ORIGINS.get((train, test))
    if unpacked and known:
        raise DataError(f"{inside}: holds the files of {known}, not the published; {_REMEDY}.")
    unknown = "published archive, unpacked" if unpacked else "loose files of unknown origin"
    return contents, names, known or unknown


def generated() -> tuple[dict[str, bytes], dict[str, str], str]:
    """What `texts` gives, made in memory by our own generator: 10,000 and 1,000 questions."""
    contents = {
        part: "".join(s.text() for s in babi_generator.stories(n, part=part)).encode()
        for part, n in (("train", 1250), ("test", 125))
    }
    names = {part: f"generated {part} stories" for part in PARTS}
    return contents, names, f"models.data.babi_generator, seed {babi_generator.SEED}"


def _archive(folder: Path) -> Path | None:
    return next((folder / name for name in ARCHIVES if (folder / name).is_file()), None)


def _plain(folder: Path) -> bool:
    return all((folder / FILE.format(part=part)).is_file() for part in PARTS)


def prepare(folder: Path) -> None:
    """After a fetch: read the archive to its end. No checksum is published, so that other bytes of its length
    are found only so.

    Raises DataError where it is not bAbI's; it is removed then.
    """
    if (archive := _archive(folder)) is None:
        return
    try:
        _members(archive)
    except DataError as error:
        archive.unlink(missing_ok=True)
        raise DataError(f"{error} What was received is removed.") from None


def _from_archive(path: Path) -> dict[str, bytes]:
    if (size := path.stat().st_size) != ARCHIVE_BYTES:
        raise DataError(f"{path}: {size} bytes, published are {ARCHIVE_BYTES}; {_REMEDY}.")
    return _members(path)


def _members(path: Path) -> dict[str, bytes]:
    wanted = {f"{MEMBERS}/{FILE.format(part=part)}": part for part in PARTS}
    texts: dict[str, bytes] = {}
    try:
        with (
            open_regular(path) as file,
            gzip.open(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for member in archive:
                part = wanted.get(member.name.removeprefix("./"))
                if part is None:
                    continue
                if not member.isreg() or member.size > _MOST_BYTES:
                    raise DataError(f"{path}: {member.name} is no plain small file; {_REMEDY}.")
                content = archive.extractfile(member)
                assert content is not None, "a regular member has content"
                texts[part] = content.read()
            while stream.read(1 << 20):
                pass  # to the end, where gzip's own checksum stands: the only one there is
    except (
        tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, OSError, ValueError, UnsafeFileError
    ) as error:  # fmt: skip
        raise DataError(f"{path}: is damaged ({error}); {_REMEDY}.") from error
    for name, part in wanted.items():
        if part not in texts:
            raise DataError(f"{path}: {name} is missing; {_REMEDY}.")
    return texts


# --- text -----------------------------------------------------------------------------------------


def parse(content: bytes, name: str) -> list[Question]:
    """The questions of a file, in its order; `name` stands in messages.

    A line is `<n> <fact>.` or `<n> <question>?<tab><answer><tab><numbers of facts>`; n counts from
    1 within a story.
    Raises DataError with file and line for any other line, and for a file cut off in a story.
    """

    def wrong(rule: str) -> DataError:
        return DataError(f"{name}, line {row}: {rule}; {_REMEDY}.")

    questions: list[Question] = []
    facts: dict[int, str] = {}
    # Lines of each story.
    lengths: list[int] = []
    # The line that an error names.
    row = 0
    for raw in content.splitlines():
        row += 1
        try:
            line = raw.decode("ascii")
        except UnicodeDecodeError:
            raise wrong("not plain text") from None
        number, _, rest = line.partition(" ")
        if not number.isdecimal():
            raise wrong(f"must begin with a number, found {line[:40]!r}")
        if int(number) == 1:
            lengths.append(0)
            facts = {}
        elif not lengths or int(number) != lengths[-1] + 1:
            raise wrong(f"number {number} must be 1 or follow {lengths[-1] if lengths else 0}")
        lengths[-1] += 1
        text, *more = rest.split("\t")
        text = text.strip()
        if not more and re.fullmatch(r".*\w.*\.", text):
            facts[int(number)] = text
            continue
        if len(more) != 2 or not re.fullmatch(r".*\w.*\?", text):
            raise wrong("must be `fact.` or `question?<tab>answer<tab>numbers of facts`")
        answer, used = more[0].strip(), more[1].split()
        if answer not in ("yes", "no"):
            raise wrong(f"answer={answer!r} must be yes or no")
        if not used or any(not k.isdecimal() or int(k) not in facts for k in used):
            raise wrong(f"{more[1]!r} must be numbers of facts of this story")
        questions.append(Question(len(lengths) - 1, tuple(facts.values()), text, answer))
    if not questions:
        raise DataError(f"{name}: holds no question; {_REMEDY}.")
    if lengths[-1] < min(lengths[:-1], default=0):
        raise wrong("the file ends within a story")
    return questions


def words(sentence: str) -> list[str]:
    """Words and marks: "Is it so?" -> Is, it, so, ?"""
    return _tokens(r"(\W+)", sentence)


def characters(sentence: str) -> list[str]:
    """What the published pattern gives since Python 3.7, where it also splits at nothing: every
    character but spaces.
    """
    return _tokens(r"(\W+)?", sentence)


def _tokens(pattern: str, sentence: str) -> list[str]:
    return [token.strip() for token in re.split(pattern, sentence) if token and token.strip()]


# --- arrays ---------------------------------------------------------------------------------------


def arrays(parts: Mapping[str, Sequence[Question]], split: str, published: bool) -> Arrays:
    """Tokens as padded integers, and row numbers of the splits.

    split: "fixed", a tenth of the training file's stories to validate, the test file to test;
    "published": the whole training file to train, the test file to validate and to test.
    published: characters as tokens, instead of words.
    """
    tokens = characters if published else words
    rows = [question for part in PARTS for question in parts[part]]
    stories = [[token for fact in row.facts for token in tokens(fact)] for row in rows]
    questions = [tokens(row.text) for row in rows]
    # As published: the answers are whole words also where stories are characters.
    vocabulary = sorted({t for text in (*stories, *questions) for t in text} | {"yes", "no"})
    number = {token: k for k, token in enumerate(vocabulary, 1)}
    n = len(parts["train"])
    test = np.arange(n, len(rows))
    valid = np.flatnonzero(_held_out(parts)) if split == "fixed" else test
    return Arrays(
        _pad(stories, number),
        _pad(questions, number),
        np.array([number[row.answer] for row in rows], dtype=np.int32),
        np.setdiff1d(np.arange(n), valid),
        valid,
        test,
        tuple(vocabulary),
    )


def _held_out(parts: Mapping[str, Sequence[Question]]) -> Any:
    """bool (n_train_questions,): whether a question's story serves to validate.

    A tenth of the stories, and stories of equal text together; those that the test file holds too
    come first, so that neither the validation nor the test set holds a story that is trained on.
    """
    texts: dict[int, tuple[str, ...]] = {}
    for question in parts["train"]:
        texts[question.story] = question.facts  # of the last question: all of them
    equal: dict[tuple[str, ...], list[int]] = {}
    for story, text in texts.items():
        equal.setdefault(text, []).append(story)
    known = {question.facts for question in parts["test"]}
    order = np.random.default_rng(stream_seed(SPLIT_SEED, "babi17")).permutation(len(equal))
    groups = [list(equal.items())[k] for k in order]
    groups.sort(key=lambda group: group[0] not in known)  # stable: the order stays otherwise
    wanted, chosen = max(1, round(len(texts) / 10)), set[int]()
    for _, group in groups:
        if len(chosen) + len(group) <= wanted:
            chosen.update(group)
    return np.array([question.story in chosen for question in parts["train"]])


def _pad(rows: Iterable[Sequence[str]], number: Mapping[str, int]) -> Any:
    """int32 (n, longest), zeros first."""
    rows = list(rows)
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
    for line, row in zip(padded, rows, strict=True):
        line[len(line) - len(row) :] = [number[token] for token in row]
    return padded
