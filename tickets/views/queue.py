from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.live import changes_since, counts_of, rows_html
from tickets.models import Category, Priority, Source, Team, Ticket
from tickets.views.filters import FIELDS, NEEDS, Filters
from tickets.views.frame import person
from triage.models import User

PAGE = 50


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


@require_safe
@login_required
def changes(request: HttpRequest) -> HttpResponse:
    """What happened to this queue since `since` (milliseconds) and above row `newest`, for who was away."""
    user = person(request)
    filters = Filters.of(request.GET)
    visible = Ticket.objects.visible_to(user)
    since, newest = (_number(request.GET.get(name, "")) for name in ("since", "newest"))
    fresh = filters.on_tab(filters.narrow(visible, user)).filter(number__gt=newest).for_rows()[:PAGE]
    changed = changes_since(visible, since)
    return JsonResponse(
        {
            "now": int(timezone.now().timestamp() * 1000),
            "fresh": list(rows_html(fresh).items()),
            "rows": rows_html(changed),
            "counts": counts_of(filters.narrow(visible, user)),
            "open": visible.open().count(),
        }
    )


def queue_context(user: User, filters: Filters) -> dict[str, Any]:
    visible = Ticket.objects.visible_to(user)
    narrowed = filters.narrow(visible, user)
    rows = filters.on_tab(narrowed).for_rows()
    if filters.before is not None:
        rows = rows.filter(number__lt=filters.before)
    page_rows = list(rows[: PAGE + 1])
    older = page_rows[PAGE - 1].number if len(page_rows) > PAGE else None
    return {
        "filters": filters,
        "page_size": PAGE,
        "tabs": filters.tabs(narrowed),
        "rows": page_rows[:PAGE],
        "older": filters.address(before=older) if older else "",
        "newest_address": filters.address(),
        "again_address": filters.address(kind="store"),
        "without_filters": filters.address(**dict.fromkeys(FIELDS)),
        "now": int(timezone.now().timestamp() * 1000),
        "first_ever": not page_rows and not filters.narrowed and not visible.exists(),
    }


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
