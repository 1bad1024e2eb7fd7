from __future__ import annotations

import re

EXCERPT = 160
_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_MARKS = re.compile(r"^[#>]+(?=\s)|[`*]+", re.MULTILINE)


def excerpt_of(text: str) -> str:
    """The first words of a text on one line, for a row of the queue, without the marks of Markdown."""
    return " ".join(_MARKS.sub("", _COMMENT.sub(" ", text[: EXCERPT * 4])).split())[:EXCERPT]
