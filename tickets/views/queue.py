from __future__ import annotations

from typing import Any

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.actions import notifying, triage
from tickets.actions.errors import Refused
from tickets.live import changes_since, rows_html
from tickets.models import ORDERS, Order, Place, Ticket, leads
from tickets.models.counts import MOST
from tickets.models.ticket import TicketQuerySet
from tickets.views.bulk import bar
from tickets.views.choices import Choices
from tickets.views.filters import Filters
from tickets.views.frame import person, tell_open
from tickets.views.groups import groups_of
from tickets.views.highlights import highlight
from tickets.views.looks import Looks
from tickets.views.saved_views import sharing
from tickets.views.tabs import Counts
from tickets.views.ticket import context_of, seen
from tickets.words import counted
from triage.models import User

PAGE = 50
MOST_SHOWN = 400  # rows that a browser may ask after: twice what it holds


@require_safe
@never_cache
@login_required
@vary_on_headers("HX-Request")
def page(request: HttpRequest) -> HttpResponse:
    """The queue; with a ticket beside it where the person wants that, or with `open`. Fragment for htmx: #queue."""
    user = person(request)
    filters = Filters.of(request.GET)
    choices = Choices.now()
    context = queue_context(user, filters, choices)
    context |= {"choices": choices.of(filters), "chips": list(filters.chips(choices.names)), **bar(user)}
    if request.headers.get("HX-Target") == "queue":
        return render(request, "tickets/queue.html#queue", context)
    tell_open(request, context["open"])
    opened = _number(request.GET.get("open", ""))
    context["split"] = context["looks"].split or bool(opened)
    return render(request, "tickets/queue.html", context | (_beside(request, opened) if opened else {}))


def _beside(request: HttpRequest, number: int) -> dict[str, Any]:
    """What a ticket's page shows, for the pane beside the list."""
    try:
        ticket = seen(request, number)
    except Http404:
        return {"missing": True}
    notifying.read(user=person(request), ticket=ticket)
    return context_of(ticket, person(request))


@require_POST
@login_required
def readings(request: HttpRequest) -> HttpResponse:
    """Have what could not be read tried again: everything (`scope=all`), or what the address's filters show."""
    user = person(request)
    filters = Filters.of(request.GET)
    tickets = Ticket.objects.visible_to(user)
    if request.POST.get("scope") != "all":
        tickets = filters.on_tab(filters.narrow(tickets, user), user)
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
    here = filters.on_tab(filters.narrow(filters.among(user), user), user)
    shown = [_number(part) for part in request.GET.get("shown", "").split(",")[:MOST_SHOWN]]
    still = here.filter(pk__in=shown)
    missing = _missing(here.exclude(pk__in=shown), request.GET, filters.order)
    changed = changes_since(still, _number(request.GET.get("since", "")))
    return JsonResponse(
        {
            "now": int(timezone.now().timestamp() * 1000),
            "fresh": list(rows_html(missing, filters.order).items()),
            "rows": rows_html(changed, filters.order),
            "gone": sorted({*shown} - {*still.values_list("pk", flat=True)} - {0}),
            "counts": Counts.of(filters, visible, user).numbers,
        }
    )


def _missing(here: TicketQuerySet, asked: QueryDict, order: Order) -> TicketQuerySet:
    floor, mark = Place.of(asked.get("floor", ""), parts=order.parts), _number(asked.get("mark", ""))
    if floor is not None:
        here = here.down_to(floor, order)
    return here.filter(number__gt=mark).for_rows().in_order(order)[:PAGE]


def queue_context(user: User, filters: Filters, choices: Choices) -> dict[str, Any]:
    """What the queue shows. Words are searched for once, for its first page and its count alike."""
    visible = Ticket.objects.visible_to(user)
    here = filters.on_tab(filters.narrow(filters.among(user), user), user)
    shown, known = here, None
    if filters.words and not filters.before and not filters.group:
        numbers = list(here.in_order(filters.order).values_list("pk", flat=True)[: MOST + 1])
        shown, known = filters.among(user).filter(pk__in=numbers[: PAGE + 1]), len(numbers)
    rows, older = ([], None) if filters.group else _page(shown, filters)
    counts = Counts.of(filters, visible, user, known=known)
    return {
        "filters": filters,
        "page_size": PAGE,
        "tabs": counts.tabs,
        "whose": counts.whose,
        "views": counts.views,
        "open": counts.found["rail"],
        "orders": [(key, order.word) for key, order in ORDERS.items()],
        "rows": rows,
        "groups": groups_of(here) if filters.group else [],
        "older": filters.address(before=older) if older else "",
        "failed": _failed(counts.found["failed"], here, filters, user),
        "newest_address": filters.address(),
        "again_address": filters.address(kind="store"),
        "without_filters": filters.cleared.address(),
        "looks": Looks.of(user),
        "scopes": sharing(user, choices),
        "mark": (Ticket.objects.values_list("number", flat=True).first() or 0) if filters.before else 0,
        "now": int(timezone.now().timestamp() * 1000),
        "first_ever": not rows and not filters.group and not filters.narrowed and not visible.exists(),
    }


def _page(here: TicketQuerySet, filters: Filters) -> tuple[list[Ticket], Place | None]:
    """The rows of the page with their places and what was found in them, and the place of the last if more follow."""
    order = filters.order
    found = here.for_rows().in_order(order)
    if filters.before is not None:
        found = found.below(filters.before, order)
    rows = list(found[: PAGE + 1])
    older = order.place_of(rows[PAGE - 1]) if len(rows) > PAGE else None
    del rows[PAGE:]
    for row in rows:
        row.shown_place = order.place_of(row)
    if filters.words:
        highlight(rows, filters.words)
    return rows, older


def _failed(count: int, here: TicketQuerySet, filters: Filters, user: User) -> dict[str, Any]:
    """How many could not be read, at all and of what is shown, and whether this person may have all of them tried."""
    if not count:
        return {"count": 0}
    shown = "reading" in filters.values.get("needs", ())
    return {"count": count, "shown": shown, "here": here.count() if shown else 0, "may_retry": leads(user)}


def _number(given: str) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else 0
