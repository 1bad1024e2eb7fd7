"""Which repository a body says that it is about, told without reading it as JSON: it may be 25 MB of a stranger's.

What is found decides nothing but whose secret is tried. Who signed it is said by the signature alone, and what it is
about by the JSON, which is read after that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_MARKS = (b'"repository"', b"%22repository%22")  # as JSON, and as JSON in a field of a form
_AT_EITHER_END = 3  # places that are looked at; GitHub has it near the end, and names few others
_WINDOW = 6_000  # bytes that are looked at behind each; the id and the full name come first there
_OPENED = re.compile(rb"\s{0,20}:\s{0,20}\{")
_ID = re.compile(rb'"id"\s{0,20}:\s{0,20}(\d{1,18})\b')
_FULL_NAME = re.compile(rb'"full_name"\s{0,20}:\s{0,20}"([A-Za-z0-9._/\\-]{3,150})"')


@dataclass(frozen=True, slots=True)
class Named:
    """The repositories that a body may be about, by id or by full name in lower case."""

    ids: frozenset[int]
    full_names: frozenset[str]


def named_in(body: bytes) -> Named:
    ids, full_names = set[int](), set[str]()
    for mark in _MARKS:
        for place in _places(body, mark):
            piece = body[place : place + _WINDOW]
            if mark.startswith(b"%"):
                piece = unquote_to_bytes(piece.replace(b"+", b" "))
            if not (opened := _OPENED.match(piece)):
                continue
            if found := _ID.search(piece, opened.end()):
                ids.add(int(found[1]))
            if found := _FULL_NAME.search(piece, opened.end()):
                full_names.add(found[1].replace(b"\\/", b"/").decode("ascii").lower())
    return Named(frozenset(ids), frozenset(full_names))


def _places(body: bytes, mark: bytes) -> set[int]:
    """Where the first and the last few marks end."""
    places = set[int]()
    start, end = 0, len(body)
    for _ in range(_AT_EITHER_END):
        if (at := body.find(mark, start)) < 0:
            break
        start = at + len(mark)
        places.add(start)
        if (end := body.rfind(mark, 0, end)) >= 0:
            places.add(end + len(mark))
    return places
