"""One change to the tickets that were chosen in the queue: begun, watched, stopped, undone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets.actions import bulk, snoozing
from tickets.actions.alterable import ALTERATIONS
from tickets.actions.errors import Invalid, Refused
from tickets.actions.review import may_decide
from tickets.models import Agent, BulkRun, Habits, Ticket, leads
from tickets.models.ticket import TicketQuerySet
from tickets.views.filters import Filters, all_words
from tickets.views.frame import person
from tickets.words import counted
from triage.models import User

RECENT = timedelta(minutes=15)  # how long one's last change is offered for undo above the queue
MOST_CHOSEN = 1_000  # by hand; a filter takes more
PAGE = 50


def bar(user: User) -> dict[str, Any]:
    """What the queue shows of bulk actions: whether there are any, one's last run, the times to put off until."""
    if not may_decide(user):
        return {"may_bulk": False}
    mine = BulkRun.objects.filter(by=user, put_away=False, created_at__gt=timezone.now() - timedelta(days=1))
    run = mine.first()
    if run is not None and not run.is_working and run.finished_at and run.finished_at < timezone.now() - RECENT:
        run = None
    return {"may_bulk": True, "run": run, "presets": snoozing.presets(Habits.of(user).zone)}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """GET: what was done to many, newest first. POST: do `do` to the tickets `ticket`, or with `all` to all of `query`.

    `do` is "kind=value", with the value in `tags` or `at` where it has none. Fragment for htmx: _bulk_run.html.
    """
    if request.method != "POST":
        pages = Paginator(_runs(person(request)).select_related("by"), PAGE)
        return render(request, "tickets/bulk_runs.html", {"runs": pages.get_page(request.GET.get("page", "1"))})
    user = person(request)
    filters = Filters.of(QueryDict(request.POST.get("query", "").removeprefix("?")[:2000]))
    try:
        kind, given = _asked(request, user)
        tickets, words = _chosen(request, filters, user, kind)
        run = bulk.start(kind=kind, given=given, tickets=tickets, chosen=words, by=user)
    except Refused as why:
        return _refused(request, why, filters.address())
    return _shown(request, run, filters.address())


@require_safe
@never_cache
@login_required
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One run. Fragment for htmx: _bulk_run.html, asked for until it is through."""
    run = get_object_or_404(_runs(person(request)).select_related("by", "undone_by"), pk=pk)
    if request.headers.get("HX-Request"):
        return render(request, "tickets/_bulk_run.html", {"run": run})
    told = run.rows.exclude(note="").order_by("ticket_id")
    visible = set(
        Ticket.objects.visible_to(person(request))
        .filter(pk__in=told.values("ticket")[:PAGE])
        .values_list("pk", flat=True)
    )
    rows = [(row, row.ticket_id in visible) for row in told[:PAGE]]
    return render(request, "tickets/bulk_run.html", {"run": run, "rows": rows, "more": told.count() - len(rows)})


@require_POST
@login_required
def reversal(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, bulk.undo)


@require_POST
@login_required
def cancellation(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, bulk.stop)


@require_POST
@login_required
def dismissal(request: HttpRequest, pk: int) -> HttpResponse:
    """Show it above the queue no more."""
    BulkRun.objects.filter(pk=pk, by=person(request)).update(put_away=True)
    if request.headers.get("HX-Request"):
        return render(request, "tickets/_bulk_run.html", {"run": None})
    return HttpResponseRedirect(reverse("tickets:queue"))


def _act(request: HttpRequest, pk: int, deed: Any) -> HttpResponse:
    run = get_object_or_404(_runs(person(request)), pk=pk)
    try:
        run = deed(run=run, by=person(request))
    except Refused as why:
        return _refused(request, why, run.get_absolute_url(), run)
    return _shown(request, run, run.get_absolute_url())


def _runs(user: User) -> QuerySet[BulkRun]:
    """One's own; leads, and who reads everything, see all."""
    agent = Agent.of(user)
    everything = leads(user) or (agent is not None and agent.role == Agent.Role.AUDITOR)
    return BulkRun.objects.all() if everything else BulkRun.objects.filter(by=user)


def _asked(request: HttpRequest, user: User) -> tuple[str, str]:
    kind, _, given = request.POST.get("do", "").replace("\x00", "")[:200].partition("=")
    if kind in ("tag", "untag"):
        given = request.POST.get("tags", "").replace("\x00", "")[:500]
    if kind == "assign" and given == "nobody":
        given = ""
    if kind == "snooze" and given != "now":
        given = _until(given, request.POST.get("at", ""), user)
    return kind, given


def _until(wanted: str, at: str, user: User) -> str:
    zone = Habits.of(user).zone
    for preset in snoozing.presets(zone):
        if preset.key == wanted:
            return preset.at.isoformat()
    try:
        return datetime.strptime(at, "%Y-%m-%dT%H:%M").replace(tzinfo=zone).isoformat()
    except ValueError as error:
        raise Invalid("not_a_time", "Choose when they shall come back.", field="at") from error


def _chosen(request: HttpRequest, filters: Filters, user: User, kind: str) -> tuple[TicketQuerySet, str]:
    """The tickets, as a query, and which they are in words."""
    if request.POST.get("all"):
        found = filters.on_tab(filters.narrow(filters.among(user), user), user)
        return found, ", ".join(all_words(filters)) or "all open tickets"
    numbers = [int(one) for one in request.POST.getlist("ticket") if one.isascii() and one.isdigit() and len(one) < 18]
    if len(numbers) > MOST_CHOSEN:
        raise Invalid("too_many", f"Choose up to {MOST_CHOSEN:,} by hand, or all that a filter shows.", field="ticket")
    words = f"#{numbers[0]}" if len(numbers) == 1 else f"{counted(len(numbers), 'ticket')} chosen by hand"
    among = ALTERATIONS[kind].reach() if kind in ALTERATIONS else Ticket.objects.all()
    return among.filter(pk__in=numbers), words


def _shown(request: HttpRequest, run: BulkRun, address: str) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return render(request, "tickets/_bulk_run.html", {"run": run})
    return HttpResponseRedirect(address if address.startswith("/") else reverse("tickets:queue") + address)


def _refused(request: HttpRequest, why: Refused, address: str, run: BulkRun | None = None) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return render(request, "tickets/_bulk_run.html", {"refused": why, "run": run}, status=422)
    toasts.error(request, why.sentence)
    return _shown(request, run, address) if run else HttpResponseRedirect(reverse("tickets:queue") + address)
