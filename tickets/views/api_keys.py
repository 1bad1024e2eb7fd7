"""Keys to the API: made, given other letters, revoked. For leads and admins; auditors look."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets.actions import keys
from tickets.actions.errors import Conflict, Forbidden, Refused
from tickets.models import Agent, ApiKey, Source, administers, leads
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page
from triage.models import User

MAY = (
    ("read", "Read", "Tickets, comments, similar tickets and figures."),
    ("write", "Write", "New tickets, corrections, comments."),
    ("approve", "Approve", "Send replies to customers, in the name of a person."),
)
EXPIRIES = (("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), ("", "Never"))
GRACES = (("0", "At once"), ("1", "In an hour"), ("24", "In a day"), ("168", "In a week"))  # hours
GIVEN = {"name": "", "scopes": ["read", "write"], "user": "", "source": "API", "expires": "365"}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all of them. POST: make one; it is shown this once."""
    if request.method != "POST":
        return _page(request, GIVEN)
    given = {name: request.POST.get(name, "") for name in GIVEN} | {"scopes": request.POST.getlist("scopes")}
    days = str(given["expires"])
    try:
        made, secret = keys.create(
            name=str(given["name"]),
            scopes=given["scopes"],
            username=str(given["user"]) or None,
            source_name=str(given["source"]),
            expires_at=timezone.now() + timedelta(days=int(days)) if days in dict(EXPIRIES) and days else None,
            by=person(request),
        )
    except Refused as why:
        return _page(request, given, why)
    return _one(request, made, secret=secret)


@require_safe
@never_cache
@leads_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    return _one(request, _find(pk))


@require_POST
@never_cache
@leads_only
def rotation(request: HttpRequest, pk: int) -> HttpResponse:
    """Other letters for a key, shown this once; the old ones are taken for `grace` hours longer."""
    key, hours = _find(pk), request.POST.get("grace", "")
    try:
        grace = timedelta(hours=int(hours) if hours in dict(GRACES) else -1)
        held, secret = keys.rotate(key=key, grace=grace, by=person(request))
    except Refused as why:
        return _one(request, key, why=why)
    return _one(request, held, secret=secret)


@require_POST
@leads_only
def revocation(request: HttpRequest, pk: int) -> HttpResponse:
    """End a key. The list says so, and offers to undo it."""
    key = _find(pk)
    keys.revoke(key=key, by=person(request))
    return HttpResponseRedirect(f"{reverse('tickets:api-keys')}?revoked={key.pk}")


@require_POST
@leads_only
def reversal(request: HttpRequest, pk: int) -> HttpResponse:
    key = _find(pk)
    try:
        keys.restore(key=key, by=person(request))
    except Conflict as why:
        return _one(request, key, why=why)
    toasts.success(request, f"\u201c{key.name}\u201d is in force again.")
    return HttpResponseRedirect(reverse("tickets:api-keys"))


def _find(pk: int) -> ApiKey:
    return get_object_or_404(ApiKey.objects.select_related("user", "source", "by"), pk=pk)


def _page(request: HttpRequest, given: dict[str, Any], refused: Refused | None = None) -> HttpResponse:
    user, revoked = person(request), request.GET.get("revoked", "")
    rows = list(ApiKey.objects.select_related("user", "source"))
    people = User.objects.filter(is_active=True, agent__isnull=False).exclude(agent__role=Agent.Role.AUDITOR)
    context = {
        "keys": [key for key in rows if key.state == "in force"],
        "ended": [key for key in rows if key.state != "in force"],
        "revoked": next((key for key in rows if str(key.pk) == revoked and key.undoable), None),
        "may_change": leads(user),
        "people": people.order_by("first_name", "username") if administers(user) else [user],
        "sources": Source.objects.filter(kind="api", active=True),
        "may": MAY,
        "expiries": EXPIRIES,
        "given": given,
        "refused": refused,
        "docs": reverse("tickets:api:openapi-view"),
    }
    return settings_page(request, "settings/api_keys.html", context, status=_status(refused))


def _one(request: HttpRequest, key: ApiKey, *, secret: str = "", why: Refused | None = None) -> HttpResponse:
    context = {
        "key": key,
        "secret": secret,
        "address": f"{settings.BASE_URL}/api/v1/",
        "graces": GRACES,
        "refused": why,
        "may_change": leads(person(request)),
        "may_rotate": _may_rotate(person(request), key),
    }
    return settings_page(request, "settings/api_key.html", context, status=_status(why))


def _may_rotate(user: User, key: ApiKey) -> bool:
    try:
        keys.require_keeper(user, key.user)
    except Forbidden:
        return False
    return key.state == "in force"


def _status(refused: Refused | None) -> int:
    return refused.status if refused else 200
