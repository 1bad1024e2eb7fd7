"""What the tools do, each for one API key: the same actions, and the same sight, as the REST API and the desk have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from tickets.actions import conversation, proposing, review
from tickets.channels.api.keys import in_the_name_of, tickets_of
from tickets.channels.api.present import for_api, present_comments, present_tickets, stamp
from tickets.channels.api.problems import Problem
from tickets.models import OPEN, ApiKey, Category, Component, Message, Notification, Priority, Status, Team, Ticket
from tickets.similar import similar_to
from triage.embedding import embed

Json = dict[str, Any]
MOST_LISTED = 50
MESSAGES = 30  # of a conversation, the newest


def find(key: ApiKey, number: int) -> Ticket:
    """Raises Problem where there is none, or the key may not see it: the two are not told apart."""
    found = for_api(tickets_of(key)).filter(pk=number).first() if 0 < number < 2**63 else None
    if found is None:
        raise Problem(404, "no_such_ticket", f"There is no ticket {number}, or this key may not see it.")
    return found


def show(key: ApiKey, number: int) -> Json:
    """A ticket as the API has it, with its conversation and comments."""
    ticket = find(key, number)
    messages = Message.objects.with_customer(ticket).select_related("author", "requester")
    said = messages.filter(kind__in=(Message.Kind.INBOUND, Message.Kind.OUTBOUND)).order_by("-pk")[:MESSAGES]
    comments = ticket.messages.filter(kind=Message.Kind.COMMENT).select_related("author").order_by("-pk")[:MESSAGES]
    return {
        **present_tickets([ticket], visible=tickets_of(key))[0],
        "conversation": [
            {
                "from": "customer" if one.kind == Message.Kind.INBOUND else "desk",
                "author": one.author_label,
                "text": one.text,
                "created_at": stamp(one.created_at),
            }
            for one in reversed(said)
        ],
        "comments": present_comments(list(reversed(comments))),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list of open tickets is narrowed by; empty words and 0 narrow nothing."""

    status: str = ""
    team: str = ""
    category: str = ""
    priority: str = ""
    words: str = ""
    below: int = 0


def list_open(key: ApiKey, *, asked: Asked, limit: int) -> Json:
    """The open tickets that fit, newest first: {items, next_below}."""
    tickets = tickets_of(key).open().filter(merged_into=None)
    _known("status", asked.status, [str(one) for one in OPEN])
    _known("priority", asked.priority, Priority.values)
    exact = {
        "status": asked.status,
        "team__key": asked.team,
        "category__key": asked.category,
        "priority": asked.priority,
    }
    tickets = tickets.filter(**{name: value for name, value in exact.items() if value})
    if asked.words.strip():
        tickets = tickets.matching(asked.words[:200])
    if asked.below > 0:
        tickets = tickets.filter(pk__lt=min(asked.below, 2**63 - 1))
    most = max(1, min(limit, MOST_LISTED))
    found = list(tickets.for_rows().order_by("-pk")[: most + 1])
    items = [_row(ticket) for ticket in found[:most]]
    return {"items": items, "next_below": found[most - 1].pk if len(found) > most else None}


def _known(name: str, given: str, values: list[str]) -> None:
    if given and given not in values:
        raise Problem(422, "invalid", f"{name} is one of {', '.join(values)}.")


def _row(ticket: Ticket) -> Json:
    return {
        "number": ticket.number,
        "title": ticket.subject,
        "status": ticket.status,
        "triage_state": ticket.triage_state,
        "category": ticket.value_of("category"),
        "priority": ticket.value_of("priority"),
        "team": ticket.value_of("team"),
        "assignee": ticket.assignee.label if ticket.assignee else None,
        "escalated": ticket.escalated,
        "due_at": stamp(ticket.due_at),
        "created_at": stamp(ticket.created_at),
    }


def alert(key: ApiKey, number: int, reason: str) -> Json:
    """Escalate the ticket with this reason; those who lead its team are told."""
    ticket = find(key, number)
    with in_the_name_of(key) as person:
        held = review.escalate(ticket=ticket, reason=reason, by=person, api_key=key)
    told = Notification.objects.filter(ticket=held, kind=Notification.Kind.ESCALATED).unread()
    return {
        "number": held.number,
        "status": held.status,
        "escalation_reason": held.escalation_reason,
        "notified": [one.user.label for one in told.select_related("user").order_by("pk")],
    }


def like(key: ApiKey, *, number: int, text: str, limit: int) -> Json:
    """Tickets like one, or like a text: {items: [{number, title, status, similarity}]}."""
    most = max(1, min(limit, 20))
    if number:
        near = similar_to(find(key, number), tickets_of(key), limit=most, at_least=-1)
        return {"items": [_near(one.ticket, one.likeness) for one in near]}
    if not text.strip():
        raise Problem(422, "invalid", "Give the number of a ticket, or a text.")
    found = tickets_of(key).filter(merged_into=None).nearest(embed(text[:100_000]).tolist())[:most]
    return {"items": [_near(ticket, 1 - ticket.distance) for ticket in found]}


def _near(ticket: Ticket, likeness: float) -> Json:
    return {
        "number": ticket.number,
        "title": ticket.subject,
        "status": ticket.status,
        "similarity": round(float(likeness), 4),
    }


def note(key: ApiKey, number: int, text: str) -> Json:
    """Add an internal comment."""
    ticket = find(key, number)
    with in_the_name_of(key) as person:
        message = conversation.comment(ticket=ticket, text=text, by=person, author_name=key.name)
    return present_comments([message])[0]


def propose(key: ApiKey, number: int, text: str) -> Json:
    """Put a reply before the people of the desk. Nothing is sent: one of them reads, edits and approves it, or not."""
    ticket = find(key, number)
    with in_the_name_of(key):
        draft = proposing.propose(ticket=ticket, text=text, by=key)
    flags = [{"kind": flag["kind"], "words": flag["words"]} for flag in draft.flags]
    return {"number": ticket.number, "state": "waits for a person", "version": draft.version, "flags": flags}


def taxonomy() -> Json:
    """What a ticket may be given."""
    lists: dict[str, QuerySet[Any]] = {
        "categories": Category.objects.all(),
        "teams": Team.objects.all(),
        "components": Component.objects.all(),
    }
    return {
        **{
            name: list(labels.filter(active=True).order_by("name").values("key", "name", "description"))
            for name, labels in lists.items()
        },
        "priorities": dict(Priority.choices),
        "statuses": dict(Status.choices),
    }
