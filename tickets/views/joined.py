"""What a ticket has to do with others: what was merged into it, split off it, is linked with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Q

from tickets.actions.attaching import drafted
from tickets.actions.errors import Invalid
from tickets.models import JoinEvent, Link, Mail, Merge, Message, RuleFiring, SlaEvent, Split, Ticket
from tickets.models.ticket import TicketQuerySet
from tickets.similar import similar_to
from triage.models import Call, User

FOUND = 10


@dataclass(frozen=True, slots=True)
class Part:
    """A ticket that was merged into this one."""

    ticket: Ticket
    merge: Merge | None
    visible: bool
    stranger: bool  # another customer's: a reply here does not reach them


@dataclass(frozen=True, slots=True)
class Linked:
    link: Link
    words: str
    ticket: Ticket


def joined_of(ticket: Ticket, user: User, messages: Iterable[Message], there: Mapping[str, bool]) -> dict[str, Any]:
    """What the page shows of it. No query for a ticket that stands alone, some for another. `there` is of there_of."""
    parts = list(_parts(ticket)) if there["has_parts"] else []
    splits = list(_splits(ticket).select_related("by", "ticket", "new")) if there["has_splits"] else []
    links = list(Link.objects.of(ticket).select_related("one", "other", "by")) if there["has_links"] else []
    origins = {number for message in messages for number in (message.ticket_id, message.origin_id) if number}
    merges = {one.ticket_id: one for one in _merges([ticket, *parts])} if parts or ticket.merged_into_id else {}
    numbers = {one.pk for one in parts} | {one.merged_into_id for one in [ticket] if one.merged_into_id}
    numbers |= {number for one in splits for number in (one.ticket_id, one.new_id)} | (origins - {ticket.pk})
    numbers |= {number for one in links for number in (one.one_id, one.other_id)}
    visible = (
        set(Ticket.objects.visible_to(user).filter(pk__in=numbers).values_list("pk", flat=True)) if numbers else ()
    )
    others = [(one, one.other if one.one_id == ticket.pk else one.one) for one in links]
    return {
        "merge": merges.get(ticket.pk),
        "parts": [
            Part(one, merges.get(one.pk), one.pk in visible, one.requester_id != ticket.requester_id) for one in parts
        ],
        "splits": [one for one in splits if one.new_id in visible and one.ticket_id in (*visible, ticket.pk)],
        "links": [Linked(one, one.words_from(ticket.pk), other) for one, other in others if other.pk in visible],
        "visible_numbers": visible,
    }


def candidates(ticket: Ticket, user: User, typed: str) -> list[Ticket]:
    """What it may be joined with: found by number or words, or the likest where nothing is typed.

    A number of one that is merged finds the one at its root.
    """
    visible = Ticket.objects.visible_to(user)
    alone = visible.exclude(pk=ticket.pk).filter(merged_into=None)
    if not typed:
        numbers = [one.ticket.pk for one in similar_to(ticket, visible, limit=FOUND)]
        found = {one.pk: one for one in alone.for_rows().filter(pk__in=numbers)}
        return [found[number] for number in numbers if number in found]
    number = typed.lstrip("#")
    if number.isascii() and number.isdigit() and len(number) < 18:
        named = visible.filter(pk=int(number)).values_list("merged_into", flat=True).first() or int(number)
        if exact := list(alone.for_rows().filter(pk=named)):
            return exact
    return list(alone.matching(typed).for_rows().newest_first()[:FOUND])


def chosen(user: User, given: str, field: str) -> Ticket:
    """The ticket of a number that was posted. Raises Invalid where there is none that this person may see."""
    number = given.strip().lstrip("#")
    visible: TicketQuerySet = Ticket.objects.visible_to(user)
    found = None
    if number.isascii() and number.isdigit() and len(number) < 18:
        found = visible.filter(pk=int(number)).first()
    if found is None:
        raise Invalid("no_such_ticket", "Choose a ticket that you can see.", field=field)
    return found


def there_of(ticket: Ticket) -> dict[str, bool]:
    """What the ticket has at all of what few have: one query spares the page the others."""
    asked = Ticket.objects.filter(pk=ticket.pk).values(
        has_parts=Exists(Ticket.objects.filter(merged_into=ticket.pk)),
        has_splits=Exists(_splits(ticket)),
        has_links=Exists(Link.objects.of(ticket)),
        has_firings=Exists(RuleFiring.objects.filter(ticket=ticket.pk)),
        has_joins=Exists(JoinEvent.objects.filter(ticket=ticket.pk)),
        has_enclosures=Exists(drafted(ticket)),
        has_sla_events=Exists(SlaEvent.objects.filter(ticket=ticket.pk)),
        has_calls=Exists(Call.objects.about("ticket", ticket.pk)),
        has_mails=Exists(Mail.objects.filter(ticket=ticket.pk)),
    )
    found: Any = asked.get()
    return dict(found)


def _parts(ticket: Ticket) -> TicketQuerySet:
    return ticket.parts.select_related("requester", "draft__editor").defer("embedding", "raw").order_by("number")


def _splits(ticket: Ticket) -> Any:
    return Split.objects.filter(Q(ticket=ticket.pk) | Q(new=ticket.pk), undone_at=None)


def _merges(tickets: Iterable[Ticket]) -> Iterable[Merge]:
    return Merge.objects.filter(ticket__in=[one.pk for one in tickets], undone_at=None).select_related("by")
