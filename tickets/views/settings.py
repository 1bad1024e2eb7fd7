"""The frame of the settings: one page a noun, named in PAGES, each shown to those it concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from tickets.actions.errors import Refused
from tickets.entrance.backend import reaches_administration
from tickets.models import Agent, leads, oversees
from tickets.views.frame import person
from triage.models import User


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """A page of the settings: its word, the name of its address, and to whom it is listed. Its view guards itself."""

    word: str
    address: str
    listed: Callable[[User], bool]


def everybody(user: User) -> bool:
    return user.is_active


PAGES = (
    SettingsPage("You", "tickets:settings", everybody),
    SettingsPage("Security", "tickets:security", everybody),
    SettingsPage("Notifications", "tickets:notification-choices", everybody),
    SettingsPage("People", "tickets:people", oversees),
    SettingsPage("Security log", "tickets:security-log", oversees),
    SettingsPage("Macros", "tickets:macros", everybody),
    SettingsPage("E-mail", "tickets:mailboxes", leads),
    SettingsPage("Spam", "tickets:blocks", leads),
    SettingsPage("Rules", "tickets:rules", leads),
    SettingsPage("GitHub", "tickets:github", lambda user: leads(user) or oversees(user)),
    SettingsPage("API keys", "tickets:api-keys", lambda user: leads(user) or oversees(user)),
    SettingsPage("Webhooks", "tickets:webhooks", leads),
    SettingsPage("Imports", "tickets:imports", lambda user: leads(user) or oversees(user)),
    SettingsPage("SLA", "tickets:policies", leads),
    SettingsPage("Calendars", "tickets:calendars", leads),
    SettingsPage("Teams", "tickets:teams", leads),
)


def settings_page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a page of the settings within their frame (templates/settings/frame.html)."""
    return render(request, template, settings_frame(request) | context, status=status)


def shown_mark(request: HttpRequest, mark: str, refused: Refused | None) -> str:
    """What a form carries to its next POST (tickets.actions.marking): `mark`, that of what is stored, once it is known.

    A form that is shown again for another reason still stands on what it was opened with.
    """
    return mark if refused is None or refused.code == "changed" else request.POST.get("mark", "")


def settings_frame(request: HttpRequest) -> dict[str, Any]:
    """What the frame of the settings needs: its pages, and the one we are at."""
    pages = [{"word": page.word, "address": reverse(page.address)} for page in PAGES if page.listed(person(request))]
    # The longest address that leads here is the page we are at: /settings/ leads to all of them.
    here = max((one["address"] for one in pages if request.path.startswith(one["address"])), key=len, default="")
    return {"settings_pages": pages, "settings_here": here, "administration": reaches_administration(request.user)}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def you(request: HttpRequest) -> HttpResponse:
    """One's own name, and whether one takes new tickets."""
    user = person(request)
    if request.method == "POST":
        user.first_name = request.POST.get("first_name", "").replace("\x00", "").strip()[:150]
        user.last_name = request.POST.get("last_name", "").replace("\x00", "").strip()[:150]
        user.save(update_fields=["first_name", "last_name"])
        Agent.objects.filter(user=user).update(available="available" in request.POST)
        toasts.success(request, "Saved.")
        return HttpResponseRedirect(reverse("tickets:settings"))
    return settings_page(request, "settings/you.html", {"agent": Agent.objects.filter(user=user).first()})
