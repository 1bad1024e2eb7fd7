from __future__ import annotations

from typing import Any

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.actions import triage
from tickets.actions.errors import Refused
from tickets.live import changes_since, counts_of, rows_html
from tickets.models import Category, Place, Priority, Source, Team, Ticket, leads
from tickets.models.ticket import TicketQuerySet
from tickets.views.filters import FIELDS, NEEDS, Filters
from tickets.views.frame import person
from tickets.words import counted
from triage.models import User

PAGE = 50
MOST_SHOWN = 400  # rows that a browser may ask after: twice what it holds


@require_safe
@never_cache
@login_required
@vary_on_headers("HX-Request")
def page(request: HttpRequest) -> HttpResponse:
    """The queue. Fragment for htmx: #queue."""
    user = person(request)
    filters = Filters.of(request.GET)
    template = "tickets/queue.html#queue" if request.headers.get("HX-Target") == "queue" else "tickets/queue.html"
    return render(request, template, {**queue_context(user, filters), **_choices()})


@require_POST
@login_required
def readings(request: HttpRequest) -> HttpResponse:
    """Have what could not be read tried again: everything (`scope=all`), or what the address's filters show."""
    user = person(request)
    filters = Filters.of(request.GET)
    tickets = Ticket.objects.visible_to(user)
    if request.POST.get("scope") != "all":
        tickets = filters.on_tab(filters.narrow(tickets, user))
    try:
        count = triage.retry_failed(tickets=tickets, by=user)
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        toasts.success(request, f"{counted(count, 'ticket')} will be read again.")
    return HttpResponseRedirect(reverse("tickets:queue") + filters.address())


@require_safe
@login_required
def changes(request: HttpRequest) -> HttpResponse:
    """What happened to a queue since `since` (milliseconds), for who was away.

    Of the numbers `shown`, those that changed and those that are gone from here; and rows that are missing there:
    all down to the place `floor`, or on a later page those above the number `mark`.
    """
    user = person(request)
    filters = Filters.of(request.GET)
    visible = Ticket.objects.visible_to(user)
    narrowed = filters.narrow(visible, user)
    here = filters.on_tab(narrowed)
    shown = [_number(part) for part in request.GET.get("shown", "").split(",")[:MOST_SHOWN]]
    still = here.filter(pk__in=shown)
    return JsonResponse(
        {
            "now": int(timezone.now().timestamp() * 1000),
            "fresh": list(rows_html(_missing(here.exclude(pk__in=shown), request.GET)).items()),
            "rows": rows_html(changes_since(still, _number(request.GET.get("since", "")))),
            "gone": sorted({*shown} - {*still.values_list("pk", flat=True)} - {0}),
            "counts": counts_of(narrowed),
            "open": visible.open().count(),
        }
    )


def _missing(here: TicketQuerySet, asked: QueryDict) -> TicketQuerySet:
    floor, mark = Place.of(asked.get("floor", "")), _number(asked.get("mark", ""))
    if floor is not None:
        here = here.down_to(floor)
    return here.filter(number__gt=mark).for_rows().newest_first()[:PAGE]


def queue_context(user: User, filters: Filters) -> dict[str, Any]:
    mark = Ticket.objects.values_list("number", flat=True).first() or 0
    visible = Ticket.objects.visible_to(user)
    narrowed = filters.narrow(visible, user)
    rows = filters.on_tab(narrowed).for_rows().newest_first()
    if filters.before is not None:
        rows = rows.below(filters.before)
    page_rows = list(rows[: PAGE + 1])
    older = page_rows[PAGE - 1].place if len(page_rows) > PAGE else None
    return {
        "filters": filters,
        "page_size": PAGE,
        "tabs": filters.tabs(narrowed),
        "rows": page_rows[:PAGE],
        "older": filters.address(before=older) if older else "",
        "failed": _failed(visible, narrowed, filters, user),
        "newest_address": filters.address(),
        "again_address": filters.address(kind="store"),
        "without_filters": filters.address(**dict.fromkeys(FIELDS)),
        "mark": mark,
        "now": int(timezone.now().timestamp() * 1000),
        "first_ever": not page_rows and not filters.narrowed and not visible.exists(),
    }


def _failed(visible: TicketQuerySet, narrowed: TicketQuerySet, filters: Filters, user: User) -> dict[str, Any]:
    """How many could not be read, at all and of what is shown, and whether this person may have all of them tried."""
    count = visible.unreadable().count()
    if not count:
        return {"count": 0}
    shown = filters.needs == "reading"
    here = filters.on_tab(narrowed).count() if shown else 0
    return {"count": count, "shown": shown, "here": here, "may_retry": leads(user)}


def _choices() -> dict[str, Any]:
    return {
        "teams": Team.objects.filter(active=True),
        "categories": Category.objects.filter(active=True),
        "priorities": Priority.choices,
        "sources": Source.objects.filter(active=True),
        "needs": [(key, word) for key, (word, _) in NEEDS.items()],
        "people": User.objects.filter(is_active=True, agent__isnull=False).order_by("first_name", "username"),
    }


def _number(given: str) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else 0
