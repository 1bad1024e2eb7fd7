"""Internal comments: written, corrected while fresh, and who can be mentioned in them."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe

from tickets.actions import conversation
from tickets.actions.errors import Refused
from tickets.colleagues import colleagues_of
from tickets.models import Message, Team
from tickets.views.frame import person
from tickets.views.ticket import done, refused, seen
from tickets.views.uploads import uploads_of

OFFERED = 8


@require_POST
@login_required
def comments(request: HttpRequest, number: int) -> HttpResponse:
    """Fragments: the pieces with an empty form."""
    ticket = seen(request, number)
    text = request.POST.get("text", "")
    try:
        conversation.comment(ticket=ticket, text=text, by=person(request), files=uploads_of(request))
    except Refused as why:
        return refused(request, ticket, why, typed=text)
    return done(request, ticket, "Comment added.", also=["comment_form"])


@require_POST
@login_required
def comment(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """Correct one's own. Fragments: the pieces."""
    ticket = seen(request, number)
    chosen = get_object_or_404(Message, pk=pk, ticket=ticket)
    try:
        conversation.edit(message=chosen, text=request.POST.get("text", ""), by=person(request))
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, "Comment changed. What it said before is kept.")


@require_safe
@login_required
def colleagues(request: HttpRequest, number: int) -> HttpResponse:
    """Who can be mentioned here: {items: [{name, label, team}]}, people before teams, those whose names begin so first.

    People are those who may see the ticket; of a team those are told who may.
    """
    ticket = seen(request, number)
    typed = request.GET.get("q", "").replace("\x00", "").strip()[:50]
    named = Q(username__icontains=typed) | Q(first_name__icontains=typed) | Q(last_name__icontains=typed)
    people = colleagues_of(ticket).filter(named).exclude(pk=person(request).pk)
    teams = Team.objects.filter(Q(key__icontains=typed) | Q(name__icontains=typed), active=True, agents__isnull=False)
    found = [{"name": one.username, "label": one.label, "team": False} for one in people[:50]]
    found += [{"name": team.key, "label": team.name, "team": True} for team in teams.distinct()[:20]]
    begin = typed.lower()
    found.sort(key=lambda one: not (str(one["name"]).lower().startswith(begin) or _begins(str(one["label"]), begin)))
    return JsonResponse({"items": found[:OFFERED]})


def _begins(label: str, begin: str) -> bool:
    return any(word.startswith(begin) for word in label.lower().split())
