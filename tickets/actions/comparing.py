"""The rows of a replay that a worker takes: read by the other reader and compared, or asked for a batch."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from tickets.actions import batching, handing
from tickets.actions.deliveries import Claimed
from tickets.context import gather, inquiry_of
from tickets.models import COMPARED, Comparison, Message, Replay, ReplayTicket, Review, Suggestion, Ticket
from tickets.models.choices import ReadWith
from tickets.models.work import LEASE
from tickets.reader import Gone, Reader, question_for
from triage.embedding import clean, embed
from triage.models import Call
from triage.pipeline import read
from triage.pipeline.types import Ask, AskedModel, Context, FieldReading, Inquiry, NoAnswer, Question, Verdict

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 4
Row = ReplayTicket.State


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` rows under a lease, those of the oldest replay first."""
    now = timezone.now()
    with transaction.atomic():
        due = ReplayTicket.objects.due(now).order_by("replay_id", "pk")
        taken = list(due.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = ReplayTicket.objects.filter(pk__in=taken)
        mine.update(state=Row.READING, attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=now + LEASE)
        return [Claimed(*each) for each in mine.order_by("pk").values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def take_back_expired() -> int:
    """Rows whose reader died wait again, or fail when every attempt ended so."""
    expired = ReplayTicket.objects.filter(state=Row.READING, lease_until__lt=timezone.now())
    with transaction.atomic():
        lost = list(expired.select_for_update(skip_locked=True, of=("self",))[:500])
        for row in lost:
            _retry_or_fail(row, "The worker stopped while reading")
    return len(lost)


async def work(claimed: Claimed, gate: asyncio.Semaphore | None = None) -> None:
    """Do one claimed row, prepared behind `gate`. Whatever goes wrong is kept with it.

    A comparison touches no ticket.
    """
    try:
        async with gate or nullcontext():
            prepared = await sync_to_async(_prepare)(claimed)
        if prepared is None:
            return
        row, inquiry, context, began = prepared
        if row.replay.kind == Replay.Kind.STORE:
            question = await question_for(inquiry, context)
            await sync_to_async(_ask)(claimed, question)
            return
        context, heard = _listening(await sync_to_async(Reader.of(row.replay).over)(context))
        verdict = await read(inquiry, context)
        if heard.refused:
            await sync_to_async(_fail)(claimed, f"The model could not be asked: {heard.refused}")
        else:
            await sync_to_async(_keep)(claimed, verdict, int((time.monotonic() - began) * 1000))
    except Gone as problem:
        await sync_to_async(_fail)(claimed, str(problem), for_good=True)
    except Exception as error:
        log.exception("replay_broke", row=claimed.pk)
        await sync_to_async(_fail)(claimed, f"{type(error).__name__} while reading")


def _prepare(claimed: Claimed) -> tuple[ReplayTicket, Inquiry, Context, float] | None:
    """The row, what is read and what that leans on, and when the reading began (`time.monotonic`)."""
    if (loaded := _load(claimed)) is None:
        return None
    row, inquiry = loaded
    began = time.monotonic()
    vector = embed(clean(inquiry.text))
    return row, inquiry, gather(inquiry, vector, ticket=row.ticket, engine=row.replay.engine), began


def _held(claimed: Claimed) -> Any:
    return ReplayTicket.objects.filter(pk=claimed.pk, claim=claimed.claim, state=Row.READING)


def _load(claimed: Claimed) -> tuple[ReplayTicket, Inquiry] | None:
    """The row with its ticket, and what is read; None when it is not ours any more, or the day's calls are used up."""
    rows = _held(claimed).select_related("replay", "ticket__source", "ticket__requester")
    row: ReplayTicket | None = rows.defer("ticket__embedding", "ticket__raw").first()
    if row is None:
        return None
    if (limit := row.replay.calls_a_day) is not None and Reader.of(row.replay).may_ask_model:
        today = row.replay.rows.filter(settled_at__date=timezone.localdate())
        if (today.aggregate(sum=Sum("calls"))["sum"] or 0) >= limit:
            note = [f"The {limit:,} calls a day were used up."]
            _held(claimed).update(state=Row.SKIPPED, lease_until=None, settled_at=timezone.now(), notes=note)
            return None
    inquiry = inquiry_of(row.ticket, list(Message.objects.with_customer(row.ticket)))
    if row.replay.compares:  # its calls are told from those that the desk made for the ticket
        inquiry = replace(inquiry, subject_kind="replay", subject_id=str(row.pk))
    return row, inquiry


def _ask(claimed: Claimed, question: Question | None) -> None:
    """Keep the question for a batch. A ticket about which nobody need be asked is read at once, and without the model
    unless that is to draft."""
    with transaction.atomic():
        rows = _held(claimed).select_for_update(of=("self",)).select_related("replay", "ticket")
        if (row := rows.first()) is None:
            return
        if question is not None:
            batching.ask(row, row.ticket, question)
        else:
            handing.hand([row], row.replay.engine if row.replay.drafts else ReadWith.LOCAL)


@dataclass(slots=True)
class _Heard:
    """Whether the model would not answer at all: then what is compared would not be what was meant."""

    refused: str = ""


def _listening(context: Context) -> tuple[Context, _Heard]:
    heard = _Heard()
    if (asked := context.ask) is None:
        return context, heard
    inner: Ask = asked

    async def ask(question: Question) -> AskedModel:
        try:
            return await inner(question)
        except NoAnswer as problem:
            heard.refused = str(problem)
            raise

    return replace(context, ask=ask), heard


def _keep(claimed: Claimed, verdict: Verdict, milliseconds: int) -> None:
    """Write the comparison of every field beside the row, if the claim still holds."""
    with transaction.atomic():
        row = _held(claimed).select_for_update(of=("self",)).select_related("ticket").first()
        if row is None:
            log.info("replay_lease_lost", row=claimed.pk)
            return
        live = _live(row.ticket)
        Comparison.objects.bulk_create(_compared(row, live, verdict))
        row.state, row.settled_at, row.lease_until, row.error = Row.DONE, timezone.now(), None, ""
        row.milliseconds, row.notes = milliseconds, list(verdict.notes)
        row.calls, row.cost = _spent(Call.objects.filter(subject_kind="replay", subject_id=str(row.pk)))
        row.live_milliseconds, row.live_cost = live.milliseconds, live.cost
        row.save()


@dataclass(frozen=True, slots=True)
class _Live:
    """What the reader in force said of a ticket: before a person decided, where one did."""

    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decided: Mapping[str, datetime] = field(default_factory=dict)
    milliseconds: int | None = None
    cost: Any = None


def _live(ticket: Ticket) -> _Live:
    latest = ticket.latest_suggestion
    fields: dict[str, Mapping[str, Any]] = dict(latest.fields) if latest else {}
    decided = {}
    decisions = (Review.Decision.ACCEPTED, Review.Decision.CORRECTED)
    for review in ticket.reviews.filter(decision__in=decisions).select_related("suggestion").order_by("pk"):
        if ticket.decided_by_person(review.field):
            decided[review.field] = review.created_at
            if review.suggestion and review.field in review.suggestion.fields:
                fields[review.field] = review.suggestion.fields[review.field]
    for name in COMPARED:
        if ticket.decided_by_person(name):  # by a statement past the desk there is no review
            decided.setdefault(name, ticket.updated_at)
    took, cost = _live_effort(latest) if latest else (None, None)
    return _Live(fields, decided, took, cost)


def _live_effort(suggestion: Suggestion) -> tuple[int, Any]:
    """Milliseconds and dollars of sorting alone: a comparison drafts nothing, so the draft's share is taken off."""
    began = suggestion.created_at - timedelta(milliseconds=suggestion.milliseconds + 1_000)
    mine = Call.objects.filter(subject_kind="ticket", subject_id=str(suggestion.ticket_id))
    during = mine.filter(created_at__gte=began, created_at__lte=suggestion.created_at)
    drafting = during.filter(operation="draft").aggregate(sum=Sum("latency_ms"))["sum"] or 0
    _, cost = _spent(during.exclude(operation="draft"))
    return max(suggestion.milliseconds - drafting, 0), cost


def _spent(calls: Any) -> tuple[int, Any]:
    """How many calls, and dollars; None where the cost of one is not known."""
    summed = calls.aggregate(n=Count("pk"), sum=Sum("cost"), unknown=Count("pk", filter=Q(cost=None)))
    return summed["n"], None if summed["unknown"] else summed["sum"] or 0


def _compared(row: ReplayTicket, live: _Live, verdict: Verdict) -> list[Comparison]:
    found = []
    for name in COMPARED:
        other, said = verdict.fields.get(name), live.fields.get(name, {})
        if other is None and not said:
            continue
        held, ours, theirs = row.ticket.value_of(name), said.get("value"), _value(other)
        decided_at = live.decided.get(name)
        found.append(
            Comparison(
                row=row,
                field=name,
                held=held,
                decided_at=decided_at,
                live=ours,
                live_confidence=said.get("confidence"),
                live_band=said.get("band", ""),
                live_engine=said.get("engine", ""),
                other=theirs,
                other_confidence=round(float(other.confidence), 4) if other else None,
                other_band=other.band if other else "",
                other_engine=other.engine if other else "",
                agrees=_same(ours, theirs),
                live_right=_same(ours, held) if decided_at else None,
                other_right=_same(theirs, held) if decided_at else None,
            )
        )
    return found


def _value(reading: FieldReading | None) -> Any:
    if reading is None:
        return None
    return list(reading.value) if isinstance(reading.value, tuple) else reading.value


def _same(one: Any, other: Any) -> bool:
    """Tags are a set; nothing is nothing, however it is spelled."""
    if isinstance(one, list) or isinstance(other, list):
        return set(one or ()) == set(other or ())
    return one == other or (one in ("", None) and other in ("", None))


def _fail(claimed: Claimed, why: str, *, for_good: bool = False) -> None:
    with transaction.atomic():
        row = _held(claimed).select_for_update(of=("self",)).first()
        if row is not None:
            _retry_or_fail(row, why, for_good=for_good)


def _retry_or_fail(row: ReplayTicket, why: str, *, for_good: bool = False) -> None:
    row.lease_until = None
    if row.attempts < MOST_ATTEMPTS and not for_good:
        row.state = Row.WAITING
        row.not_before = timezone.now() + timedelta(seconds=(4**row.attempts - 3) * random.uniform(0.8, 1.2))
    else:
        row.state, row.settled_at, row.error = Row.FAILED, timezone.now(), f"{why}."
    row.save(update_fields=["state", "not_before", "lease_until", "settled_at", "error"])
