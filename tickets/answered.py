"""Answers that people sent to tickets like this one, to be put into another reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tickets.models import ENDED, Message, Ticket
from tickets.similar import Similar, similar_to
from triage.mask import redact
from triage.models import User


@dataclass(frozen=True, slots=True)
class Answered:
    """A ticket that was answered, and its last reply without the names and addresses of its customer."""

    number: int
    subject: str
    likeness: float
    text: str


def answered(ticket: Ticket, user: User, similar: Sequence[Similar] | None = None) -> list[Answered]:
    """The answers to ended tickets like this one that this person may see, the likest first.

    `similar` are the similar tickets where the caller knows them already. No query, one or two.
    """
    if similar is None:
        similar = similar_to(ticket, Ticket.objects.visible_to(user))
    ended = {one.ticket.number: one for one in similar if one.ticket.status in ENDED}
    if not ended:
        return []
    replies = Message.objects.filter(ticket__in=ended, kind=Message.Kind.OUTBOUND).order_by("ticket_id", "-pk")
    last = {
        reply.ticket_id: reply for reply in replies.distinct("ticket_id").select_related("author", "ticket__requester")
    }
    return [
        Answered(number, one.ticket.subject, one.likeness, text)
        for number, one in ended.items()
        if number in last and (text := redact(last[number].text, _names(last[number])).strip())
    ]


def _names(reply: Message) -> tuple[str, ...]:
    customer = reply.ticket.requester
    named = [customer.name, customer.email] if customer else []
    return tuple(filter(None, [*named, reply.author.label if reply.author else ""]))
