"""Reading bAbI task 17: archives, plain files, tokens, padding, splits, and damaged input."""

import gzip
import io
import tarfile

import numpy as np
import pytest

from models.data import babi, babi_generator
from suite.core.errors import ConfigError, DataError

STORY = """1 The red square is above the sphere.
2 The sphere is below the pink square.
3 Is the sphere below the red square?\tyes\t1
4 Is the red square above the pink square?\tno\t1 2
"""


@pytest.fixture(scope="module")
def generated():
    contents, names, _ = babi.generated()
    return {part: babi.parse(contents[part], names[part]) for part in babi.PARTS}


@pytest.fixture
def plain(tmp_path):
    folder = tmp_path / "babi"
    return babi_generator.write(folder, 20, 4)


def pack(path, files, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = (len(content) if kind == tarfile.REGTYPE else 0), kind
            member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path, plain, monkeypatch):
    """An archive in the published layout, with other files around the two that are wanted."""
    files = {f"{babi.MEMBERS}/{path.name}": path.read_bytes() for path in plain.iterdir()}
    files = {"tasks_1-20_v1-2/en/qa17_positional-reasoning_train.txt": b"other"} | files
    folder = tmp_path / "archive"
    folder.mkdir()
    path = pack(folder / babi.ARCHIVES[0], files)
    monkeypatch.setattr(babi, "ARCHIVE_BYTES", path.stat().st_size)
    return path


# --- where the data are ---------------------------------------------------------------------------


def test_the_archive_is_read_where_it_lies_and_gives_what_the_plain_files_give(archive, plain):
    before = sorted(archive.parent.iterdir())
    contents, names, origin = babi.texts(archive.parent)
    assert contents == babi.texts(plain)[0] and origin == "published archive"
    assert names["train"].endswith("en-10k/qa17_positional-reasoning_train.txt")
    assert sorted(archive.parent.iterdir()) == before
    assert babi.present(archive.parent) and not babi.loose(archive.parent)


def test_only_the_archive_or_its_unpacked_folder_is_called_real(archive, plain, tmp_path):
    assert babi.choose("auto", archive.parent) == ("real", archive.parent)
    assert babi.choose("auto", plain) == ("stand-in", plain)
    assert babi.choose("stand_in", archive.parent) == ("stand-in", None)
    assert babi.choose("auto", None) == babi.choose("auto", tmp_path / "no") == ("stand-in", None)
    unpacked = tmp_path / "unpacked" / babi.MEMBERS
    babi_generator.write(unpacked, 20, 4)
    assert babi.choose("real", tmp_path / "unpacked")[0] == "real"
    assert babi.texts(tmp_path / "unpacked")[2] == "published archive, unpacked"
    with pytest.raises(DataError, match="data=real.*swiftbench fetch babi"):
        babi.choose("real", plain)
    with pytest.raises(ConfigError, match="data=reel.*Did you mean real"):
        babi.choose("reel", plain)


def test_files_of_known_digest_have_their_origin_named(tmp_path, plain):
    assert babi.texts(plain)[2] == "loose files of unknown origin"
    whole = babi_generator.write(tmp_path / "whole")
    assert babi.texts(whole)[2] == "models.data.babi_generator, seed 17"
    assert babi.texts(whole)[0] == babi.generated()[0]


def test_an_unpacked_archive_of_known_generated_files_keeps_its_own_name(tmp_path):
    babi_generator.write(tmp_path / babi.MEMBERS)
    with pytest.raises(DataError, match="holds the files of models.data.babi_generator"):
        babi.texts(tmp_path)


# --- damaged archives -----------------------------------------------------------------------------


def test_an_archive_of_another_size_is_refused(archive):
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"tar\.gz: \d+ bytes, published are \d+; stage the data"):
        babi.texts(archive.parent)


def damaged(content):
    """Cut, filled up to its length, and bent in the middle."""
    half = len(content) // 2
    yield content[:half] + bytes(len(content) - half)
    yield (
        content[:half]
        + bytes(255 - byte for byte in content[half : half + 40])
        + content[half + 40 :]
    )
    yield b"x" * len(content)
    yield gzip.compress(b"no tar" * 1000)


