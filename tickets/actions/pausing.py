"""The machine stops reading, reads on, or leaves unread what waits."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tickets.actions.errors import Forbidden
from tickets.live import announce
from tickets.models import Ticket, TriageState, leads
from triage.correlation import acting
from triage.models import Pause, User

PORTION = 500
TOLD = 50  # more changes at once, and open desks catch up by themselves


def resume(*, by: User) -> bool:
    """Let the machine read on. False if nothing was paused."""
    if not leads(by):
        raise Forbidden("may_not_resume", "Only a lead or an administrator may let the machine read on.")
    return Pause.end(by=by.label)


def skip(*, before: datetime, by: str) -> int:
    """Leave unread what came in before that and still waits: failed, to be run again one by one or in bulk. `by` is
    the actor of the history. Returns how many."""
    skipped = 0
    with acting(by):
        while portion := _skip_some(Ticket.objects.filter(created_at__lt=before), tell=skipped < TOLD):
            skipped += portion
    return skipped


def _skip_some(tickets: QuerySet[Ticket], *, tell: bool) -> int:
    with transaction.atomic():
        waiting = tickets.filter(triage_state=TriageState.SUBMITTED).order_by("number")
        numbers = list(
            waiting.select_for_update(skip_locked=True, of=("self",)).values_list("number", flat=True)[:PORTION]
        )
        Ticket.objects.filter(pk__in=numbers).update(
            triage_state=TriageState.FAILED,
            error="Skipped: left unread by a person's wish. Run it again to have it read.",
            updated_at=timezone.now(),
        )
        if tell:
            for ticket in Ticket.objects.filter(pk__in=numbers[:TOLD]).only("number", "team_id"):
                announce(ticket, "failed")
    return len(numbers)
