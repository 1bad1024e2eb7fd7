from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from tickets.actions import deleting
from tickets.actions.errors import Refused
from tickets.models import Ticket
from tickets.views.frame import person
from tickets.views.ticket import refused, seen


@require_POST
@login_required
def deletion(request: HttpRequest, number: int) -> HttpResponse:
    """Delete the ticket, or with `undo` bring it back. Leads and admins."""
    undo, by = "undo" in request.POST, person(request)
    ticket = get_object_or_404(Ticket.everything.visible_to(by), pk=number) if undo else seen(request, number)
    try:
        (deleting.restore if undo else deleting.delete)(ticket=ticket, by=by)
    except Refused as why:
        return refused(request, ticket, why)
    toasts.success(request, f"#{number} is back." if undo else f"#{number} is deleted.")
    return HttpResponseRedirect(ticket.get_absolute_url())
