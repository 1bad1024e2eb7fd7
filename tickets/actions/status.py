from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tickets.actions.errors import Invalid
from tickets.actions.joined import refuse_if_merged
from tickets.actions.notifying import tell_leads
from tickets.actions.overtaken import refuse_if_moved
from tickets.actions.promising import reckon
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.models import Status, Ticket
from tickets.models.ticket import ESCALATION, SLA, STATUS
from triage.correlation import acting
from triage.models import User


def change(*, ticket: Ticket, status: Status, by: User | None, seen: str = "") -> Ticket:
    """Escalate, close, resolve, reopen or set to waiting. `new` is the machine's word: nobody sets it.

    `seen` is the status that the person saw, if they saw one: raises Conflict when it is another meanwhile.

    Escalated, or taken back from there into review, the ticket stays so: the machine's next reading does not move it.
    """
    if by is not None:
        require_decider(by)
    if status == Status.NEW:
        raise Invalid("not_a_choice", "A ticket is new only until it is read. Choose in_review.", field="status")
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        refuse_if_merged(held)
        refuse_if_moved(held, seen, status)
        if held.status != status:
            if Status.ESCALATED in (status, held.status) and status in (Status.ESCALATED, Status.IN_REVIEW):
                held.decide_escalated(status == Status.ESCALATED)
            held.set_status(status)
            reckon(held)
            held.save(update_fields=[*STATUS, *ESCALATION, *SLA, "updated_at"])
            announce(held, "changed")
            if status == Status.ESCALATED:
                tell_leads(ticket=held, by=by)
    return held


def close_settled(limit: int = 200) -> int:
    """Close what has been resolved for TRIAGE_CLOSE_AFTER_DAYS without a word from the customer."""
    before = timezone.now() - timedelta(days=settings.CLOSE_AFTER_DAYS)
    with acting("machine:clock"), transaction.atomic():
        due = Ticket.objects.filter(status=Status.RESOLVED, resolved_at__lt=before)
        settled = list(due.select_for_update(skip_locked=True, of=("self",))[:limit])
        for ticket in settled:
            ticket.set_status(Status.CLOSED)
            ticket.save(update_fields=["status", "resolved_at", "updated_at"])
            announce(ticket, "changed")
    return len(settled)
