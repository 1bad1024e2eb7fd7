"""Whose a ticket is: taken, given, handed over with a note."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from tickets.actions import assignment
from tickets.actions.errors import Invalid, Refused
from tickets.models import Team
from tickets.views.frame import person
from tickets.views.ticket import done, refused, seen
from triage.models import User


@require_POST
@login_required
def assignee(request: HttpRequest, number: int) -> HttpResponse:
    """`assignee` is a user name, "me", or empty for nobody; `seen` who was shown there. Fragments: the pieces."""
    ticket, by = seen(request, number), person(request)
    name = request.POST.get("assignee", "")
    try:
        to = by if name == "me" else _named(name)
        instead_of = _named(request.POST["seen"], active=False) if "seen" in request.POST else ""
        assignment.assign(ticket=ticket, to=to, by=by, instead_of=instead_of)
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, f"#{number} belongs to {to.label if to else 'nobody'} now.")


@require_POST
@login_required
def handover(request: HttpRequest, number: int) -> HttpResponse:
    """`to` is "user:" and a user name, or "team:" and a key; `note` says why. Fragments: the pieces."""
    ticket, by = seen(request, number), person(request)
    kind, _, name = request.POST.get("to", "").partition(":")
    note = request.POST.get("note", "")
    try:
        to = _named(name) if kind == "user" else None
        team = Team.objects.filter(key=name, active=True).first() if kind == "team" else None
        assignment.hand_over(ticket=ticket, to=to, team=team, note=note, by=by)
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, f"#{number} is handed over to {(to and to.label) or (team and team.name)}.")


def _named(name: str, *, active: bool = True) -> User | None:
    name = name.replace("\x00", "")
    people = User.objects.filter(is_active=True) if active else User.objects.all()
    found = people.filter(username=name).first() if name else None
    if name and found is None and active:
        raise Invalid("not_a_choice", "There is nobody of that name.", field="assignee")
    return found
