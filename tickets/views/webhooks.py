"""Webhooks that rules call: addresses, secrets, and what became of each call. For leads."""

from __future__ import annotations

from django.contrib import messages as toasts
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from tickets.actions import webhooks
from tickets.actions.errors import Refused
from tickets.models import Ticket, Webhook
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all of them. POST: set one up; its secret is shown this once."""
    name, url = request.POST.get("name", ""), request.POST.get("url", "")
    refused: Refused | None = None
    if request.method == "POST":
        try:
            made, secret = webhooks.keep(name=name, url=url, by=person(request))
            return _one(request, made, secret=secret)
        except Refused as why:
            refused = why
    context = {"given": {"name": name, "url": url}, "refused": refused}
    failed = Count("calls", filter=Q(calls__state="failed"))
    hooks = Webhook.objects.annotate(failed=failed, waiting=Count("calls", filter=Q(calls__state="queued")))
    return settings_page(request, "settings/webhooks.html", {**context, "hooks": hooks}, 422 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One webhook and its calls. POST: `renew` its secret, `test` it, switch it (`active`), or keep it."""
    hook = get_object_or_404(Webhook, pk=pk)
    if request.method != "POST":
        return _one(request, hook)
    by = person(request)
    try:
        if "renew" in request.POST:
            return _one(request, hook, secret=webhooks.renew_secret(webhook=hook, by=by))
        if "test" in request.POST:
            return _tested(request, hook)
        active = request.POST["active"] == "on" if "active" in request.POST else hook.active
        name, url = request.POST.get("name", hook.name), request.POST.get("url", hook.url)
        webhooks.keep(name=name, url=url, active=active, webhook=hook, by=by)
    except Refused as why:
        return _one(request, get_object_or_404(Webhook, pk=pk), why=why)
    toasts.success(request, f"\u201c{hook.name}\u201d is saved.")
    return HttpResponseRedirect(reverse("tickets:webhooks"))


def _tested(request: HttpRequest, hook: Webhook) -> HttpResponse:
    ticket = Ticket.objects.visible_to(person(request)).order_by("-number").first()
    if ticket is None:
        toasts.error(request, "There is no ticket yet to tell it of.")
    else:
        webhooks.try_out(webhook=hook, ticket=ticket, by=person(request))
        toasts.success(request, f"It is told of #{ticket.number}. What it answers stands below in a moment.")
    return HttpResponseRedirect(hook.get_absolute_url())


def _one(request: HttpRequest, hook: Webhook, *, secret: str = "", why: Refused | None = None) -> HttpResponse:
    calls = hook.calls.select_related("ticket").defer("ticket__embedding").prefetch_related("tries")[:30]
    context = {"hook": hook, "calls": calls, "secret": secret, "refused": why}
    return settings_page(request, "settings/webhook.html", context, status=422 if why else 200)
