"""Words that count."""

from __future__ import annotations


def counted(count: int, one: str) -> str:
    """ "1 ticket", "1,200 tickets"."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"
