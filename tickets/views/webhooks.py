"""Webhooks: addresses that are told of tickets, what they are told of, and their secrets. For leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from django.contrib import messages as toasts
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import webhooks
from tickets.actions.errors import Refused
from tickets.actions.webhooks import Subscription
from tickets.models import HookEvent, Rule, Source, Team, Webhook
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page
from tickets.views.webhook_calls import log_of


@dataclass(frozen=True, slots=True)
class Given:
    """What the form of a webhook holds."""

    name: str = ""
    url: str = ""
    format: str = Webhook.Format.PLAIN
    events: list[str] = field(default_factory=list)
    teams: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, form: QueryDict) -> Self:
        teams, sources = (
            [int(one) for one in form.getlist(name) if one.isascii() and one.isdigit() and len(one) < 18]
            for name in ("teams", "sources")
        )
        plain = form.get("name", ""), form.get("url", ""), form.get("format", Webhook.Format.PLAIN)
        return cls(*plain, form.getlist("events"), teams, sources)

    @classmethod
    def kept(cls, hook: Webhook) -> Self:
        teams, sources = (list(kept.values_list("pk", flat=True)) for kept in (hook.teams, hook.sources))
        return cls(hook.name, hook.url, hook.format, list(hook.events), teams, sources)

    @property
    def subscription(self) -> Subscription:
        return Subscription(self.events, self.teams, self.sources, self.format)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all of them. POST: set one up; its secret is shown this once."""
    if request.method == "POST":
        given = Given.of(request.POST)
        try:
            made, secret = webhooks.keep(
                name=given.name, url=given.url, by=person(request), subscription=given.subscription
            )
        except Refused as why:
            return settings_page(request, "settings/new_webhook.html", _form(given, why), 422)
        return _one(request, made, secret=secret)
    since = timezone.now() - timedelta(days=1)
    failed = Count("calls", filter=Q(calls__state="failed", calls__created_at__gte=since))
    waiting, last = Count("calls", filter=Q(calls__state="queued")), Max("calls__sent_at")
    hooks = Webhook.objects.annotate(failed=failed, waiting=waiting, last=last)
    return settings_page(request, "settings/webhooks.html", {"hooks": hooks, "known": len(HookEvent.values)})


@require_http_methods(["GET", "HEAD"])
@never_cache
@leads_only
def new(request: HttpRequest) -> HttpResponse:
    return settings_page(request, "settings/new_webhook.html", _form(Given()))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One webhook and its log. POST: keep what it is told of, and where."""
    hook = get_object_or_404(Webhook, pk=pk)
    if request.method != "POST":
        return _one(request, hook)
    given = Given.of(request.POST)
    try:
        webhooks.keep(name=given.name, url=given.url, webhook=hook, by=person(request), subscription=given.subscription)
    except Refused as why:
        return _one(request, get_object_or_404(Webhook, pk=pk), why=why, given=given)
    toasts.success(request, f"\u201c{hook.name}\u201d is saved.")
    return HttpResponseRedirect(hook.get_absolute_url())


@require_POST
@never_cache
@leads_only
def secrets(request: HttpRequest, pk: int) -> HttpResponse:
    """Another secret, shown this once."""
    hook = get_object_or_404(Webhook, pk=pk)
    return _one(request, hook, secret=webhooks.renew_secret(webhook=hook, by=person(request)))


@require_POST
@leads_only
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    hook = get_object_or_404(Webhook, pk=pk)
    webhooks.switch(webhook=hook, on=request.POST.get("on") == "yes", by=person(request))
    toasts.success(request, f"\u201c{hook.name}\u201d is {'on' if hook.active else 'off'}.")
    return HttpResponseRedirect(hook.get_absolute_url())


@require_POST
@leads_only
def deletion(request: HttpRequest, pk: int) -> HttpResponse:
    """With its log, once it was switched off: there is no way back from it."""
    hook = get_object_or_404(Webhook, pk=pk)
    if hook.active:
        toasts.error(request, "Switch it off first.")
        return HttpResponseRedirect(hook.get_absolute_url())
    webhooks.delete(webhook=hook, by=person(request))
    toasts.success(request, f"\u201c{hook.name}\u201d is deleted.")
    return HttpResponseRedirect(reverse("tickets:webhooks"))


def _one(
    request: HttpRequest, hook: Webhook, *, secret: str = "", why: Refused | None = None, given: Given | None = None
) -> HttpResponse:
    context = {
        **_form(given or Given.kept(hook), why),
        **log_of(hook, request.GET),
        "hook": hook,
        "secret": secret,
        "rules": Rule.objects.filter(
            retired=False, spec__deeds__contains=[{"do": "webhook", "values": [str(hook.pk)]}]
        ),
        "now": timezone.localtime(),
    }
    return settings_page(request, "settings/webhook.html", context, status=422 if why else 200)


def _form(given: Given, refused: Refused | None = None) -> dict[str, object]:
    return {
        "given": given,
        "refused": refused,
        "events": HookEvent.choices,
        "formats": Webhook.Format.choices,
        "teams": Team.objects.order_by("name"),
        "sources": Source.objects.order_by("name"),
    }
