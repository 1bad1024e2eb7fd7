"""Holding tickets that belong together: each is locked in the order of its number, so that two who do it both end."""

from __future__ import annotations

from collections.abc import Iterable

from tickets.actions.errors import Conflict, Forbidden
from tickets.models import Ticket
from triage.models import User


def hold(*numbers: int, following: Iterable[int] = ()) -> dict[int, Ticket]:
    """These tickets, and those that go where they go, locked until the transaction ends.

    Raises Conflict when one of the first is gone; one that follows may have been deleted.
    """
    locked = Ticket.everything.select_for_update(of=("self",)).defer("embedding", "raw").order_by("number")
    held = {ticket.pk: ticket for ticket in locked.filter(pk__in={*numbers, *following})}
    if any(number not in held or held[number].deleted_at is not None for number in numbers):
        raise Conflict("gone", "This ticket is not there any more.")
    return held


def hold_thread(ticket: Ticket) -> tuple[Ticket, Ticket]:
    """A ticket and the one whose thread it belongs to, itself as a rule, both locked."""
    while True:
        root = Ticket.objects.filter(pk=ticket.pk).values_list("merged_into", flat=True).get() or ticket.pk
        held = hold(ticket.pk, root)
        if (held[ticket.pk].merged_into_id or ticket.pk) == root:
            return held[ticket.pk], held[root]
        # It was merged or brought back between looking and locking: look again.


def refuse_if_merged(ticket: Ticket) -> None:
    """Raise Conflict for a ticket whose work goes on at another."""
    if ticket.merged_into_id:
        raise Conflict(
            "merged", f"This ticket is merged into #{ticket.merged_into_id}. Go on there, or undo that first."
        )


def require_sight(by: User, *numbers: int) -> None:
    """Raise Forbidden unless this person may see all of these tickets."""
    if Ticket.objects.visible_to(by).filter(pk__in=set(numbers)).count() < len(set(numbers)):
        raise Forbidden("out_of_sight", "One of these tickets is out of your sight.")
