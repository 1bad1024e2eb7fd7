"""Replies without a model: their texts by language, what they ask for, and what they quote.

The texts stand in one file a language beside this one. A language is added by a file; nothing else names them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from triage.engines.language import detect
from triage.pipeline.types import Readings

FOLDER = Path(__file__).parent
DEFAULT = "en"
# A text whose language is less certain than this is answered in the default one.
CERTAIN = 0.9
GREETING = re.compile(
    r"(?:hello|hi|hey|dear|good (?:morning|afternoon|evening)|guten (?:tag|morgen|abend)|hallo|liebe[rs]?"
    r"|sehr geehrte[rs]?|bonjour|bonsoir|ch(?:er|ère)|madame|monsieur|hola|buen[oa]s (?:días|tardes)|estimad[oa]"
    r"|olá|bom dia|boa tarde|prezad[oa]|buongiorno|buonasera|gentile|salve|goedendag|goedemorgen|beste|geachte)\b"
    r"[^\n]{0,60}[,.!:]?",
    re.IGNORECASE,
)


def languages() -> tuple[str, ...]:
    """ISO 639-1 codes of the languages there are texts in, the default one first."""
    return _languages()


def language_of(fields: Readings) -> str:
    """The language a ticket is written in, as far as it is certain; else the default one. Not all have texts."""
    reading = fields.get("language")
    return str(reading.value) if reading is not None and reading.value and reading.confidence >= CERTAIN else DEFAULT


def language_in(text: str) -> str:
    """The same of words that stand for themselves, such as an old reply."""
    found = detect(text)
    return found.code if found.confidence >= CERTAIN else DEFAULT


def texts(language: str) -> Mapping[str, Any]:
    """Every text of a language; those of the default one where there are none."""
    return _texts(language if language in languages() else DEFAULT)


def hello(name: str, language: str = DEFAULT) -> str:
    """The first line of a letter, with the name where it looks like one."""
    plain = " ".join(name.split())
    greeting = texts(language)["greeting"]
    # A name is put into a letter only when it looks like one: no addresses, links or markup.
    if 1 < len(plain) <= 60 and all(part.isalpha() for part in re.split(r"[ .'\u2019-]+", plain) if part):
        return str(greeting["named"]).format(name=plain)
    return str(greeting["unnamed"])


def sla_sentence(priority: str, sla_hours: Mapping[str, float], language: str = DEFAULT) -> str:
    """When the customer hears from a person, in words; empty without a target for this priority."""
    hours = sla_hours.get(priority)
    if not hours:
        return ""
    return str(texts(language)["sla"]).format(time=_in_words(hours, texts(language)))


def is_sla(paragraph: str) -> bool:
    """Whether a paragraph is the sentence on the SLA, in any of the languages."""
    ends = (str(texts(language)["sla"]).partition("{time}") for language in languages())
    return any(paragraph.startswith(before) and paragraph.endswith(after) for before, _, after in ends)


def is_ours(paragraph: str) -> bool:
    """Whether every line of it is one of ours: an old reply made of such alone answers nothing."""
    return all(line.strip().removeprefix("- ") in _phrases() for line in paragraph.splitlines())


def _in_words(hours: float, words: Mapping[str, Any]) -> str:
    if hours < 1:
        unit, number = "minute", float(round(hours * 60))
    elif hours > 72 and hours % 24 == 0:
        unit, number = "day", hours / 24
    else:
        unit, number = "hour", hours
    one, many = words["time"][unit]
    return f"{number:g} {one if number == 1 else many}".replace(".", words["decimal"])


@lru_cache(maxsize=1)
def _languages() -> tuple[str, ...]:
    codes = sorted(path.stem for path in FOLDER.glob("??.toml"))
    return (DEFAULT, *(code for code in codes if code != DEFAULT))


@lru_cache(maxsize=32)
def _texts(language: str) -> Mapping[str, Any]:
    return tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _phrases() -> frozenset[str]:
    phrases: set[str] = set()
    for language in languages():
        words = texts(language)
        phrases.update(words[name] for name in ("answer_intro", "lead", "complete", "closing"))
        for part in ("opening", "about", "asks", "note", "priority"):
            phrases.update(words[part].values())
    return frozenset(phrases)
