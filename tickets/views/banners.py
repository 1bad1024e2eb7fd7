"""What people at the desk must know on every page: reading is paused, a budget is spent, a mailbox is not read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from tickets.models import Mailbox, Webhook, leads
from triage import calls
from triage.models import Budget, Pause, User

SILENT_AFTER = 3  # readings in a row that failed: no hiccup any more


@dataclass(frozen=True, slots=True)
class Banners:
    """Each is None, or what its banner shows to this person."""

    pause: Pause | None
    may_resume: bool
    budget: BudgetBanner | None
    mailbox: Mailbox | None  # that could not be read several times in a row, to those who look after it
    webhook: Webhook | None  # that is called no more, to the same


@dataclass(frozen=True, slots=True)
class BudgetBanner:
    spent: bool
    step: int
    limit: str
    until: date
    may_change: bool


def banners_for(user: User, *, paused: bool = True, silent: bool = True, dead: bool = True) -> Banners:
    """A spent budget is everybody's matter; that it will be, only of those who can raise it.

    What is said not to be there is not asked for.
    """
    pause = Pause.in_force() if paused else None
    lead = leads(user)
    return Banners(
        pause=pause,
        may_resume=pause is not None and lead,
        budget=_budget(user) if calls.configured() else None,
        mailbox=silent_mailboxes().first() if silent and lead else None,
        webhook=dead_webhooks().first() if dead and lead else None,
    )


def silent_mailboxes() -> QuerySet[Mailbox]:
    return Mailbox.objects.filter(attempts__gte=SILENT_AFTER, source__active=True).order_by("pk")


def dead_webhooks() -> QuerySet[Webhook]:
    return Webhook.objects.filter(active=True).exclude(disabled_at=None).order_by("pk")


def _budget(user: User) -> BudgetBanner | None:
    state = Budget.state()
    may_change = user.has_perm("triage.change_budget")
    if not state.exhausted and (state.step < 80 or not may_change):
        return None
    next_month = (timezone.localdate().replace(day=1) + timedelta(days=32)).replace(day=1)
    return BudgetBanner(state.exhausted, state.step, f"${state.limit:,}", next_month, may_change)
