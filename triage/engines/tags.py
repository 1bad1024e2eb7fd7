"""Tags: the few words of a ticket that others like it were given too. None rather than a bad one.

A tag is likely when its words stand in the subject, when those words have meant it before, and when texts like this one
have it. The weights are those of a logistic regression on the starter set, leave-one-out, over all known tags.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from triage.embedding.clean import clean
from triage.learning import starter
from triage.pipeline.types import MAX_TAGS, Taxonomy

SYNONYMS = Path(__file__).with_name("rules.json")

# Of the tags at least this likely, 55 in 100 were among the two or so that the author of a starter text had given, and
# half of the texts have one; of all whose words merely stand there, 40 in 100 were.
LIKELY = 0.3
_BIAS, _IN_SUBJECT, _IN_BODY, _TELLING, _SHARE = -3.4, 1.1, -0.8, 4.0, 4.1
_PRIOR_HITS, _PRIOR = 2.0, 0.25  # how often a word that is new to us means its tag
_LONGEST = 4  # words
# True of too many tickets to tell one from another; most name a kind of ticket, which is the category's to say.
_FILLERS = frozenset({"bug", "change", "error", "feature", "how-to", "ideas", "issue", "problem", "question", "request",
                      "unclear", "update", "urgent"})  # fmt: skip
_word = re.compile(r"[^\W_]+")
_joined = re.compile(r"\b(wi|e)-(fi|mail)\b")

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Likely:
    """Tags, likeliest first; `probability` is that of being one its author would have given, on average."""

    tags: tuple[str, ...]
    probability: float


@dataclass(slots=True)
class Known:
    """The tags there are, the words that stand for each, and how often those words have meant it."""

    _phrases: dict[Phrase, set[str]] = field(default_factory=lambda: defaultdict(set))
    _stood: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _meant: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def of(cls, texts: Iterable[tuple[str, Sequence[str]]], synonyms: Mapping[str, Iterable[str]]) -> Known:
        """From cleaned texts with the tags they were given, and further words for a tag."""
        known, texts = cls(), list(texts)
        for tag in {tag for _, tags in texts for tag in tags} | set(synonyms):
            for words in (tag, *synonyms.get(tag, ())):
                known._phrases[phrase(words)].add(tag)
        for text, tags in texts:
            for tag in known.standing_in(text):
                known._stood[tag] += 1
                known._meant[tag] += tag in tags
        return known

    def standing_in(self, text: str) -> set[str]:
        """The tags whose words stand in a text."""
        words = phrase(text)
        runs = (words[at : at + size] for size in range(1, _LONGEST + 1) for at in range(len(words) - size + 1))
        return {tag for run in runs if run in self._phrases for tag in self._phrases[run]}

    def telling(self, tag: str) -> float:
        """How often the tag was meant where its words stood."""
        return (self._meant.get(tag, 0) + _PRIOR * _PRIOR_HITS) / (self._stood.get(tag, 0) + _PRIOR_HITS)

    def likely(self, text: str, shares: Mapping[str, float], taxonomy: Taxonomy | None = None) -> Likely:
        """The tags of a cleaned text. `shares`: how much of the weight of the texts like it has a tag, 0 to 1.

        The first line is the subject. A tag that only repeats a category's name, or another tag, is left out.
        """
        first_line, parted, _ = text.partition("\n")
        subject = self.standing_in(first_line)
        body = self.standing_in(text) if parted else subject
        scores = {tag: self._probability(tag, subject, body, shares.get(tag, 0.0)) for tag in {*body, *shares}}
        ranked = sorted((tag for tag in scores if scores[tag] >= LIKELY), key=lambda tag: (-scores[tag], tag))
        chosen = sensible(ranked, taxonomy)
        return Likely(chosen, sum(scores[tag] for tag in chosen) / len(chosen) if chosen else 0.0)

    def _probability(self, tag: str, subject: set[str], body: set[str], share: float) -> float:
        score = _BIAS + _SHARE * share
        if tag in subject or tag in body:
            score += (_IN_SUBJECT if tag in subject else _IN_BODY) + _TELLING * self.telling(tag)
        return 1 / (1 + math.exp(-score))


@lru_cache(maxsize=1)
def load() -> Known:
    """The tags of the starter set, with the synonyms of `rules.json`; read once a process."""
    data = json.loads(SYNONYMS.read_text(encoding="utf-8"))
    texts = ((clean(row.text), cast(tuple[str, ...], row.labels.get("tags", ()))) for row in starter.rows())
    return Known.of(texts, {row["value"]: row["any"] for row in data["tags"]})


def sensible(tags: Iterable[str], taxonomy: Taxonomy | None = None) -> tuple[str, ...]:
    """The first five without fillers, without a tag that repeats an earlier one, without names of categories."""
    names = _names(tuple((label.key, label.name) for label in taxonomy.categories) if taxonomy else ())
    chosen: list[str] = []
    for tag in tags:
        if tag not in _FILLERS and _phrase_of_name(tag) not in names and not any(_repeats(tag, one) for one in chosen):
            chosen.append(tag)
    return tuple(chosen[:MAX_TAGS])


def phrase(text: str) -> Phrase:
    """The words of a text as they are compared: in small letters, one for singular and plural."""
    return tuple(_singular(word) for word in _word.findall(_joined.sub(r"\1\2", text.lower())))


@lru_cache(maxsize=8)  # the same taxonomy comes with many texts
def _names(categories: tuple[tuple[str, str], ...]) -> frozenset[Phrase]:
    return frozenset(phrase(name) for key, label in categories for name in (key.replace("_", " "), label))


@lru_cache(maxsize=2_000)  # tags and categories are few, and every reading compares them
def _phrase_of_name(name: str) -> Phrase:
    return phrase(name)


@lru_cache(maxsize=20_000)  # the same few thousand words come again and again
def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")) else word


def _repeats(tag: str, other: str) -> bool:
    words, others = {*_phrase_of_name(tag)}, {*_phrase_of_name(other)}
    return words <= others or others <= words
