"""Whose conversation a mail belongs to: it must name the ticket by what only its readers know, and be from one of them.

docs/decisions/0024-who-joins-a-thread.md says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import getaddresses

from django.conf import settings
from django.db.models import Q

from tickets.channels.email import reading, subjects
from tickets.channels.email.answerable import takes_answers
from tickets.models import Acknowledgement, Delivery, Mail, Mailbox, Message, Source, Ticket


@dataclass(frozen=True, slots=True)
class Place:
    """`ticket` is the one it is added to; else `named` is one that it knows of, and `why` it is not added there."""

    ticket: Ticket | None = None
    named: Ticket | None = None
    why: str = ""


def place_of(mail: reading.Mail, *, mailbox: Mailbox | None, own: set[str]) -> Place:
    """Where a mail belongs: by the Message-IDs that it answers, then by the signed mark in its subject.

    `own` are the desk's own addresses.
    """
    named = _by_identities(mail.thread) or _by_mark(mail.subject)
    if named is None:
        return Place()
    sender = mail.sender.email if mail.sender else ""
    if mailbox is not None and is_refuted(mail, mailbox):
        return Place(named=named, why=f"It names #{named.pk}, but its sender could not be verified.")
    if sender and sender not in own and sender in participants(named):
        return Place(ticket=named)
    return Place(
        named=named, why=f"It names #{named.pk}, but {sender or 'its sender'} has no part in that conversation."
    )


def is_refuted(mail: reading.Mail, mailbox: Mailbox) -> bool:
    """Whether the mailbox's own server says that the mail is not from whom it says (DMARC).

    Only the first header of that server counts: what stands below it the sender may have written.
    """
    trusted = mailbox.verifier.strip().lower()
    if not trusted:
        return False
    for verdict in mail.verdicts:
        server, _, findings = verdict.partition(";")
        if server.split()[:1] == [trusted] or server.strip().lower() == trusted:
            return "dmarc=fail" in findings.lower().replace(" ", "")
    return False


def participants(ticket: Ticket) -> set[str]:
    """The addresses of those who take part: its customer, whoever wrote in it, and to whom those sent copies.

    The desk's own may be among them.
    """
    rows = Mail.objects.filter(ticket=ticket, outcome__in=(Mail.Outcome.OPENED, Mail.Outcome.ADDED))
    found = {ticket.requester.email} if ticket.requester else set()
    for sender, to, cc in rows.values_list("sender", "to", "cc"):
        found |= {sender, *to, *cc}
    written = Message.objects.filter(ticket=ticket, kind=Message.Kind.INBOUND).exclude(requester=None)
    found |= set(written.values_list("requester__email", flat=True))
    for copies in Delivery.objects.filter(ticket=ticket).values_list("cc", flat=True):
        found |= set(copies)
    return {address.lower() for address in found if address}


def own_addresses() -> set[str]:
    """The desk's own: what it sends from, and the mailboxes it reads."""
    senders = [settings.DEFAULT_FROM_EMAIL, *Source.objects.exclude(sender="").values_list("sender", flat=True)]
    own = {address.lower() for _, address in getaddresses(senders)}
    for address, username in Mailbox.objects.values_list("address", "username"):
        own |= {one.lower() for one in (address, username) if "@" in one}
    return own - {""}


def copies_of(ticket: Ticket) -> list[str]:
    """To whom a reply goes besides its customer: those who had a copy of the customer's last mail, or wrote it."""
    rows = Mail.objects.filter(ticket=ticket, outcome__in=(Mail.Outcome.OPENED, Mail.Outcome.ADDED))
    last = rows.order_by("-pk").values_list("sender", "to", "cc").first()
    if last is None:
        return []
    sender, to, cc = last
    main = {ticket.requester.email.lower()} if ticket.requester else set()
    others = [one for one in dict.fromkeys([sender, *to, *cc]) if one not in main | own_addresses()]
    return [one for one in others if takes_answers(one)]


def ticket_of(identities: Iterable[str]) -> Ticket | None:
    """The ticket of the first of these Message-IDs that is known."""
    return _by_identities(tuple(identities))


def _by_identities(identities: tuple[str, ...]) -> Ticket | None:
    if not identities:
        return None
    known: dict[str, int] = {}
    for rows in (
        Acknowledgement.objects.filter(identity__in=identities).values_list("identity", "ticket_id"),
        Mail.objects.filter(identity__in=identities).exclude(ticket=None).values_list("identity", "ticket_id"),
        Message.objects.filter(message_id__in=identities).values_list("message_id", "ticket_id"),
    ):
        known |= dict(rows)  # the message last: it may have moved to another ticket
    for identity in identities:
        found = Ticket.objects.filter(pk=known[identity]).first() if identity in known else None
        if found is not None:
            return found
    return None


def _by_mark(subject: str) -> Ticket | None:
    for number in subjects.numbers_in(subject):
        found = Ticket.objects.filter(Q(pk=number)).first()
        if found is not None:
            return found
    return None
