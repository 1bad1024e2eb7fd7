"""What the mails of the desk itself have in common: taken under a lease, tried again after a while, given up once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Manager, QuerySet
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.channels.base import SendRefused, SendUnknown, TryAgain
from tickets.models.work import LEASE

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 6
Rows = QuerySet[Any] | Manager[Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt; `wait` is how long until the next."""

    state: str
    why: str = ""
    wait: timedelta = timedelta(0)


def due(rows: Rows) -> QuerySet[Any]:
    return rows.filter(state="queued", not_before__lte=timezone.now())


def take(rows: Rows, limit: int) -> list[Claimed]:
    """Take up to `limit` of those that are due, the longest waiting first, under a lease."""
    with transaction.atomic():
        taken = list(due(rows).order_by("not_before", "pk").select_for_update(skip_locked=True)[:limit])
        for row in taken:
            row.state, row.lease_until = "sending", timezone.now() + LEASE
            row.attempts += 1
            row.claim += 1
        rows.bulk_update(taken, ["state", "attempts", "claim", "lease_until"])
    return [Claimed(row.pk, row.claim) for row in taken]


def held(rows: Rows, claimed: Claimed) -> QuerySet[Any]:
    """The row, if the claim still holds."""
    return rows.filter(pk=claimed.pk, claim=claimed.claim, state="sending")


def renew(rows: Rows, claimed: Claimed) -> None:
    held(rows, claimed).update(lease_until=timezone.now() + LEASE)


def give_up_expired(rows: Rows) -> int:
    """What was being sent when its lease ended may have left: nobody sends it again."""
    expired = rows.filter(state="sending", lease_until__lt=timezone.now())
    return expired.update(state="unknown", lease_until=None, error="The desk stopped while this was being sent.")


def attempt(send: Callable[[], object], *, attempts: int) -> Outcome:
    """Send, and tell what became of it; this is the `attempts`th time."""
    try:
        send()
    except TryAgain as error:
        if attempts >= MOST_ATTEMPTS:
            return Outcome("failed", f"{error} Given up after {attempts} attempts.")
        return Outcome("queued", str(error), timedelta(seconds=min(2**attempts * 5, 600) * random.uniform(0.8, 1.2)))
    except (SendRefused, ValueError) as error:
        return Outcome("failed", str(error))
    except SendUnknown as error:
        return Outcome("unknown", str(error))
    except Exception as error:
        log.exception("mail_broke")
        return Outcome("unknown", f"{type(error).__name__} while sending")
    return Outcome("sent")


def record(rows: Rows, claimed: Claimed, outcome: Outcome) -> bool:
    """Write the end of an attempt; False where the claim holds no more."""
    now = timezone.now()
    changed = held(rows, claimed).update(
        state=outcome.state,
        lease_until=None,
        error=outcome.why,
        sent_at=now if outcome.state == "sent" else None,
        not_before=now + outcome.wait,
    )
    said = {"row": claimed.pk, "kind": rows.model.__name__, "state": outcome.state}
    log.info("mail_finished", **said) if changed else log.warning("mail_lease_lost", **said)
    return bool(changed)
