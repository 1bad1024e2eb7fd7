"""The page of one ticket and its pieces; every decision answers with the pieces it may have changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.actions import notifying
from tickets.actions.attaching import drafted
from tickets.actions.conversation import may_edit
from tickets.actions.errors import Flagged, Refused
from tickets.actions.mail_thread import copies_of
from tickets.actions.replies import why_nobody
from tickets.actions.snoozing import presets
from tickets.actions.undo import undoable
from tickets.answered import answered
from tickets.channels import replying
from tickets.flagged import shown, stored
from tickets.load import carriers_of, suggested_of
from tickets.mentions import mentioned
from tickets.models import Agent, Habits, JoinEvent, Message, Status, Suggestion, Ticket, leads
from tickets.models.history import Change, changes_of
from tickets.models.labels import all_labels
from tickets.models.ticket import TicketQuerySet
from tickets.similar import similar_to
from tickets.views.away import away
from tickets.views.clock import clock, noted_of
from tickets.views.frame import person
from tickets.views.joined import joined_of, there_of
from tickets.views.proposal import rows_of
from tickets.views.uploads import limits
from triage.models import User
from triage.models.call import Call

PIECES = ("head", "joined", "conversation", "reply_state", "proposal", "facts", "links", "similar", "calls", "history")


@require_safe
@never_cache
@login_required
@vary_on_headers("HX-Request")
def page(request: HttpRequest, number: int) -> HttpResponse:
    """The ticket. Fragment for htmx, for the pane beside the queue: #ticket."""
    try:
        ticket = seen(request, number)
    except Http404:
        return away(request, number)
    notifying.read(user=person(request), ticket=ticket)
    template = "tickets/ticket.html#ticket" if request.headers.get("HX-Target") == "pane" else "tickets/ticket.html"
    return render(request, template, context_of(ticket, person(request)))


@require_safe
@login_required
def pieces(request: HttpRequest, number: int) -> HttpResponse:
    """Everything of the page that may have changed, but never an editor that a person types in (`editor=1` asks)."""
    ticket = seen(request, number)
    names = (*PIECES, "reply") if request.GET.get("editor") else PIECES
    return _render_pieces(request, ticket, names)


def seen(request: HttpRequest, number: int) -> Ticket:
    """The ticket, if this person may see it; otherwise there is none (404)."""
    visible = Ticket.objects.visible_to(person(request)).select_related(
        "category",
        "team",
        "component",
        "assignee",
        "requester",
        "source",
        "draft__editor",
        "audit",
        "github__repository__account",
    )
    return get_object_or_404(visible, pk=number)


def done(request: HttpRequest, ticket: Ticket, words: str, *, also: Iterable[str] = (), **context: Any) -> HttpResponse:
    """Answer a decision that was carried out: its pieces to htmx, else back to the page with a word.

    Who gave the ticket to a team that is not theirs sees it no more, and is back in the queue.
    """
    if not Ticket.objects.visible_to(person(request)).filter(pk=ticket.pk).exists():
        toasts.success(request, f"{words} #{ticket.number} is with another team now.")
        return HttpResponseRedirect(reverse("tickets:queue"))
    if request.headers.get("HX-Request"):
        return _render_pieces(request, seen(request, ticket.number), (*PIECES, *also), said=words, **context)
    toasts.success(request, words)
    return HttpResponseRedirect(ticket.get_absolute_url())


def refused(request: HttpRequest, ticket: Ticket, why: Refused, *, typed: str = "") -> HttpResponse:
    """Answer what an action refused, at its place; `typed` is shown again so that nothing is lost."""
    status = why.status
    if request.headers.get("HX-Request"):
        # htmx swaps 409 and 422 only; the others are told in place all the same
        status = status if status == 409 else 422
        told = {"why": why, "ticket": ticket, "status": status, "oob": True, "autosave": "quiet" in request.POST}
        told |= _flags(why)
        return render(request, "tickets/_refused.html", told, status=status)
    context = context_of(seen(request, ticket.number), person(request)) | {"refused": why, "typed": typed}
    context |= _flags(why)
    return render(request, "tickets/ticket.html", context, status=status)


def _flags(why: Refused) -> dict[str, Any]:
    return {"flags": shown(stored(why.flags), why.text)} if isinstance(why, Flagged) else {}


def _render_pieces(request: HttpRequest, ticket: Ticket, names: Iterable[str], **extra: Any) -> HttpResponse:
    context = context_of(ticket, person(request)) | extra
    context["oob"] = True
    context["pieces"] = [f"tickets/_{name}.html" for name in dict.fromkeys(names)]
    return render(request, "tickets/_pieces.html", context)


