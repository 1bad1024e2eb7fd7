"""Taking a ticket out of the desk: it is nowhere to be seen, read or counted, and can be brought back whole."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from tickets.actions.errors import Conflict
from tickets.actions.learning import remember
from tickets.actions.review import require_lead
from tickets.live import announce
from tickets.models import Delivery, Example, Ticket, TriageState
from triage.models import User
from triage.queue import ring


def delete(*, ticket: Ticket, by: User) -> Ticket:
    """Leads and admins only. Raises Conflict while a reply is on its way: it could not be called back."""
    require_lead(by)
    with transaction.atomic():
        held = Ticket.everything.select_for_update(of=("self",)).get(pk=ticket.pk)
        if held.deleted_at is None:
            if held.deliveries.filter(state__in=(Delivery.State.QUEUED, Delivery.State.SENDING)).exists():
                raise Conflict(
                    "being_sent", "A reply is on its way. Take it back, or delete the ticket once it is sent."
                )
            if Ticket.everything.filter(merged_into=held.pk).exists():
                raise Conflict("has_parts", "Other tickets are merged into this one. Bring them back first.")
            held.deleted_at = timezone.now()
            held.save(update_fields=["deleted_at", "updated_at"])
            Example.objects.filter(ticket=held).delete()  # what is deleted teaches nothing
            announce(held, "routed")
    return held


def restore(*, ticket: Ticket, by: User) -> Ticket:
    """Bring it back as it was. A reading that the deletion broke off is made again."""
    require_lead(by)
    with transaction.atomic():
        held = Ticket.everything.select_for_update(of=("self",)).get(pk=ticket.pk)
        if held.deleted_at is not None:
            held.deleted_at = None
            if held.triage_state == TriageState.PROCESSING:
                held.submit()
            held.save()
            remember(held)
            if held.triage_state == TriageState.SUBMITTED:
                ring("interactive")
            announce(held, "routed")
    return held
