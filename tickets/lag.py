"""How much waits in each queue, and how long the oldest of it: asked of the rows, which are the work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from tickets.actions import acknowledging, github_writing, imports, mailboxes, mailings
from tickets.models import (
    BulkRun,
    Delivery,
    FitRun,
    GithubEvent,
    GithubSync,
    Lane,
    ReplayTicket,
    RuleCause,
    Ticket,
    WebhookCall,
)


@dataclass(frozen=True, slots=True)
class Lag:
    """`waiting` rows are due and not done; the oldest of them has been due for `oldest_seconds` (0: none waits)."""

    queue: str
    waiting: int
    oldest_seconds: float

    def __str__(self) -> str:
        return f"{self.waiting:,} waiting, the oldest for {self.oldest_seconds:,.0f} s" if self.waiting else "empty"


def lags() -> list[Lag]:
    """Of every queue, those first for which somebody waits. What is put off to a later time does not wait."""
    now, found = timezone.now(), []
    for name, due in due_by_queue(now).items():
        figures: dict[str, Any] = due.order_by().aggregate(n=Count("pk"), since=Min("not_before"))
        since = figures["since"]
        found.append(Lag(name, figures["n"], max((now - since).total_seconds(), 0.0) if since else 0.0))
    return found


def due_by_queue(now: datetime) -> dict[str, QuerySet[Any]]:
    """The rows that wait, of each kind of work."""
    reading = Ticket.objects.due_for_triage()
    calls = WebhookCall.objects.filter(webhook__active=True, webhook__disabled_at=None)
    return {
        "replies": Delivery.objects.filter(state=Delivery.State.QUEUED, not_before__lte=now),
        "tickets": reading.filter(lane=Lane.INTERACTIVE),
        "imported tickets": reading.filter(lane=Lane.IMPORTED),
        "receipts": acknowledging.due(),
        "mails to staff": mailings.due(),
        "mailboxes": mailboxes.due(),
        "rules": RuleCause.objects.due(now),
        "webhooks": calls.due(now),
        "github events": GithubEvent.objects.due(now),
        "github syncs": GithubSync.objects.due(now),
        "github writings": github_writing.due(),
        "bulk changes": BulkRun.objects.due(now),
        "imports": imports.due(),
        "replays": ReplayTicket.objects.due(now),
        "fits": FitRun.objects.filter(state=FitRun.State.QUEUED, not_before__lte=now),
    }
