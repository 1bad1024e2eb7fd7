"""Tickets on their way out: CSV for spreadsheets, JSON Lines with the whole thread; a few at a time are in memory.

What both write, the import reads back (tickets.channels.file.formats, "Triage Desk").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.db.models.functions import Length

from tickets.cells import lines, neutral
from tickets.models import Message, Ticket

PAGE = 100  # tickets
WEIGHT = 1_000_000  # characters of threads that are held together; one thread that is longer is held alone
_ENDS = ("resolved_at", "first_replied_at", "due_at", "updated_at")
_LABELS = ("category", "component", "team")
_PLAIN = ("status", "priority", "submitted_priority", "tier", "severity", "effort", "sentiment", "language", "summary")
COLUMNS = (
    "number",
    "url",
    "title",
    "description",
    "requester_email",
    "requester_name",
    "source",
    "external_id",
    "created_at",
    *_ENDS,
    *_PLAIN,
    *_LABELS,
    "is_technical",
    "escalated",
    "tags",
    "assignee",
)
Rows = Iterator[dict[str, Any]]


def as_csv(tickets: QuerySet[Ticket]) -> Iterator[bytes]:
    """UTF-8 with its mark, which spreadsheets look for; no cell is a formula. The thread is the first message alone."""
    yield "\ufeff".encode() + lines([COLUMNS])
    for page in _pages(tickets):
        firsts = _first_messages(page)
        rows = ({**_facts(ticket), "description": firsts.get(ticket.pk, "")} for ticket in page)
        yield lines([[_cell(row[name]) for name in COLUMNS] for row in rows])


def as_json_lines(tickets: QuerySet[Ticket]) -> Iterator[bytes]:
    """An object a ticket, its whole thread under `messages`."""
    for part in _parts(tickets):
        threads = _threads(part)
        objects = []
        for ticket in part:
            thread = threads.get(ticket.pk, [])
            first = next((one["text"] for one in thread if one["kind"] == Message.Kind.INBOUND), "")
            row = {name: _json(value) for name, value in _facts(ticket).items()}
            objects.append(json.dumps({**row, "description": first, "messages": thread}, ensure_ascii=False))
        yield ("\n".join(objects) + "\n").encode("utf-8", "replace")


# {format: (its word, how a file's name ends, content type, who writes it)}
WRITERS: dict[str, tuple[str, str, str, Callable[[QuerySet[Ticket]], Iterator[bytes]]]] = {
    "csv": ("CSV", "csv", "text/csv; charset=utf-8", as_csv),
    "jsonl": ("JSON Lines", "jsonl", "application/x-ndjson", as_json_lines),
}


def _pages(tickets: QuerySet[Ticket]) -> Iterator[list[Ticket]]:
    """By number: each ticket once, whatever changes meanwhile. One that stops to fit before its turn is left out."""
    last = 0
    related = ("requester", "source", "category", "component", "team", "assignee")
    ordered = tickets.select_related(*related).defer("embedding", "raw").order_by("number")
    while page := list(ordered.filter(number__gt=last)[:PAGE]):
        yield page
        last = page[-1].number


def _parts(tickets: QuerySet[Ticket]) -> Iterator[list[Ticket]]:
    """Pages cut into as many tickets as have WEIGHT of threads together, at least one."""
    for page in _pages(tickets):
        said = Message.objects.filter(ticket__in=[ticket.pk for ticket in page]).order_by()
        weights = dict(said.values_list("ticket_id").annotate(weight=Sum(Length("text"))))
        part: list[Ticket] = []
        held = 0
        for ticket in page:
            weight = weights.get(ticket.pk, 0)
            if part and held + weight > WEIGHT:
                yield part
                part, held = [], 0
            part.append(ticket)
            held += weight
        yield part


def _facts(ticket: Ticket) -> dict[str, Any]:
    requester = ticket.requester
    return {
        "number": ticket.number,
        "url": f"{settings.BASE_URL}{ticket.get_absolute_url()}",
        "title": ticket.subject,
        "requester_email": requester.email if requester else "",
        "requester_name": requester.name if requester else "",
        "source": ticket.source.name,
        "external_id": ticket.external_id,
        "created_at": ticket.created_at,
        **{name: getattr(ticket, name) for name in (*_ENDS, *_PLAIN)},
        **{name: ticket.value_of(name) for name in _LABELS},
        "is_technical": ticket.is_technical,
        "escalated": ticket.escalated,
        "tags": ticket.tags,
        "assignee": ticket.assignee.label if ticket.assignee else "",
    }


def _first_messages(page: Sequence[Ticket]) -> dict[int, str]:
    asked = Message.objects.filter(ticket__in=[ticket.pk for ticket in page], kind=Message.Kind.INBOUND)
    return dict(asked.order_by("ticket_id", "pk").distinct("ticket_id").values_list("ticket_id", "text"))


def _threads(page: Sequence[Ticket]) -> dict[int, list[dict[str, Any]]]:
    said = Message.objects.filter(ticket__in=[ticket.pk for ticket in page]).select_related("author", "requester")
    by_ticket = groupby(said.order_by("ticket_id", "pk"), key=lambda one: one.ticket_id)
    return {
        number: [
            {
                "kind": one.kind,
                "author": one.author_label,
                "created_at": one.created_at.isoformat(),
                "text": one.text,
            }
            for one in thread
        ]
        for number, thread in by_ticket
    }


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat()
    return neutral(",".join(value) if isinstance(value, list) else str(value))
