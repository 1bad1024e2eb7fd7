"""Working time: how much of it lies between two moments, and when so much of it has passed. No Django, no models.

Opening hours are told by the wall clock of a time zone, and counted in real time: a moment is working time when the
clock there shows opening hours and no holiday. So an hour that the clocks leave out counts nothing, one that they show
twice counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

DAY = 24 * 60  # minutes
MOST_DAYS = 3_660  # that are looked through for working time
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ONE_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_LINE = re.compile(r"([A-Z][a-z]{2}) (\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)

Span = tuple[int, int]  # minutes since midnight by the wall clock, the second one exclusive
Opening = tuple[datetime, datetime]  # in UTC


class NoHours(ValueError):
    """Opening hours that are none, or that no time can be told by; the words are for whoever wrote them."""


class NoTime(Exception):
    """So much working time does not come within ten years."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours of a week, Monday first, by the clock of `zone`. Raises NoHours unless there are some."""

    zone: str
    week: tuple[tuple[Span, ...], ...]
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if len(self.week) != 7 or not any(self.week):
            raise NoHours("Give at least one day its hours: without any, no time would ever be due.")
        for name, spans in zip(DAYS, self.week, strict=True):
            ends = [0, *(end for _, end in spans)]
            for last, (begin, end) in zip(ends, spans, strict=False):
                if not 0 <= begin < end <= DAY:
                    raise NoHours(f"{name}: each span ends after it begins, between 00:00 and 24:00.")
                if begin < last:
                    raise NoHours(f"{name}: the spans overlap.")
        try:
            ZoneInfo(self.zone)
        except (ValueError, KeyError, OSError) as error:
            raise NoHours(f"{self.zone!r} is not a time zone.") from error

    @classmethod
    def of(cls, zone: str, lines: Iterable[str], holidays: Iterable[date] = ()) -> Self:
        """From lines like "Mon 09:00-12:30", in any order. Raises NoHours for what is none."""
        week: list[list[Span]] = [[] for _ in DAYS]
        for line in lines:
            found = _LINE.fullmatch(line)
            if found is None or found[1] not in DAYS:
                raise NoHours(f"{line!r} is not written like Mon 09:00-17:00.")
            hours = [int(part) for part in found.groups()[1:]]
            if max(hours[1], hours[3]) > 59:
                raise NoHours(f"{line!r}: an hour has 60 minutes.")
            week[DAYS.index(found[1])].append((hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]))
        return cls(zone, tuple(tuple(sorted(spans)) for spans in week), frozenset(holidays))

    @property
    def lines(self) -> list[str]:
        """What `of` reads."""
        return [
            f"{name} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
            for name, spans in zip(DAYS, self.week, strict=True)
            for begin, end in spans
        ]

    @property
    def always(self) -> bool:
        return not self.holidays and all(spans == ((0, DAY),) for spans in self.week)

    def add(self, start: datetime, span: timedelta) -> datetime:
        """The first moment (UTC) until which `span` of working time has passed since `start`.

        Raises NoTime when it does not come, as where every day of ten years is a holiday.
        """
        start = start.astimezone(UTC)
        if self.always or span <= timedelta(0):
            return start + max(span, timedelta(0))
        left = span
        for opens, closes in self._openings(start, MOST_DAYS):
            if left <= closes - opens:
                return opens + left
            left -= closes - opens
        raise NoTime(f"{span} of working time does not come within ten years.")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """The working time from `start` to `end`; none where the end comes first."""
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        if self.always or end <= start:
            return max(end - start, timedelta(0))
        days = (end.date() - start.date()).days + 1
        openings = ((opens, min(closes, end)) for opens, closes in self._openings(start, days) if opens < end)
        return sum((closes - opens for opens, closes in openings), timedelta(0))

    def _openings(self, start: datetime, days: int) -> Iterator[Opening]:
        """What is left of the openings from `start` on, in order, through so many days of UTC."""
        for number in range(days):
            try:
                day = start.date() + number * _ONE_DAY
            except OverflowError:
                return
            for opens, closes in _open_on(self, day):
                if closes > start:
                    yield max(opens, start), closes


ALWAYS = Hours("UTC", (((0, DAY),),) * 7)


@lru_cache(maxsize=20_000)
def _open_on(hours: Hours, day: date) -> tuple[Opening, ...]:
    """The openings within one day of UTC."""
    begin = datetime.combine(day, time(), UTC)
    found: list[Opening] = []
    for since, until, offset in _steady(ZoneInfo(hours.zone), begin, begin + _ONE_DAY):
        local = (since + offset).date()
        while (midnight := datetime.combine(local, time(), UTC) - offset) < until:
            spans = () if local in hours.holidays else hours.week[local.weekday()]
            for opens, closes in spans:
                first = max(since, midnight + timedelta(minutes=opens))
                last = min(until, midnight + timedelta(minutes=closes))
                if first < last:
                    found.append((first, last))
            local += _ONE_DAY
    return tuple(found)


def _steady(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """The parts of a day in which the clock there is not changed, each with its distance from UTC."""
    first, last = _offset(zone, begin), _offset(zone, end - _SECOND)
    if first == last:
        yield begin, end, first
        return
    before, after = begin, end - _SECOND
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        before, after = (middle, after) if _offset(zone, middle) == first else (before, middle)
    yield begin, after, first
    yield after, end, last


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
