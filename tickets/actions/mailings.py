"""Mail to colleagues about what is new for them: claimed, sent by its claimant, once, or shown as failed."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tickets.actions import outgoing
from tickets.actions.deliveries import Claimed
from tickets.actions.outgoing import Outcome
from tickets.channels.email import hand_over
from tickets.channels.email.news import news_of
from tickets.models import Habits, Mailing, Notification

MOST_NEWS = 100  # in one mail; the rest is at the desk
ROWS = Mailing.objects


def due() -> QuerySet[Mailing]:
    return outgoing.due(ROWS)


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` due mails under a lease."""
    return outgoing.take(ROWS, limit)


def renew(claimed: Claimed) -> None:
    outgoing.renew(ROWS, claimed)


def send(claimed: Claimed) -> None:
    """Send one claimed mail with what is still unread of it, and record what became of it."""
    mailing = outgoing.held(ROWS, claimed).select_related("user").first()
    if mailing is None:
        return
    news = _news(mailing)
    if news and mailing.user.is_active:
        quoted = Habits.of(mailing.user).quoted
        outcome = outgoing.attempt(lambda: hand_over(news_of(mailing, news, quoted=quoted)), attempts=mailing.attempts)
    else:
        outcome = Outcome("skipped")
    with transaction.atomic():
        if outgoing.record(ROWS, claimed, outcome) and outcome.state == "sent":
            Notification.objects.filter(pk__in=[one.pk for one in news]).update(mailed_at=timezone.now())


def give_up_expired() -> int:
    return outgoing.give_up_expired(ROWS)


def _news(mailing: Mailing) -> list[Notification]:
    unread = mailing.notifications.visible_to(mailing.user).unread().select_related("ticket", "by")
    return list(unread[:MOST_NEWS])
