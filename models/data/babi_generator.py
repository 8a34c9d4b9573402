"""bAbI task 17 (positional reasoning) written anew: the text of stories, questions and answers.

hardware: 1 thread of a 2-core x86-64 virtual machine; versions: Python 3.11; n = 5; number:
0.022 s for 1,375 stories (11,000 questions); lineage: the process of Weston et al. 2015
("Towards AI-complete question answering", arXiv:1502.05698) as its public generator runs it, from
a description; no line of that generator was used.

The data are a STAND-IN for the published files: same grammar, vocabulary and balance, other draws.

    folder = write("/data/babi", seed=17)        # qa17_positional-reasoning_{train,test}.txt
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from suite.core.errors import DataError, check_integer
from suite.core.seeds import stream_seed

SEED = 17
KINDS = ("square", "rectangle", "triangle", "sphere")
COLOURS = ("red", "blue", "pink", "yellow")
SHAPES = (*KINDS, *(f"{colour} {kind}" for kind in KINDS for colour in COLOURS))
OFFSETS = {  # text -> (columns east, rows north), by which the first shape is off the second
    "to the left of": (-1, 0),
    "to the right of": (1, 0),
    "above": (0, 1),
    "below": (0, -1),
}
OPPOSITE = {a: b for a, (x, y) in OFFSETS.items() for b, to in OFFSETS.items() if to == (-x, -y)}
# Indexed by 2 * axis + sign.
WORDS = tuple(OFFSETS)
# Questions in a story.
QUESTIONS = 8
NAME = "qa17_positional-reasoning_{part}.txt"

_FACT = re.compile(rf"The ([a-z ]+?) is ({'|'.join(WORDS)}) the ([a-z ]+)\.")
_QUESTION = re.compile(rf"Is the ([a-z ]+?) ({'|'.join(WORDS)}) the ([a-z ]+)\?")


@dataclass(frozen=True, slots=True)
class Story:
    """Two facts and eight (question, "yes" or "no")."""

    facts: tuple[str, str]
    questions: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """Ten numbered lines; a tab before the answer and before the numbers of the facts used."""
        lines = [f"{n} {fact}\n" for n, fact in enumerate(self.facts, 1)]
        lines += [f"{n} {q}\t{a}\t1 2\n" for n, (q, a) in enumerate(self.questions, 3)]
        return "".join(lines)


def stories(n: int, seed: int = SEED, part: str = "train") -> list[Story]:
    """`n` stories; the first m of them are those of stories(m, seed, part).

    Three different shapes; each next one beside the last, never on an occupied cell; either fact
    said in one of two ways; questions about ordered pairs, half of them true, which may repeat.
    Raises ConfigError for n < 1.
    """
    check_integer("n_stories", n, 1)
    draw = _Draws(stream_seed(seed, "babi17", part))
    return [_story(draw) for _ in range(n)]


def write(
    folder: str | Path, n_train_stories: int = 1250, n_test_stories: int = 125, seed: int = SEED
) -> Path:
    """Write the training and the test file into `folder` and return it: 10,000 + 1,000 questions.

    Raises ConfigError for fewer than one story, DataError where the folder holds other files of
    these names (published ones may not be overwritten).
    """
    folder = Path(folder)
    wanted = {
        folder / NAME.format(part=part): "".join(s.text() for s in stories(n, seed, part)).encode()
        for part, n in (("train", n_train_stories), ("test", n_test_stories))
    }
    for path, text in wanted.items():
        if path.exists() and path.read_bytes() != text:
            raise DataError(f"{path}: exists with other content; write to another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_bytes(text)
    return folder


def solve(facts: Sequence[str], question: str) -> str:
    """The answer, from the text alone: "yes" or "no".

    Raises DataError for a sentence that is not of this grammar, or a shape that no fact places.
    """
    edges: dict[str, list[tuple[str, int, int]]] = {}
    for fact in facts:
        a, word, b = _parse(_FACT, fact)
        x, y = OFFSETS[word]
        edges.setdefault(b, []).append((a, x, y))
        edges.setdefault(a, []).append((b, -x, -y))
    a, word, b = _parse(_QUESTION, question)
    places, todo = {b: (0, 0)}, [b]
    for here in todo:
        for there, x, y in edges.get(here, ()):
            if there not in places:
                places[there] = (places[here][0] + x, places[here][1] + y)
                todo.append(there)
    if a not in places:
        raise DataError(f"question={question}: the facts {facts} do not place the {a}.")
    (dx, dy), (x, y) = places[a], OFFSETS[word]
    return "yes" if dx * x + dy * y > 0 else "no"


def axes(facts: Sequence[str]) -> str:
    """Which axes the facts use: "both", "horizontal" or "vertical"."""
    horizontal = {OFFSETS[_parse(_FACT, fact)[1]][0] != 0 for fact in facts}
    return "both" if len(horizontal) == 2 else "horizontal" if horizontal == {True} else "vertical"


class _Draws:
    """Uniform choices made of `random.Random.random`, the one method whose numbers Python promises
    to keep for ever.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, n: int) -> int:
        return int(self._random() * n)


def _story(draw: _Draws) -> Story:
    chosen: list[str] = []
    while len(chosen) < 3:
        shape = SHAPES[draw.below(len(SHAPES))]
        # The generator's rule is one-sided: a bare "square" may not follow a "red square", but a
        # red one may follow a bare one.
        kinds = {name.split()[-1] for name in chosen}
        if shape not in chosen and shape not in kinds:
            chosen.append(shape)

    places, facts = [(0, 0)], []
    for a, b in pairwise(chosen):
        while True:
            word = WORDS[2 * draw.below(2) + draw.below(2)]
            (x, y), (dx, dy) = places[-1], OFFSETS[word]
            # Shape a is `word` of b, so b lies on the other side.
            if (x - dx, y - dy) not in places:
                break
        places.append((x - dx, y - dy))
        fact = (a, word, b) if draw.below(2) else (b, OPPOSITE[word], a)
        facts.append("The {} is {} the {}.".format(*fact))

    questions = []
    for _ in range(QUESTIONS):
        first = draw.below(3)
        second = (first + 1 + draw.below(2)) % 3
        apart = [places[first][k] - places[second][k] for k in (0, 1)]
        differ = [k for k in (0, 1) if apart[k]]
        axis = differ[draw.below(len(differ))]
        word = next(word for word in WORDS if OFFSETS[word][axis] * apart[axis] > 0)
        true = draw.below(2) == 1
        asked = f"Is the {chosen[first]} {word if true else OPPOSITE[word]} the {chosen[second]}?"
        questions.append((asked, "yes" if true else "no"))
    return Story((facts[0], facts[1]), tuple(questions))


def _parse(pattern: re.Pattern[str], sentence: str) -> tuple[str, str, str]:
    parts = pattern.fullmatch(sentence)
    if parts is None or not {parts[1], parts[3]} <= set(SHAPES) or parts[1] == parts[3]:
        raise DataError(f"sentence={sentence}: is not one of task 17; stage the data again.")
    return parts[1], parts[2], parts[3]
