"""What customers write on a simulated day, and what each text is about: the same for the same seed.

At midday the world drifts: new kinds of tickets come that nobody has seen, and some kinds are filed under another
category than in the morning.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 7
KINDS = 16  # of the 77: what one team tells apart
NEW = 0.2  # of the kinds, from midday on
MOVED = 0.1  # of the kinds: under another category from midday on
_GREETINGS = ("Hello,", "Hi there,", "Good morning,", "Dear team,", "Hi,", "")
_CLOSINGS = ("Thanks.", "Please help.", "Kind regards", "Thank you in advance.", "Can somebody look?", "")
_SWAPS = (
    ("cannot", "am not able to"),
    ("can't", "cannot"),
    ("does not", "will not"),
    ("since", "ever since"),
    ("need", "would like"),
    ("please", "kindly"),
    ("customer", "client"),
    ("error", "failure"),
    ("page", "screen"),
    ("broken", "not working"),
)


@dataclass(frozen=True, slots=True)
class Mail:
    """One ticket as it arrives, and the category that is right for it at that time."""

    title: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class World:
    """`mails` in the order of their arrival; those from `midday` on are of the changed world."""

    name: str
    mails: Sequence[Mail]
    midday: int
    known: Sequence[str]
    new: Sequence[str]
    moved: Mapping[str, str]


def world(data: Path | None, tickets: int) -> World:
    """A desk of a bank's customers where `data` holds Banking77; else one of the starter set's texts, varied."""
    chance = random.Random(SEED)
    file = data / "banking77_train.csv" if data else None
    if file is not None and file.is_file():
        return _drifting("Banking77", _banking(file, chance), tickets, chance)
    return _drifting("the starter set's texts, varied", _varied(chance), tickets, chance)


def _drifting(name: str, by_kind: Mapping[str, list[tuple[str, str]]], tickets: int, chance: random.Random) -> World:
    kinds = sorted(by_kind)
    chance.shuffle(kinds)
    new = kinds[: round(NEW * len(kinds))]
    known = sorted(kinds[len(new) :], key=lambda kind: -len(by_kind[kind]))  # much comes of what moves
    leaving = known[: max(1, round(MOVED * len(kinds)))]
    moved = dict(zip(leaving, known[len(leaving) :], strict=False))
    midday = tickets * 3 // 7  # the rhythm of a day has its middle a little earlier
    morning = _drawn({kind: by_kind[kind] for kind in known}, midday, chance)
    seen = {text for _, text in morning}
    unseen = {kind: [one for one in texts if one not in seen] for kind, texts in by_kind.items()}
    afternoon = _drawn(unseen, tickets - midday, chance)
    mails = [Mail(*text, label=kind) for kind, text in morning]
    mails += [Mail(*text, label=moved.get(kind, kind)) for kind, text in afternoon]
    return World(name, mails, len(morning), sorted(known), sorted(new), moved)


def _drawn(
    by_kind: Mapping[str, Sequence[tuple[str, str]]], many: int, chance: random.Random
) -> list[tuple[str, tuple[str, str]]]:
    every = [(kind, text) for kind, texts in sorted(by_kind.items()) for text in texts]
    chance.shuffle(every)
    return every[:many]


def _banking(file: Path, chance: random.Random) -> dict[str, list[tuple[str, str]]]:
    from triage.learning.evaluate import read_table

    by_kind: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in read_table(file, text=["text"], label="category"):
        text = " ".join(row.text.split())
        by_kind[_key(row.label)].append((" ".join(text.split()[:6]), text))
    return {kind: by_kind[kind] for kind in chance.sample(sorted(by_kind), KINDS)}


def _varied(chance: random.Random) -> dict[str, list[tuple[str, str]]]:
    """A desk that sorts by what a ticket is about, which the starter set calls its component: two of each text."""
    from triage.learning import starter

    by_kind: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in starter.rows():
        component = row.labels.get("component")
        if component:
            title, _, text = row.text.partition("\n")
            by_kind[_key(str(component))] += [(title.strip(), _variant(text.strip(), chance)) for _ in range(2)]
    return dict(by_kind)


def _variant(text: str, chance: random.Random) -> str:
    """The same matter in other words: sentences left out and moved, words swapped, another greeting and closing."""
    sentences = re.split(r"(?<=[.!?])\s+", text)
    if len(sentences) > 2:
        del sentences[chance.randrange(len(sentences))]
        if chance.random() < 0.5:
            chance.shuffle(sentences)
    told = " ".join(sentences)
    for word, other in _SWAPS:
        if chance.random() < 0.5:
            told = re.sub(rf"\b{word}\b", other, told)
    return "\n".join(filter(None, [chance.choice(_GREETINGS), told, chance.choice(_CLOSINGS)]))


def _key(label: str) -> str:
    """A label as a category's key may be spelled."""
    return re.sub(r"[^a-z0-9_]+", "_", label.lower()).strip("_")[:50]
