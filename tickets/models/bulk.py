from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from tickets.models.ticket import Ticket
from tickets.models.work import Work


class BulkRunQuerySet(models.QuerySet["BulkRun"]):
    def due(self, now: datetime) -> Self:
        """Those that have work nobody holds."""
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        working = Q(state__in=(BulkRun.State.RUNNING, BulkRun.State.UNDOING)) | Q(teaching=True)
        return self.filter(free, working, not_before__lte=now)


class BulkRun(Work):
    """One change made to many tickets at once, in portions, and taken back as a whole.

    The counts are kept with each portion, in its transaction.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        UNDOING = "undoing", "Being undone"
        UNDONE = "undone", "Undone"

    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    kind = models.CharField(max_length=12, help_text="A key of tickets.actions.alterable.ALTERATIONS.")
    value = models.JSONField(null=True, blank=True)
    words = models.CharField(max_length=300, help_text="What is done, in words.")
    chosen = models.CharField(max_length=300, help_text="To which tickets, in words.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="bulk_runs")
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    correlation_id = models.CharField(max_length=64, blank=True)
    total = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0, help_text="They were so already.")
    refused = models.PositiveIntegerField(default=0)
    undone = models.PositiveIntegerField(default=0)
    kept = models.PositiveIntegerField(default=0, help_text="Not undone: somebody changed them since.")
    # Many decisions become examples when all are made: it takes longer than making them, and nobody waits for it.
    teaching = models.BooleanField(default=False, editable=False)
    taught_to = models.BigIntegerField(default=0, editable=False, help_text="The last ticket that is an example now.")
    put_away = models.BooleanField(default=False, help_text="Its maker needs it in the queue no more.")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = BulkRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ ~Q(state__in=("running", "undoing")),
                name="bulk_finished_with_its_state",
            ),
        ]
        indexes = [
            models.Index(
                fields=["not_before"], condition=Q(state__in=("running", "undoing")) | Q(teaching=True), name="bulk_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.words}: {self.chosen}"

    def get_absolute_url(self) -> str:
        return reverse("tickets:bulk-run", args=[self.pk])

    @property
    def is_working(self) -> bool:
        return self.state in (self.State.RUNNING, self.State.UNDOING)

    @property
    def progress(self) -> int:
        """How many of `goal` are through."""
        if self.state in (self.State.UNDOING, self.State.UNDONE):
            return self.undone + self.kept
        return self.changed + self.unchanged + self.refused

    @property
    def goal(self) -> int:
        return self.changed if self.state in (self.State.UNDOING, self.State.UNDONE) else self.total

    @property
    def may_be_undone(self) -> bool:
        return self.state in (self.State.DONE, self.State.STOPPED) and self.changed > 0 and self.kind not in FOR_GOOD


FOR_GOOD = ("read",)  # what was read again cannot be unread


class BulkTicket(models.Model):
    """One ticket of a bulk run: what it held before and after, of what was changed."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        CHANGED = "changed", "Changed"
        UNCHANGED = "unchanged", "Was so already"
        REFUSED = "refused", "Refused"
        UNDONE = "undone", "Undone"
        KEPT = "kept", "Changed since"

    run = models.ForeignKey(BulkRun, models.CASCADE, related_name="rows")
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reviews = ArrayField(models.BigIntegerField(), default=list)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "ticket"], name="bulk_each_ticket_once")]
        indexes = [models.Index(fields=["run", "state", "ticket"], name="bulk_progress")]

    def __str__(self) -> str:
        return f"#{self.ticket_id} of bulk run {self.run_id}"
