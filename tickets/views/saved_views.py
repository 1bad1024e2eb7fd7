from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from tickets.actions.errors import Refused
from tickets.actions.views import delete_view, rename_view, save_view
from tickets.models import Agent, Team, View, leads
from tickets.views.choices import Choices
from tickets.views.filters import Filters
from tickets.views.frame import person
from triage.models import User


def sharing(user: User, choices: Choices) -> list[tuple[str, str]]:
    """With whom this person may share a view: (scope or key of a team, its word)."""
    if leads(user):
        return [(View.Scope.EVERYONE, "Everybody"), *choices.known["team"].items()]
    agent = Agent.of(user)
    return [(team.key, team.name) for team in agent.own_teams if team.active] if agent and agent.may_decide else []


@require_POST
@login_required
def save(request: HttpRequest) -> HttpResponse:
    """Keep the address `query` of the queue under `name`, for `scope`: own, everyone, or the key of a team."""
    query = Filters.of(QueryDict(request.POST.get("query", "").removeprefix("?")[:2000])).address().removeprefix("?")
    scope = request.POST.get("scope", "own")
    team = Team.objects.filter(key=scope).first() if scope not in View.Scope.values else None
    kind = View.Scope.TEAM if team else View.Scope(scope) if scope in View.Scope.values else View.Scope.OWN
    try:
        view = save_view(name=request.POST.get("name", ""), query=query, scope=kind, team=team, by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        toasts.success(request, f"“{view.name}” is saved.")
    return HttpResponseRedirect(f"{reverse('tickets:queue')}?{query}")


@require_POST
@login_required
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a view (`name`), or delete it (`delete`)."""
    user = person(request)
    view = get_object_or_404(View.objects.of(user), pk=pk)
    try:
        if "delete" in request.POST:
            delete_view(view=view, by=user)
            toasts.success(request, f"“{view.name}” is deleted. Its tickets are not touched.")
            return HttpResponseRedirect(f"{reverse('tickets:queue')}?{view.query}")
        rename_view(view=view, name=request.POST.get("name", ""), by=user)
        toasts.success(request, f"The view is called “{view.name}” now.")
    except Refused as why:
        toasts.error(request, why.sentence)
    return HttpResponseRedirect(f"{reverse('tickets:queue')}?{view.query}")
