"""The engine of last resort: keywords with word boundaries, as data in `rules.json`.

Its confidence is what the rules achieved on the starter set, per field and strength of the match; never a constant.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from triage.embedding.clean import clean
from triage.engines.tags import sensible
from triage.learning import starter
from triage.pipeline.types import FieldName, FieldReading, FieldValue, Inquiry, Taxonomy

DATA = Path(__file__).with_name("rules.json")
_Tree: TypeAlias = "dict[str, _Tree]"  # the terms of a pattern, piece by piece
_unspaced = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_END, _REST = "", r"\w*"  # of a term; of a word that a term only begins
_PRIOR_HITS, _PRIOR = 4.0, 0.4  # a bucket with few starter texts is believed little


@dataclass(frozen=True, slots=True)
class Rule:
    value: Any
    pattern: re.Pattern[str]
    weight: float


@dataclass(frozen=True, slots=True)
class Match:
    """The winner of a field: its words, and how strong it stands against the others (0 weak, 1 fair, 2 strong)."""

    value: Any
    words: tuple[str, ...]
    strength: int


class Rules:
    """The compiled keywords of one file."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.fields: dict[FieldName, tuple[Rule, ...]] = {
            cast(FieldName, name): tuple(
                Rule(row["value"], _pattern(row["any"]), float(row.get("weight", 1.0))) for row in rows
            )
            for name, rows in data.items()
            if name not in ("tags", "policy", "asked_for_human")
        }
        tagged = {_plain(term): str(row["value"]) for row in data.get("tags", ()) for term in row["any"]}
        self._tags, self._tag_words = tagged, _pattern(list(tagged)) if tagged else None
        # Reasons for a person to look, whatever the confidence; that one is asked for comes first.
        escalating = [*([data["asked_for_human"]] if "asked_for_human" in data else []), *data.get("policy", ())]
        self.policies = tuple((_pattern(row["any"]), str(row["reason"])) for row in escalating)
        self._precision: dict[tuple[str, int], float] | None = None

    def match(self, name: FieldName, words: str) -> Match | None:
        """The best value of one field, or None when no keyword of it stands in the text."""
        scores: dict[Any, float] = defaultdict(float)
        found: dict[Any, list[str]] = defaultdict(list)
        for rule in self.fields.get(name, ()):
            hits = _hits(rule.pattern, words)
            if hits:
                # A word said ten times says little more than one said twice.
                scores[rule.value] += rule.weight * (1 + 0.5 * min(len(hits) - 1, 3))
                found[rule.value].extend(hits)
        if not scores:
            return None
        value, score = max(scores.items(), key=lambda item: item[1])
        share = score / sum(scores.values())
        strength = 2 if share > 0.75 and (score >= 2 or len(scores) == 1) else 1 if share > 0.5 else 0
        return Match(value, tuple(dict.fromkeys(found[value]))[:4], strength)

    def policy(self, words: str) -> tuple[str, ...]:
        """Why a person must look: one sentence for each policy whose words stand in the cleaned text."""
        plain = _plain(words)
        found = ((reason, _hits(pattern, plain)) for pattern, reason in self.policies)
        return tuple(f"{reason} (Words: {_quoted(hits[:2])}.)" for reason, hits in found if hits)

    def read(self, inquiry: Inquiry, taxonomy: Taxonomy) -> dict[FieldName, FieldReading]:
        """A reading of every field whose keywords stand in the text."""
        words = _plain(clean(inquiry.text))
        readings: dict[FieldName, FieldReading] = {}
        for name in self.fields:
            match = self.match(name, words)
            allowed = taxonomy.values(name)
            if match is None or (allowed is not None and match.value not in allowed):
                continue
            confidence = self.precision(name, match.strength)
            readings[name] = FieldReading(match.value, confidence, f"Words: {_quoted(match.words)}.", "rules")
        if "team" not in readings and "category" in readings:
            team = self._default_team(readings["category"], taxonomy)
            if team is not None:
                readings["team"] = team
        return readings

    def tags(self, words: str, taxonomy: Taxonomy | None = None) -> FieldReading | None:
        """The tags whose words stand in the subject, the cleaned text's first line, in the order of their first word.

        What a body mentions is seldom what a ticket is about.
        """
        if self._tag_words is None:
            return None
        hits = _hits(self._tag_words, _plain(words.split("\n", 1)[0]))
        found = sensible((self._tags[hit] for hit in hits if hit in self._tags), taxonomy)
        if not found:
            return None
        return FieldReading(found, self.precision("tags", 1), f"Words: {_quoted(hits[:4])}.", "rules")

    def precision(self, name: str, strength: int) -> float:
        """How often a match of this strength was right on the starter set."""
        return self.measured().get((name, strength), _PRIOR)

    def measured(self) -> Mapping[tuple[str, int], float]:
        """The precision by field and strength, measured when it is first asked for, which takes a moment."""
        if self._precision is None:
            self._precision = {}  # what is asked for while it is measured
            self._precision = _measure(self, starter.rows())
        return self._precision

    def _default_team(self, category: FieldReading, taxonomy: Taxonomy) -> FieldReading | None:
        for label in taxonomy.categories:
            if label.key == category.value and label.default_team:
                confidence = min(category.confidence, self.precision("default_team", 1))
                return FieldReading(label.default_team, confidence, f"The usual team for {label.name}.", "rules")
        return None


