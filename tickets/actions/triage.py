"""The machine reads tickets: claimed, embedded, read, and what it thinks stored beside what people decided."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import structlog
from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from tickets import once
from tickets.actions import shadow
from tickets.actions.auditing import draw
from tickets.actions.carrying import give_by_load, let_go_if_out_of_sight
from tickets.actions.decided import normalise
from tickets.actions.deliveries import Claimed
from tickets.actions.drafts import last_inbound
from tickets.actions.errors import Invalid
from tickets.actions.learning import labels_of
from tickets.actions.notifying import tell_assignee, tell_leads
from tickets.actions.promising import reckon
from tickets.actions.review import require_lead
from tickets.context import gather, remembered
from tickets.flagged import flags_of, stored
from tickets.live import announce
from tickets.models import (
    Draft,
    Example,
    Lane,
    ReadWith,
    Status,
    Suggestion,
    Team,
    Ticket,
    TriageState,
)
from tickets.models.ticket import TicketQuerySet
from tickets.models.work import LEASE
from tickets.preparation import About, Prepared, embedding_of, prepare
from triage.correlation import acting, tracing
from triage.flags import visible
from triage.models import Pause, User
from triage.pipeline import read
from triage.pipeline.types import MANUAL_REVIEW, Context, Inquiry, Turn, Verdict
from triage.queue import ring

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 4
MANY = 50
PAUSED = "The machine is paused, so no model was asked."


def claim(limit: int, lanes: Sequence[int]) -> list[Claimed]:
    """Take up to `limit` submitted tickets of these lanes, the interactive ones first, under a lease."""
    with transaction.atomic():
        due = Ticket.objects.due_for_triage().filter(lane__in=lanes).order_by("lane", "number")
        numbers = list(due.select_for_update(skip_locked=True, of=("self",)).values_list("number", flat=True)[:limit])
        if not numbers:
            return []
        mine = Ticket.objects.filter(number__in=numbers)
        mine.update(
            triage_state=TriageState.PROCESSING,
            attempts=F("attempts") + 1,
            claim=F("claim") + 1,
            lease_until=timezone.now() + LEASE,
        )
        return [Claimed(*row) for row in mine.order_by("lane", "number").values_list("number", "claim")]


def renew(under_way: Iterable[Claimed]) -> None:
    """Keep these leases, in a statement for each count of claims: nearly all tickets are claimed for the first time."""
    by_claim = defaultdict(list)
    for claimed in under_way:
        by_claim[claimed.claim].append(claimed.pk)
    for claim, numbers in by_claim.items():
        mine = Ticket.objects.filter(pk__in=numbers, claim=claim, triage_state=TriageState.PROCESSING)
        mine.update(lease_until=timezone.now() + LEASE)


async def triage_ticket(claimed: Claimed, gate: asyncio.Semaphore | None = None) -> None:
    """Read one claimed ticket and store what the machine thinks. Whatever goes wrong is kept with the ticket.

    Where many are begun at once, `gate` lets them be prepared one after the other: the first can then be with the model
    while the last is not embedded yet. A thread does all of that, and another time all of the storing: each way to a
    thread and back costs as much as a query.
    """
    try:
        async with gate or nullcontext():
            began = time.monotonic()
            prepared = await sync_to_async(prepare)(claimed.pk, claimed.claim)
        if prepared is None:
            return
        async with once.in_hand(prepared.about.basis) as hold:
            with tracing(prepared.ticket.correlation_id):
                verdict = await _read_once(prepared, hold)
            await sync_to_async(_store)(claimed, verdict, prepared, int((time.monotonic() - began) * 1000))
    except Exception as error:
        log.exception("triage_broke", ticket=claimed.pk)
        await sync_to_async(fail)(claimed, f"{type(error).__name__} while reading")


async def _read_once(prepared: Prepared, hold: once.Hold) -> Verdict:
    """Read it, with the verdict on the same text where another ticket brought that at the same time."""
    inquiry, heard = prepared.inquiry, prepared.heard
    context = await _looked_again(prepared) if hold.waited else prepared.context
    try:
        return await read(inquiry, replace(context, ask=hold.asking(context.ask)), heard)
    except once.AskedElsewhere:
        return await read(inquiry, await _looked_again(prepared), heard)


async def _looked_again(prepared: Prepared) -> Context:
    if prepared.context.earlier is not None or prepared.ticket.read_with != ReadWith.CASCADE:
        return prepared.context
    return replace(prepared.context, earlier=await sync_to_async(prepared.look_again)())


async def read_text(*, title: str, text: str) -> Verdict:
    """Read a bare text without storing a ticket. Calls to a model are in the ledger all the same.

    In a pause no model is asked, and the notes say so.
    """
    inquiry = Inquiry(subject=title, turns=(Turn("customer", text),), subject_kind="classify")
    vector = await asyncio.to_thread(embedding_of, inquiry)
    context = await sync_to_async(gather)(inquiry, vector)
    paused = await sync_to_async(Pause.in_force)() is not None
    verdict = await read(inquiry, replace(context, want_draft=False, ask=None if paused else context.ask))
    return replace(verdict, notes=(PAUSED, *verdict.notes)) if paused else verdict


def _store(claimed: Claimed, verdict: Verdict, prepared: Prepared, milliseconds: int) -> None:
    """Keep the verdict as a Suggestion and let it fill what no person has set, if the claim still holds."""
    about = prepared.about
    with transaction.atomic():
        tickets = Ticket.objects.select_for_update(of=("self",)).select_related("team", "draft")
        tickets = tickets.defer("embedding", "raw")
        mine = tickets.filter(pk=claimed.pk, claim=claimed.claim, triage_state=TriageState.PROCESSING)
        ticket = mine.annotate(followed=Exists(shadow.standing())).first()
        if ticket is None:
            log.info("triage_lease_lost", ticket=claimed.pk)
            return
        ticket.source = prepared.ticket.source  # as it was when the ticket was read
        engine = verdict.fields["category"].engine if "category" in verdict.fields else "rules"
        with acting(f"machine:{engine}", correlation_id=ticket.correlation_id):
            suggestion = _keep(ticket, verdict, about, milliseconds)
            before = ticket.status
            _apply(ticket, verdict)
            ticket.embedding, ticket.text_hash = about.vector, about.text_hash
            ticket.triage_state, ticket.triaged_at, ticket.lease_until = TriageState.TRIAGED, timezone.now(), None
            ticket.attempts, ticket.error, ticket.read_with = 0, "", ReadWith.CASCADE
            reckon(ticket)
            given = give_by_load(ticket)
            ticket.save()
            if labels_of(ticket):  # else it is an example of nothing
                Example.objects.filter(ticket=ticket).update(embedding=about.vector)
            _draft(ticket, suggestion)
            draw(ticket)
            if getattr(ticket, "followed", False):
                shadow.follow(ticket)
            announce(ticket, "read")
            if ticket.status == Status.ESCALATED != before:
                tell_leads(ticket=ticket)
            if given:
                tell_assignee(kind="assigned", ticket=ticket)


def _keep(ticket: Ticket, verdict: Verdict, about: About, milliseconds: int) -> Suggestion:
    return Suggestion.objects.create(
        ticket=ticket,
        fields={
            name: {
                "value": list(reading.value) if isinstance(reading.value, tuple) else reading.value,
                "confidence": round(float(reading.confidence), 4),
                "band": reading.band,
                "reason": reading.reason,
                "engine": reading.engine,
                "because": list(reading.because),
            }
            for name, reading in verdict.fields.items()
        },
        withheld={name: list(value) if isinstance(value, tuple) else value for name, value in verdict.withheld.items()},
        confidence=verdict.confidence,
        escalated=verdict.escalated,
        escalation_reason=verdict.escalation_reason[:300],
        draft=verdict.draft.text if verdict.draft else "",
        draft_engine=verdict.draft.engine if verdict.draft else "",
        citations=[dict(citation) for citation in verdict.draft.citations] if verdict.draft else [],
        model=visible(verdict.model)[:80],  # a server may call itself anything
        prompt_version=verdict.prompt_version,
        notes=list(verdict.notes),
        last_message_id=last_inbound(ticket),
        # a copy is never copied, so that no verdict outlives its days; nor is one that an engine is missing from
        basis=about.basis if verdict.complete and verdict.repeat_of is None else "",
        repeat_of=verdict.repeat_of,
        similar=about.similar,
        milliseconds=milliseconds,
    )


def _apply(ticket: Ticket, verdict: Verdict) -> None:
    """Hold the machine's values where no person decided; in the band `ask` a field holds nothing."""
    team = ticket.team
    for name, reading in verdict.fields.items():
        if ticket.decided_by_person(name) or ticket.held_by_rule(name):
            continue
        value = list(reading.value) if isinstance(reading.value, tuple) else reading.value
        try:
            held = None if reading.band == "ask" else value
            row = remembered(name, held) if isinstance(held, str) else None
            setattr(ticket, name, row or normalise(name, held))
        except Invalid as wrong:  # a label that was retired while the machine read
            log.warning("reading_not_applied", ticket=ticket.number, field=name, why=wrong.code)
            continue
        ticket.provenance[name] = {
            "engine": reading.engine,
            "confidence": round(float(reading.confidence), 4),
            "band": reading.band,
            "reason": reading.reason,
            **({"because": list(reading.because)} if reading.because else {}),
        }
    if ticket.team is None and not ticket.decided_by_person("team"):
        ticket.team, _ = Team.objects.get_or_create(key=MANUAL_REVIEW, defaults={"name": "Manual review"})
    if ticket.team != team and not ticket.decided_by_person("assignee"):
        let_go_if_out_of_sight(ticket)
    ticket.confidence = ticket.provenance.get("category", {}).get("confidence")
    _escalate(ticket, verdict)


