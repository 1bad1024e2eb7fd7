from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from tickets.models.github import GithubAccount, GithubRepository
from tickets.models.ticket import Ticket
from tickets.models.work import Work


class GithubEventQuerySet(models.QuerySet["GithubEvent"]):
    def due(self, now: datetime) -> Self:
        """What is to be taken up: of each subject the first that is not done, so that they stay in their order."""
        open_ = Q(state__in=(GithubEvent.State.QUEUED, GithubEvent.State.WORKING))
        earlier = GithubEvent.objects.filter(open_, subject=OuterRef("subject"), pk__lt=OuterRef("pk"))
        free = Q(state=GithubEvent.State.QUEUED) | Q(state=GithubEvent.State.WORKING, lease_until__lt=now)
        return self.filter(free, ~Exists(earlier), not_before__lte=now)


class GithubEvent(Work):
    """One delivery of a webhook, stored as it came before anything is done about it.

    The same delivery that comes again is answered from here. What it said is let go of after a while
    (tickets.actions.github_events.forget); the row stays. Rows: one for each `X-GitHub-Delivery`.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        WORKING = "working", "Under way"
        DONE = "done", "Done"
        IGNORED = "ignored", "Ignored"
        FAILED = "failed", "Failed"

    delivery = models.CharField(max_length=100, unique=True)
    account = models.ForeignKey(GithubAccount, models.CASCADE, related_name="events")
    repository = models.ForeignKey(GithubRepository, models.CASCADE, null=True, blank=True, related_name="events")
    name = models.CharField(max_length=60)
    action = models.CharField(max_length=60, blank=True)
    subject = models.CharField(max_length=200, help_text="What it is about. Its events are worked through in order.")
    payload = models.TextField(editable=False)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    result = models.CharField(max_length=300, blank=True)
    answer = models.JSONField(default=dict, editable=False)
    ticket = models.ForeignKey(Ticket, models.SET_NULL, null=True, blank=True, related_name="+")
    correlation_id = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = GithubEventQuerySet.as_manager()

    class Meta:
        verbose_name = "GitHub event"
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="working"), name="github_a_lease_while_working"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ Q(state__in=("done", "ignored", "failed")),
                name="github_event_finished_at_its_end",
            ),
        ]
        indexes = [
            models.Index(
                fields=["subject", "id"], condition=Q(state__in=("queued", "working")), name="github_event_due"
            ),
            models.Index(fields=["repository", "-id"], name="github_event_log"),
            models.Index(fields=["ticket", "-id"], condition=~Q(ticket=None), name="github_event_ticket"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.action}".strip()

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.payload)
        return content
