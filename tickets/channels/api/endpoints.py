"""The REST API: every address of it, in the order of its documentation."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Header, Query
from ninja.decorators import decorate_view

from tickets.actions import assignment, conversation, intake, replies, review, status
from tickets.actions import triage as reading
from tickets.actions.drafts import last_inbound
from tickets.channels.api.document import DescribedApi
from tickets.channels.api.incoming import inbound_of, source_of, store_rows
from tickets.channels.api.keys import BearerKey, HeaderKey, caller, in_the_name_of, tickets_of
from tickets.channels.api.pages import page
from tickets.channels.api.present import (
    for_api,
    present,
    present_comments,
    present_known,
    present_messages,
    present_tickets,
    present_verdict,
)
from tickets.channels.api.problems import Problem, handle_errors_of, invalid
from tickets.channels.api.schemas import (
    Approval,
    ApprovalOut,
    BulkOut,
    CommentOut,
    CommentPage,
    Filters,
    HowMany,
    KnownTicketOut,
    MessagePage,
    NewComment,
    NewTicket,
    NewTickets,
    Paging,
    ProblemOut,
    ReadingOut,
    SimilarPage,
    StatsOut,
    Text,
    TicketChange,
    TicketOut,
    TicketPage,
)
from tickets.channels.api.wire import JsonParser, answer, of_many_tickets
from tickets.channels.base import clean_line
from tickets.models import ApiKey, Message, Priority, Status, Ticket, TriageState
from tickets.similar import similar_to

SCOPE_OF = {
    **dict.fromkeys(
        ("list_tickets", "get_ticket", "list_messages", "list_comments", "similar_tickets", "classify", "stats"), "read"
    ),
    "get_attachment": "read",
    **dict.fromkeys(("create_ticket", "create_tickets", "change_ticket", "reprocess_ticket", "add_comment"), "write"),
    "add_attachments": "write",
    "approve_reply": "approve",
}
api = DescribedApi(
    title="Triage Desk",
    version="1",
    description="Tickets in, decisions out. Every error is a problem document (RFC 9457) with a code. Every answer "
    "says how many requests are left to the key; without a key, to the address.",
    scopes=SCOPE_OF,
    servers=[{"url": "/"}],
    urls_namespace="tickets:api",
    auth=[BearerKey(), HeaderKey()],
    parser=JsonParser(),
)
handle_errors_of(api)
PROBLEMS: dict[Any, Any] = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 422), ProblemOut)


def known_only(request: HttpRequest, parameters: type[Any]) -> None:
    """Refuse query parameters that do nothing, rather than let a misspelt filter list everything."""
    for name in request.GET:
        if name not in parameters.model_fields:
            raise invalid((clean_line(name)[:100], "There is no parameter of this name."))


def find(key: ApiKey, number: int) -> Ticket:
    ticket = for_api(tickets_of(key)).filter(pk=number).first() if number < 2**63 else None
    if ticket is None:
        raise Problem(404, "no_such_ticket", f"There is no ticket {number}, or this key may not see it.")
    return ticket


def shown(key: ApiKey, number: int) -> dict[str, Any]:
    return present_tickets([for_api(Ticket.objects.all()).get(pk=number)], visible=tickets_of(key))[0]


@api.post("/tickets", response={201: TicketOut, 200: TicketOut | KnownTicketOut, **PROBLEMS}, summary="Create a ticket")
def create_ticket(
    request: HttpRequest,
    body: NewTicket,
    idempotency_key: Annotated[str, Header(alias="Idempotency-Key")] = "",
) -> HttpResponse:
    """Store a ticket; it is read in the background within a second.

    The same Idempotency-Key and body, or the same external_id, gives 200 with the first ticket, of which a key that
    may not see it is told the number, id, url, source and created_at alone. The same Idempotency-Key with another body
    gives 409.
    """
    key = caller(request, "write")
    inbound, source = inbound_of(body, idempotency_key), source_of(key, body.source)
    with in_the_name_of(key):
        receipt = intake.receive(inbound, source=source, sender=key.source)
    if receipt.created:
        Ticket._meta.get_field("draft").set_cached_value(receipt.ticket, None)  # nobody needs to ask the database
        return answer(present(receipt.ticket, description=inbound.text), code=201)
    if tickets_of(key).filter(pk=receipt.ticket.pk).exists():
        return answer(shown(key, receipt.ticket.number))
    return answer(present_known(receipt.ticket))  # it went to a team that the key's person is not in


@api.post("/tickets/bulk", response={200: BulkOut, **PROBLEMS}, summary="Create up to 1,000 tickets")
@decorate_view(of_many_tickets)
def create_tickets(request: HttpRequest, body: NewTickets) -> HttpResponse:
    """Store many tickets, each as if it had come alone: `results` has an answer for each, in the order given.

    `status` of a result is what the single call would have answered: 201 with the new ticket, 200 with the first one
    where its idempotency_key or external_id was known, 409 or 422 with the problem of this one. What is wrong with one
    is no matter to the others. Where the call broke off, send it again: with ids nothing is stored twice.
    """
    key = caller(request, "write")
    with in_the_name_of(key):
        return answer(store_rows(key, body.tickets))


@api.get("/tickets", response={200: TicketPage, **PROBLEMS}, summary="List tickets, newest first")
def list_tickets(request: HttpRequest, filters: Query[Filters]) -> HttpResponse:
    key = caller(request, "read")
    known_only(request, Filters)
    tickets = for_api(tickets_of(key))
    exact = {
        "status": filters.status,
        "triage_state": filters.triage_state,
        "priority": filters.priority,
        "category__key": filters.category,
        "team__key": filters.team,
        "source__name": filters.source,
        "updated_at__gte": filters.updated_since,
    }
    tickets = tickets.filter(**{name: value for name, value in exact.items() if value})
    if filters.q:
        tickets = tickets.matching(filters.q)
    return answer(
        page(
            tickets,
            cursor=filters.cursor,
            limit=filters.limit,
            present=partial(present_tickets, visible=tickets_of(key)),
        )
    )


@api.get("/tickets/{int:number}", response={200: TicketOut, **PROBLEMS}, summary="Get a ticket")
def get_ticket(request: HttpRequest, number: int) -> HttpResponse:
    key = caller(request, "read")
    return answer(present_tickets([find(key, number)], visible=tickets_of(key))[0])


@api.patch("/tickets/{int:number}", response={200: TicketOut, **PROBLEMS}, summary="Correct a ticket")
def change_ticket(request: HttpRequest, number: int, body: TicketChange) -> HttpResponse:
    """Set status or assignee, or decide fields as a person does. null empties a field; assignee null is nobody."""
    key = caller(request, "write")
    changes = {name: getattr(body, name) for name in sorted(body.model_fields_set)}
    if not changes:
        raise invalid(("body", "Name at least one field to change."))
    if "status" in changes and changes["status"] is None:
        raise invalid(("status", "A ticket always has a status."))
    ticket = find(key, number)
    new_status = changes.pop("status", None)
    reassigned, name = "assignee" in changes, changes.pop("assignee", None)
    with in_the_name_of(key) as person, transaction.atomic():
        if changes:
            review.correct(ticket=ticket, changes=changes, by=person, api_key=key)
        if reassigned:
            assignment.assign(ticket=ticket, to=assignment.somebody(name) if name else None, by=person)
        if new_status:
            status.change(ticket=ticket, status=Status(new_status), by=person)
    return answer(shown(key, number))


@api.post("/tickets/{int:number}/reprocess", response={200: TicketOut, **PROBLEMS}, summary="Read a ticket again")
def reprocess_ticket(request: HttpRequest, number: int) -> HttpResponse:
    """Have the machine read the ticket once more. What a person set stays."""
    key = caller(request, "write")
    ticket = find(key, number)
    with in_the_name_of(key):
        reading.submit_again(tickets=Ticket.objects.filter(pk=ticket.pk))
    return answer(shown(key, number))


@api.post("/tickets/{int:number}/approval", response={201: ApprovalOut, **PROBLEMS}, summary="Approve a reply")
def approve_reply(request: HttpRequest, number: int, body: Approval) -> HttpResponse:
    """Approve the draft, or the text given here, and send it to the customer in the name of the key's person.

    With the draft's version and answers, as they were read, nothing is sent when either is another now: 409.
    """
    key = caller(request, "approve")
    if key.user is None:
        raise Problem(403, "no_person", "Only a key that is bound to a person may approve.")
    ticket = find(key, number)
    draft = ticket.current_draft
    answers = draft.answers_id if draft else last_inbound(ticket)
    text = body.text or (draft.text if draft else "")
    if not text:
        if ticket.messages.filter(kind=Message.Kind.OUTBOUND, pk__gt=answers or 0).exists():
            raise Problem(409, "already_sent", "A reply was sent already, and the customer has not written since.")
        raise invalid(("text", "This ticket has no draft. Send the text of the reply."))
    with in_the_name_of(key) as person:
        assert person is not None  # noqa: S101  the key has one
        delivery = replies.approve(
            ticket=ticket,
            text=text,
            version=(draft.version if draft else 0) if body.version is None else body.version,
            answers=answers if body.answers is None else body.answers,
            by=person,
            keep_open=body.keep_open,
            accept_flags=body.accept_flags,
            api_key=key,
        )
    sent = {
        "state": delivery.state,
        "channel": delivery.channel,
        "approved_by": person.label,
        "text": delivery.message.text,
    }
    return answer({"delivery": sent, "ticket": shown(key, number)}, code=201)


@api.get("/tickets/{int:number}/messages", response={200: MessagePage, **PROBLEMS}, summary="List the conversation")
def list_messages(request: HttpRequest, number: int, paging: Query[Paging]) -> HttpResponse:
    """What the customer wrote and what was answered, newest first. A reply is here once nobody can take it back."""
    key = caller(request, "read")
    known_only(request, Paging)
    said = Message.objects.with_customer(find(key, number)).for_customers()
    said = said.select_related("author", "requester").prefetch_related("attachments")
    return answer(page(said, cursor=paging.cursor, limit=paging.limit, present=present_messages))


@api.get("/tickets/{int:number}/comments", response={200: CommentPage, **PROBLEMS}, summary="List internal comments")
def list_comments(request: HttpRequest, number: int, paging: Query[Paging]) -> HttpResponse:
    key = caller(request, "read")
    known_only(request, Paging)
    comments = find(key, number).messages.filter(kind=Message.Kind.COMMENT).select_related("author", "requester")
    comments = comments.prefetch_related("attachments")
    return answer(page(comments, cursor=paging.cursor, limit=paging.limit, present=present_comments))


@api.post("/tickets/{int:number}/comments", response={201: CommentOut, **PROBLEMS}, summary="Add an internal comment")
def add_comment(request: HttpRequest, number: int, body: NewComment) -> HttpResponse:
    key = caller(request, "write")
    ticket = find(key, number)
    with in_the_name_of(key) as person:
        message = conversation.comment(ticket=ticket, text=body.text, by=person, author_name=key.name)
    return answer(present_comments([message])[0], code=201)


@api.get("/tickets/{int:number}/similar", response={200: SimilarPage, **PROBLEMS}, summary="Tickets like this one")
def similar_tickets(request: HttpRequest, number: int, how_many: Query[HowMany]) -> HttpResponse:
    """The nearest, near or not: `similarity` is the cosine, or the share of common words before the ticket is read."""
    key = caller(request, "read")
    known_only(request, HowMany)
    ticket = find(key, number)
    found = similar_to(ticket, tickets_of(key), limit=how_many.limit, at_least=-1)
    return answer(
        {
            "items": [
                {"number": near.ticket.number, "title": near.ticket.subject, "similarity": round(near.likeness, 4)}
                for near in found
            ]
        }
    )


@api.post("/classify", response={200: ReadingOut, **PROBLEMS}, summary="Read a text without storing a ticket")
async def classify(request: HttpRequest, body: Text) -> HttpResponse:
    caller(request, "read")
    verdict = await reading.read_text(title=body.title, text=body.description)
    return answer(present_verdict(verdict))


@api.get("/stats", response={200: StatsOut, **PROBLEMS}, summary="How many tickets there are of what")
def stats(request: HttpRequest) -> HttpResponse:
    """Counts of every ticket the key may see; "none" counts those that hold no value."""
    tickets = tickets_of(caller(request, "read")).order_by()
    return answer(
        {
            "total": tickets.count(),
            "by_status": _counts(tickets, "status", Status.values),
            "by_triage_state": _counts(tickets, "triage_state", TriageState.values),
            "by_category": _counts(tickets, "category__key"),
            "by_priority": _counts(tickets, "priority", Priority.values),
            "by_team": _counts(tickets, "team__key"),
        }
    )


def _counts(tickets: QuerySet[Ticket], field: str, values: list[str] | None = None) -> dict[str, int]:
    found = tickets.values_list(field).annotate(tickets=Count("number")).order_by(field)
    return dict.fromkeys(values or [], 0) | {value or "none": tickets for value, tickets in found}
