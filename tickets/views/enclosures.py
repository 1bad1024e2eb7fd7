"""The files of the reply that is being written: put with it, and left out again."""

from __future__ import annotations

from contextlib import suppress

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from tickets.actions import attaching, drafts
from tickets.actions.errors import Refused
from tickets.models import Ticket
from tickets.views.frame import person
from tickets.views.ticket import done, enclosures_of, refused, seen
from tickets.views.uploads import came_along, uploads_of


@require_POST
@login_required
def enclosures(request: HttpRequest, number: int) -> HttpResponse:
    """Put files with the draft. Fragment: _reply_files.html; without htmx the text is kept as a draft, too."""
    ticket = seen(request, number)
    try:
        attaching.add_to_draft(ticket=ticket, files=uploads_of(request), by=person(request))
    except Refused as why:
        return _refused(request, ticket, why)
    return _shown(request, ticket, "Attached.")


@require_POST
@login_required
def removal(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """Leave one out. Fragment: _reply_files.html."""
    ticket = seen(request, number)
    try:
        name = attaching.remove_from_draft(ticket=ticket, pk=pk, by=person(request))
    except Refused as why:
        return _refused(request, ticket, why)
    return _shown(request, ticket, f"{name} is left out." if name else "It was left out already.")


def enclosed(request: HttpRequest, ticket: Ticket) -> list[int] | None:
    """The files that an approval is for: those the page showed, and such as were chosen and not uploaded yet.

    None where the page showed none because it knows of no files. Raises Refused.
    """
    shown = [int(one) for one in request.POST.getlist("files") if one.isascii() and one.isdigit() and len(one) < 18]
    if came_along(request):
        more = attaching.add_to_draft(ticket=ticket, files=uploads_of(request), by=person(request))
        shown += [one.pk for one in more]
    return shown if "files_shown" in request.POST else None


def _shown(request: HttpRequest, ticket: Ticket, words: str) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return render(request, "tickets/_reply_files.html", {"ticket": ticket, **enclosures_of(ticket)})
    _keep_text(request, ticket)
    return done(request, ticket, words)


def _refused(request: HttpRequest, ticket: Ticket, why: Refused) -> HttpResponse:
    if request.headers.get("HX-Request"):
        told = {"ticket": ticket, "why": why, **enclosures_of(ticket)}
        return render(request, "tickets/_reply_files.html", told, status=422)
    return refused(request, ticket, why, typed=request.POST.get("text", "").replace("\r\n", "\n"))


def _keep_text(request: HttpRequest, ticket: Ticket) -> None:
    """What stood in the editor, where it can be kept: the page that comes back shows the draft."""
    text, version = request.POST.get("text", ""), request.POST.get("version", "")
    with suppress(Refused):
        drafts.save(ticket=ticket, text=text, version=int(version) if version.isdigit() else 0, by=person(request))
