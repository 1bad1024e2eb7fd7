"""Putting a ticket off until a time, or until the customer writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from tickets.actions.errors import Conflict, Invalid
from tickets.actions.notifying import tell_assignee
from tickets.actions.promising import reckon
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.models import Ticket
from tickets.models.ticket import SLA
from triage.correlation import acting
from triage.models import User

MORNING = 9  # o'clock
EVENING = 18
LATER = timedelta(hours=3)
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Preset:
    """A moment that people put things off until."""

    key: str
    words: str
    at: datetime


def presets(zone: ZoneInfo, now: datetime | None = None) -> list[Preset]:
    """Later today while there is a later, tomorrow, Monday and next week, in the mornings of this time zone."""
    local = (now or timezone.now()).astimezone(zone)
    later = (local + LATER).replace(minute=0, second=0, microsecond=0)
    morning = local.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    tomorrow, week = morning + timedelta(days=1), morning + timedelta(days=7)
    monday = morning + timedelta(days=7 - local.weekday())
    found = [Preset("tomorrow", "Tomorrow morning", tomorrow)]
    if later.date() == local.date() and later.hour <= EVENING:
        found.insert(0, Preset("later", "Later today", later))
    if monday not in (tomorrow, week):
        found.append(Preset("monday", "Monday", monday))
    return [*found, Preset("week", "Next week", week)]


def snooze(*, ticket: Ticket, until: datetime, by: User | None) -> Ticket:
    """Put an open ticket off; again moves the time. Its customer's next message ends it at once.

    `until` is aware. Raises Invalid when it is not ahead or too far, Conflict when the ticket has ended.
    """
    if by is not None:
        require_decider(by)
    require_ahead(until)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        if not held.is_open:
            raise Conflict(
                "ended", f"This ticket was {held.get_status_display().lower()} meanwhile: nothing to put off."
            )
        held.snoozed_until = until
        reckon(held)
        held.save(update_fields=["snoozed_until", *SLA, "updated_at"])
        announce(held, "changed")
    return held


def require_ahead(until: datetime) -> None:
    """Raises Invalid for a moment that nobody can put a ticket off until."""
    now = timezone.now()
    if until <= now:
        raise Invalid("past", "Choose a time that is still to come.", field="until")
    if until > now + LONGEST:
        raise Invalid("too_far", "Choose a time within a year.", field="until")


def wake(*, ticket: Ticket, by: User) -> Ticket:
    """Take it up again before its time."""
    require_decider(by)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        if held.snoozed_until is not None:
            held.snoozed_until = None
            reckon(held)
            held.save(update_fields=["snoozed_until", *SLA, "updated_at"])
            announce(held, "changed")
    return held


def wake_due(limit: int = 200) -> int:
    """Bring back what was put off until now, and tell whoever it belongs to. Returns how many came back."""
    with acting("machine:clock"), transaction.atomic():
        due = Ticket.objects.filter(snoozed_until__lte=timezone.now()).order_by("snoozed_until")
        woken = list(due.select_for_update(skip_locked=True, of=("self",)).defer("embedding")[:limit])
        for ticket in woken:
            ticket.snoozed_until = None
            ticket.save(update_fields=["snoozed_until", "updated_at"])
            if ticket.is_open:
                announce(ticket, "changed")
                tell_assignee(kind="returned", ticket=ticket)
    return len(woken)
