"""What stands where a ticket was that is out of the desk: held as spam, or deleted."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from tickets.actions.errors import Refused
from tickets.actions.review import may_decide
from tickets.models import Block, SpamMark, Ticket, leads
from tickets.models.history import changes_of
from tickets.views.frame import person


def away(request: HttpRequest, number: int) -> HttpResponse:
    """Spam is shown to whoever sees the ticket, a deleted one to those who may bring it back. Raises Http404."""
    user = person(request)
    gone = Ticket.everything.visible_to(user).exclude(deleted_at=None)
    ticket = gone.select_related("requester", "source").filter(pk=number).first()
    if ticket is not None and ticket.spam:
        return held_page(request, ticket)
    if ticket is None or not leads(user):
        raise Http404
    return render(request, "tickets/deleted.html", {"ticket": ticket}, status=410)


def held_page(request: HttpRequest, ticket: Ticket, why: Refused | None = None) -> HttpResponse:
    """What was sent, as plain text: no picture of it is loaded and no file of it opened."""
    user = person(request)
    changes = changes_of(ticket)
    history = [{"changes": list(deed)} for _, deed in groupby(changes, key=attrgetter("event"))]
    mark = SpamMark.objects.select_related("by", "block").filter(ticket=ticket).first()
    context = {
        "ticket": ticket,
        "mark": mark or SpamMark(ticket=ticket, why="person", at=ticket.deleted_at or ticket.updated_at),
        "blocks": list(Block.objects.about(ticket.requester.email)) if ticket.requester else [],
        "messages_shown": ticket.messages.select_related("author", "requester").prefetch_related("attachments"),
        "history": history,
        "may_decide": may_decide(user),
        "leads": leads(user),
        "refused": why,
    }
    status = 200 if why is None else why.status
    return render(request, "tickets/spam.html", context, status=status)
