"""Putting a ticket off: a few usual times, or one's own, by the clock of the person."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.views.decorators.http import require_POST

from tickets.actions import snoozing
from tickets.actions.errors import Invalid, Refused
from tickets.models import Habits
from tickets.views.frame import person
from tickets.views.ticket import done, refused, seen
from triage.models import User


@require_POST
@login_required
def snooze(request: HttpRequest, number: int) -> HttpResponse:
    """`until` is the key of a preset, "custom" with `at` by the person's own clock, or "now" to end it.

    Fragments: the pieces.
    """
    ticket, by = seen(request, number), person(request)
    wanted = request.POST.get("until", "")
    try:
        if wanted == "now":
            snoozing.wake(ticket=ticket, by=by)
            return done(request, ticket, f"#{number} is back.")
        until = until_of(wanted, request.POST.get("at", ""), by)
        snoozing.snooze(ticket=ticket, until=until, by=by)
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, f"#{number} is put off until {date_format(until, 'l j F, H:i')}, or an answer.")


def until_of(wanted: str, at: str, by: User) -> datetime:
    """The moment of a preset, or the one written by the person's own clock. Raises Invalid."""
    zone = Habits.of(by).zone
    for preset in snoozing.presets(zone):
        if preset.key == wanted:
            return preset.at
    try:
        return datetime.strptime(at, "%Y-%m-%dT%H:%M").replace(tzinfo=zone)
    except ValueError as error:
        raise Invalid("not_a_time", "Choose when it shall come back.", field="at") from error
