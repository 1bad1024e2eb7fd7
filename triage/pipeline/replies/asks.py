"""What a reply asks the customer for: the most useful of what the category needs and the text does not tell."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from triage.embedding.clean import MAX_RAW
from triage.pipeline.replies import DEFAULT, FOLDER, texts
from triage.pipeline.types import Inquiry

_READ = 2 * MAX_RAW
_quoted_line = re.compile(r"^[ \t]*>.*$", re.MULTILINE)


def missing(category: str, inquiry: Inquiry, language: str) -> list[str]:
    """The names of what to ask for, at most as many as `asks.toml` says. What a text tells is not asked for again."""
    data = _data()
    text = _own_words(inquiry)
    wanted = data["category"].get(category, data["category"]["other"])
    return [ask for ask in wanted if not told(ask, text, language)][: data["most"]]


def told(ask: str, text: str, language: str) -> bool:
    """Whether a text shows, by a word or a shape, that it answers this already."""
    return any(pattern.search(text) for name in _answers(ask) if (pattern := _pattern(name, language)))


def _own_words(inquiry: Inquiry) -> str:
    """What the customer wrote, without the lines that quote us."""
    text = unicodedata.normalize("NFC", inquiry.text[:_READ]).replace("\u2019", "'")
    return _quoted_line.sub("", text)


def _answers(ask: str) -> Iterator[str]:
    yield ask
    while ask := _data()["answered_by"].get(ask, ""):
        yield ask


@lru_cache(maxsize=256)
def _pattern(name: str, language: str) -> re.Pattern[str] | None:
    """One expression for a name: shapes, and the words of all languages, of the default one and of this one."""
    data = _data()
    months = "|".join(month for names in data["months"].values() for month in names)
    shapes = [shape.replace("{month}", months) for shape in data["shapes"].get(name, ())]
    words = data["words"].get(name, []) + [
        word for one in dict.fromkeys((DEFAULT, language)) for word in texts(one)["told"].get(name, ())
    ]
    parts = [*shapes, *_spelt(words)]
    return re.compile("|".join(parts), re.IGNORECASE | re.MULTILINE) if parts else None


def _spelt(words: Sequence[str]) -> list[str]:
    if not words:
        return []
    spelt = (re.escape(word).replace(r"\*", r"\w*").replace(r"\ ", r"\s{1,3}") for word in words)
    return [rf"(?<!\w)(?:{'|'.join(spelt)})(?!\w)"]


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    return tomllib.loads((FOLDER / "asks.toml").read_text(encoding="utf-8"))
