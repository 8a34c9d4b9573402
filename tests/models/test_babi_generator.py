"""Our generator of bAbI task 17 against the description and the public generator's files."""

import collections
import math

import pytest

from kit.driving import DATA
from models.data import babi
from models.data.babi_generator import OPPOSITE, SHAPES, WORDS, Story, axes, solve, stories, write
from suite.core.errors import ConfigError, DataError

OURS = stories(1250)


def public():
    """Stories of the public generator's files, where they are at hand."""
    folder = DATA / "babi"
    if not babi.loose(folder):
        pytest.skip(f"{folder} holds no file of the public generator")
    contents, names, origin = babi.texts(folder)
    assert origin.startswith("public")
    found = collections.defaultdict(list)
    for part in babi.PARTS:
        for question in babi.parse(contents[part], names[part]):
            found[part, question.story, question.facts].append((question.text, question.answer))
    return [Story(facts, tuple(asked)) for (_, _, facts), asked in found.items()]


def test_the_opposite_of_the_opposite_is_the_word_itself():
    assert len(SHAPES) == 20 and set(OPPOSITE) == set(WORDS)
    assert all(OPPOSITE[OPPOSITE[word]] == word != OPPOSITE[word] for word in WORDS)


def test_the_solver_answers_a_story_worked_by_hand():
    facts = ("The red square is to the left of the sphere.", "The sphere is below the blue square.")
    for question, answer in {
        "Is the red square below the blue square?": "yes",
        "Is the red square above the blue square?": "no",
        "Is the blue square to the right of the red square?": "yes",
        "Is the blue square to the left of the sphere?": "no",
        "Is the sphere to the right of the red square?": "yes",
    }.items():
        assert solve(facts, question) == answer
    assert axes(facts) == "both"


@pytest.mark.parametrize(
    "question", ["Is the cube above the sphere?", "Is the sphere above the sphere?", "Why?"]
)
def test_the_solver_refuses_what_is_not_of_this_grammar(question):
    with pytest.raises(DataError, match="stage the data again"):
        solve(OURS[0].facts, question)


def test_the_solver_says_which_shape_no_fact_places():
    with pytest.raises(DataError, match="do not place the blue sphere"):
        solve(("The square is above the sphere.",), "Is the blue sphere above the square?")


@pytest.mark.parametrize("source", ["ours", "public"])
def test_the_solver_answers_all_questions_from_the_facts(source):
    found = OURS + stories(125, part="test") if source == "ours" else public()
    assert len(found) == 1375 and all(len(story.questions) == 8 for story in found)
    wrong = [s for s in found if any(solve(s.facts, q) != a for q, a in s.questions)]
    assert not wrong


def shares(found):
    """name -> (share, of how many): everything that the description fixes the frequency of."""
    facts = [fact for story in found for fact in story.facts]
    asked = [pair for story in found for pair in story.questions]
    shapes = [[s for s in SHAPES if any(named(s, f) for f in story.facts)] for story in found]
    assert all(len(three) == 3 for three in shapes)
    bare = [sum(" " not in shape for shape in three) for three in shapes]
    twins = [any(a != b and b.endswith(f" {a}") for a in three for b in three) for three in shapes]
    one_of = collections.Counter(axes(story.facts) for story in found)
    n = len(found)
    result = {f"axes {name}": (one_of[name] / n, n) for name in ("both", "horizontal", "vertical")}
    result["bare shapes"] = (sum(bare) / (3 * n), 3 * n)
    result["a bare and a coloured one of a kind"] = (sum(twins) / n, n)
    result["yes"] = (sum(a == "yes" for _, a in asked) / len(asked), len(asked))
    for word in WORDS:
        about = [a for q, a in asked if f" {word} the " in q]
        result[f"fact {word}"] = (sum(f" {word} the " in f for f in facts) / len(facts), len(facts))
        result[f"asked {word}"] = (len(about) / len(asked), len(asked))
        result[f"yes to {word}"] = (sum(a == "yes" for a in about) / len(about), len(about))
    different = sum(len(set(story.questions)) for story in found)
    result["different questions"] = (different / len(asked), len(asked))
    return result


def named(shape, fact):
    return f"the {shape} " in f"{fact[0].lower()}{fact[1:-1]} "


def test_our_frequencies_are_those_of_the_description():
    found = shares(stories(5000, seed=3))
    expected = {"axes both": 2 / 3, "axes horizontal": 1 / 6, "axes vertical": 1 / 6, "yes": 0.5}
    expected |= {f"{what} {word}": 0.25 for what in ("fact", "asked") for word in WORDS}
    expected |= {f"yes to {word}": 0.5 for word in WORDS}
    # Questions of one story are not independent: twice the binomial deviation is allowed for.
    for name, share in expected.items():
        n = found[name][1]
        assert abs(found[name][0] - share) < 8 * math.sqrt(share * (1 - share) / n), name


def test_our_frequencies_are_those_of_the_public_generator():
    ours, theirs = shares(stories(5000, seed=3)), shares(public())
    for name, (share, n) in theirs.items():
        pooled = (share + ours[name][0]) / 2
        deviation = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / ours[name][1]))
        assert abs(share - ours[name][0]) < 6 * deviation + 1e-9, name


def test_a_coloured_shape_may_follow_a_bare_one_of_its_kind_but_not_the_reverse():
    """Shapes in the order they were drawn: the first fact's outer one, the shared one, the last."""
    orders = []
    for story in stories(2000):
        first, second = ([s for s in SHAPES if named(s, fact)] for fact in story.facts)
        shared = next(shape for shape in first if shape in second)
        orders.append([*(s for s in first if s != shared), shared])
        orders[-1] += [s for s in second if s != shared]
    later = [(a, b) for order in orders for k, a in enumerate(order) for b in order[k + 1 :]]
    assert any(b.endswith(f" {a}") for a, b in later)
    assert not any(a.endswith(f" {b}") for a, b in later)


def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path):
    contents = {}
    for name, seed in (("one", 17), ("again", 17), ("other", 18)):
        folder = write(tmp_path / name, 20, 5, seed=seed)
        contents[name] = {path.name: path.read_text() for path in folder.iterdir()}
    assert contents["one"] == contents["again"] != contents["other"]
    assert len(contents["one"]["qa17_positional-reasoning_train.txt"].splitlines()) == 200
    train, test = (contents["one"][babi.FILE.format(part=part)] for part in babi.PARTS)
    assert test not in train, "the two parts are different draws"
    longer = "".join(story.text() for story in stories(30))
    assert longer.startswith(train), "more stories leave the first ones as they were"


def test_other_files_of_these_names_are_not_overwritten(tmp_path):
    write(tmp_path, 3, 1)
    write(tmp_path, 3, 1)  # the same content may be written again
    with pytest.raises(DataError, match=r"train\.txt: exists with other content"):
        write(tmp_path, 4, 1)


def test_no_story_at_all_is_refused():
    with pytest.raises(ConfigError, match="n_stories=0"):
        stories(0)
