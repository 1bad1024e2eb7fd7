"""Merging a ticket into another, and bringing it back."""

from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import merging
from tickets.actions.errors import Refused
from tickets.actions.review import require_decider
from tickets.models import Ticket
from tickets.views.frame import person
from tickets.views.joined import candidates, chosen
from tickets.views.ticket import refused, seen


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def merge(request: HttpRequest, number: int) -> HttpResponse:
    """Find the other one by `q`, post it as `into`. Ends at the other one, where it can be undone."""
    ticket, by = seen(request, number), person(request)
    try:
        require_decider(by)
        if request.method == "POST":
            done = merging.merge(ticket=ticket, into=chosen(by, request.POST.get("into", ""), "into"), by=by)
            toasts.success(request, f"#{number} is part of #{done.into_id} now.")
            return HttpResponseRedirect(done.into.get_absolute_url())
    except Refused as why:
        return _page(request, ticket, why) if request.method == "POST" else refused(request, ticket, why)
    return _page(request, ticket)


@require_POST
@login_required
def reversal(request: HttpRequest, number: int) -> HttpResponse:
    """Make it a ticket of its own again."""
    ticket = seen(request, number)
    try:
        merging.unmerge(ticket=ticket, by=person(request))
    except Refused as why:
        return refused(request, ticket, why)
    toasts.success(request, f"#{number} is a ticket of its own again.")
    return HttpResponseRedirect(ticket.get_absolute_url())


def _page(request: HttpRequest, ticket: Ticket, why: Refused | None = None) -> HttpResponse:
    typed = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    found = candidates(ticket, person(request), typed)
    context = {"ticket": ticket, "typed": typed, "found": found, "refused": why}
    status = 200 if why is None else why.status
    return render(request, "tickets/merge.html", context, status=status)