@pytest.mark.parametrize("kind", range(4))
def test_a_damaged_archive_is_refused_by_name(archive, monkeypatch, kind):
    archive.write_bytes(list(damaged(archive.read_bytes()))[kind])
    monkeypatch.setattr(babi, "ARCHIVE_BYTES", archive.stat().st_size)
    with pytest.raises(DataError, match=r"tasks_1-20_v1-2\.tar\.gz: .*stage the data again"):
        babi.texts(archive.parent)


def test_an_archive_that_is_damaged_within_a_file_is_refused(tmp_path, monkeypatch):
    whole = babi_generator.write(tmp_path / "whole")
    files = {f"{babi.MEMBERS}/{path.name}": path.read_bytes() for path in sorted(whole.iterdir())}
    path = pack(tmp_path / babi.ARCHIVES[0], files)
    content = bytearray(path.read_bytes())
    content[-2000:-1900] = bytes(100)
    path.write_bytes(content)
    monkeypatch.setattr(babi, "ARCHIVE_BYTES", len(content))
    with pytest.raises(DataError, match=r"tar\.gz: is damaged"):
        babi.texts(tmp_path)


@pytest.mark.parametrize(
    ("files", "kind", "rule"),
    [
        ({"tasks_1-20_v1-2/README": b"x"}, tarfile.REGTYPE, "train.txt is missing"),
        (
            {f"{babi.MEMBERS}/qa17_positional-reasoning_train.txt": b""},
            tarfile.SYMTYPE,
            "no plain small file",
        ),
    ],
)
def test_an_archive_without_its_two_plain_files_is_refused(
    tmp_path, monkeypatch, files, kind, rule
):
    path = pack(tmp_path / babi.ARCHIVES[0], files, kind)
    monkeypatch.setattr(babi, "ARCHIVE_BYTES", path.stat().st_size)
    with pytest.raises(DataError, match=rf"tar\.gz: .*{rule}"):
        babi.texts(tmp_path)


def test_a_member_too_large_for_the_memory_is_refused(archive, monkeypatch):
    monkeypatch.setattr(babi, "_MOST_BYTES", 100)
    with pytest.raises(DataError, match="no plain small file"):
        babi.texts(archive.parent)


def test_an_empty_folder_is_refused_with_the_command_that_fills_it(tmp_path):
    with pytest.raises(DataError, match="neither.*swiftbench fetch babi --to DIR"):
        babi.texts(tmp_path)


# --- lines ----------------------------------------------------------------------------------------


def test_a_question_knows_the_facts_before_it_and_no_others():
    asked_early = STORY.replace("4 Is", "4 The sphere is above the square.\n5 Is")
    first, second = babi.parse(asked_early.encode(), "x")
    assert (first.story, first.text, first.answer) == (
        0,
        "Is the sphere below the red square?",
        "yes",
    )
    assert len(first.facts) == 2 and len(second.facts) == 3
    three = babi.parse((STORY * 2).encode(), "x")
    assert [question.story for question in three] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("1 The", "The", 1, "must begin with a number"),
        ("2 The", "3 The", 2, "number 3 must be 1 or follow 1"),
        ("1 The", "2 The", 1, "number 2 must be 1 or follow 0"),
        ("sphere.\n", "sphere\n", 1, "must be `fact.`"),
        ("2 The sphere is below the pink square.", "2 ", 2, "must be `fact.`"),
        ("\tyes\t1\n", "\n", 3, "must be `fact.`"),
        ("\tyes\t1\n", "\tyes\n", 3, "must be `fact.`"),
        ("square?\tyes", "square\tyes", 3, "must be `fact.`"),
        ("\tyes", "\tmaybe", 3, "answer='maybe' must be yes or no"),
        ("\t1 2", "\t1 3", 4, "'1 3' must be numbers of facts"),
        ("\t1 2", "\t", 4, "'' must be numbers of facts"),
        ("\t1 2", "\tone", 4, "'one' must be numbers of facts"),
        ("pink", "p\N{LATIN SMALL LETTER I WITH DIAERESIS}nk", 2, "not plain text"),
        ("\n2 The", "\n\n2 The", 2, "must begin with a number"),
    ],
)
def test_a_malformed_line_is_named_by_file_and_number(old, new, line, rule):
    assert old in STORY
    content = STORY.replace(old, new, 1).encode()
    with pytest.raises(DataError, match=f"some.txt, line {line}: .*{rule}.*stage the data again"):
        babi.parse(content, "some.txt")


