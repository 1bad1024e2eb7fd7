from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tickets.models import Ticket
from tickets.models.likeness import filtered_likeness
from tickets.views.filters import Filters
from tickets.views.frame import person

SHOWN = 30
AT_LEAST = 0.25  # of cosine: a few words are like no ticket as much as tickets are like each other


@require_safe
@never_cache
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """Tickets that are about what was typed, whatever words they use: the nearest by embedding."""
    filters = Filters.of(request.GET)
    rows: list[Ticket] = []
    if filters.words:
        from triage.embedding import embed

        visible = Ticket.objects.visible_to(person(request))
        with filtered_likeness():
            near = list(visible.nearest(embed(filters.words).tolist()).only("number")[:SHOWN])
        likeness = {one.number: 1 - one.distance for one in near if 1 - one.distance >= AT_LEAST}
        found = {ticket.number: ticket for ticket in Ticket.objects.for_rows().filter(pk__in=likeness)}
        rows = [found[number] for number in likeness if number in found]
    return render(request, "tickets/meaning.html", {"filters": filters, "rows": rows})
