"""What an action refuses, sorted by what the caller does about it.

Refused
├── Invalid     a value is not acceptable: say which field (422)
├── Conflict    somebody or something was there first: show what is there now (409)
└── Forbidden   this person may not do that (403)
"""

from __future__ import annotations


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


class Forbidden(Refused):
    pass
