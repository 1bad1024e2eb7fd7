"""A ticket as the API shows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from tickets.models import Attachment, Message, Ticket
from tickets.models.ticket import TicketQuerySet
from tickets.promises import TARGETS, Promise
from triage.models import Call
from triage.pipeline.types import FIELDS, MANUAL_REVIEW, Verdict

Json = dict[str, Any]


def for_api(tickets: TicketQuerySet) -> TicketQuerySet:
    """With all of a ticket's own row and its neighbours that `present_tickets` reads, in one query."""
    related = ("category", "component", "team", "assignee", "requester", "source", "draft__suggestion")
    return tickets.select_related(*related).defer("embedding", "raw", "draft__suggestion__fields")


def present_tickets(tickets: Sequence[Ticket], *, visible: TicketQuerySet) -> list[Json]:
    """Tickets of `for_api()`, with descriptions and costs, and the citations of tickets that are `visible`."""
    numbers = [ticket.number for ticket in tickets]
    first = Message.objects.filter(ticket__in=numbers, kind=Message.Kind.INBOUND).order_by("ticket", "pk")
    texts = dict(first.distinct("ticket").values_list("ticket", "text"))
    costs = _costs(numbers)
    cited = {citation["ticket"] for ticket in tickets for citation in _citations(ticket) if "ticket" in citation}
    readable = set(visible.filter(pk__in=cited).values_list("pk", flat=True)) if cited else set()
    return [
        present(ticket, description=texts.get(ticket.number, ""), cost=costs.get(ticket.number, 0.0), readable=readable)
        for ticket in tickets
    ]


def present(ticket: Ticket, *, description: str, cost: float = 0.0, readable: Collection[int] = ()) -> Json:
    """`readable` are the numbers of other tickets that may be named."""
    provenance = ticket.provenance
    requester = ticket.requester
    reasons = _told(provenance, "reason")
    if ticket.error:
        reasons["triage_state"] = ticket.error
    return {
        **_identity(ticket),
        "title": ticket.subject,
        "description": description,
        "status": ticket.status,
        "triage_state": ticket.triage_state,
        "source": ticket.source.name,
        "requester": {"email": requester.email, "name": requester.name} if requester else None,
        **{name: ticket.value_of(name) for name in FIELDS},
        "confidence": _told(provenance, "confidence"),
        "band": _told(provenance, "band"),
        "engine": _told(provenance, "engine"),
        "reasons": reasons,
        "escalated": ticket.escalated,
        "escalation_reason": ticket.escalation_reason or None,
        "assignee": ticket.assignee.label if ticket.assignee else None,
        "cluster": None,
        "merged_into": ticket.merged_into_id,
        "snoozed_until": stamp(ticket.snoozed_until),
        "draft": _draft(ticket, readable),
        "cost_usd": cost,
        "submitted": {"priority": ticket.submitted_priority or None, "tier": ticket.submitted_tier},
        "sla": _sla(ticket),
        "created_at": stamp(ticket.created_at),
        "updated_at": stamp(ticket.updated_at),
        "triaged_at": stamp(ticket.triaged_at),
    }


def present_known(ticket: Ticket) -> Json:
    """What a sender may know of a ticket that is there already and that they may not see."""
    return {**_identity(ticket), "source": ticket.source.name, "created_at": stamp(ticket.created_at)}


def present_verdict(verdict: Verdict) -> Json:
    """A reading of a bare text, by the same rules as a ticket's: in the band `ask` a field holds nothing."""
    values: Json = dict.fromkeys(FIELDS)
    for name, reading in verdict.fields.items():
        if reading.band != "ask":
            values[name] = list(reading.value) if isinstance(reading.value, tuple) else reading.value
    values["team"] = values["team"] or MANUAL_REVIEW
    values["tags"] = values["tags"] or []
    return {
        **{name: None if value == "" else value for name, value in values.items()},
        "confidence": {name: round(float(reading.confidence), 4) for name, reading in verdict.fields.items()},
        "band": {name: reading.band for name, reading in verdict.fields.items()},
        "engine": {name: reading.engine for name, reading in verdict.fields.items()},
        "reasons": {name: reading.reason for name, reading in verdict.fields.items()},
        "escalated": verdict.escalated,
        "escalation_reason": verdict.escalation_reason or None,
        "notes": list(verdict.notes),
    }


def present_comments(messages: Sequence[Message]) -> list[Json]:
    return [
        {
            "id": message.pk,
            "text": message.text,
            "author": message.author_label,
            "created_at": stamp(message.created_at),
            "attachments": [present_attachment(one) for one in message.attachments.all()],
        }
        for message in messages
    ]


def present_messages(messages: Sequence[Message]) -> list[Json]:
    kinds = ["reply" if message.kind == Message.Kind.OUTBOUND else "customer" for message in messages]
    return [{**shown, "kind": kind} for shown, kind in zip(present_comments(messages), kinds, strict=True)]


def present_attachment(one: Attachment) -> Json:
    return {
        "id": one.pk,
        "name": one.name,
        "content_type": one.content_type,
        "size": one.size,
        "sha256": one.sha256,
        "url": f"{settings.BASE_URL}/api/v1/tickets/{one.ticket_id}/attachments/{one.pk}",
    }


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the microsecond that `updated_since` compares by."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _identity(ticket: Ticket) -> Json:
    return {
        "number": ticket.number,
        "id": str(ticket.public_id),
        "url": f"{settings.BASE_URL}{ticket.get_absolute_url()}",
    }


def _told(provenance: Mapping[str, Mapping[str, Any]], what: str) -> Json:
    return {name: provenance[name][what] for name in FIELDS if what in provenance.get(name, {})}


def _citations(ticket: Ticket) -> list[Json]:
    draft = ticket.current_draft
    return draft.suggestion.citations if draft and draft.suggestion else []


def _draft(ticket: Ticket, readable: Collection[int]) -> Json | None:
    draft = ticket.current_draft
    if draft is None:
        return None
    return {
        "text": draft.text,
        "citations": [
            citation for citation in _citations(ticket) if "ticket" not in citation or citation["ticket"] in readable
        ],
        "stale": draft.stale,
        "version": draft.version,
        "answers": draft.answers_id,
        "flags": [{"kind": flag["kind"], "words": flag["words"]} for flag in draft.flags],
    }


def _sla(ticket: Ticket) -> Json:
    now = timezone.now()
    promises = {promise.target: promise for promise in ticket.promises}
    return {
        "due_at": stamp(ticket.due_at),
        "first_replied_at": stamp(ticket.first_replied_at),
        "breached": any(promise.state(now) == "breached" for promise in promises.values()),
        **{target: _promise(promises.get(target), now) for target in TARGETS},
    }


def _promise(promise: Promise | None, now: datetime) -> Json | None:
    if promise is None:
        return None
    return {"due_at": stamp(promise.due_at), "met_at": stamp(promise.met_at), "state": promise.state(now)}


def _costs(numbers: Sequence[int]) -> dict[int, float]:
    calls = Call.objects.filter(subject_kind="ticket", subject_id__in=[str(number) for number in numbers])
    sums = calls.order_by().values("subject_id").annotate(sum=Sum("cost")).values_list("subject_id", "sum")
    return {int(subject): float(total or 0) for subject, total in sums}
