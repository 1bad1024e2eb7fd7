"""What happened to tickets as far as their promised times go, from their messages and their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection

from tickets.models import ENDED, Message, Status, Ticket
from tickets.promises import Interval, Story

_Moment = tuple[datetime, str, datetime | None]  # when, the status from then on, and until when it is put off

# Written out: every change of a ticket asks for both.
_SAID = """
    SELECT coalesce(ticket.merged_into_id, ticket.number), message.kind, message.created_at
    FROM tickets_message AS message JOIN tickets_ticket AS ticket ON ticket.number = message.ticket_id
    WHERE message.kind IN ('inbound', 'outbound') AND message.ticket_id IN (
        SELECT number FROM tickets_ticket
        WHERE deleted_at IS NULL AND (number = ANY(%(numbers)s) OR merged_into_id = ANY(%(numbers)s))
    )
    ORDER BY message.created_at, message.id
"""
_PAST = """
    SELECT pgh_obj_id, pgh_created_at, status, snoozed_until FROM tickets_event
    WHERE pgh_obj_id = ANY(%(numbers)s) ORDER BY pgh_id
"""


def stories_of(tickets: Sequence[Ticket], now: datetime) -> dict[int, Story]:
    """By number. What the rows hold but history does not, yet, was changed `now`. Two queries for all of them."""
    asked = {"numbers": [ticket.pk for ticket in tickets]}
    said: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    past: dict[int, list[_Moment]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_SAID, asked)
        for number, kind, at in cursor.fetchall():
            said[number].append((kind, at))
        cursor.execute(_PAST, asked)
        for number, at, status, until in cursor.fetchall():
            past[number].append((at, status, until))
    return {ticket.pk: _story(ticket, said[ticket.pk], past[ticket.pk], now) for ticket in tickets}


def _story(ticket: Ticket, said: Iterable[tuple[str, datetime]], past: list[_Moment], now: datetime) -> Story:
    said = list(said)
    stored = past[0][0] if past else ticket.created_at
    if not past:  # made past the triggers, in bulk
        past = [(ticket.resolved_at or ticket.created_at, ticket.status, ticket.snoozed_until)]
    elif past[-1][1:] != (ticket.status, ticket.snoozed_until):
        past = [*past, (now, ticket.status, ticket.snoozed_until)]
    held, ended = _intervals(past, now)
    return Story(
        created_at=ticket.created_at,
        stored_at=max(stored, ticket.created_at),
        first_replied_at=ticket.first_replied_at,
        asked=tuple(at for kind, at in said if kind == Message.Kind.INBOUND),
        replied=tuple(at for kind, at in said if kind == Message.Kind.OUTBOUND),
        held=tuple(held),
        ended=tuple(ended),
    )


def _intervals(past: Sequence[_Moment], now: datetime) -> tuple[list[Interval], list[Interval]]:
    """When it waited for the customer or was put off, and when it was resolved or closed."""
    held: list[Interval] = []
    ended: list[Interval] = []
    for (at, status, until), end in zip(past, [*(one[0] for one in past[1:]), None], strict=True):
        if status in ENDED:
            _append(ended, at, end)
        elif status == Status.WAITING:
            _append(held, at, end)
        elif until is not None and until > at:
            # It comes back at its time, even where nobody woke it.
            stop = until if end is None and until <= now else end and min(until, end)
            _append(held, at, stop)
    return held, ended


def _append(found: list[Interval], begin: datetime, end: datetime | None) -> None:
    """An interval that begins where the last one ended goes on with it."""
    if found and found[-1][1] == begin:
        begin = found.pop()[0]
    found.append((begin, end))