def _escalate(ticket: Ticket, verdict: Verdict) -> None:
    """What a person escalated stays so; the machine's own escalation follows its latest reading."""
    if not ticket.decided_by_person("escalated"):
        ticket.escalated, ticket.escalation_reason = verdict.escalated, verdict.escalation_reason[:300]
    if ticket.status in (Status.NEW, Status.IN_REVIEW, Status.ESCALATED):
        ticket.set_status(Status.ESCALATED if ticket.escalated else Status.IN_REVIEW)


def _draft(ticket: Ticket, suggestion: Suggestion) -> None:
    """Offer the new draft; a text that a person has edited is theirs and stays.

    A ticket that waits on the customer is answered: it may have been while it was read.
    """
    if not suggestion.draft or not ticket.is_open or ticket.status == Status.WAITING:
        return
    draft = ticket.current_draft
    if draft is not None and draft.edited:
        return
    draft = draft or Draft(ticket=ticket, version=0)
    draft.suggestion, draft.text, draft.stale = suggestion, suggestion.draft, False
    draft.flags = stored(flags_of(ticket, draft.text, suggestion))
    draft.answers_id, draft.proposed_by = suggestion.last_message_id, ""
    draft.version += 1
    draft.save()


def fail(claimed: Claimed, why: str) -> None:
    """A reading broke: again after a while, and after the last attempt it is failed and says so."""
    with transaction.atomic():
        tickets = Ticket.objects.select_for_update(of=("self",)).defer("embedding")
        ticket = tickets.filter(pk=claimed.pk, claim=claimed.claim, triage_state=TriageState.PROCESSING).first()
        if ticket is not None:
            with acting("machine:worker", correlation_id=ticket.correlation_id):
                _retry_or_fail(ticket, why)


