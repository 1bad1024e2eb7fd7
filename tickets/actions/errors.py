"""What an action refuses, sorted by what the caller does about it.

Refused
├── Invalid     a value is not acceptable: say which field (422)
├── Conflict    somebody or something was there first: show what is there now (409)
│   └── Flagged     the reply names what nobody gave, and nobody said yes to that
└── Forbidden   this person may not do that (403)
"""

from __future__ import annotations

from collections.abc import Sequence

from triage.flags import Flag


class Refused(Exception):
    """An action did nothing, and says why in a sentence for the person who asked."""

    def __init__(self, code: str, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.field = field


class Invalid(Refused):
    pass


class Conflict(Refused):
    pass


class Flagged(Conflict):
    """`flags` are those of `text`, the reply that was not sent; promises are among them."""

    def __init__(self, flags: Sequence[Flag], text: str) -> None:
        super().__init__(
            "flagged",
            "Not sent: this reply names what nobody in the conversation gave. Say yes to that, or take it out.",
        )
        self.flags, self.text = tuple(flags), text


class Forbidden(Refused):
    pass
