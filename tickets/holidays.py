"""Free days as people have them: a line a day, or the calendar file (iCalendar) that an office publishes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

MOST = 1_000  # days
LONGEST = 60  # days that one entry of a file may last
_LINE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\s+(.*))?", re.ASCII)
_STAMP = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


class Unreadable(ValueError):
    """What was given are no days; the words say which part of it."""


@dataclass(frozen=True, slots=True)
class Days:
    """{day: its name}, and how many entries were left out because they repeat by a rule."""

    named: dict[date, str]
    repeating: int = 0

    @property
    def lines(self) -> str:
        return "\n".join(f"{day} {name}".strip() for day, name in sorted(self.named.items()))


def read(text: str) -> Days:
    """Lines like "2026-12-25 Christmas Day", or the text of an .ics file. Raises Unreadable."""
    text = text.replace("\x00", "").replace("\r\n", "\n").lstrip("\ufeff")
    days = _of_file(text) if text.lstrip().upper().startswith("BEGIN:VCALENDAR") else _of_lines(text)
    if len(days.named) > MOST:
        raise Unreadable(f"These are {len(days.named):,} days; a calendar holds up to {MOST:,}.")
    return days


def _of_lines(text: str) -> Days:
    named: dict[date, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        try:
            if found is None:
                raise ValueError
            named[date.fromisoformat(found[1])] = (found[2] or "").strip()[:100]
        except ValueError as error:
            what = line.strip()[:40]
            raise Unreadable(f"Line {number}, {what!r}: begin it with a day, like 2026-12-25.") from error
    return Days(named)


def _of_file(text: str) -> Days:
    """The events of an iCalendar file (RFC 5545) that last whole days; DTEND is the first day after."""
    named: dict[date, str] = {}
    repeating = 0
    event: dict[str, str] = {}
    for line in text.replace("\n ", "").replace("\n\t", "").split("\n"):
        name, _, value = line.partition(":")
        key = name.partition(";")[0].strip().upper()
        if (key, value.strip().upper()) == ("BEGIN", "VEVENT"):
            event = {}
        elif (key, value.strip().upper()) == ("END", "VEVENT"):
            repeating += "RRULE" in event or "RDATE" in event
            for day in _days_of(event):
                named[day] = _plain(event.get("SUMMARY", ""))
        else:
            event.setdefault(key, value.strip())
    if not named:
        raise Unreadable("This calendar file holds no day.")
    return Days(named, repeating)


def _days_of(event: dict[str, str]) -> list[date]:
    begin = _stamped(event.get("DTSTART", ""))
    if begin is None:
        return []
    end = _stamped(event.get("DTEND", "")) or begin + timedelta(days=1)
    return [begin + timedelta(days=number) for number in range(min(max((end - begin).days, 1), LONGEST))]


def _stamped(value: str) -> date | None:
    found = _STAMP.match(value)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _plain(text: str) -> str:
    return re.sub(r"\\([\\;,nN])", lambda one: " " if one[1] in "nN" else one[1], text)[:100].strip()
