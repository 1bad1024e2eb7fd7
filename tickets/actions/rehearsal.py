"""Tickets read on trial: what would be held afterwards, and what it cost, with nothing stored but the calls."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db.models import Sum

from tickets.context import gather, inquiry_of
from tickets.models import COMPARED, Message, Ticket
from tickets.reader import Reader
from triage.embedding import clean, embed
from triage.models import Call
from triage.pipeline import read
from triage.pipeline.types import FieldValue, Inquiry

WITHOUT_MODEL = 2  # at once, where reading is work for the processor
Held = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """(number, what is held, what would be) of each ticket read; dollars, None where one is not known; seconds."""

    readings: list[tuple[int, Held, Held]]
    cost: Decimal | None
    seconds: float


def rehearse(numbers: Sequence[int], reader: Reader, seen: Callable[[int], None] = lambda done: None) -> Rehearsed:
    """Read these tickets by `reader`. `seen` is told how many are read. Raises reader.Gone."""
    return async_to_sync(_rehearse)(numbers, reader, seen)


async def _rehearse(numbers: Sequence[int], reader: Reader, seen: Callable[[int], None]) -> Rehearsed:
    began, subject = time.monotonic(), f"trial-{uuid.uuid4().hex}"
    at_once = asyncio.Semaphore(settings.TRIAGE_CONCURRENCY if reader.may_ask_model else WITHOUT_MODEL)
    readings: list[tuple[int, Held, Held]] = []

    async def one(number: int) -> None:
        async with at_once:
            if (loaded := await sync_to_async(_load)(number)) is None:
                return
            ticket, inquiry = loaded
            vector = await asyncio.to_thread(lambda: embed(clean(inquiry.text)))
            context = await sync_to_async(gather)(inquiry, vector, ticket=ticket)
            context = await sync_to_async(reader.over)(context)
            verdict = await read(replace(inquiry, subject_kind="replay", subject_id=subject), context)
            before: Held = {name: ticket.value_of(name) for name in COMPARED}
            readings.append((number, before, {**before, **_would_hold(ticket, verdict.fields)}))
            seen(len(readings))

    await asyncio.gather(*map(one, numbers))
    cost = await sync_to_async(_cost)(subject)
    return Rehearsed(sorted(readings, key=lambda reading: reading[0]), cost, time.monotonic() - began)


def _load(number: int) -> tuple[Ticket, Inquiry] | None:
    tickets = Ticket.objects.select_related("source", "requester", "category", "team", "component")
    ticket = tickets.defer("embedding", "raw").filter(pk=number).first()
    return (ticket, inquiry_of(ticket, list(Message.objects.with_customer(ticket)))) if ticket else None


def _would_hold(ticket: Ticket, fields: Any) -> Held:
    """The machine's values as a ticket holds them: none where a person decided, nothing in the band ask."""
    machines = [name for name in COMPARED if name in fields and not ticket.decided_by_person(name)]
    return {name: None if fields[name].band == "ask" else _spelled(fields[name].value) for name in machines}


def _spelled(value: FieldValue) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _cost(subject: str) -> Decimal | None:
    calls = Call.objects.filter(subject_kind="replay", subject_id=subject)
    if calls.filter(cost=None).exists():
        return None
    return calls.aggregate(sum=Sum("cost"))["sum"] or Decimal(0)
