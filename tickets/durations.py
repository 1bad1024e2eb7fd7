"""Lengths of time as people write them: "45m", "4h", "1h 30m", "90" (minutes)."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(?:(\d{1,5})\s*h)?\s*(?:(\d{1,6})\s*m?)?", re.ASCII | re.IGNORECASE)


def minutes_of(text: str) -> int | None:
    """Minutes; None for nothing. Raises ValueError for what is no length of time."""
    text = text.replace("\x00", "").strip()
    if not text:
        return None
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return int(found[1] or 0) * 60 + int(found[2] or 0)


def written(minutes: int | None) -> str:
    """As `minutes_of` reads it; "" for None."""
    if minutes is None:
        return ""
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours}h" if hours else "", f"{rest}m" if rest or not hours else "") if part)
