"""The reply: kept while it is typed, approved by the person who reads it, delivered once."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.formats import date_format
from django.views.decorators.http import require_POST

from tickets.actions import deliveries, drafts, replies
from tickets.actions.errors import Conflict, Invalid, Refused
from tickets.answered import answered
from tickets.difference import difference
from tickets.flagged import Shown, shown
from tickets.models import TEXT_LIMIT, Draft, Ticket
from tickets.views.enclosures import enclosed
from tickets.views.frame import person
from tickets.views.snooze import until_of
from tickets.views.ticket import done, refused, seen


@require_POST
@login_required
def draft(request: HttpRequest, number: int) -> HttpResponse:
    """Keep the text (autosave sends `quiet`), or with `restore` go back to what was suggested.

    With `insert`, the number of a similar ticket, the answer given there is put after the text.

    Fragments: _draft_saved.html for an autosave, else the pieces with the editor.
    """
    ticket, by = seen(request, number), person(request)
    text = _text(request)
    try:
        if "restore" in request.POST:
            version = _version(request, ticket) if "version" in request.POST else None
            restored = drafts.restore(ticket=ticket, by=by, version=version)
            undo = {"undo_text": text, "undo_version": restored.version}
            return done(request, ticket, "This is the suggested reply again.", also=["reply"], **undo)
        if chosen := _key(request, "insert"):
            text = f"{text.rstrip()}\n\n{_answer(request, ticket, chosen)}".strip()
        answers = _key(request, "answers")
        saved = drafts.save(ticket=ticket, text=text, version=_version(request, ticket), by=by, answers=answers)
    except Refused as why:
        return refused(request, ticket, why, typed=text)
    if "quiet" in request.POST and request.headers.get("HX-Request"):
        return render(
            request, "tickets/_draft_saved.html", {"draft": saved, "ticket": ticket, "flags": _news(request, saved)}
        )
    return done(request, ticket, "The draft is kept.", also=["reply"])


@require_POST
@login_required
def changes(request: HttpRequest, number: int) -> HttpResponse:
    """How the posted text differs from what was suggested. Changes nothing. Fragment: _difference.html."""
    ticket = seen(request, number)
    suggestion = ticket.latest_suggestion
    parts = difference(suggestion.draft, _text(request)[:TEXT_LIMIT]) if suggestion and suggestion.draft else []
    changed = any(part.kind != "same" for part in parts)
    return render(request, "tickets/_difference.html", {"ticket": ticket, "parts": parts, "changed": changed})


@require_POST
@login_required
def approval(request: HttpRequest, number: int) -> HttpResponse:
    """Approve the text as it stands in the editor and send it, with `snooze` (and `at`) as for a snooze put off.

    Fragments: the pieces with the editor.
    """
    ticket = seen(request, number)
    text = _text(request)
    keep_open, wanted = bool(request.POST.get("keep_open")), request.POST.get("snooze", "")
    try:
        until = until_of(wanted, request.POST.get("at", ""), person(request)) if wanted else None
        replies.approve(
            ticket=ticket,
            text=text,
            version=_version(request, ticket),
            answers=_key(request, "answers"),
            replied=_key(request, "replied"),
            by=person(request),
            keep_open=keep_open,
            snooze_until=until,
            accept_flags=_flagged(request) if request.POST.get("accept_flags") else (),
            files=enclosed(request, ticket),
            undo_seconds=settings.UNDO_SECONDS,
        )
    except Refused as why:
        return refused(request, ticket, why, typed=text)
    if until is not None:
        became = f"is put off until {date_format(until, 'l j F, H:i')}, or an answer"
    else:
        became = "waits for the customer" if keep_open else "is resolved"
    return done(request, ticket, f"Approved. #{number} {became}.", also=["reply"])


@require_POST
@login_required
def delivery(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """A person's `decision` on a reply: "undo" before it leaves, "retry" or "sent" where it failed or got lost.

    Fragments: the pieces, with the editor after an undo.
    """
    ticket = seen(request, number)
    chosen = ticket.deliveries.filter(pk=pk).first()
    try:
        if request.POST.get("decision") == "undo":
            if chosen is None:  # somebody was quicker
                raise Conflict("taken_back", "This reply was taken back already.")
            replies.take_back(delivery=chosen, by=person(request))
            return done(request, ticket, "Nothing was sent. The reply is a draft again.", also=["reply"])
        if chosen is None:
            raise Http404
        if request.POST.get("decision") == "retry":
            deliveries.retry(delivery=chosen, by=person(request))
            return done(request, ticket, "The reply is being sent again.")
        if request.POST.get("decision") == "sent":
            deliveries.mark_sent(delivery=chosen, by=person(request))
            return done(request, ticket, "Noted: the customer has this reply.")
        raise Invalid("not_a_choice", "Send it again, or say that it was sent.", field="decision")
    except Refused as why:
        return refused(request, ticket, why)


def _answer(request: HttpRequest, ticket: Ticket, number: int) -> str:
    found = next((one for one in answered(ticket, person(request)) if one.number == number), None)
    if found is None:
        raise Invalid("no_answer", "There is no answer to insert from this ticket any more.", field="insert")
    return found.text


def _text(request: HttpRequest) -> str:
    return request.POST.get("text", "").replace("\r\n", "\n")


def _flagged(request: HttpRequest) -> list[str]:
    """The words that the page pointed out: a yes is for these and no others."""
    return [words.replace("\r\n", "\n") for words in request.POST.getlist("flagged")]


def _news(request: HttpRequest, draft: Draft) -> list[Shown] | None:
    """The flags of a text just kept, where they are not those that the page shows: a tick on the same ones stays."""
    fresh = shown(draft.flags, draft.text)
    return None if [flag.words for flag in fresh] == _flagged(request) else fresh


def _key(request: HttpRequest, name: str) -> int | None:
    """A primary key that the page posts back, None where it does not or where it is none."""
    given = request.POST.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _version(request: HttpRequest, ticket: Ticket) -> int:
    """The draft's version that the person saw. One that their own autosave made meanwhile they have seen, too."""
    given = request.POST.get("version", "")
    version = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    current = Draft.objects.filter(ticket=ticket, editor=person(request)).first()
    return current.version if current and current.version == version + 1 else version
