"""Pages by cursor: newest first, stable while new rows arrive."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from tickets.channels.api.problems import invalid

DEFAULT, MOST = 50, 200
Present = Callable[[Sequence[Any]], list[dict[str, Any]]]


def page(rows: QuerySet[Any], *, cursor: str, limit: int, present: Present) -> dict[str, Any]:
    """One page of `rows`, newest first by primary key: {items, next}. `next` is None on the last one."""
    if cursor:
        rows = rows.filter(pk__lt=_position(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    following = _cursor(found[limit - 1].pk) if len(found) > limit else None
    return {"items": present(found[:limit]), "next": following}


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"before:{position}".encode()).decode().rstrip("=")


def _position(cursor: str) -> int:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        word, _, position = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(":")
        if word != "before" or not position.isdecimal() or len(position) > 18:
            raise ValueError
    except (ValueError, UnicodeError, binascii.Error):
        raise invalid(("cursor", "This is no cursor of ours. Pass on the value of next as it is.")) from None
    return int(position)
