"""What a reading of a claimed ticket needs before a model is asked: the work of a thread, in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.conf import settings

from tickets import repeats
from tickets.context import gather, inquiry_of, near
from tickets.models import Message, ReadWith, Ticket, TriageState
from tickets.neighbours import Neighbour
from tickets.reader import with_answer
from triage.correlation import tracing
from triage.embedding import clean, embed
from triage.pipeline import Heard, listen
from triage.pipeline.types import Context, Earlier, Inquiry

log = structlog.get_logger(__name__)
# What a reading needs of a ticket's row, which is wide; beside it the whole of its source.
_READ = (
    "number",
    "subject",
    "status",
    "source",
    "requester__name",
    "requester__email",
    "submitted_priority",
    "submitted_tier",
    "read_with",
    "correlation_id",
    "triaged_at",
)


@dataclass(frozen=True, slots=True)
class About:
    """What is kept of a text beside the verdict on it."""

    vector: Any
    text_hash: str
    basis: str
    similar: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    ticket: Ticket  # of its own fields only those of _READ
    inquiry: Inquiry
    context: Context
    about: About
    heard: Heard

    def look_again(self) -> Earlier | None:
        """The verdict on the same text, where one came since this was prepared."""
        return _earlier(self.ticket, self.inquiry, self.context, self.about)


def prepare(number: int, claim: int) -> Prepared | None:
    """None: the claim does not hold any more."""
    if (loaded := _load(number, claim)) is None:
        return None
    ticket, inquiry = loaded
    with tracing(ticket.correlation_id):
        context, about = _gather(ticket, inquiry, embedding_of(inquiry))
        return Prepared(ticket, inquiry, context, about, listen(inquiry, context))


def embedding_of(inquiry: Inquiry) -> Any:
    """The vector of the text; None where the embedding cannot be loaded, for then the other engines read."""
    try:
        return embed(clean(inquiry.text))
    except Exception:
        log.exception("embedding_broke")
        return None


def _load(number: int, claim: int) -> tuple[Ticket, Inquiry] | None:
    tickets = Ticket.objects.select_related("source", "requester").only(*_READ)
    ticket = tickets.filter(pk=number, claim=claim, triage_state=TriageState.PROCESSING).first()
    return (ticket, inquiry_of(ticket, list(Message.objects.with_customer(ticket)))) if ticket else None


def _gather(ticket: Ticket, inquiry: Inquiry, vector: Any) -> tuple[Context, About]:
    """What the reading leans on, by the engines it is to be read with; also the verdict on the same text."""
    found = near(vector, ticket, alike=settings.TRIAGE_SIMILAR_K)
    if ticket.read_with == ReadWith.ANSWER:
        context = with_answer(gather(inquiry, vector, ticket=ticket, neighbours=found), ticket)
    else:
        context = gather(inquiry, vector, ticket=ticket, engine=ticket.read_with, neighbours=found)
    text = repeats.text_hash(inquiry)
    about = About(vector, text, repeats.basis_of(inquiry, context, text), _kept(found.alike))
    if ticket.read_with == ReadWith.CASCADE:
        context = replace(context, earlier=_earlier(ticket, inquiry, context, about))
    return context, about


def _kept(alike: Iterable[Neighbour]) -> list[dict[str, Any]]:
    """The likest tickets as they were when this one was read: [{number, similarity}]."""
    kept = [{"number": one.number, "similarity": round(one.similarity, 4)} for one in alike]
    return [one for one in kept if one["similarity"] >= settings.TRIAGE_SIMILAR_FROM]


def _earlier(ticket: Ticket, inquiry: Inquiry, context: Context, about: About) -> Earlier | None:
    return repeats.earlier(ticket, inquiry, context, basis=about.basis, text=about.text_hash)
