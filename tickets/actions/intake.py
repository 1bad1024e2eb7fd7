"""The door into the desk: store first, then let the machine read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from tickets.actions.acknowledging import acknowledge
from tickets.actions.attaching import Upload, attach_all
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.joined import hold_thread
from tickets.actions.learning import remember
from tickets.actions.notifying import tell_assignee
from tickets.actions.promising import reckon
from tickets.actions.spamming import Held, Why, blocking, hold, judged, settle, tell_of_flood
from tickets.channels.base import Inbound, clean_line
from tickets.live import announce
from tickets.models import ENDED, SUBJECT_LIMIT, Draft, Lane, Message, Requester, Source, Status, Ticket, excerpt_of
from tickets.models.ticket import SLA, SUBMISSION
from triage import correlation
from triage.queue import ring

UNREAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Receipt:
    ticket: Ticket
    created: bool
    message: Message | None = None  # its first, where it was created now


def receive(
    inbound: Inbound,
    *,
    source: Source,
    sender: Source | None = None,
    quiet: bool = False,
    message_id: str = "",
    files: Sequence[Upload] = (),
) -> Receipt:
    """Store what came in, once, with its work enqueued in the same transaction.

    The same external id of a source gives the first ticket back, and so does the same idempotency key of a sender: the
    source's own door, unless one door brings the tickets of several sources. Raises Conflict when an idempotency key
    comes again with another content or for another source. `quiet` sends no receipt; `message_id` is a mail's own;
    `files` were checked, and are kept with its first message.
    """
    key = key_of(inbound, source, sender)
    digest = digest_of(inbound, files) if key else ""
    known = _known(inbound, source, key, digest)
    if known is not None:
        return known
    try:
        with transaction.atomic():
            ticket, message = _store(inbound, source, key, digest, message_id)
            attach_all(message=message, files=files)
            if not ticket.spam:
                if not quiet:
                    acknowledge(ticket)
                ring("interactive")
                announce(ticket, "created")
    except IntegrityError:  # the same thing came twice at the same moment: the other one won
        known = _known(inbound, source, key, digest)
        if known is None:
            raise
        return known
    return Receipt(ticket, created=True, message=message)


def digest_of(inbound: Inbound, files: Sequence[Upload] = ()) -> str:
    """What tells one content from another under the same idempotency key (SHA-256, hex)."""
    content = inbound.model_dump(mode="json", exclude={"idempotency_key", "lane", "created_at"})
    if files:
        content["files"] = [[name, hashlib.sha256(held).hexdigest()] for name, held in files]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def key_of(inbound: Inbound, source: Source, sender: Source | None = None) -> str:
    """Its idempotency key as a ticket keeps it; empty without one."""
    return f"{(sender or source).pk}:{inbound.idempotency_key}" if inbound.idempotency_key else ""


def first_of(source: Source, digest: str, *, keyed: Ticket | None, named: Ticket | None) -> Ticket | None:
    """The ticket that it was stored as before: `keyed` has its idempotency key, `named` its external id there.

    Raises Conflict when the key came with another content or for another source.
    """
    if keyed is None:
        return named
    if keyed.source_id != source.pk or keyed.intake_digest != digest:
        raise Conflict(
            "idempotency_key_reused", "This Idempotency-Key was used with another body. Use a new key for a new ticket."
        )
    return keyed


def ticket_of(
    inbound: Inbound, source: Source, key: str, digest: str, requester: Requester | None, *, held: Held | None
) -> Ticket:
    """What came in as a ticket that is not stored yet; spam where it is `held`."""
    now = timezone.now()
    return Ticket(
        subject=inbound.title,
        excerpt=excerpt_of(inbound.text),
        requester=requester,
        source=source,
        external_id=inbound.external_id,
        idempotency_key=key,
        intake_digest=digest,
        submitted_priority=inbound.priority or "",
        submitted_tier=inbound.tier,
        raw=inbound.raw,
        lane=inbound.lane,
        correlation_id=correlation.current(),
        created_at=inbound.created_at or now,
        # Its reading reckons what is promised to it; the clock does where no reading comes.
        sla_look_at=now + UNREAD if inbound.lane == Lane.INTERACTIVE and not held else None,
        spam=held is not None,
        deleted_at=now if held else None,
    )


def first_message(ticket: Ticket, inbound: Inbound, message_id: str = "") -> Message:
    """The customer's words of a stored ticket, not stored yet."""
    return Message(
        ticket=ticket,
        kind=Message.Kind.INBOUND,
        text=inbound.text,
        requester=ticket.requester,
        message_id=message_id,
        created_at=ticket.created_at,
    )


def settle_held(ticket: Ticket, held: Held) -> None:
    """The rest of holding a stored ticket."""
    settle([ticket], why=held.why, block=held.block)
    if held.why == Why.FLOOD and ticket.requester:
        tell_of_flood(ticket.requester)


