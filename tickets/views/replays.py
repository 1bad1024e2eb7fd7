"""Replays: what is read again or compared, how it stands, what it shows. For leads and admins; auditors look."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets import comparison
from tickets.actions import replay as replays
from tickets.actions.errors import Refused
from tickets.estimate import estimate
from tickets.models import COMPARED, Replay, leads, oversees
from tickets.views.frame import person
from tickets.views.wanted import DAYS, ENGINES, Wanted
from triage import calls, prompts
from triage.models import Artifact

PAGE = 50
LISTED = 50
View = Callable[..., HttpResponse]


def leads_only(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = person(request)
        if not (leads(user) or (request.method in ("GET", "HEAD") and oversees(user))):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return login_required(guarded)


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: all of them, newest first. POST: begin one."""
    if request.method == "POST":
        return _begin(request, Wanted.of(request.POST))
    listed = Replay.objects.select_related("by", "fit").defer("prompt", "fit__payload")
    rows = [(replay, comparison.progress(replay)) for replay in listed[:LISTED]]
    shadow = next((replay for replay, _ in rows if replay.kind == Replay.Kind.SHADOW and replay.is_running), None)
    return render(request, "tickets/replays.html", {"rows": rows, "shadow": shadow})


@require_safe
@leads_only
def new(request: HttpRequest) -> HttpResponse:
    """The form, filled in from the address. Fragment for htmx: #estimate."""
    template = "tickets/replay_new.html"
    if request.headers.get("HX-Target") == "estimate":
        template += "#estimate"
    return render(request, template, _form(request, Wanted.of(request.GET)))


def _begin(request: HttpRequest, wanted: Wanted) -> HttpResponse:
    """Start what was asked for; many or dear ones only once a person has said so."""
    context = _form(request, wanted)
    expected = context["expected"]
    if expected is not None and expected.asks and not wanted.confirmed:
        return render(request, "tickets/replay_new.html", context | {"unconfirmed": True}, status=422)
    try:
        replay = replays.start(
            kind=wanted.kind,
            tickets=wanted.tickets(person(request)),
            chosen=wanted.words,
            reader=wanted.reader,
            by=person(request),
            **wanted.options,
        )
    except Refused as why:
        return render(request, "tickets/replay_new.html", context | {"refused": why}, status=422)
    return redirect(replay)


def _form(request: HttpRequest, wanted: Wanted) -> dict[str, Any]:
    drafts = wanted.kind == Replay.Kind.STORE and not wanted.options.get("batch")
    expected = None
    if wanted.kind != Replay.Kind.SHADOW:
        tickets = wanted.tickets(person(request))
        expected = estimate(tickets, wanted.reader, drafts=drafts, batch=bool(wanted.options.get("batch")))
    return {
        "wanted": wanted,
        "expected": expected,
        "kinds": Replay.Kind.choices,
        "engines": ENGINES,
        "days": DAYS,
        "fits": Artifact.objects.defer("payload", "metrics")[:20],
        "configured": calls.configured(),
        "model_in_force": settings.TRIAGE_MODEL,
        "prompt_in_force": prompts.load("classify").text,
    }


@require_safe
@never_cache
@leads_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One replay. Fragment for htmx: #standing; once it has ended the whole page is asked for instead."""
    replay = get_object_or_404(Replay.objects.select_related("by", "fit").defer("fit__payload"), pk=pk)
    context = {"replay": replay, "progress": comparison.progress(replay), "shadow": replay.kind == Replay.Kind.SHADOW}
    if request.headers.get("HX-Target") == "standing":
        answer = render(request, "tickets/replay.html#standing", context)
        if not replay.is_running:
            answer["HX-Refresh"] = "true"
        return answer
    found = _differing(request, replay) if replay.compares else {"changes": comparison.became(replay)}
    return render(request, "tickets/replay.html", context | found | _summary(replay))


def _summary(replay: Replay) -> dict[str, Any]:
    return {
        "effort": comparison.effort(replay),
        "remarks": comparison.remarks(replay),
        "live_model": settings.TRIAGE_MODEL,
    }


def _differing(request: HttpRequest, replay: Replay) -> dict[str, Any]:
    """The figures by field, and a page of what differs: of all fields, or of the one in the address."""
    figures = comparison.by_field(replay)
    asked = request.GET.get("field", "")
    field = asked if asked in COMPARED else ""
    pages = Paginator(comparison.differing(replay, field), PAGE)
    return {
        "figures": figures,
        "seen": sum(each.seen for each in figures),
        "field": field,
        "differing": pages.get_page(request.GET.get("page", "1")),
    }


@require_POST
@leads_only
def cancellation(request: HttpRequest, pk: int) -> HttpResponse:
    replay = get_object_or_404(Replay, pk=pk)
    try:
        replays.cancel(replay=replay, by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        toasts.success(request, "It reads nothing more. What was read stays.")
    return redirect(replay)


@require_POST
@leads_only
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the fit that was compared in force."""
    replay = get_object_or_404(Replay.objects.select_related("fit"), pk=pk)
    try:
        replays.switch(replay=replay, by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        toasts.success(request, "That fit is in force. Every process reads with it within seconds.")
    return redirect(replay)
