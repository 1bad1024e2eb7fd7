"""A mail that came in: stored once, with what it means for a ticket, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from tickets.actions import intake
from tickets.actions.attaching import attach
from tickets.actions.bouncing import take_report
from tickets.actions.errors import Refused, Unavailable
from tickets.actions.mail_thread import Place, is_refuted, own_addresses, place_of
from tickets.channels.base import Inbound
from tickets.channels.email import quotes, reading, subjects
from tickets.channels.email.headers import Person
from tickets.channels.email.kinds import Kind
from tickets.live import announce
from tickets.models import SUBJECT_LIMIT, TEXT_LIMIT, Link, Mail, Message, Source, Ticket
from triage.correlation import acting
from triage.models import User

log = structlog.get_logger(__name__)
Outcome = Mail.Outcome
NO_TEXT = "(This mail holds no text.)"
NO_SUBJECT = "(No subject)"
WITHOUT_RECEIPT = (Kind.AUTO_REPLY, Kind.AUTOMATIC, Kind.LIST, Kind.BOUNCE)


@dataclass(frozen=True, slots=True)
class Request:
    """What a new ticket is made of, and where it was passed on by a colleague, who that was and what they said.

    `quiet`: nobody is to be told that it is here.
    """

    person: Person | None
    subject: str
    text: str
    files: tuple[reading.File, ...]
    by: User | None = None
    comment: str = ""
    quiet: bool = False


def take_in(
    mail: reading.Mail,
    *,
    source: Source,
    received_at: datetime | None = None,
    uid: int | None = None,
    own: set[str] | None = None,
) -> Mail:
    """Store a mail and do what it asks for. The same mail again, by whichever door, gives the first row back.

    `own` are the desk's own addresses, where the caller knows them already.
    """
    known = Mail.objects.filter(external_id=mail.external_id).first()
    if known is not None and known.outcome not in (Outcome.FAILED, Outcome.TOO_LARGE):
        return known
    try:
        with acting(f"channel:{source.kind}"), transaction.atomic():
            if known is not None:
                Mail.objects.filter(pk=known.pk).delete()
            row = _row(mail, source, Outcome.SKIPPED, received_at, uid)
            # Now, so that of two who read it at once one waits here and gives way; what is long comes in the end.
            row.html = ""
            row.save(force_insert=True)
            row.html = mail.html
            _sort(mail, row, own_addresses() if own is None else own)
            row.save()
    except IntegrityError:
        known = Mail.objects.filter(external_id=mail.external_id).first()
        if known is None:
            raise
        return known
    log.info("mail_taken", mail=row.pk, outcome=row.outcome, kind=row.kind, ticket=row.ticket_id, size=row.size)
    return row


def refuse(mail: reading.Mail, *, source: Source, outcome: Mail.Outcome, why: str = "", uid: int | None = None) -> Mail:
    """Keep a record of a mail that is not taken: too large, or it could not be read."""
    row = Mail.objects.filter(external_id=mail.external_id).first() or _row(mail, source, outcome, None, uid)
    if row.pk is not None and row.outcome not in (Outcome.FAILED, Outcome.TOO_LARGE):
        return row
    row.outcome, row.uid, row.text, row.html, row.tries = outcome, uid, "", "", row.tries + 1
    if why:
        row.notes = [why[:300]]
    row.save()
    log.warning("mail_refused", mail=row.pk, outcome=outcome, size=row.size)
    return row


def _row(
    mail: reading.Mail, source: Source, outcome: Mail.Outcome, received_at: datetime | None, uid: int | None
) -> Mail:
    return Mail(
        source=source,
        external_id=mail.external_id,
        identity=mail.message_id,
        outcome=outcome,
        kind=mail.kind,
        sender=mail.sender.email if mail.sender else "",
        sender_name=mail.sender.name if mail.sender else "",
        to=[person.email for person in mail.to],
        cc=[person.email for person in mail.cc],
        subject=mail.subject[:SUBJECT_LIMIT],
        html=mail.html,
        notes=[note[:300] for note in mail.notes],
        size=mail.size,
        written_at=mail.written_at,
        received_at=min(received_at or timezone.now(), timezone.now()),
        uid=uid,
    )


def _sort(mail: reading.Mail, row: Mail, own: set[str]) -> None:
    """Decide what the mail is to the desk, and do that."""
    mailbox = getattr(row.source, "mailbox", None)
    if mail.bounce is not None:
        _bounce(mail, row)
        return
    if mail.sender is not None and mail.sender.email in own:
        row.notes.append("It came from an address of this desk.")
        return
    if any(identity.startswith("news-") for identity in mail.thread[:1]):
        row.notes.append("It answers a notification. Answer at the ticket instead.")
        return
    place = place_of(mail, mailbox=mailbox, own=own)
    if mail.kind == Kind.AUTO_REPLY:
        _automatic(mail, row, place.ticket)
    elif place.ticket is not None:
        _add(mail, row, place.ticket)
    else:
        refuted = mailbox is not None and is_refuted(mail, mailbox)
        quiet = refuted or mail.kind in WITHOUT_RECEIPT or _answers_a_receipt(place.named)
        request = _request(mail, place.named, own, believed=not refuted)
        _open(mail, row, replace(request, quiet=quiet or request.by is not None), place)


def _bounce(mail: reading.Mail, row: Mail) -> None:
    if mail.bounce is None:
        return
    reported = take_report(mail.bounce)
    row.outcome = Outcome.BOUNCE if reported.known else Outcome.SKIPPED
    row.ticket, row.delivery = reported.ticket, reported.delivery
    row.text, row.html = mail.text[:5_000], ""
    row.notes.append(reported.sentence[:300])


def _automatic(mail: reading.Mail, row: Mail, ticket: Ticket | None) -> None:
    """Nobody is to do anything about it, and nothing answers it: it is noted, and the ticket stays as it is."""
    if ticket is None:
        row.notes.append("A program answers, and to nothing that this desk knows of.")
        row.text = mail.text[:5_000]
        return
    own = quotes.split(mail.text).own[:5_000]
    message = Message.objects.create(
        ticket=ticket,
        kind=Message.Kind.SYSTEM,
        text=f"Automatic answer of {row.sender}: {mail.subject}\n\n{own}".strip(),
        message_id=mail.message_id,
        created_at=timezone.now(),
    )
    row.outcome, row.ticket, row.message = Outcome.NOTED, ticket, message
    announce(ticket, "comment")


def _add(mail: reading.Mail, row: Mail, ticket: Ticket) -> None:
    split = quotes.split(mail.text)
    requester = intake.requester_of(row.sender, row.sender_name)
    message = intake.add_customer_message(
        ticket=ticket,
        text=_storable(split.own),
        requester=requester,
        external_id=mail.external_id,
        message_id=mail.message_id,
    )
    row.outcome, row.ticket, row.message = Outcome.ADDED, message.ticket, message
    row.text = mail.text if split.rest or len(split.own) > TEXT_LIMIT else ""
    _keep_files(mail.files, message, row)


def _open(mail: reading.Mail, row: Mail, request: Request, place: Place) -> None:
    named = place.named
    words = request.text.strip()
    inbound = Inbound(
        title=_subject(request.subject, words),
        text=_storable(words),
        requester_email=request.person.email if request.person else None,
        requester_name=request.person.name if request.person else "",
        created_at=row.received_at,
    )
    stored = intake.receive(inbound, source=row.source, quiet=request.quiet, message_id=mail.message_id)
    ticket, message = stored.ticket, stored.message or stored.ticket.messages.earliest("pk")
    row.outcome, row.ticket, row.message = Outcome.OPENED, ticket, message
    row.text = mail.text if mail.text.strip() != message.text.strip() else ""
    if request.by is not None:
        _passed_on(ticket, request, row)
    if named is not None:
        one, other = sorted((named, ticket), key=lambda each: each.pk)
        Link.objects.get_or_create(one=one, other=other, kind=Link.Kind.RELATED)
        row.notes.append(place.why[:300])
        announce(named, "changed")
    _keep_files(request.files, message, row)


def _answers_a_receipt(named: Ticket | None) -> bool:
    """Whether somebody with no part in a ticket answers it while no person has: a program, told of the receipt.

    One that has another address each time, and does not say what it is, would be answered for ever.
    """
    return named is not None and not named.deliveries.exists()


def _request(mail: reading.Mail, named: Ticket | None, own: set[str], *, believed: bool) -> Request:
    """What is asked for, and by whom: the first sender, where a colleague passed the mail on.

    `believed`: no mail server has said that the sender is another.
    """
    forward = quotes.forward(mail.text) if named is None else None
    passed_on = forward is not None or (named is None and mail.passed_on is not None)
    colleague = _colleague(mail.sender) if passed_on and believed else None
    if colleague is not None:
        if forward is not None and _colleague(forward.sender) is None:
            subject = forward.subject or mail.subject
            return Request(forward.sender, subject, forward.text, mail.files, colleague, forward.comment)
        inner = reading.within(mail.passed_on) if mail.passed_on is not None else None
        if inner is not None and inner.sender is not None and _colleague(inner.sender) is None:
            files = (*mail.files, *inner.files)
            return Request(inner.sender, inner.subject or mail.subject, inner.text, files, colleague, mail.text)
    # A list that has answers sent to itself is nobody to answer to.
    answer_to = mail.reply_to if mail.kind != Kind.LIST else None
    if answer_to is not None and (answer_to.email in own or mail.sender is None):
        answer_to = None
    person = answer_to or mail.sender
    if person is not None and mail.sender is not None and not person.name:
        person = Person(person.email, mail.sender.name)
    return Request(person, mail.subject, quotes.without_signature(mail.text), mail.files)


def _passed_on(ticket: Ticket, request: Request, row: Mail) -> None:
    """Note whose mail it really is, and what the colleague wrote above it."""
    row.notes.append(f"Passed on by {row.sender}."[:300])
    if request.comment.strip():
        Message.objects.create(
            ticket=ticket,
            kind=Message.Kind.COMMENT,
            text=request.comment.strip()[:TEXT_LIMIT],
            author=request.by,
            created_at=timezone.now(),
        )


def _colleague(person: Person | None) -> User | None:
    if person is None:
        return None
    return User.objects.filter(email__iexact=person.email, is_active=True, agent__isnull=False).first()


def _keep_files(files: tuple[reading.File, ...], message: Message, row: Mail) -> None:
    for file in files:
        try:
            with transaction.atomic():
                attach(
                    message=message,
                    name=file.name,
                    content=file.content,
                    content_id=file.content_id,
                    inline=file.inline,
                )
        except Unavailable:
            raise  # the whole mail is taken later
        except Refused as why:
            row.notes.append(f"{file.name}: {why.sentence}"[:300])


def _subject(subject: str, text: str) -> str:
    """Its own subject, else the first line that says anything."""
    lines = (subjects.bare(subject), *(line.strip() for line in text.splitlines()))
    return next((line for line in lines if _says(line)), NO_SUBJECT)[:SUBJECT_LIMIT]


def _storable(text: str) -> str:
    words = text.strip("\n").rstrip()[:TEXT_LIMIT]
    return words if _says(words) else NO_TEXT


def _says(text: str) -> bool:
    return any(one.isprintable() and not one.isspace() for one in text)
