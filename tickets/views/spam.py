"""Spam: a ticket is marked or let in, and its page while it is held."""

from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from tickets.actions import spamming
from tickets.actions.errors import Refused
from tickets.models import Ticket
from tickets.views.away import held_page
from tickets.views.frame import person
from tickets.views.ticket import refused


@require_POST
@login_required
def spam(request: HttpRequest, number: int) -> HttpResponse:
    """Mark the ticket, with `block` ("sender" or "domain") block whom it is from; or with `undo` let it in again."""
    by = person(request)
    ticket = get_object_or_404(Ticket.everything.not_deleted().visible_to(by).select_related("requester"), pk=number)
    undo, block = request.POST.get("undo", ""), request.POST.get("block", "")
    try:
        if undo:
            spamming.unmark(ticket=ticket, by=by, unblock=undo == "unblock")
        else:
            spamming.mark(ticket=ticket, by=by, block=block)
    except Refused as why:
        if ticket.spam and not request.headers.get("HX-Request"):
            return held_page(request, ticket, why)
        return refused(request, ticket, why)
    words = f"#{number} is no spam." if undo else f"#{number} is held as spam."
    toasts.success(request, f"{words} Its sender is blocked." if block and not undo else words)
    return HttpResponseRedirect(ticket.get_absolute_url())
