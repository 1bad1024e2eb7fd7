"""Making some messages a ticket of their own, and putting them back."""

from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import splitting
from tickets.actions.errors import Refused
from tickets.actions.review import require_decider
from tickets.actions.splitting import MOVABLE
from tickets.mentions import mentioned
from tickets.models import Message, Split, Ticket
from tickets.views.frame import person
from tickets.views.ticket import refused, seen


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def split(request: HttpRequest, number: int) -> HttpResponse:
    """Choose `messages`, and a `subject`. Ends at the new ticket, where it can be undone."""
    ticket, by = seen(request, number), person(request)
    try:
        require_decider(by)
        if request.method == "POST":
            made = splitting.split(
                ticket=ticket, messages=_chosen(request), by=by, subject=request.POST.get("subject", "")
            ).new
            toasts.success(request, f"This was split off #{number}.")
            return HttpResponseRedirect(made.get_absolute_url())
    except Refused as why:
        return _page(request, ticket, why) if request.method == "POST" else refused(request, ticket, why)
    return _page(request, ticket)


@require_POST
@login_required
def reversal(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """Put the messages back where they were."""
    ticket = seen(request, number)
    done = get_object_or_404(Split, pk=pk, ticket=ticket)
    try:
        splitting.unsplit(split=done, by=person(request))
    except Refused as why:
        return refused(request, ticket, why)
    toasts.success(request, f"The messages of #{done.new_id} are back here.")
    return HttpResponseRedirect(ticket.get_absolute_url())


def _chosen(request: HttpRequest) -> set[int]:
    given = request.POST.getlist("messages")
    return {int(one) for one in given if one.isascii() and one.isdigit() and len(one) < 19}


def _page(request: HttpRequest, ticket: Ticket, why: Refused | None = None) -> HttpResponse:
    messages = list(ticket.messages.filter(kind__in=MOVABLE).for_page())
    context = {
        "ticket": ticket,
        "messages_shown": messages,
        "mentions": mentioned(one.text for one in messages if one.kind == Message.Kind.COMMENT),
        "enough": sum(one.kind == Message.Kind.INBOUND for one in messages) > 1,
        "chosen": _chosen(request),
        "subject": request.POST.get("subject", ""),
        "refused": why,
    }
    status = 200 if why is None else why.status
    return render(request, "tickets/split.html", context, status=status)
