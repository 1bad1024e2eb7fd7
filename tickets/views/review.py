"""What a person says about the proposal: yes, or something else."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from tickets.actions import review, undo
from tickets.actions.errors import Invalid, Refused
from tickets.models import Ticket
from tickets.views.frame import person
from tickets.views.proposal import rows_of
from tickets.views.ticket import done, refused, seen


@require_POST
@login_required
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """`accept` names fields ("all": every one with a value); or `field`, shown as `seen`, is given `value`.

    Fragments: the pieces.
    """
    ticket = seen(request, number)
    accepted = request.POST.getlist("accept")
    try:
        words = _accept(request, ticket, accepted) if accepted else _correct(request, ticket)
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, words)


@require_POST
@login_required
def rejection(request: HttpRequest, number: int) -> HttpResponse:
    """None of what is suggested is of use: the ticket goes to Manual Review. Fragments: the pieces."""
    ticket = seen(request, number)
    try:
        shown = _shown(request)
        review.reject(ticket=ticket, by=person(request), why=request.POST.get("why", ""), suggestion=shown)
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, "Rejected. Set the fields yourself, or run it again.")


@require_POST
@login_required
def reversal(request: HttpRequest, number: int) -> HttpResponse:
    """Undo what the machine changed: `field`, one or several, of the change `event`. Fragments: the pieces."""
    ticket = seen(request, number)
    event, names = request.POST.get("event", ""), request.POST.get("field", "").split()
    try:
        if not names or not (event.isascii() and event.isdigit() and len(event) < 19):
            raise Invalid("blank", "Say what to undo.", field="field")
        undo.undo(ticket=ticket, event=int(event), fields=names, by=person(request))
    except Refused as why:
        return refused(request, ticket, why)
    return done(request, ticket, "Undone. The machine leaves it as it is now.")


def _accept(request: HttpRequest, ticket: Ticket, names: list[str]) -> str:
    """Held values are accepted; what the machine was too unsure to hold is set when it is accepted by name."""
    rows = [row for row in rows_of(ticket, ticket.latest_suggestion) if row.acceptable]
    chosen = [row for row in rows if row.name in names or ("all" in names and row.value)]
    held = [row.name for row in chosen if row.value]
    unsure = [row.name for row in chosen if not row.value]
    review.accept(ticket=ticket, fields=held, unsure=unsure, suggestion=_shown(request), by=person(request))
    if len(chosen) == 1:
        return f"{chosen[0].word} accepted."
    return "Everything suggested is accepted." if chosen else "There was nothing left to accept."


def _shown(request: HttpRequest) -> int | None:
    """The suggestion that the person saw, as its primary key."""
    given = request.POST.get("suggestion", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _correct(request: HttpRequest, ticket: Ticket) -> str:
    name = request.POST.get("field", "")
    if not name:
        raise Invalid("blank", "Say which field to correct.", field="field")
    value = request.POST.get("value", "").replace("\x00", "").strip()
    seen = {name: request.POST["seen"].replace("\r\n", "\n")} if "seen" in request.POST else None
    why = request.POST.get("why", "")[:2000]
    review.correct(ticket=ticket, changes={name: value}, by=person(request), why=why, seen=seen)
    return f"{'Technical' if name == 'is_technical' else name.capitalize()} corrected."
