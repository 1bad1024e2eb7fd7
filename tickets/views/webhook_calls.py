"""The log of a webhook: what it was told, what it answered, and having it told again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from tickets.actions import webhooks
from tickets.actions.errors import Refused
from tickets.models import HookEvent, Ticket, Webhook, WebhookCall
from tickets.models.webhook import PING, RULE_FIRED
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page
from tickets.webhooks.bodies import body_of

LISTED = 30


def log_of(hook: Webhook, asked: QueryDict) -> dict[str, Any]:
    """A page of its calls, newest first: those of a `state` and an `event`, older than `before`."""
    calls = hook.calls.order_by("-pk")
    state, event, before = asked.get("state", ""), asked.get("event", ""), asked.get("before", "")
    if state in WebhookCall.State.values:
        calls = calls.filter(state=state)
    if event:
        calls = calls.filter(event=event)
    if before.isascii() and before.isdigit() and len(before) < 18:
        calls = calls.filter(pk__lt=int(before))
    found = list(calls.defer("body").prefetch_related("tries")[: LISTED + 1])
    kept = asked.copy()
    kept.pop("before", None)
    return {
        "calls": found[:LISTED],
        "older": found[LISTED - 1].pk if len(found) > LISTED else None,
        "asked": {"state": state, "event": event, "filtered": bool(state or event)},
        "address": kept.urlencode(),
        "states": WebhookCall.State.choices,
        "kinds": [*HookEvent.values, RULE_FIRED, PING],
        "day_ago": timezone.localtime() - timedelta(days=1),
    }


@require_safe
@never_cache
@leads_only
def call(request: HttpRequest, pk: int, call_pk: int) -> HttpResponse:
    """One call: what it says, and every attempt. Fragment for htmx: #call."""
    found = _call(pk, call_pk)
    readable = bool(found.ticket is None or Ticket.objects.visible_to(person(request)).filter(pk=found.ticket.pk))
    body = (found.body or body_of(found)) if readable else ""
    context = {
        "call": found,
        "hook": found.webhook,
        "tries": list(found.tries.order_by("-pk")),
        "body": json.dumps(json.loads(body), ensure_ascii=False, indent=2) if body else "",
        "readable": readable,
    }
    if request.headers.get("HX-Target") == "call":
        return settings_page(request, "settings/webhook_call.html#call", context)
    return settings_page(request, "settings/webhook_call.html", context)


@require_POST
@leads_only
def redelivery(request: HttpRequest, pk: int, call_pk: int) -> HttpResponse:
    found = _call(pk, call_pk)
    try:
        webhooks.redeliver(call=found, by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
    return HttpResponseRedirect(found.get_absolute_url())


@require_POST
@leads_only
def pings(request: HttpRequest, pk: int) -> HttpResponse:
    """Call it once about nothing, and show what it answers."""
    hook = get_object_or_404(Webhook, pk=pk)
    try:
        sent = webhooks.ping(webhook=hook, by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
        return HttpResponseRedirect(hook.get_absolute_url())
    return HttpResponseRedirect(sent.get_absolute_url())


@require_POST
@leads_only
def replays(request: HttpRequest, pk: int) -> HttpResponse:
    """Send again what happened between two moments."""
    hook = get_object_or_404(Webhook, pk=pk)
    since, until = (_moment(request.POST.get(name, "")) for name in ("since", "until"))
    if since is None or until is None:
        toasts.error(request, "Say from when until when.")
        return HttpResponseRedirect(hook.get_absolute_url())
    try:
        count = webhooks.replay(
            webhook=hook, since=since, until=until, states=request.POST.getlist("states"), by=person(request)
        )
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        toasts.success(request, f"{count:,} {'call is' if count == 1 else 'calls are'} sent again.")
    return HttpResponseRedirect(hook.get_absolute_url())


def _call(pk: int, call_pk: int) -> WebhookCall:
    related = ("webhook", "ticket__category", "ticket__team", "ticket__component", "ticket__source", "ticket__assignee")
    calls = WebhookCall.objects.select_related(*related).defer("ticket__embedding", "ticket__raw")
    return get_object_or_404(calls, pk=call_pk, webhook=pk)


def _moment(given: str) -> datetime | None:
    """A time as a form sends it: of the desk's time zone. Its minute is meant whole."""
    try:
        found = parse_datetime(given)
    except ValueError:
        return None
    if found is None:
        return None
    return found if found.tzinfo else timezone.make_aware(found)
