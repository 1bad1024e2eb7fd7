from __future__ import annotations

from django.db import transaction

from tickets.actions.errors import Invalid
from tickets.actions.notifying import tell_assignee
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.models import Ticket
from triage.models import User


def assign(*, ticket: Ticket, to: User | None, by: User | None) -> Ticket:
    """Give the ticket to a person of the staff, or to nobody."""
    if by is not None:
        require_decider(by)
    if to is not None and not Ticket.objects.visible_to(to).filter(pk=ticket.pk).exists():
        raise Invalid("cannot_see_it", f"{to.label} does not work for this ticket's team.", field="assignee")
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        held.assignee = to
        held.save(update_fields=["assignee", "updated_at"])
        announce(held, "changed")
        tell_assignee(kind="assigned", ticket=held, by=by)
    return held