def context_of(ticket: Ticket, user: User) -> dict[str, Any]:
    """What the page and its pieces show. About 11 queries, whatever the length of the thread."""
    there, suggestion = there_of(ticket), ticket.latest_suggestion
    messages = list(Message.objects.thread(ticket).for_page())
    calls = list(Call.objects.about("ticket", ticket.number).newest_first()[:50]) if there["has_calls"] else []
    costs = [call.cost for call in calls if call.cost is not None]
    agent = Agent.of(user)
    visible, labels = Ticket.objects.visible_to(user), all_labels()
    similar = similar_to(ticket, visible)
    changes = changes_of(ticket, labels=labels, joins=_joins(ticket, visible) if there["has_joins"] else ())
    undo = undoable(ticket, changes)
    zone, carriers = Habits.of(user).zone, carriers_of(ticket)
    fields = [replace(row, undo=undo.get(row.name)) for row in rows_of(ticket, suggestion, visible, labels)]
    return {
        "ticket": ticket,
        "now": int(timezone.now().timestamp() * 1000),
        "may_delete": leads(user),
        "may_decide": agent.may_decide if agent else user.is_superuser,
        "messages_shown": messages,
        "mentions": mentioned(message.text for message in messages if message.kind == Message.Kind.COMMENT),
        "editable": {message.pk for message in messages if may_edit(message, user)},
        "copies": copies_of(ticket) if there["has_mails"] else [],
        "nobody": why_nobody(ticket),
        "draft": (draft := ticket.current_draft),
        **enclosures_of(ticket, any_there=there["has_enclosures"]),
        "flags": shown(draft.flags, draft.text) if draft else [],
        "suggestion": suggestion,
        "answers": max((message.pk for message in messages if message.kind == Message.Kind.INBOUND), default=""),
        "replied": max((message.pk for message in messages if message.kind == Message.Kind.OUTBOUND), default=0),
        "leaving": next((one for one in reversed(messages) if _is_leaving(one)), None),
        "citations": _citations(suggestion, user),
        "fields": fields,
        "repeat": suggestion.repeat_of and visible.filter(pk=suggestion.repeat_of).first() if suggestion else None,
        "acceptable": any(field.acceptable and field.value for field in fields),
        "similar": similar,
        "answered": answered(ticket, user, similar) if ticket.is_open else [],
        "calls": calls,
        "cost": sum(costs) if costs else None,
        "history": _history([*changes, *(noted_of(ticket, zone) if there["has_sla_events"] else ())], undo),
        "has_firings": there["has_firings"],
        "carriers": carriers,
        "suggested": suggested_of(ticket, carriers),
        "assignee_listed": any(one.user.pk == ticket.assignee_id for one in carriers),
        "promises": [(promise, clock(promise, timezone.now())) for promise in ticket.promises],
        "teams": [team for team in labels["team"] if team.active and team.pk != ticket.team_id],
        "next_number": None if ticket.is_open else _next(ticket, user),
        **joined_of(ticket, user, messages, there),
        "zone": zone,
        "presets": presets(zone),
    }


def enclosures_of(ticket: Ticket, *, any_there: bool = True) -> dict[str, Any]:
    """The files that go along with the next reply, and what may be added to them; nothing where a door takes none."""
    carries = replying(ticket).carries_files if ticket.is_open else False
    files = list(drafted(ticket)) if ticket.is_open and any_there else []
    return {"enclosures": files, "file_limits": limits() if carries else ""}


def _is_leaving(message: Message) -> bool:
    delivery = getattr(message, "delivery", None) if message.kind == Message.Kind.OUTBOUND else None
    return delivery is not None and delivery.can_be_taken_back


@dataclass(frozen=True, slots=True)
class Deed:
    """What one actor changed at once; `undoable` are the fields of it that can still be taken back."""

    changes: list[Change]
    undoable: list[str]


def _history(changes: list[Change], undo: dict[str, Change]) -> list[Deed]:
    """Deeds, newest first."""
    changes = sorted(changes, key=attrgetter("at"), reverse=True)
    deeds = [list(deed) for _, deed in groupby(changes, key=attrgetter("at", "actor", "event"))]
    return [Deed(deed, [one.field for one in deed if undo.get(one.field) is one]) for deed in deeds]


def _joins(ticket: Ticket, visible: TicketQuerySet) -> list[JoinEvent]:
    """With which others it was joined and parted, as far as this person may know of them."""
    return list(ticket.join_events.filter(other__in=visible.values("pk")))


def _next(ticket: Ticket, user: User) -> int | None:
    """The newest ticket but this one that waits for a person."""
    waiting = Ticket.objects.visible_to(user).filter(status__in=(Status.IN_REVIEW, Status.ESCALATED))
    return waiting.exclude(pk=ticket.pk).newest_first().values_list("number", flat=True).first()


def _citations(suggestion: Suggestion | None, user: User) -> list[dict[str, Any]]:
    """The tickets a draft leans on, as far as this person may see them."""
    cited = [citation for citation in suggestion.citations if "ticket" in citation] if suggestion else []
    numbers = [citation["ticket"] for citation in cited]
    visible = set(Ticket.objects.visible_to(user).filter(pk__in=numbers).values_list("pk", flat=True)) if cited else ()
    return [citation for citation in cited if citation["ticket"] in visible]
