"""Links between tickets."""

from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from tickets.actions import linking
from tickets.actions.errors import Refused
from tickets.actions.review import require_decider
from tickets.models import Link, Ticket
from tickets.views.frame import person
from tickets.views.joined import candidates, chosen
from tickets.views.ticket import done, refused, seen

WORDS = (
    ("related", "is related to"),
    ("duplicate", "is a duplicate of"),
    ("duplicated", "has as a duplicate"),
    ("blocks", "blocks"),
    ("blocked", "is blocked by"),
)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def links(request: HttpRequest, number: int) -> HttpResponse:
    """Find the other one by `q`, post it as `other` with what this is to it as `word`."""
    ticket, by = seen(request, number), person(request)
    try:
        require_decider(by)
        if request.method == "POST":
            other = chosen(by, request.POST.get("other", ""), "other")
            linking.link(ticket=ticket, other=other, word=request.POST.get("word", ""), by=by)
            toasts.success(request, f"#{number} and #{other.pk} are linked.")
            return HttpResponseRedirect(ticket.get_absolute_url())
    except Refused as why:
        return _page(request, ticket, why) if request.method == "POST" else refused(request, ticket, why)
    return _page(request, ticket)


@require_POST
@login_required
def removal(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """Take a link away. Fragments: the pieces, with a way back."""
    ticket = seen(request, number)
    link = get_object_or_404(Link.objects.of(ticket).select_related("one", "other"), pk=pk)
    other = link.other if link.one_id == number else link.one
    try:
        linking.unlink(link=link, by=person(request))
    except Refused as why:
        return refused(request, ticket, why)
    again = {"removed": other, "removed_word": _word(link, number)}
    return done(request, ticket, f"The link to #{other.pk} is removed.", also=["link_removed"], **again)


def _word(link: Link, number: int) -> str:
    turned = link.kind != Link.Kind.RELATED and link.one_id != number
    return next(word for word, meant in linking.WORDS.items() if meant == (Link.Kind(link.kind), turned))


def _page(request: HttpRequest, ticket: Ticket, why: Refused | None = None) -> HttpResponse:
    typed = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    found = candidates(ticket, person(request), typed)
    word = request.POST.get("word") or request.GET.get("word", "")
    context = {"ticket": ticket, "typed": typed, "found": found, "refused": why, "words": WORDS, "word": word}
    status = 200 if why is None else why.status
    return render(request, "tickets/links.html", context, status=status)