def _known(inbound: Inbound, source: Source, key: str, digest: str) -> Receipt | None:
    tickets = Ticket.everything.select_related("requester", "source")  # what was deleted is not stored anew
    keyed = tickets.filter(idempotency_key=key).first() if key else None
    named = None
    if keyed is None and inbound.external_id:
        named = tickets.filter(source=source, external_id=inbound.external_id).first()
    ticket = first_of(source, digest, keyed=keyed, named=named)
    return Receipt(ticket, created=False) if ticket else None


def _store(inbound: Inbound, source: Source, key: str, digest: str, message_id: str) -> tuple[Ticket, Message]:
    requester = requester_of(inbound.requester_email, inbound.requester_name)
    held = judged(requester, source, inbound.created_at or timezone.now())
    ticket = ticket_of(inbound, source, key, digest, requester, held=held)
    ticket.save(force_insert=True)
    message = first_message(ticket, inbound, message_id)
    message.save(force_insert=True)
    if held:
        settle_held(ticket, held)
    return ticket, message


def requester_of(email: str | None, name: str = "") -> Requester | None:
    """The customer with this address, made when new; a name that was missing is filled in."""
    if not email:
        return None
    people = Requester.objects.with_address(email)
    requester = people.first()
    if requester is None:
        Requester.objects.bulk_create([Requester(email=email, name=name)], ignore_conflicts=True)
        return people.get()
    if name and not requester.name:
        requester.name = name
        requester.save(update_fields=["name"])
    return requester


def revise(*, ticket: Ticket, title: str | None = None, text: str | None = None) -> Ticket:
    """The ticket was edited, here or where it came from: what is new is kept, and the machine reads it again.

    A message is never changed: an edited text is one more message of the customer's. Nothing new, nothing done.
    """
    with transaction.atomic():
        held, _ = hold_thread(ticket)
        subject = clean_line(title)[:SUBJECT_LIMIT] if title is not None else held.subject
        if not subject:
            raise Invalid("blank", "A ticket needs a subject.", field="title")
        renamed = subject != held.subject
        if renamed:
            held.subject = subject
            held.submit(lane=None)
            held.save(update_fields=[*SUBMISSION, "subject"])
            remember(held)
            ring("interactive")
            announce(held, "changed")
        last = held.messages.filter(kind=Message.Kind.INBOUND).order_by("-pk").values_list("text", flat=True).first()
        if text is not None and text.strip() and text != last:
            add_customer_message(ticket=held, text=text)
    return held


def add_customer_message(
    *,
    ticket: Ticket,
    text: str,
    requester: Requester | None = None,
    external_id: str = "",
    message_id: str = "",
    files: Sequence[Upload] = (),
) -> Message:
    """The customer wrote again: the draft is stale, an ended ticket is open again, the machine reads it all anew.

    On a merged ticket all of that happens at the one whose thread it belongs to; the message keeps its place. What is
    spam stays so; what a blocked sender adds to a ticket of their own makes that spam, and to somebody else's is a
    note there, which nothing reads or answers.
    """
    requester = requester or ticket.requester
    if ticket.spam:
        return _add_to_spam(ticket, text, requester, external_id, files)
    with transaction.atomic():
        one, held = hold_thread(ticket)
        if external_id and (known := Message.objects.filter(origin=one, external_id=external_id).first()):
            return known  # it came before, and was split off since
        blocked = blocking(requester) if requester else None
        own = requester is not None and requester.pk == held.requester_id == one.requester_id
        message = Message.objects.create(
            ticket=one,
            kind=Message.Kind.SYSTEM if blocked and not own else Message.Kind.INBOUND,
            text=text,
            requester=requester,
            external_id=external_id,
            message_id=message_id,
            created_at=timezone.now(),
        )
        attach_all(message=message, files=files)
        if blocked and not own:
            announce(held, "comment")
            return message
        if blocked and one is held:
            hold(ticket=held, held=Held(Why.BLOCKED, blocked))
            return message
        _take_up_again(held)
        for changed in {one.pk: one, held.pk: held}.values():
            announce(changed, "changed")
        tell_assignee(kind="reply", ticket=held, text=excerpt_of(text))
    return message


def _take_up_again(ticket: Ticket) -> None:
    Draft.objects.filter(ticket=ticket).update(stale=True)
    if ticket.status in ENDED or ticket.status == Status.WAITING:
        ticket.set_status(Status.NEW)
    if not ticket.escalated:
        ticket.provenance.pop("escalated", None)  # a person's no was about what had been written until then
    ticket.submit(lane=None)
    ticket.snoozed_until = None
    reckon(ticket)
    ticket.save(update_fields=[*SUBMISSION, *SLA, "status", "resolved_at", "provenance", "snoozed_until"])
    ring("interactive")


def _add_to_spam(
    ticket: Ticket, text: str, requester: Requester | None, external_id: str, files: Sequence[Upload]
) -> Message:
    """Keep what was added, and do nothing about it."""
    with transaction.atomic():
        message = Message.objects.create(
            ticket=ticket,
            kind=Message.Kind.INBOUND,
            text=text,
            requester=requester,
            external_id=external_id,
            created_at=timezone.now(),
        )
        attach_all(message=message, files=files)
    return message
