"""Words that count."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 ticket", "1,200 tickets"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
