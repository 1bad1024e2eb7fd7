"""What else a person does with a ticket: escalate, close, reopen, have it read again."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from tickets.actions import review, status, triage
from tickets.actions.errors import Invalid, Refused
from tickets.actions.review import require_decider
from tickets.models import Status, Ticket
from tickets.views.filters import status_word
from tickets.views.frame import person
from tickets.views.ticket import done, refused, seen


@require_POST
@login_required
def escalation(request: HttpRequest, number: int) -> HttpResponse:
    ticket = seen(request, number)
    try:
        review.escalate(
            ticket=ticket,
            reason=request.POST.get("reason", ""),
            by=person(request),
            seen=request.POST.get("seen", ""),
        )
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, f"#{number} is escalated.")


@require_POST
@login_required
def change_status(request: HttpRequest, number: int) -> HttpResponse:
    """`status` is the one wanted, `seen` the one that was shown. Fragments: the pieces with the reply."""
    ticket = seen(request, number)
    wanted = request.POST.get("status", "")
    try:
        require_decider(person(request))
        if wanted not in Status.values:
            raise Invalid("not_a_choice", "Choose a status.", field="status")
        status.change(ticket=ticket, status=Status(wanted), by=person(request), seen=request.POST.get("seen", ""))
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, f"#{number}: {status_word(wanted).lower()}.", also=["reply"])


@require_POST
@login_required
def reading(request: HttpRequest, number: int) -> HttpResponse:
    """Run again. Fragments: the row where a row asked, else the pieces."""
    ticket = seen(request, number)
    try:
        require_decider(person(request))
    except Refused as why:
        return refused(request, ticket, why)
    triage.submit_again(tickets=Ticket.objects.filter(pk=number))
    if request.headers.get("HX-Target") == f"ticket-{number}":
        return render(request, "tickets/_row.html", {"ticket": seen(request, number)})
    return done(request, ticket, f"#{number} is being read again. What people decided stays.")
