"""Telling customers that their request is here: fixed words, once a ticket, and so seldom that no loop comes of it."""

from __future__ import annotations

import re
import uuid
from email.utils import parseaddr

import structlog
from django.conf import settings
from django.db.models import QuerySet

from tickets.actions import outgoing
from tickets.actions.deliveries import Claimed
from tickets.actions.mail_thread import own_addresses
from tickets.channels.email import hand_over
from tickets.channels.email.answerable import takes_answers
from tickets.channels.email.receipt import receipt_of
from tickets.models import Acknowledgement, Lane, Ticket
from triage import brake
from triage.brake import Limit
from triage.queue import ring

log = structlog.get_logger(__name__)
AN_HOUR = 3  # receipts that one address is sent within an hour, whatever it writes
ROWS = Acknowledgement.objects


def acknowledge(ticket: Ticket) -> Acknowledgement | None:
    """Have the receipt of a new ticket sent, where its source sends them; None where nobody is to get one."""
    if not ticket.source.receipts or ticket.requester is None or ticket.lane == Lane.IMPORTED:
        return None
    address = ticket.requester.email
    if address.lower() in own_addresses() or not takes_answers(address):
        return None
    if brake.press({brake.mark("receipt", address.lower()): [Limit(AN_HOUR, 3600)]}):
        log.info("receipt_withheld", ticket=ticket.pk)
        return None
    sender = ticket.source.sender or settings.DEFAULT_FROM_EMAIL
    domain = re.sub(r"[^A-Za-z0-9.-]", "", parseaddr(sender)[1].rpartition("@")[2]) or "localhost"
    identity = f"receipt-{ticket.pk}.{uuid.uuid4()}@{domain}"
    made = Acknowledgement.objects.create(ticket=ticket, recipient=address, identity=identity)
    ring("interactive")
    return made


def due() -> QuerySet[Acknowledgement]:
    return outgoing.due(ROWS)


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` due receipts under a lease."""
    return outgoing.take(ROWS, limit)


def renew(claimed: Claimed) -> None:
    outgoing.renew(ROWS, claimed)


def send(claimed: Claimed) -> None:
    """Send one claimed receipt, and record what became of it."""
    one = outgoing.held(ROWS, claimed).select_related("ticket__source", "ticket__requester").first()
    if one is not None:
        outcome = outgoing.attempt(lambda: hand_over(receipt_of(one)), attempts=one.attempts)
        outgoing.record(ROWS, claimed, outcome)


def give_up_expired() -> int:
    return outgoing.give_up_expired(ROWS)
