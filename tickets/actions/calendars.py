"""When people work: opening hours and free days. What is promised is reckoned anew by the clock afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError

from tickets.actions.errors import Conflict, Invalid
from tickets.actions.marking import mark_of, refuse_if_changed, refuse_if_gone
from tickets.actions.review import require_lead
from tickets.models import Calendar, Holiday, Team
from triage.models import User
from triage.queue import ring


def save_calendar(
    *,
    calendar: Calendar | None = None,
    name: str,
    time_zone: str,
    hours: Sequence[str],
    holidays: Mapping[date, str],
    by: User,
    seen: str = "",
) -> Calendar:
    """Make a calendar, or change one: `holidays` are all of its free days from then on.

    `seen` is the mark of what the person changed from, if they saw it. Raises Invalid, or Conflict where somebody
    changed or deleted it meanwhile.
    """
    require_lead(by)
    kept = calendar or Calendar()
    kept.name, kept.time_zone, kept.hours = name.replace("\x00", "").strip(), time_zone, list(hours)
    try:
        kept.full_clean(exclude=[] if hours else ["hours"])
    except ValidationError as error:
        field, said = next(iter(error.message_dict.items()))
        raise Invalid("invalid", said[0], field=field) from error
    with transaction.atomic():
        if kept.pk is not None:
            stored = Calendar.objects.select_for_update().filter(pk=kept.pk).first()
            refuse_if_gone(stored)
            refuse_if_changed(seen, calendar_mark(stored), mark_of(kept, sorted(holidays.items())))
        kept.save()
        kept.holidays.exclude(on__in=holidays).delete()
        rows = [Holiday(calendar=kept, on=day, name=name) for day, name in holidays.items()]
        Holiday.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["calendar", "on"], update_fields=["name"]
        )
        ring("batch")
    return kept


def calendar_mark(calendar: Calendar | None) -> str:
    """What a calendar says, its free days too, as a mark (tickets.actions.marking)."""
    return mark_of(calendar, sorted(calendar.holidays.values_list("on", "name"))) if calendar else ""


def delete_calendar(*, calendar: Calendar, by: User) -> None:
    """Raises Conflict while a policy or a team goes by it."""
    require_lead(by)
    users = [*calendar.teams.values_list("name", flat=True), *map(str, calendar.policies.all())]
    if users:
        raise Conflict("in_use", f"Still in use by: {', '.join(users)}. Give them another calendar first.")
    try:
        calendar.delete()
    except ProtectedError as error:  # somebody chose it at this moment
        raise Conflict("in_use", "Somebody has just chosen this calendar. Look again.") from error


def save_team(*, team: Team, calendar: Calendar | None, auto_assign: bool, by: User) -> Team:
    """Say by which calendar a team works, and whether its new tickets are given to somebody by themselves."""
    require_lead(by)
    with transaction.atomic():
        team.calendar, team.auto_assign = calendar, auto_assign
        team.save(update_fields=["calendar", "auto_assign"])
        ring("batch")
    return team
