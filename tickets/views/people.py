"""Who works here: their roles, teams and load, how they sign in, and letting somebody go."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets.actions import people, sessions
from tickets.actions.errors import Refused
from tickets.models import Agent, Invitation, SignInPolicy, Team, Ticket, administers, oversees
from tickets.views.frame import person
from tickets.views.settings import settings_page
from tickets.words import counted
from triage.models import User

ROLES = (
    ("agent", "Agent", "Sees and answers the tickets of their teams; of all teams, if they are in none."),
    ("lead", "Lead", "Sees and answers every ticket, decides about many at once."),
    ("admin", "Admin", "As a lead, and decides who works here and how the desk is set up."),
    ("auditor", "Auditor", "Sees everything, changes nothing."),
)


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    require_overseer(request)
    return people_page(request)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def one(request: HttpRequest, pk: int) -> HttpResponse:
    require_overseer(request)
    user = get_object_or_404(everybody(), pk=pk)
    if request.method != "POST":
        return _person_page(request, user)
    try:
        people.change(user=user, by=person(request), **_given(request))
    except Refused as refused:
        return _person_page(request, user, refused)
    toasts.success(request, f"Saved. It holds for {user.label} from their next click.")
    return HttpResponseRedirect(reverse("tickets:people"))


@require_POST
@login_required
def deactivation(request: HttpRequest, pk: int) -> HttpResponse:
    """Let somebody go, or with `undo` back in."""
    require_overseer(request)
    user = get_object_or_404(User, pk=pk)
    try:
        if "undo" in request.POST:
            people.reactivate(user=user, by=person(request))
            toasts.success(request, f"{user.label} may sign in again. Tickets and keys they had do not come back.")
        else:
            count = people.deactivate(user=user, by=person(request))
            toasts.success(request, f"{user.label} is signed out. Handed back: {counted(count, 'open ticket')}.")
    except Refused as refused:
        return _person_page(request, get_object_or_404(everybody(), pk=pk), refused)
    return HttpResponseRedirect(reverse("tickets:person", args=[pk]))


@require_POST
@login_required
def factors_removal(request: HttpRequest, pk: int) -> HttpResponse:
    require_overseer(request)
    user = get_object_or_404(User, pk=pk)
    try:
        people.reset_second_factor(user=user, by=person(request))
    except Refused as refused:
        return _person_page(request, get_object_or_404(everybody(), pk=pk), refused)
    toasts.success(request, f"{user.label} signs in with the first factor alone, until they set up another second one.")
    return HttpResponseRedirect(reverse("tickets:person", args=[pk]))


@require_POST
@login_required
def sessions_end(request: HttpRequest, pk: int) -> HttpResponse:
    require_overseer(request)
    user = get_object_or_404(User, pk=pk)
    try:
        people.require_admin(person(request))
    except Refused as refused:
        return _person_page(request, get_object_or_404(everybody(), pk=pk), refused)
    count = sessions.end_all(user=user, but=request.session.session_key or "")
    toasts.success(request, f"Ended: {counted(count, 'session')} of {user.label}.")
    return HttpResponseRedirect(reverse("tickets:person", args=[pk]))


@require_POST
@login_required
def second_factor(request: HttpRequest) -> HttpResponse:
    require_overseer(request)
    try:
        people.ask_second_factor(of=request.POST.get("second_factor", ""), by=person(request))
    except Refused as refused:
        return people_page(request, refused)
    toasts.success(request, "Saved. Whoever has none is asked to set one up with their next click.")
    return HttpResponseRedirect(reverse("tickets:people"))


def require_overseer(request: HttpRequest) -> None:
    if not oversees(person(request)):
        raise PermissionDenied


def everybody() -> QuerySet[User]:
    """People with what their row shows: second factor, when last seen, open sessions and tickets."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"), type__in=("totp", "webauthn"))
    sessions = UserSession.objects.filter(user=OuterRef("pk")).order_by("-last_seen_at")
    carried = Ticket.objects.open().filter(assignee=OuterRef("pk")).order_by().values("assignee")
    return (
        User.objects.filter(Q(agent__isnull=False) | Q(is_superuser=True))
        .select_related("agent")
        .prefetch_related("agent__teams")
        .annotate(
            protected=Exists(factors),
            seen_at=Greatest(Subquery(sessions.values("last_seen_at")[:1]), "last_login"),
            carried=Coalesce(Subquery(carried.annotate(count=Count("pk")).values("count")), 0),
        )
        .order_by("-is_active", "first_name", "username")
    )


def people_page(request: HttpRequest, refused: Refused | None = None, **extra: Any) -> HttpResponse:
    """The list, with the invitations that are open. `extra` may hold the one just made."""
    context = {
        "people": everybody(),
        "invitations": Invitation.objects.undecided().select_related("invited_by").prefetch_related("teams"),
        "teams": Team.objects.filter(active=True),
        "roles": ROLES,
        "policy": SignInPolicy.now(),
        "policies": SignInPolicy.CHOICES,
        "may_change": administers(person(request)),
        "refused": refused,
        **extra,
    }
    return settings_page(request, "settings/people.html", context, status=_status(refused))


def _person_page(request: HttpRequest, user: User, refused: Refused | None = None) -> HttpResponse:
    agent = Agent.of(user)
    context = {
        "who": user,
        "agent": agent,
        "role": agent.role if agent else "admin",
        "chosen": [team.pk for team in agent.teams.all()] if agent else [],
        "teams": Team.objects.filter(active=True),
        "roles": ROLES,
        "open_sessions": UserSession.objects.filter(user=user).count(),
        "keys": user.api_keys.filter(revoked_at=None).count(),
        "may_change": administers(person(request)),
        "refused": refused,
    }
    return settings_page(request, "settings/person.html", context, status=_status(refused))


def _given(request: HttpRequest) -> dict[str, Any]:
    capacity = request.POST.get("capacity", "")
    return {
        "role": request.POST.get("role", ""),
        "teams": teams_of(request),
        "capacity": int(capacity) if capacity.isascii() and capacity.isdigit() and len(capacity) < 6 else -1,
        "available": "available" in request.POST,
    }


def teams_of(request: HttpRequest) -> list[Team]:
    return list(Team.objects.filter(key__in=request.POST.getlist("teams"), active=True))


def _status(refused: Refused | None) -> int:
    return refused.status if refused else 200
