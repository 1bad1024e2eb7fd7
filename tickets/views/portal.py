"""The customer's side: write to support without signing in, and follow the ticket by a signed link."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe
from pydantic import TypeAdapter, ValidationError

from tickets import markdown
from tickets.actions import intake
from tickets.actions.attaching import Upload
from tickets.actions.errors import Conflict, Invalid, Unavailable
from tickets.channels.base import Body, Inbound, complaints
from tickets.channels.form.submission import HONEYPOT, LIMITS, Submission
from tickets.known import is_known
from tickets.models import ENDED, PORTAL_SALT, Attachment, Message, Priority, Source, Status, Ticket, Tier
from tickets.models.message import MessageQuerySet
from tickets.views.attachments import handed_out
from tickets.views.uploads import FIELD, came_along, limits, uploads_of
from triage import brake
from triage.brake import Limit

STATUS_WORDS = {
    Status.NEW: ("Received", "We have your request and will answer by e-mail."),
    Status.IN_REVIEW: ("Being worked on", "Somebody is working on your request."),
    Status.ESCALATED: ("Being worked on", "Your request is with a specialist."),
    Status.WAITING: ("Waiting for you", "We have answered and wait to hear from you."),
    Status.RESOLVED: ("Answered", "We have answered. If that did not help, write below and it is open again."),
    Status.CLOSED: ("Closed", "This request is closed. Write below to open it again."),
}
JOINED = (
    "Being worked on",
    "We work on this together with another request, and answer by e-mail. Write below to add to it.",
)
# Looks while typing, a minute: of one address, and of all, for each costs some work.
KNOWN_PER_MINUTE, KNOWN_IN_ALL = 20, 600
_text = TypeAdapter(Body)


@dataclass(frozen=True, slots=True)
class Turn:
    """One text of the conversation, as its customer may see it."""

    ours: bool
    author: str
    at: datetime
    html: SafeString
    files: list[Attachment]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def form(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _form_page(request, Submission.blank())
    submission = Submission.of(request.POST)
    inbound, files = submission.inbound(), _files(request, submission)
    if inbound is None or submission.errors:
        return _form_page(request, submission, status=422)
    if wait := _brake(request):
        return brake.held_up(_form_page(request, submission, wait=wait), wait)
    try:
        receipt = _receive(inbound, files)
    except Unavailable as why:
        submission.errors[FIELD] = why.sentence
        return _form_page(request, submission, status=why.status)
    return redirect("tickets:portal-thanks", signed=receipt.ticket.signed_id)


def _receive(inbound: Inbound, files: list[Upload]) -> intake.Receipt:
    source = Source.objects.filter(kind="form").order_by("pk").first()
    source = source or Source.objects.create(kind="form", name="Support form")
    try:
        return intake.receive(inbound, source=source, files=files)
    except Conflict:  # sent, then gone back to and changed: what it says now is another request
        changed = inbound.model_copy(update={"idempotency_key": Submission.blank().key})
        return intake.receive(changed, source=source, files=files)


@never_cache
@require_GET
def thanks(request: HttpRequest, signed: str) -> HttpResponse:
    ticket = _ticket(signed)
    context = {"ticket": ticket, "address": request.build_absolute_uri(ticket.get_status_url())}
    return render(request, "portal/thanks.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def status(request: HttpRequest, signed: str) -> HttpResponse:
    ticket = _ticket(signed)
    if request.method != "POST":
        return _status_page(request, ticket, Submission.blank())
    reply = Submission.of(request.POST)
    text, files = _words(request, reply), _files(request, reply)
    if reply.errors:
        return _status_page(request, ticket, reply, status=422)
    if wait := _brake(request):
        return brake.held_up(_status_page(request, ticket, reply, wait=wait), wait)
    identity = f"form:{reply.key}"
    try:
        intake.add_customer_message(ticket=ticket, text=text, external_id=identity, files=files)
    except (Invalid, Unavailable) as why:
        reply.errors[FIELD] = why.sentence
        return _status_page(request, ticket, reply, status=why.status)
    except IntegrityError:
        if not ticket.messages.filter(external_id=identity).exists():
            raise
    return redirect(f"{ticket.get_status_url()}#latest")


@require_safe
@never_cache
def file(request: HttpRequest, signed: str, pk: int) -> HttpResponse:
    """A file of the conversation as its customer may see it: none of a comment, none that has not left the desk."""
    shown = Attachment.objects.filter(message__in=_conversation(_ticket(signed)))
    return handed_out(get_object_or_404(shown, pk=pk))


@require_POST
@never_cache
def known(request: HttpRequest) -> HttpResponse:
    """While a request is typed: whether we know of such a trouble. Fragment: portal/_known.html."""
    marks = {brake.mark("known", brake.peer_of(request)): [Limit(KNOWN_PER_MINUTE, 60)]}
    if wait := brake.press({**marks, brake.mark("known", "everybody"): [Limit(KNOWN_IN_ALL, 60)]}):
        return brake.held_up(HttpResponse(), wait)
    typed = [request.POST.get(name, "")[: LIMITS[name]] for name in ("title", "description")]
    return render(request, "portal/_known.html", {"known": is_known(*typed)})


def _words(request: HttpRequest, reply: Submission) -> str:
    """What was written on the status page; where it cannot be taken, `reply` says why."""
    given = reply.values["text"] = request.POST.get("text", "")
    try:
        return _text.validate_python(given)
    except ValidationError as error:
        reply.errors["text"] = complaints(error)[""]
        return given


def _files(request: HttpRequest, submission: Submission) -> list[Upload]:
    """The files that came along; where they cannot be taken, `submission` says why."""
    try:
        return uploads_of(request)
    except Invalid as why:
        submission.errors[FIELD] = why.sentence
        return []


def _brake(request: HttpRequest) -> int:
    """Seconds to wait before this address may send again; 0 when it may now. Only what would be stored counts."""
    limits = [Limit(settings.FORM_PER_MINUTE, 60), Limit(settings.FORM_PER_HOUR, 3600)]
    return brake.press({brake.mark("form", brake.peer_of(request)): limits})


def _form_page(request: HttpRequest, submission: Submission, *, status: int = 200, wait: int = 0) -> HttpResponse:
    context = {
        "wait": brake.spoken(wait) if wait else "",
        "values": submission.values,
        "errors": submission.errors,
        "key": submission.key,
        "limits": LIMITS,
        "priorities": Priority.choices,
        "tiers": [(str(value), label) for value, label in Tier.choices],
        "honeypot": HONEYPOT,
        **_about_files(request, submission),
    }
    return render(request, "portal/form.html", context, status=status)


def _status_page(
    request: HttpRequest, ticket: Ticket, reply: Submission, *, status: int = 200, wait: int = 0
) -> HttpResponse:
    word, sentence = JOINED if ticket.merged_into_id else STATUS_WORDS[Status(ticket.status)]
    context: dict[str, Any] = {
        "wait": brake.spoken(wait) if wait else "",
        "ticket": ticket,
        "word": word,
        "sentence": sentence,
        "ended": ticket.status in ENDED and not ticket.merged_into_id,
        "turns": _turns(ticket),
        "text": reply.values.get("text", ""),
        "errors": reply.errors,
        "key": reply.key,
        **_about_files(request, reply),
    }
    return render(request, "portal/status.html", context, status=status)


def _about_files(request: HttpRequest, submission: Submission) -> dict[str, Any]:
    lost = came_along(request) and FIELD not in submission.errors
    return {"file_limits": limits(), "files_lost": lost, "file_error": submission.errors.get(FIELD, "")}


def _turns(ticket: Ticket) -> list[Turn]:
    """What customer and desk said to each other; comments and the machine's words are not for here."""
    return [
        Turn(
            ours=message.kind == Message.Kind.OUTBOUND,
            author=message.author_label,
            at=message.created_at,
            html=markdown.render(message.text)
            if message.kind == Message.Kind.OUTBOUND
            else mark_safe(linebreaks(message.text, autoescape=True)),  # noqa: S308  escaped by it
            files=list(message.attachments.all()),
        )
        for message in _conversation(ticket).select_related("author", "requester").prefetch_related("attachments")
    ]


def _conversation(ticket: Ticket) -> MessageQuerySet:
    """The customer's own: with what was merged of theirs, and never the words of another customer.

    Whoever filled in the form was given this page there and then, under whatever address they typed: a merge must not
    show them what the person of that address wrote elsewhere. What is answered there reaches that person by mail.
    """
    if ticket.spam or ticket.source.kind == "form":  # who sent spam is shown no difference
        return Message.objects.filter(ticket=ticket).for_customers().order_by("pk")
    root = ticket.merged_into
    own = root if root and root.requester_id and root.requester_id == ticket.requester_id else ticket
    return Message.objects.with_customer(own).for_customers()


def _ticket(signed: str) -> Ticket:
    try:
        public_id = signing.Signer(salt=PORTAL_SALT).unsign(signed)
        return Ticket.everything.not_deleted().select_related("source").defer("embedding").get(public_id=public_id)
    except (signing.BadSignature, Ticket.DoesNotExist) as error:
        raise Http404 from error
