"""The outbox: a delivery is claimed, tried, and finished by the one who claimed it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tickets.actions.errors import Conflict
from tickets.actions.review import require_decider
from tickets.channels import CHANNELS
from tickets.channels.base import SendRefused, SendUnknown, TryAgain
from tickets.live import announce
from tickets.models import Delivery, DeliveryAttempt
from tickets.models.work import LEASE
from triage.correlation import acting
from triage.models import User
from triage.queue import ring

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 6
ASK_AFTER = 10.0  # seconds until a channel is asked: what was under way has arrived by then, or never will
State, Outcome = Delivery.State, DeliveryAttempt.Outcome


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row in somebody's hands: its primary key, and the claim that fences whoever had it before."""

    pk: int
    claim: int


def due() -> QuerySet[Delivery]:
    return Delivery.objects.filter(state=State.QUEUED, not_before__lte=timezone.now())


def renew(claimed: Claimed) -> None:
    held = Delivery.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.SENDING)
    held.update(lease_until=timezone.now() + LEASE)


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` due deliveries; each attempt is a row before anything is sent."""
    now = timezone.now()
    with transaction.atomic():
        taken = list(due().order_by("pk").select_for_update(skip_locked=True)[:limit])
        for delivery in taken:
            delivery.state = State.SENDING
            delivery.attempts += 1
            delivery.claim += 1
            delivery.lease_until = now + LEASE
        Delivery.objects.bulk_update(taken, ["state", "attempts", "claim", "lease_until"])
        DeliveryAttempt.objects.bulk_create([DeliveryAttempt(delivery=delivery) for delivery in taken])
    return [Claimed(delivery.pk, delivery.claim) for delivery in taken]


def deliver(claimed: Claimed) -> None:
    """Send one claimed delivery by its channel and record what became of it."""
    delivery = Delivery.objects.select_related("message", "ticket__source", "ticket__requester").get(pk=claimed.pk)
    if delivery.claim != claimed.claim or delivery.state != State.SENDING:
        return
    with acting(f"channel:{delivery.channel}", correlation_id=delivery.correlation_id):
        try:
            receipt = CHANNELS[delivery.channel]().send(delivery)
        except TryAgain as error:
            _finish_retry(delivery, str(error), until=error.until)
        except SendRefused as error:
            _finish(delivery, State.FAILED, Outcome.REFUSED, str(error))
        except SendUnknown as error:
            _finish_unknown(delivery, str(error))
        except Exception as error:
            log.exception("delivery_broke", delivery=delivery.pk)
            _finish_unknown(delivery, f"{type(error).__name__} while sending")
        else:
            _finish(delivery, State.SENT, Outcome.SENT, receipt.reference)


def _finish_unknown(delivery: Delivery, why: str) -> None:
    """Whether it left is not known: a person decides, unless the channel can find that out before it sends again."""
    if CHANNELS[delivery.channel].can_be_asked and delivery.attempts < MOST_ATTEMPTS:
        wait = max(ASK_AFTER, min(2**delivery.attempts, 300))
        _finish(delivery, State.QUEUED, Outcome.UNKNOWN, why, not_before_seconds=wait)
    else:
        _finish(delivery, State.UNKNOWN, Outcome.UNKNOWN, why)


def _finish_retry(delivery: Delivery, why: str, *, until: datetime | None = None) -> None:
    if delivery.attempts >= MOST_ATTEMPTS:
        _finish(delivery, State.FAILED, Outcome.REFUSED, f"{why} Given up after {delivery.attempts} attempts.")
        return
    wait = min(2**delivery.attempts, 300) * random.uniform(0.8, 1.2)
    if until is not None:
        wait = max(wait, (until - timezone.now()).total_seconds())
    _finish(delivery, State.QUEUED, Outcome.RETRY, why, not_before_seconds=wait)


def _finish(
    delivery: Delivery,
    state: Delivery.State,
    outcome: DeliveryAttempt.Outcome,
    detail: str,
    *,
    not_before_seconds: float = 0.0,
) -> None:
    """Write the end of an attempt, if the claim still holds."""
    now = timezone.now()
    with transaction.atomic():
        changed = Delivery.objects.filter(pk=delivery.pk, claim=delivery.claim, state=State.SENDING).update(
            state=state,
            lease_until=None,
            error="" if state == State.SENT else detail,
            sent_at=now if state == State.SENT else None,
            not_before=now + timedelta(seconds=not_before_seconds),
        )
        if not changed:
            log.warning("delivery_lease_lost", delivery=delivery.pk, outcome=outcome)
            return
        DeliveryAttempt.objects.filter(delivery=delivery, outcome=Outcome.STARTED).update(
            outcome=outcome, detail=detail, finished_at=now
        )
        announce(delivery.ticket, "reply")
    log.info("delivery_finished", delivery=delivery.pk, ticket=delivery.ticket_id, state=state)


def give_up_expired() -> int:
    """What was being sent when its lease ended may have left: it becomes unknown, for a person to decide.

    Where the channel can find out what became of it, it is to try again, and does.
    """
    expired = Delivery.objects.filter(state=State.SENDING, lease_until__lt=timezone.now())
    with transaction.atomic():
        lost = list(expired.select_for_update(skip_locked=True, of=("self",)).select_related("ticket"))
        for delivery in lost:
            asks = CHANNELS[delivery.channel].can_be_asked
            delivery.state, delivery.lease_until = State.QUEUED if asks else State.UNKNOWN, None
            delivery.error = "The desk stopped while this was being sent. The customer may or may not have it."
            delivery.save(update_fields=["state", "lease_until", "error"])
            delivery.tries.filter(outcome=Outcome.STARTED).update(
                outcome=Outcome.UNKNOWN, detail=delivery.error, finished_at=timezone.now()
            )
            announce(delivery.ticket, "reply")
    return len(lost)


def retry(*, delivery: Delivery, by: User) -> Delivery:
    """Send again what failed, or what a person knows has not arrived."""
    return _decide(delivery, by, State.QUEUED)


def mark_sent(*, delivery: Delivery, by: User) -> Delivery:
    """A person knows that the customer has it."""
    return _decide(delivery, by, State.SENT)


def _decide(delivery: Delivery, by: User, state: Delivery.State) -> Delivery:
    require_decider(by)
    now = timezone.now()
    with transaction.atomic():
        held = Delivery.objects.select_for_update(of=("self",)).select_related("ticket").get(pk=delivery.pk)
        if held.state not in (State.FAILED, State.UNKNOWN):
            raise Conflict("decided", f"This reply is {held.get_state_display().lower()} already.")
        held.state, held.attempts, held.not_before, held.error = state, 0, now, ""
        held.sent_at = now if state == State.SENT else None
        held.save(update_fields=["state", "attempts", "not_before", "error", "sent_at"])
        if state == State.QUEUED:
            ring("interactive")
        announce(held.ticket, "reply")
    log.info("delivery_decided", delivery=held.pk, state=state, by=by.pk)
    return held
