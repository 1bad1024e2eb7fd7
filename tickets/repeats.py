"""What the same text was read as before: looked up by a hash of the text and of all that read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.utils import timezone

from tickets.context import inquiry_of
from tickets.models import Message, Review, Suggestion, Ticket
from triage import prompts
from triage.embedding import VERSION, clean
from triage.engines import rules
from triage.mask import redact
from triage.pipeline.repeat import readdressed
from triage.pipeline.types import FIELDS, Context, Drafted, Earlier, FieldName, FieldReading, Inquiry

# What one person decided on the same words was never measured: like a model's word it is believed this much.
DECIDED_BEFORE = 0.9
_SAYS_WHAT_TO_ANSWER = ("category", "priority", "team")


def text_hash(inquiry: Inquiry) -> str:
    """SHA-256 of the cleaned conversation, case and white space aside; empty where there are no words."""
    parts = [clean(inquiry.subject), *(f"{turn.author}\x1f{clean(turn.text)}" for turn in inquiry.turns)]
    if not clean(inquiry.text):
        return ""
    return _hash(" ".join(part.casefold().split()) for part in parts)


def basis_of(inquiry: Inquiry, context: Context, text: str) -> str:
    """What a verdict rests on: the text, by its hash, and all engines, prompts, labels and instructions it goes by."""
    if not text or context.engine != "cascade":
        return ""
    engines = [
        VERSION if context.vector is not None else "",
        f"{context.local.version} {sorted(context.local.suggested_only)}" if context.local else "",
        settings.TRIAGE_MODEL if context.ask else "",
        prompts.load("classify").version,
        prompts.load("draft").version,
        _rules_version(),
    ]
    return _hash([text, *engines, repr(context.taxonomy), context.guidance, inquiry.submitted_priority or ""])


def earlier(ticket: Ticket, inquiry: Inquiry, context: Context, *, basis: str, text: str) -> Earlier | None:
    """The newest verdict on the same basis, no older than TRIAGE_REUSE_DAYS, with what people decided since.

    `basis` and `text` are what `basis_of` and `text_hash` give. None for a ticket that has been read since its last
    message: who has it read again wants to know it anew.
    """
    if not basis or not settings.TRIAGE_REUSE_DAYS or _read_already(ticket):
        return None
    since = timezone.now() - timedelta(days=settings.TRIAGE_REUSE_DAYS)
    # Of what was deleted or is spam nothing is taken over.
    same = Suggestion.objects.filter(basis=basis, created_at__gte=since, ticket__deleted_at=None).exclude(ticket=ticket)
    newest = same.order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:  # as for nearly all: the wide query is for the others
        return None
    first = Suggestion.objects.select_related("ticket__requester", "ticket__source").filter(pk=newest).first()
    if first is None:
        return None
    decided = _decided(text, ticket, since, context)
    readings = _readings(first, ticket) | decided
    changed = any(readings[name].value != _value(first, name) for name in _SAYS_WHAT_TO_ANSWER if name in readings)
    draft = None if changed else _draft(first, ticket, inquiry)
    return Earlier(first.ticket_id, readings, draft, tuple(first.notes) if draft else ())


def _read_already(ticket: Ticket) -> bool:
    if ticket.triaged_at is None:
        return False
    last = Message.objects.thread(ticket).filter(kind="inbound").order_by("-pk").values_list("pk", flat=True).first()
    return ticket.suggestions.filter(last_message_id=last).exists()


def _decided(text: str, ticket: Ticket, since: Any, context: Context) -> dict[FieldName, FieldReading]:
    """What people said last about each field of tickets with this text."""
    reviews = Review.objects.filter(ticket__text_hash=text, ticket__deleted_at=None, created_at__gte=since)
    reviews = reviews.exclude(field="")
    found: dict[FieldName, FieldReading] = {}
    for review in reviews.exclude(ticket=ticket).order_by("pk"):
        name = cast(FieldName, review.field)
        allowed = context.taxonomy.values(name)
        if review.after is None or (allowed is not None and review.after not in allowed):
            found.pop(name, None)
            continue
        value = tuple(review.after) if isinstance(review.after, list) else review.after
        reason = "A person decided so on the same text."
        found[name] = FieldReading(value, DECIDED_BEFORE, reason, "local", because=(review.ticket_id,))
    return found


def _readings(first: Suggestion, ticket: Ticket) -> dict[FieldName, FieldReading]:
    """As they were stored; without the first customer in what a model wrote about another's ticket."""
    other = first.ticket
    theirs = () if _same_customer(other, ticket) else _called(other)
    readings: dict[FieldName, FieldReading] = {}
    for name in FIELDS:
        kept = first.fields.get(name)
        if kept is None:
            continue
        value, reason = _value(first, name), kept["reason"]
        if theirs and kept["engine"] == "model":
            reason = redact(reason, theirs)
            value = redact(value, theirs) if name == "summary" else value
        because = tuple(kept.get("because", ()))
        readings[name] = FieldReading(value, kept["confidence"], reason, kept["engine"], kept["band"], because)
    return readings


def _same_customer(other: Ticket, ticket: Ticket) -> bool:
    return other.requester_id is not None and other.requester_id == ticket.requester_id


def _called(ticket: Ticket) -> tuple[str, ...]:
    person = ticket.requester
    return tuple(filter(None, (person.name, person.email))) if person else ()


def _value(first: Suggestion, name: str) -> Any:
    value = first.fields.get(name, {}).get("value")
    return tuple(value) if isinstance(value, list) else value


def _draft(first: Suggestion, ticket: Ticket, inquiry: Inquiry) -> Drafted | None:
    """The model's draft, as it was for the same customer; for another only if both wrote the very same words."""
    if first.draft_engine != "model" or not first.draft:
        return None
    drafted = Drafted(first.draft, "model", tuple(first.citations))
    other = first.ticket
    if _same_customer(other, ticket):
        return drafted
    theirs = inquiry_of(other, list(Message.objects.with_customer(other)))
    if (theirs.subject, theirs.turns) != (inquiry.subject, inquiry.turns):
        return None
    text = readdressed(first.draft, names=_called(other), to=inquiry.requester_name)
    return replace(drafted, text=text) if text else None


@lru_cache(maxsize=1)
def _rules_version() -> str:
    return _hash([rules.DATA.read_text(encoding="utf-8")])


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1e".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
