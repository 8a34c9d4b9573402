"""English-like sentences from a small grammar: a STAND-IN for Penn Treebank.

hardware: 1 thread of a 2-core x86-64 virtual machine, shared; versions: Python 3.11; n = 1; number: 5,000
sentences of 13 words in 0.2 s of the processor; lineage: a probabilistic context-free grammar (Booth and
Thompson 1973), ours in rules and words.

Subjects and verbs agree over what stands between them, words of a topic come together, and words of a
kind are drawn by Zipf's law: so that a model gains by words long before. Nothing else is like news
text.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

from suite.core.errors import check_integer
from suite.core.seeds import stream_seed

SEED = 93
# Sentences of each part, where the target does not ask for fewer.
SIZES = {"train": 4000, "valid": 500, "test": 500}
_TOPICS: dict[str, tuple[str, str, str]] = {  # nouns, verbs (plain form), adjectives
    "markets": (
        "bank share bond price investor trader market fund dollar rate broker index loan profit deal",
        "sell buy trade raise report offer cut gain lose hold drop price",
        "stable foreign annual net short strong weak corporate",
    ),
    "law": (
        "court judge lawyer law trial appeal case ruling company witness claim jury panel suit clerk",
        "rule appeal deny grant settle file argue claim reject hear dismiss order",
        "federal civil guilty former legal public final narrow",
    ),
    "industry": (
        "plant maker car engine worker union factory product model line firm truck unit part supplier",
        "build make design ship assemble test order deliver plan close open expand",
        "new large small domestic idle modern heavy reliable",
    ),
    "science": (
        "laboratory scientist study gene drug patient test cell result method doctor virus trial sample",
        "study find test treat measure confirm describe publish show observe compare isolate",
        "early clinical rare human likely recent healthy promising",
    ),
}
_DETERMINERS = {False: "the a this every", True: "the some these many"}
_PREPOSITIONS = "of in for with by near after under"
_ADVERBS = "also still never often quickly rarely already now"
_TIMES = "yesterday,last week,this year,in october,on monday,next month,for years,at once"
_CONNECTIVES = "but and while because although as"
_SAYS = "said added noted warned explained agreed"


def sentences(part: str, n: int | None = None, seed: int = SEED) -> list[list[str]]:
    """`n` sentences of "train", "valid" or "test", None: SIZES; the first m are those of sentences(part, m).

    Raises ConfigError for n < 1.
    """
    n = SIZES[part] if n is None else n
    check_integer("n_sentences", n, 1)
    rng = random.Random(stream_seed(seed, "ptb_grammar", part))
    return [_sentence(rng) for _ in range(n)]


def _sentence(rng: random.Random) -> list[str]:
    topic = _TOPICS[_zipf(rng, list(_TOPICS))]
    words = _clause(rng, topic)
    if rng.random() < 0.3:
        words += [_zipf(rng, _CONNECTIVES), *_clause(rng, topic)]
    if rng.random() < 0.2:
        words += [",", *_noun_phrase(rng, topic, False, 0), _zipf(rng, _SAYS)]
    return words


def _clause(rng: random.Random, topic: Any) -> list[str]:
    plural = rng.random() < 0.45
    verb = _zipf(rng, topic[1])
    words = _noun_phrase(rng, topic, plural, 1)
    if rng.random() < 0.25:
        words += [_zipf(rng, _ADVERBS)]
    words += [verb if plural else _third_person(verb)]
    words += _noun_phrase(rng, topic, rng.random() < 0.4, 1)
    if rng.random() < 0.35:
        words += _zipf(rng, _TIMES.split(",")).split()
    return words


def _noun_phrase(rng: random.Random, topic: Any, plural: bool, depth: int) -> list[str]:
    """With a phrase in between now and then, whose noun is of a number of its own."""
    words = [_zipf(rng, _DETERMINERS[plural])]
    if rng.random() < 0.4:
        words += [_zipf(rng, topic[2])]
    words += [_plural(noun) if plural else noun for noun in [_zipf(rng, topic[0])]]
    if depth and rng.random() < 0.35:
        words += [
            _zipf(rng, _PREPOSITIONS),
            *_noun_phrase(rng, topic, rng.random() < 0.5, depth - 1),
        ]
    return words


def _zipf(rng: random.Random, words: Any) -> str:
    """A word, the k-th with a probability proportional to 1 / k."""
    words = words.split() if isinstance(words, str) else words
    weights = list(itertools.accumulate(1.0 / k for k in range(1, len(words) + 1)))
    chosen: str = rng.choices(words, cum_weights=weights)[0]
    return chosen


def _third_person(verb: str) -> str:
    if verb == "deny":
        return "denies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch")) else "s")


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")