@lru_cache(maxsize=1)
def load() -> Rules:
    """The rules that ship, compiled once a process."""
    return Rules(json.loads(DATA.read_text(encoding="utf-8")))


def _pattern(terms: Sequence[str]) -> re.Pattern[str]:
    """Any of the terms as whole words, the longest first; a term that ends in `*` also begins longer ones.

    Terms that begin alike share that part of the expression: tried one after the other they take fifteen times as long.
    """
    tree: _Tree = {}
    unspaced = []
    for term in sorted(terms, key=len, reverse=True):
        plain = _plain(term)
        pieces = _pieces(plain)
        if _unspaced.search(plain):  # Chinese and Japanese have no spaces: their words have no boundary to look for
            unspaced.append("".join(pieces))
            continue
        node = tree
        for piece in pieces:
            node = node.setdefault(piece, {})
        node[_END] = {}
    spaced = [rf"(?<!\w){_branch(tree)}(?!\w)"] if tree else []
    return re.compile("|".join([*spaced, *unspaced]) or r"(?!)")


def _pieces(plain: str) -> list[str]:
    words = plain.rstrip("*").split()
    characters = [[re.escape(character) for character in word] for word in words]
    joined = [piece for word in characters for piece in (r"\s+", *word)][1:]
    return [*joined, _REST] if plain.endswith("*") else joined


def _branch(tree: _Tree) -> str:
    arms = [piece + _branch(rest) for piece, rest in tree.items() if piece not in (_END, _REST)]
    if _REST in tree:
        arms.append(_REST)  # after what is longer
    if not arms:
        return ""
    if _END in tree:
        return f"(?:{'|'.join(arms)})?"
    return arms[0] if len(arms) == 1 else f"(?:{'|'.join(arms)})"


def _plain(text: str) -> str:
    return text.lower().replace("\u2019", "'").replace("\u2018", "'")


def _hits(pattern: re.Pattern[str], words: str) -> list[str]:
    return list(dict.fromkeys(" ".join(hit.group().split()) for hit in pattern.finditer(words)))


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"\u201c{word}\u201d" for word in words)


def _measure(rules: Rules, rows: Sequence[starter.Row]) -> dict[tuple[str, int], float]:
    right: dict[tuple[str, int], float] = defaultdict(float)
    seen: dict[tuple[str, int], float] = defaultdict(float)
    usual = {key: _most_common(values) for key, values in _teams_by_category(rows).items()}

    def count(name: str, strength: int, hit: bool) -> None:
        seen[name, strength] += 1
        right[name, strength] += hit

    for row in rows:
        words = _plain(clean(row.text))
        tags = rules.tags(words)
        for tag in cast(tuple[str, ...], tags.value if tags else ()):
            count("tags", 1, tag in cast(tuple[str, ...], row.labels.get("tags", ())))
        for name in rules.fields:
            match = rules.match(name, words)
            if match is not None and name in row.labels:
                count(name, match.strength, row.labels[name] == match.value)
                if name == "category":
                    count("default_team", 1, usual.get(match.value) == row.labels.get("team"))
    return {key: (right[key] + _PRIOR * _PRIOR_HITS) / (seen[key] + _PRIOR_HITS) for key in seen}


def _teams_by_category(rows: Sequence[starter.Row]) -> dict[FieldValue, list[FieldValue]]:
    teams: dict[FieldValue, list[FieldValue]] = defaultdict(list)
    for row in rows:
        teams[row.labels.get("category")].append(row.labels.get("team"))
    return teams


def _most_common(values: Sequence[FieldValue]) -> FieldValue:
    return max(set(values), key=lambda value: (values.count(value), str(value)))
