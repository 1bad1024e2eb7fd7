"""Regular expressions of rules. Matched in time that grows with the text alone: see docs/decisions/0021."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

PATTERN_LIMIT = 500  # characters
LONGEST = 200_000  # characters of a text that are looked at
_MEMORY = 4 << 20  # bytes of one compiled pattern: (a{1000}){1000} is refused


class BadPattern(Exception):
    """This is no regular expression, or a too large one. Its text says what is wrong."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Raises BadPattern. Letters match whatever their case, and a dot matches no line break."""
    if not pattern or len(pattern) > PATTERN_LIMIT:
        raise BadPattern(f"A regular expression has 1 to {PATTERN_LIMIT} characters")
    options = re2.Options()
    options.log_errors, options.case_sensitive, options.max_mem = False, False, _MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as wrong:
        said = wrong.args[0].decode(errors="replace") if isinstance(wrong.args[0], bytes) else str(wrong)
        raise BadPattern(said) from wrong


def found(pattern: str, text: str) -> bool:
    return compiled(pattern).search(text[:LONGEST]) is not None
