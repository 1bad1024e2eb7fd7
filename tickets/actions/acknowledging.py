"""Telling customers that their request is here: fixed words, once a ticket, and so seldom that no loop comes of it."""

from __future__ import annotations

import random
import re
import uuid
from datetime import timedelta
from email.utils import parseaddr

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.actions.mail_thread import own_addresses
from tickets.channels.base import SendRefused, SendUnknown, TryAgain
from tickets.channels.email import hand_over
from tickets.channels.email.receipt import receipt_of
from tickets.models import Acknowledgement, Lane, Ticket
from tickets.models.work import LEASE
from triage import brake
from triage.brake import Limit
from triage.queue import ring

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 6
AN_HOUR = 3  # receipts that one address is sent within an hour, whatever it writes
State = Acknowledgement.State


def acknowledge(ticket: Ticket) -> Acknowledgement | None:
    """Have the receipt of a new ticket sent, where its source sends them; None where nobody is to get one."""
    if not ticket.source.receipts or ticket.requester is None or ticket.lane == Lane.IMPORTED:
        return None
    if getattr(ticket, "spam_at", None) is not None:
        return None
    address = ticket.requester.email
    if address.lower() in own_addresses():
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
    return Acknowledgement.objects.filter(state=State.QUEUED, not_before__lte=timezone.now())


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` due receipts under a lease."""
    with transaction.atomic():
        taken = list(due().order_by("pk").select_for_update(skip_locked=True)[:limit])
        for one in taken:
            one.state, one.lease_until = State.SENDING, timezone.now() + LEASE
            one.attempts += 1
            one.claim += 1
        Acknowledgement.objects.bulk_update(taken, ["state", "attempts", "claim", "lease_until"])
    return [Claimed(one.pk, one.claim) for one in taken]


def renew(claimed: Claimed) -> None:
    held = Acknowledgement.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.SENDING)
    held.update(lease_until=timezone.now() + LEASE)


def send(claimed: Claimed) -> None:
    """Send one claimed receipt, and record what became of it."""
    one = Acknowledgement.objects.select_related("ticket__source", "ticket__requester").get(pk=claimed.pk)
    if one.claim != claimed.claim or one.state != State.SENDING:
        return
    try:
        hand_over(receipt_of(one))
    except TryAgain as error:
        _finish_retry(one, str(error))
    except (SendRefused, ValueError) as error:
        _finish(one, State.FAILED, str(error))
    except SendUnknown as error:
        _finish(one, State.UNKNOWN, str(error))
    except Exception as error:
        log.exception("receipt_broke", receipt=one.pk)
        _finish(one, State.UNKNOWN, f"{type(error).__name__} while sending")
    else:
        _finish(one, State.SENT)


def give_up_expired() -> int:
    """What was being sent when its lease ended may have left: nobody sends it again."""
    expired = Acknowledgement.objects.filter(state=State.SENDING, lease_until__lt=timezone.now())
    why = "The desk stopped while this was being sent."
    return expired.update(state=State.UNKNOWN, lease_until=None, error=why)


def _finish_retry(one: Acknowledgement, why: str) -> None:
    if one.attempts >= MOST_ATTEMPTS:
        _finish(one, State.FAILED, f"{why} Given up after {one.attempts} attempts.")
    else:
        wait = timedelta(seconds=min(2**one.attempts * 5, 600) * random.uniform(0.8, 1.2))
        _finish(one, State.QUEUED, why, wait=wait)


def _finish(one: Acknowledgement, state: State, why: str = "", *, wait: timedelta = timedelta(0)) -> None:
    now = timezone.now()
    mine = Acknowledgement.objects.filter(pk=one.pk, claim=one.claim, state=State.SENDING)
    changed = mine.update(
        state=state,
        lease_until=None,
        error=why,
        sent_at=now if state == State.SENT else None,
        not_before=now + wait,
    )
    if not changed:
        log.warning("receipt_lease_lost", receipt=one.pk, outcome=state)
    log.info("receipt_finished", receipt=one.pk, state=state)
