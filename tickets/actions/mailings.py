"""Mail to colleagues about what is new for them: claimed, sent by its claimant, once, or shown as failed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.channels.base import SendRefused, SendUnknown, TryAgain
from tickets.channels.email import hand_over
from tickets.channels.email.news import news_of
from tickets.models import Habits, Mailing, Notification
from tickets.models.work import LEASE

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 6
MOST_NEWS = 100  # in one mail; the rest is at the desk
State = Mailing.State


def due() -> QuerySet[Mailing]:
    return Mailing.objects.filter(state=State.QUEUED, not_before__lte=timezone.now())


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` due mails under a lease."""
    with transaction.atomic():
        taken = list(due().order_by("not_before", "pk").select_for_update(skip_locked=True)[:limit])
        for mailing in taken:
            mailing.state, mailing.lease_until = State.SENDING, timezone.now() + LEASE
            mailing.attempts += 1
            mailing.claim += 1
        Mailing.objects.bulk_update(taken, ["state", "attempts", "claim", "lease_until"])
    return [Claimed(mailing.pk, mailing.claim) for mailing in taken]


def renew(claimed: Claimed) -> None:
    held = Mailing.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.SENDING)
    held.update(lease_until=timezone.now() + LEASE)


def send(claimed: Claimed) -> None:
    """Send one claimed mail with what is still unread of it, and record what became of it."""
    mailing = Mailing.objects.select_related("user").get(pk=claimed.pk)
    if mailing.claim != claimed.claim or mailing.state != State.SENDING:
        return
    news = _news(mailing)
    if not news or not mailing.user.is_active:
        _finish(mailing, State.SKIPPED)
        return
    try:
        hand_over(news_of(mailing, news, quoted=Habits.of(mailing.user).quoted))
    except TryAgain as error:
        _finish_retry(mailing, str(error))
    except (SendRefused, ValueError) as error:
        _finish(mailing, State.FAILED, str(error))
    except SendUnknown as error:
        _finish(mailing, State.UNKNOWN, str(error))
    except Exception as error:
        log.exception("mailing_broke", mailing=mailing.pk)
        _finish(mailing, State.UNKNOWN, f"{type(error).__name__} while sending")
    else:
        _finish(mailing, State.SENT, news=news)


def give_up_expired() -> int:
    """What was being sent when its lease ended may have left: nobody sends it again."""
    expired = Mailing.objects.filter(state=State.SENDING, lease_until__lt=timezone.now())
    why = "The desk stopped while this was being sent."
    return expired.update(state=State.UNKNOWN, lease_until=None, error=why)


def _news(mailing: Mailing) -> list[Notification]:
    unread = mailing.notifications.visible_to(mailing.user).unread().select_related("ticket", "by")
    return list(unread[:MOST_NEWS])


def _finish_retry(mailing: Mailing, why: str) -> None:
    if mailing.attempts >= MOST_ATTEMPTS:
        _finish(mailing, State.FAILED, f"{why} Given up after {mailing.attempts} attempts.")
    else:
        wait = timedelta(seconds=min(2**mailing.attempts * 5, 600) * random.uniform(0.8, 1.2))
        _finish(mailing, State.QUEUED, why, wait=wait)


def _finish(
    mailing: Mailing,
    state: Mailing.State,
    why: str = "",
    *,
    news: Sequence[Notification] = (),
    wait: timedelta = timedelta(0),
) -> None:
    """Write the end of an attempt, if the claim still holds. `news` is what was sent."""
    now = timezone.now()
    with transaction.atomic():
        changed = Mailing.objects.filter(pk=mailing.pk, claim=mailing.claim, state=State.SENDING).update(
            state=state,
            lease_until=None,
            error=why,
            sent_at=now if state == State.SENT else None,
            not_before=now + wait,
        )
        if not changed:
            log.warning("mailing_lease_lost", mailing=mailing.pk, outcome=state)
            return
        Notification.objects.filter(pk__in=[one.pk for one in news]).update(mailed_at=now)
    log.info("mailing_finished", mailing=mailing.pk, state=state)
