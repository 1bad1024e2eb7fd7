"""Settings: opening hours and free days, tried on an example before they are saved."""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages as toasts
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets import holidays
from tickets.actions.calendars import calendar_mark, delete_calendar, save_calendar
from tickets.actions.errors import Invalid, Refused
from tickets.business_time import DAYS, Hours, NoHours
from tickets.models import Calendar
from tickets.promises import Terms
from tickets.views.frame import person
from tickets.views.policies import example_of
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page, shown_mark
from tickets.views.undoing import gone, to_undo

LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FILE_LIMIT = 1_000_000  # bytes
EXAMPLE = 240  # minutes
_SPAN = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(?:-|\u2013|to)\s*(\d{1,2})(?:[:.](\d{2}))?", re.ASCII)


@require_safe
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    calendars = Calendar.objects.annotate(free=Count("holidays")).prefetch_related("teams", "policies", "holidays")
    return settings_page(request, "settings/calendars.html", {"calendars": calendars, "undo": to_undo(request)})


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def calendar(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One calendar, or a new one."""
    held = get_object_or_404(Calendar, pk=pk) if pk else None
    given, refused = _written(held), None
    mark = calendar_mark(held)
    if request.method == "POST":
        given = request.POST.dict()
        try:
            return _save(request, held)
        except Refused as why:
            refused = why
    days = [(f"day-{number}", word, given.get(f"day-{number}", "")) for number, word in enumerate(LONG_DAYS)]
    context: dict[str, Any] = {"calendar": held, "given": given, "refused": refused, "days": days}
    context["mark"] = shown_mark(request, mark, refused)
    context["zones"] = sorted(available_timezones() - {"localtime"})
    return settings_page(request, "settings/calendar.html", context, status=422 if refused else 200)


@require_POST
@leads_only
def deletion(request: HttpRequest, pk: int) -> HttpResponse:
    held = get_object_or_404(Calendar, pk=pk)
    fields = _written(held)
    try:
        delete_calendar(calendar=held, by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
        return HttpResponseRedirect(reverse("tickets:calendar", args=[pk]))
    return gone("tickets:calendars", held.name, fields)


@require_safe
@leads_only
def preview(request: HttpRequest) -> HttpResponse:
    """When four hours would be over by the hours as they stand in the form. Fragment."""
    context: dict[str, Any] = {"four_hours": True}
    try:
        lines, free = _hours(request.GET), _holidays(request.GET.get("holidays", ""))
        hours = Hours.of(request.GET.get("time_zone", "UTC"), lines, free.named)
        terms = Terms(0, {"first_response": EXAMPLE}, hours, 80, None)
        context["example"] = example_of(terms, request.GET.get("at", ""))
    except NoHours as wrong:
        context["refused"] = Invalid("invalid", str(wrong))
    except Invalid as why:
        context["refused"] = why
    return render(request, "settings/_example.html", context)


def _save(request: HttpRequest, held: Calendar | None) -> HttpResponse:
    given = request.POST
    free = _holidays(given.get("holidays", ""))
    brought = _brought(request.FILES)
    saved = save_calendar(
        calendar=held,
        name=given.get("name", ""),
        time_zone=given.get("time_zone", ""),
        hours=_hours(given),
        holidays={**brought.named, **free.named},
        by=person(request),
        seen=given.get("mark", ""),
    )
    words = f"{saved.name}: saved. Open tickets are reckoned anew in the background."
    if brought.repeating + free.repeating:
        words += f" {brought.repeating + free.repeating} of the file's days come every year: only the first was taken."
    toasts.success(request, words)
    return HttpResponseRedirect(reverse("tickets:calendars"))


def _hours(given: QueryDict) -> list[str]:
    """Lines of opening hours from what is written for each day. Raises Invalid naming the day."""
    lines = []
    for number, day in enumerate(DAYS):
        for part in filter(None, (part.strip() for part in given.get(f"day-{number}", "").split(","))):
            found = _SPAN.fullmatch(part)
            if found is None:
                raise Invalid("invalid", f"{LONG_DAYS[number]}: write it like 09:00-17:00.", field=f"day-{number}")
            begin, begin_minutes, end, end_minutes = (int(one or 0) for one in found.groups())
            lines.append(f"{day} {begin:02}:{begin_minutes:02}-{end:02}:{end_minutes:02}")
    return lines


def _holidays(text: str) -> holidays.Days:
    try:
        return holidays.read(text)
    except holidays.Unreadable as wrong:
        raise Invalid("invalid", str(wrong), field="holidays") from wrong


def _brought(files: MultiValueDict[str, Any]) -> holidays.Days:
    """The days of the calendar file that came along, if one did."""
    file = files.get("file")
    if file is None:
        return holidays.Days({})
    if file.size > FILE_LIMIT:
        raise Invalid("too_long", "Bring a calendar file of up to 1 MB.", field="holidays")
    return _holidays(file.read().decode("utf-8", "replace"))


def _written(calendar: Calendar | None) -> dict[str, str]:
    """A calendar's fields as the form sends them; for a new one the usual week of an office."""
    if calendar is None:
        week = {f"day-{number}": "09:00-17:00" for number in range(5)}
        return {"time_zone": settings.TIME_ZONE, "name": "", "holidays": "", **week}
    free: dict[date, str] = {day.on: day.name for day in calendar.holidays.all()}
    days = {
        f"day-{number}": ", ".join(line[4:] for line in calendar.hours if line.startswith(name))
        for number, name in enumerate(DAYS)
    }
    return {"name": calendar.name, "time_zone": calendar.time_zone, "holidays": holidays.Days(free).lines, **days}