def test_a_file_without_a_question_is_refused():
    for content in (b"", b"1 The red square is above the sphere.\n"):
        with pytest.raises(DataError, match=r"some\.txt: holds no question"):
            babi.parse(content, "some.txt")


def test_a_file_cut_off_within_a_story_is_refused():
    cut = (STORY * 3).rsplit("\n", 2)[0] + "\n"
    with pytest.raises(DataError, match=r"some\.txt, line 11: the file ends within a story"):
        babi.parse(cut.encode(), "some.txt")


def test_files_of_either_kind_of_line_end_are_the_same():
    assert babi.parse(STORY.encode(), "x") == babi.parse(STORY.replace("\n", "\r\n").encode(), "x")


# --- tokens and arrays ----------------------------------------------------------------------------


def test_both_tokenisers_on_one_sentence():
    assert babi.words("Is the red one here?") == ["Is", "the", "red", "one", "here", "?"]
    assert babi.characters("The red.") == list("Thered.")


def test_sizes_at_word_level_are_the_published_ones(generated):
    found = babi.arrays(generated, "fixed", published=False)
    assert found.sizes == (23, 24, 12)
    lengths = (found.story > 0).sum(1)
    assert (lengths.min(), lengths.max()) == (15, 24) and 20.2 < lengths.mean() < 20.6
    assert set(np.unique((found.question > 0).sum(1))) <= set(range(7, 13))


def test_published_tokens_are_characters_but_for_the_answers(generated):
    found = babi.arrays(generated, "published", published=True)
    assert found.sizes[0] == 29 and {len(t) for t in found.vocabulary} == {1, 2, 3}
    assert [token for token in found.vocabulary if len(token) > 1] == ["no", "yes"]
    assert 90 < found.sizes[1] < 100 and found.sizes[2] == 50


def test_rows_read_back_are_the_text_with_the_padding_in_front(generated):
    found = babi.arrays(generated, "fixed", published=False)
    for row, question in ((0, generated["train"][0]), (10_003, generated["test"][3])):
        text = [token for fact in question.facts for token in babi.words(fact)]
        line = found.story[row]
        assert [found.vocabulary[k - 1] for k in line[line > 0]] == text
        assert (line[: len(line) - len(text)] == 0).all()
        asked = found.question[row]
        assert [found.vocabulary[k - 1] for k in asked[asked > 0]] == babi.words(question.text)
        assert found.vocabulary[found.answer[row] - 1] == question.answer


def test_the_fixed_split_trains_on_no_story_that_it_validates_or_tests_on(generated):
    found = babi.arrays(generated, "fixed", published=False)
    assert [len(rows) for rows in (found.train, found.valid, found.test)] == [9000, 1000, 1000]
    rows = [*generated["train"], *generated["test"]]
    train, valid, test = (
        {rows[k].facts for k in part} for part in (found.train, found.valid, found.test)
    )
    assert not train & valid and not train & test
    numbers = [{rows[k].story for k in part} for part in (found.train, found.valid)]
    assert not numbers[0] & numbers[1] and len(numbers[1]) == 125
    assert sorted([*found.train, *found.valid, *found.test]) == list(range(11_000))


def test_the_same_story_told_twice_stays_on_one_side():
    contents = ["".join(s.text() for s in babi_generator.stories(10, 1, "x"))] * 4
    train = babi.parse("".join(contents).encode(), "x")
    test = babi.parse(babi_generator.stories(1, 2, "y")[0].text().encode(), "y")
    found = babi.arrays({"train": train, "test": test}, "fixed", published=False)
    sides = [{train[k].facts for k in part} for part in (found.train, found.valid)]
    assert not sides[0] & sides[1] and len(found.valid) == 4 * 8


def test_the_published_split_validates_on_the_test_file(generated):
    found = babi.arrays(generated, "published", published=False)
    assert len(found.train) == 10_000 and (found.valid == found.test).all()


def test_the_split_is_the_same_every_time(generated):
    one, two = (babi.arrays(generated, "fixed", published=False) for _ in range(2))
    assert (one.valid == two.valid).all() and one.valid[0] % 8 == 0
