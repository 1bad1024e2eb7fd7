"""Settings: by which calendar a team works, whether its tickets are given by themselves, and who could take them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from tickets.actions.calendars import save_team
from tickets.load import members_with_load
from tickets.models import Calendar, Team
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page
from triage.pipeline.types import MANUAL_REVIEW


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """Every team; one is saved at a time (`team`)."""
    if request.method == "POST":
        team = get_object_or_404(Team, key=request.POST.get("team", "").replace("\x00", ""))
        key = request.POST.get("calendar", "")
        calendar = Calendar.objects.filter(pk=key).first() if key.isdecimal() and len(key) < 18 else None
        save_team(team=team, calendar=calendar, auto_assign="auto_assign" in request.POST, by=person(request))
        toasts.success(request, f"{team.name}: saved.")
        return HttpResponseRedirect(f"{reverse('tickets:teams')}#team-{team.key}")
    teams = Team.objects.filter(active=True).exclude(key=MANUAL_REVIEW)
    people = members_with_load()
    context: dict[str, Any] = {"teams": [(team, people.get(team.pk, [])) for team in teams]}
    return settings_page(request, "settings/teams.html", context | {"calendars": Calendar.objects.all()})
