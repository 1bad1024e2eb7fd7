"""The administration of promised times."""

from __future__ import annotations

from django.contrib import admin

from tickets.admin import Admin, Inline, OfVisibleTickets
from tickets.models import Calendar, Holiday, SlaEvent, SlaPolicy
from triage.admin import ReadOnly


@admin.register(SlaPolicy)
class SlaPolicyAdmin(Admin):
    """Whatever is changed here, the database has every open ticket reckoned anew."""

    list_display = ("__str__", "response_minutes", "next_response_minutes", "resolution_minutes", "calendar")
    list_select_related = ("team", "source", "calendar")


class HolidayInline(Inline):
    model = Holiday
    extra = 1


@admin.register(Calendar)
class CalendarAdmin(Admin):
    list_display = ("name", "time_zone", "summary")
    inlines = (HolidayInline,)


@admin.register(SlaEvent)
class SlaEventAdmin(ReadOnly, OfVisibleTickets):
    list_display = ("ticket", "target", "kind", "due_at", "at")
    list_filter = ("target", "kind")
    list_select_related = ("ticket",)
