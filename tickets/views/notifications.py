"""What is new for a person: the bell, the page behind it, and how each likes to hear of what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets.actions import notifying
from tickets.actions.errors import Refused
from tickets.models import Habits, Notification, NotificationChoice, Ticket
from tickets.models.notification import NotificationQuerySet
from tickets.views.frame import person
from tickets.views.settings import settings_page
from triage.models import User

PAGE = 50
LATEST = 8


@require_safe
@never_cache
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """What is unread, or with `show=all` everything, newest first. Fragment: the list, to htmx."""
    user = person(request)
    everything = request.GET.get("show") == "all"
    found = _of(user) if everything else _of(user).unread()
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 18:
        found = found.filter(pk__lt=int(before))
    shown = list(found.order_by("-pk")[: PAGE + 1])
    context = {
        "news": _shown(user, shown[:PAGE]),
        "everything": everything,
        "older": shown[PAGE - 1].pk if len(shown) > PAGE else None,
        "paged": bool(before),
        "unread": _of(user).unread().count(),
    }
    part = "#list" if request.headers.get("HX-Request") else ""
    return render(request, f"notifications/page.html{part}", context)


@require_safe
@never_cache
@login_required
def bell(request: HttpRequest) -> HttpResponse:
    """The number at the bell. Fragments: _bell.html, with `open` also the latest in its sheet."""
    if request.GET.get("open"):
        latest = _shown(person(request), _of(person(request))[:LATEST])
        return render(request, "notifications/_latest.html", {"news": latest})
    return render(request, "notifications/_bell.html")


@require_POST
@login_required
def seen(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Mark one as read, or all of them. Fragment: the list, to htmx."""
    notifying.read(user=person(request), pk=pk)
    back = reverse("tickets:notifications")
    return HttpResponseRedirect(f"{back}?show=all" if request.POST.get("show") == "all" else back)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def choices(request: HttpRequest) -> HttpResponse:
    """How this person hears of each kind, and when and with what their mails come."""
    user = person(request)
    if request.method == "POST":
        try:
            notifying.choose(user=user, given=request.POST.dict())
        except Refused as why:
            return settings_page(request, "settings/notifications.html", _choices(user) | {"refused": why}, status=422)
        toasts.success(request, "Saved.")
        return HttpResponseRedirect(reverse("tickets:notification-choices"))
    return settings_page(request, "settings/notifications.html", _choices(user))


@dataclass(frozen=True, slots=True)
class News:
    """A notification as its reader sees it; of a ticket that is out of their sight nothing is shown but its number."""

    notification: Notification
    visible: bool


def _shown(user: User, found: Iterable[Notification]) -> list[News]:
    news = list(found)
    numbers = {one.ticket_id for one in news}
    visible = set(Ticket.objects.visible_to(user).filter(pk__in=numbers).values_list("pk", flat=True)) if news else ()
    return [News(one, one.ticket_id in visible) for one in news]


def _of(user: User) -> NotificationQuerySet:
    return Notification.objects.filter(user=user).select_related("by", "ticket", "mailing").defer("ticket__embedding")


def _choices(user: User) -> dict[str, Any]:
    held = dict(NotificationChoice.objects.filter(user=user).values_list("kind", "how"))
    default = NotificationChoice.How.DESK
    return {
        "kinds": [(kind.value, kind.label, held.get(kind.value, default)) for kind in Notification.Kind],
        "hows": NotificationChoice.How.choices,
        "habits": Habits.of(user),
        "hours": range(24),
        "zones": sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
        "desk_zone": settings.TIME_ZONE,
    }
