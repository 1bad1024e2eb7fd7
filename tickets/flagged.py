"""The flags of a reply: what it names that neither its conversation nor the answers it leans on hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from tickets.context import taxonomy
from tickets.models import Macro, Message, Suggestion, Ticket
from triage.flags import Flag, flags
from triage.mask import redact
from triage.pipeline.replies import languages, sla_sentence
from triage.pipeline.types import PRIORITIES

SAID = {
    "link": "This link stands neither in the conversation nor in an answer that helped before.",
    "address": "Nobody in the conversation gave this address.",
    "phone": "Nobody in the conversation gave this phone number.",
    "account": "Nobody in the conversation gave this number of an account, card or wallet.",
    "secret": "This looks like a password, key or token.",
    "machine": "Nobody in the conversation gave this network address.",
    "ticket": "This is the number of another ticket.",
    "promise": "This may promise money or a date.",
}
AROUND = 60  # characters shown before and after the words


@dataclass(frozen=True, slots=True)
class Shown:
    """A flag as a person reads it: the very words, what stands around them, and why they should look."""

    words: str
    before: str
    after: str
    said: str
    asks: bool


def flags_of(ticket: Ticket, text: str, suggestion: Suggestion | None) -> tuple[Flag, ...]:
    """The flags of this text as a reply to this ticket, now."""
    if text == _template(suggestion):
        return ()  # the templates hold what we know to be so, and the customer's own name
    return flags(text, _known(ticket, suggestion), _own(ticket, suggestion))


def stored(found: Iterable[Flag]) -> list[dict[str, Any]]:
    """As a Draft keeps them: [{kind, words, start}]."""
    return [{"kind": flag.kind, "words": flag.words, "start": flag.start} for flag in found]


def shown(found: Iterable[Mapping[str, Any]], text: str) -> list[Shown]:
    """Stored flags with the words around them, those that want a second yes first."""
    return sorted((_shown(Flag(**flag), text) for flag in found), key=lambda one: not one.asks)


def _shown(flag: Flag, text: str) -> Shown:
    end = flag.start + len(flag.words)
    before = text[: flag.start].rpartition("\n")[2]
    after = text[end:].partition("\n")[0]
    before = before if len(before) <= AROUND else f"\u2026{before[-AROUND:]}"
    after = after if len(after) <= AROUND else f"{after[:AROUND]}\u2026"
    return Shown(flag.words, before, after, SAID[flag.kind], flag.asks)


def _known(ticket: Ticket, suggestion: Suggestion | None) -> Iterator[str]:
    """The texts whose links and addresses are no news: what both sides wrote, and what is cited.

    A cited answer counts as it was shown, without the links and addresses of its own customer.
    """
    yield from (ticket.subject, f"#{ticket.number}", f"ticket {ticket.number}")
    if ticket.requester:
        yield ticket.requester.email
    yield from Message.objects.with_customer(ticket).conversation().values_list("text", flat=True)
    if suggestion:
        yield from _answers([citation["ticket"] for citation in suggestion.citations if "ticket" in citation])


def _own(ticket: Ticket, suggestion: Suggestion | None) -> Iterator[str]:
    """What the desk says of itself: its door, its status page, its target for an answer, its templates and macros."""
    if template := _template(suggestion):
        yield template
    yield from (ticket.source.sender, ticket.source.signature, ticket.source.guidance)
    yield f"{settings.BASE_URL}{ticket.get_status_url()}"
    yield from Macro.objects.active().exclude(scope=Macro.Scope.OWN).values_list("text", flat=True)
    hours = taxonomy()[1]
    yield from (sla_sentence(priority, hours, language) for priority in PRIORITIES for language in languages())


def _template(suggestion: Suggestion | None) -> str:
    """What of a suggested reply came from the templates: all but what it quotes."""
    if suggestion is None or suggestion.draft_engine != "template":
        return ""
    return "\n".join(line for line in suggestion.draft.splitlines() if not line.startswith(">"))


def _answers(numbers: list[int]) -> list[str]:
    """The last reply of each of these tickets, without what is personal in it."""
    replies = Message.objects.filter(ticket__in=numbers, kind=Message.Kind.OUTBOUND).order_by("ticket_id", "-pk")
    texts = []
    for reply in replies.distinct("ticket_id").select_related("author", "ticket__requester"):
        person = reply.ticket.requester
        names = [person.name, person.email] if person else []
        texts.append(redact(reply.text, [*filter(None, names), *([reply.author.label] if reply.author else [])]))
    return texts
