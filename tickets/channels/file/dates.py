"""The dates of other systems' exports. What may be read in two ways is not guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.utils.dateparse import parse_datetime

_NUMBERS = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:,?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap])?\.?m?\.?)?", re.IGNORECASE
)
_ZONE = re.compile(r"\s+(UTC|GMT|Z)$", re.IGNORECASE)
_SPACED_OFFSET = re.compile(r"(\d)\s+([+-]\d{2}:?\d{2})$")


def moment(given: object, *, day_first: bool | None = None) -> datetime | None:
    """ISO 8601, the date of a mail, seconds since 1970, or day and month in figures. Without a zone: UTC.

    `day_first` says what 3/4/2024 is; None: it is not known. Raises ValueError for what is no date, or may be two.
    """
    if given is None:
        return None
    words = str(given).strip()
    if words.replace(".", "", 1).isdigit() and len(words.partition(".")[0]) == 10:
        return datetime.fromtimestamp(float(words), tz=UTC)
    if (numbers := _NUMBERS.fullmatch(words)) is not None:
        return _in_numbers(words, numbers, day_first)
    plain = _SPACED_OFFSET.sub(r"\1\2", _ZONE.sub("+00:00", words))
    try:
        found = parse_datetime(plain) or datetime.fromisoformat(plain)
    except ValueError:
        try:
            found = parsedate_to_datetime(words)
        except (ValueError, TypeError, IndexError, OverflowError):
            raise ValueError(_no_date(words)) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def tells_order(given: object) -> bool | None:
    """Whether a date in figures shows that its day comes first; None where it may be either, or is none."""
    numbers = _NUMBERS.fullmatch(str(given).strip())
    if numbers is None:
        return None
    first, second = int(numbers[1]), int(numbers[3])
    if numbers[2] == "." or (first > 12 >= second):
        return True
    return False if second > 12 >= first else None


def _in_numbers(words: str, numbers: re.Match[str], day_first: bool | None) -> datetime:
    order = tells_order(words)
    if order is None:
        order = day_first
    if order is None and numbers[1] != numbers[3]:
        raise ValueError(
            f"created_at: {words[:60]!r} may be read in two ways. Say whether its day or its month comes first."
        )
    day, month = (numbers[1], numbers[3]) if order is not False else (numbers[3], numbers[1])
    year = int(numbers[4]) + (2000 if len(numbers[4]) == 2 else 0)
    hour = int(numbers[5] or 0)
    if numbers[8]:
        hour = hour % 12 + (12 if numbers[8].lower() == "p" else 0)
    try:
        return datetime(year, int(month), int(day), hour, int(numbers[6] or 0), int(numbers[7] or 0), tzinfo=UTC)
    except ValueError:
        raise ValueError(_no_date(words)) from None


def _no_date(words: str) -> str:
    return f"created_at: {words[:60]!r} is no date like 2026-01-31 or 2026-01-31T09:30:00Z."
