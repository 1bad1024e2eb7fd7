"""What an action refuses, sorted by what the caller does about it.

Refused
├── Invalid     a value is not acceptable: say which field (422)
├── Conflict    somebody or something was there first: show what is there now (409)
│   └── Flagged     the reply names what nobody gave, and nobody said yes to that
├── Forbidden   this person may not do that (403)
└── Unavailable what it needs does not answer just now: the same may be done later (503)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from triage.flags import Flag


class Refused(Exception):
    """An action did nothing, and says why in a sentence for the person who asked. `status` is that of an answer."""

    status: ClassVar[int]

    def __init__(self, code: str, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.field = field


class Invalid(Refused):
    status = 422


class Conflict(Refused):
    status = 409


class Flagged(Conflict):
    """`flags` are those of `text`, the reply that was not sent; promises are among them."""

    def __init__(self, flags: Sequence[Flag], text: str) -> None:
        super().__init__(
            "flagged",
            "Not sent: this reply names what nobody in the conversation gave. Say yes to that, or take it out.",
        )
        self.flags, self.text = tuple(flags), text


class Forbidden(Refused):
    status = 403


class Unavailable(Refused):
    status = 503
