"""Senders whose tickets are held as spam: blocked, and let in again. For leads."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import blocking
from tickets.actions.errors import Refused
from tickets.models import Block, Ticket
from tickets.views.frame import person
from tickets.views.replays import leads_only
from tickets.views.settings import settings_page

PAGE = 50
LIFTED = 20  # the latest, to be blocked again with one click


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def page(request: HttpRequest) -> HttpResponse:
    """GET: who is blocked, and who was. POST: block `what`."""
    if request.method != "POST":
        return _page(request)
    try:
        made = blocking.block(what=request.POST.get("what", ""), by=person(request))
    except Refused as why:
        return _page(request, typed=request.POST.get("what", ""), why=why)
    toasts.success(request, f"{made.what} is blocked.")
    return HttpResponseRedirect(reverse("tickets:blocks"))


@require_POST
@leads_only
def lifting(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        lifted = blocking.lift(block=get_object_or_404(Block, pk=pk), by=person(request))
    except Refused as why:
        toasts.error(request, why.sentence)
    else:
        toasts.success(request, f"{lifted.what} is let in from now on.")
    return HttpResponseRedirect(reverse("tickets:blocks"))


def _page(request: HttpRequest, *, typed: str = "", why: Refused | None = None) -> HttpResponse:
    rows = Block.objects.select_related("by", "lifted_by")
    visible = set(
        Ticket.everything.not_deleted()
        .visible_to(person(request))
        .filter(pk__in=Block.objects.in_force().values("ticket"))
        .values_list("pk", flat=True)
    )
    context = {
        "blocks": Paginator(rows.in_force().annotate(held=Count("marks")).order_by("-pk"), PAGE).get_page(
            request.GET.get("page", "1")
        ),
        "lifted": rows.exclude(lifted_at=None)[:LIFTED],
        "visible": visible,
        "typed": typed,
        "why": why,
        "flood_tickets": settings.FLOOD_TICKETS,
        "flood_minutes": settings.FLOOD_MINUTES,
    }
    status = 200 if why is None else why.status
    return settings_page(request, "settings/blocks.html", context, status=status)
