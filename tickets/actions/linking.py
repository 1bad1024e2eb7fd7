"""Saying what one ticket is to another."""

from __future__ import annotations

from typing import Literal

from django.db import IntegrityError, transaction

from tickets.actions.errors import Conflict, Invalid
from tickets.actions.joined import require_sight
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.models import Link, Ticket
from triage.models import User

Word = Literal["related", "duplicate", "duplicated", "blocks", "blocked"]
# What a person says of a ticket: the kind, and whether it is said the other way round.
WORDS: dict[str, tuple[Link.Kind, bool]] = {
    "related": (Link.Kind.RELATED, False),
    "duplicate": (Link.Kind.DUPLICATE, False),
    "duplicated": (Link.Kind.DUPLICATE, True),
    "blocks": (Link.Kind.BLOCKS, False),
    "blocked": (Link.Kind.BLOCKS, True),
}


def link(*, ticket: Ticket, other: Ticket, word: str, by: User) -> Link:
    """Say that `ticket` is related to, a duplicate of, blocks or is blocked by `other` (a key of WORDS).

    Raises Invalid for itself or the contrary of what is said already, Conflict when that very link is there.
    """
    require_decider(by)
    require_sight(by, ticket.pk, other.pk)
    if word not in WORDS:
        raise Invalid("not_a_choice", "Choose what it is to the other one.", field="word")
    if ticket.pk == other.pk:
        raise Invalid("itself", "A ticket is not linked with itself.", field="other")
    kind, turned = WORDS[word]
    one, two = (other, ticket) if turned else (ticket, other)
    if kind == Link.Kind.RELATED and one.pk > two.pk:
        one, two = two, one
    if Link.objects.filter(one=two, other=one, kind=kind).exists():
        raise Invalid("contrary", f"#{two.pk} says the contrary of this already. Remove that first.", field="word")
    with transaction.atomic():
        try:
            with transaction.atomic():
                made = Link.objects.create(one=one, other=two, kind=kind, by=by)
        except IntegrityError as error:
            raise Conflict("linked", f"#{ticket.pk} and #{other.pk} are linked so already.") from error
        _tell(one, two)
    return made


def unlink(*, link: Link, by: User) -> None:
    """Take it away. Gone already is as well; `link()` makes it anew."""
    require_decider(by)
    require_sight(by, link.one_id, link.other_id)
    with transaction.atomic():
        Link.objects.filter(pk=link.pk).delete()
        _tell(link.one, link.other)


def _tell(*tickets: Ticket) -> None:
    for ticket in tickets:
        announce(ticket, "changed")
