"""What happened to tickets as far as their promised times go, from their messages and their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from tickets.models import ENDED, Event, Message, Status, Ticket
from tickets.promises import Interval, Story

_Moment = tuple[datetime, str, datetime | None]  # when, the status from then on, and until when it is put off


def stories_of(tickets: Sequence[Ticket], now: datetime) -> dict[int, Story]:
    """By number. What the rows hold but history does not, yet, was changed `now`. Two queries for all of them."""
    numbers = [ticket.pk for ticket in tickets]
    said: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    kinds = (Message.Kind.INBOUND, Message.Kind.OUTBOUND)
    threads = Ticket.objects.filter(Q(pk__in=numbers) | Q(merged_into__in=numbers)).values("pk")
    messages = Message.objects.filter(ticket__in=threads, kind__in=kinds).order_by("created_at", "pk")
    for number, home, kind, at in messages.values_list("ticket_id", "ticket__merged_into", "kind", "created_at"):
        said[home or number].append((kind, at))
    past: dict[int, list[_Moment]] = defaultdict(list)
    events = Event.objects.filter(pgh_obj__in=numbers).order_by("pgh_id")
    rows: Any = events.values_list("pgh_obj_id", "pgh_created_at", "status", "snoozed_until")
    for number, at, status, until in rows:
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