def _retry_or_fail(ticket: Ticket, why: str) -> None:
    ticket.lease_until = None
    if ticket.attempts < MOST_ATTEMPTS:
        ticket.triage_state = TriageState.SUBMITTED
        # At once after the first attempt: a killed worker is the usual cause. Then 2, 6 seconds.
        wait = (2**ticket.attempts - 2) * random.uniform(0.8, 1.2)
        ticket.not_before = timezone.now() + timedelta(seconds=wait)
    else:
        ticket.triage_state = TriageState.FAILED
        ticket.error = f"{why}. Given up after {ticket.attempts} attempts."
    ticket.save(update_fields=["triage_state", "not_before", "lease_until", "error", "updated_at"])
    announce(ticket, "failed" if ticket.triage_state == TriageState.FAILED else "changed")


def take_back_expired() -> int:
    """Tickets whose reader died: submitted again, or failed when every attempt ended so."""
    expired = Ticket.objects.filter(triage_state=TriageState.PROCESSING, lease_until__lt=timezone.now())
    with acting("machine:worker"), transaction.atomic():
        lost = list(expired.select_for_update(skip_locked=True, of=("self",)).defer("embedding")[:500])
        for ticket in lost:
            _retry_or_fail(ticket, "The worker stopped while reading")
    return len(lost)


def retry_failed(*, tickets: TicketQuerySet, by: User) -> int:
    """Let what could not be read be read once more, of these tickets. Many wait behind what customers send now."""
    require_lead(by)
    failed = tickets.unreadable()
    return submit_again(tickets=failed, lane=Lane.IMPORTED if failed.count() > MANY else Lane.INTERACTIVE)


def submit_again(*, tickets: QuerySet[Ticket], lane: Lane = Lane.INTERACTIVE, read_with: str = ReadWith.CASCADE) -> int:
    """Let the machine read these tickets once more. What a person set stays. Returns how many will be read."""
    with transaction.atomic():
        idle = tickets.filter(triage_state__in=(TriageState.TRIAGED, TriageState.FAILED), merged_into=None)
        numbers = list(idle.select_for_update(of=("self",)).order_by("number").values_list("number", flat=True))
        Ticket.objects.filter(pk__in=numbers).update(
            triage_state=TriageState.SUBMITTED,
            read_with=read_with,
            attempts=0,
            error="",
            not_before=timezone.now(),
            lane=lane,
            updated_at=timezone.now(),
        )
        if numbers:
            ring("interactive")
        if lane == Lane.IMPORTED and numbers:
            ring("batch")
        for ticket in Ticket.objects.filter(pk__in=numbers[:50]).only("number", "team_id"):
            announce(ticket, "changed")
    return len(numbers)


def skip(*, tickets: QuerySet[Ticket]) -> int:
    """Leave unread what waits of these. They can be run again, one by one or by `reprocess --failed`."""
    waiting = tickets.filter(triage_state=TriageState.SUBMITTED)
    with transaction.atomic():
        numbers = list(waiting.select_for_update(of=("self",)).order_by("number").values_list("number", flat=True))
        Ticket.objects.filter(pk__in=numbers).update(
            triage_state=TriageState.FAILED, error="Left unread by a command.", updated_at=timezone.now()
        )
        for ticket in Ticket.objects.filter(pk__in=numbers[:50]).only("number", "team_id"):
            announce(ticket, "failed")
    return len(numbers)
