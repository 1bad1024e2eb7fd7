"""The orders a queue can be in, and places in them: what a page ends with, and where the next one begins."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce

from tickets.models.choices import Priority, Status

if TYPE_CHECKING:
    from tickets.models.ticket import Ticket

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PART = r"-?\d{1,18}"
_FIRST = (Status.ESCALATED, Status.NEW, Status.IN_REVIEW, Status.WAITING, Status.RESOLVED, Status.CLOSED)
_RANKS = {
    "priority": {priority: 4 - place for place, priority in enumerate(Priority.values)},
    "status": {status.value: len(_FIRST) - place for place, status in enumerate(_FIRST)},
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket stands in a queue: whole numbers; greater ones, from the first on, stand before smaller ones."""

    parts: tuple[int, ...]

    @classmethod
    def of(cls, written: str, parts: int = 2) -> Self | None:
        """The place of so many parts that `str` wrote; None for anything else."""
        if not re.fullmatch(rf"{_PART}(\.{_PART}){{{parts - 1}}}", written, re.ASCII):
            return None
        return cls(tuple(int(part) for part in written.split(".")))

    def __str__(self) -> str:
        """The parts with points between: for addresses, and for scripts to compare."""
        return ".".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class _Column:
    """One thing to sort by. `part` is a value as a whole number that grows in the order shown, `value` its reverse."""

    name: str
    expression: Any
    falling: bool
    part: Callable[[Ticket], int]
    value: Callable[[int], Any]

    def after(self, part: int) -> Q:
        return Q(**{f"{self.name}__{'lt' if self.falling else 'gt'}": self.value(part)})

    def same(self, part: int) -> Q:
        return Q(**{self.name: self.value(part)})


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the queue: by columns, the last of which no two tickets share."""

    word: str
    columns: tuple[_Column, ...]

    @property
    def parts(self) -> int:
        return len(self.columns)

    @property
    def expressions(self) -> dict[str, Any]:
        """What has to be annotated before it can be sorted by."""
        return {one.name: one.expression for one in self.columns if one.expression is not None}

    @property
    def by(self) -> list[str]:
        return [f"{'-' if one.falling else ''}{one.name}" for one in self.columns]

    def place_of(self, ticket: Ticket) -> Place:
        return Place(tuple(one.part(ticket) for one in self.columns))

    def below(self, place: Place) -> Q:
        """What is shown after a place. The first column's own condition is what an index is walked by."""
        after, same = Q(pk__in=[]), Q()
        for column, part in zip(self.columns, place.parts, strict=True):
            after |= same & column.after(part)
            same &= column.same(part)
        first, part = self.columns[0], place.parts[0]
        return (first.after(part) | first.same(part)) & after

    def down_to(self, place: Place) -> Q:
        """What is shown before a place, and what stands at it."""
        return ~self.below(place)


def _moment(name: str, *, falling: bool, expression: Any = None, none: datetime = LATEST) -> _Column:
    sign = 1 if falling else -1
    column = name.removeprefix("sorted_")

    def part(ticket: Ticket) -> int:
        return sign * (((getattr(ticket, column) or none) - _EPOCH) // _MICROSECOND)

    def value(number: int) -> datetime:
        lowest, highest = ((one - _EPOCH) // _MICROSECOND for one in (_EARLIEST, LATEST))
        return _EPOCH + _MICROSECOND * max(lowest, min(highest, sign * number))

    return _Column(name, expression, falling, part, value)


def _number(*, falling: bool) -> _Column:
    sign = 1 if falling else -1
    return _Column("number", None, falling, lambda ticket: sign * ticket.number, lambda number: sign * number)


def _rank(name: str) -> _Column:
    ranks = _RANKS[name]
    whens = [When(**{name: key}, then=Value(rank)) for key, rank in ranks.items()]
    found = Case(*whens, default=Value(0))
    return _Column(f"sorted_{name}", found, True, lambda ticket: ranks.get(getattr(ticket, name), 0), lambda rank: rank)


_NEWEST = (_moment("created_at", falling=True), _number(falling=True))
DUE = Coalesce(F("due_at"), Value(LATEST))
ORDERS: dict[str, Order] = {
    "": Order("Newest", _NEWEST),
    "oldest": Order("Oldest", (_moment("created_at", falling=False), _number(falling=False))),
    "updated": Order("Changed last", (_moment("updated_at", falling=True), _number(falling=True))),
    "priority": Order("Priority", (_rank("priority"), *_NEWEST)),
    "due": Order("Due first", (_moment("sorted_due_at", falling=False, expression=DUE), _number(falling=False))),
    "status": Order("Status", (_rank("status"), *_NEWEST)),
}
NEWEST = ORDERS[""]
