"""What a person changed in a text, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

# Comparing costs the product of both lengths: beyond so many words whole lines are compared.
MOST_WORDS = 3_000
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text: the same in both, only in the one before, or only in the one after."""

    kind: Literal["same", "gone", "new"]
    text: str


def difference(before: str, after: str) -> list[Part]:
    """Both texts as one, in order; what was replaced comes before what replaced it."""
    ours, theirs = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(ours), len(theirs)) > MOST_WORDS:
        ours, theirs = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return list(_parts(ours, theirs))


def _parts(before: list[str], after: list[str]) -> Iterator[Part]:
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Part("same", "".join(before[a:b]))
            continue
        if b > a:
            yield Part("gone", "".join(before[a:b]))
        if d > c:
            yield Part("new", "".join(after[c:d]))
