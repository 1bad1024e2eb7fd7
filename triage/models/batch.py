from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from triage.models.call import Call
from triage.models.pause import Pause


def _token() -> str:
    return uuid.uuid4().hex


class BatchQuerySet(models.QuerySet["MessageBatch"]):
    def due(self, now: datetime) -> Self:
        """Something is to be done about them now, and nobody does it. A pause keeps back what was never sent."""
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        paused = models.Exists(Pause.objects.filter(ended_at=None))
        unsent = Q(state=MessageBatch.State.PREPARED)
        return self.filter(~(paused & unsent), free, state__in=MessageBatch.UNDER_WAY, not_before__lte=now)

    def under_way(self) -> Self:
        return self.filter(state__in=MessageBatch.UNDER_WAY)


class MessageBatch(models.Model):
    """Many requests to a language model sent as one and answered within a day, at a lower price.

    Prepared as rows before anything leaves. A batch that was `sending` when its process died may or may not be with
    the provider: it is looked for there before it is sent again.
    """

    class State(models.TextChoices):
        PREPARED = "prepared", "To be sent"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        COLLECTED = "collected", "Collected"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    UNDER_WAY = (State.PREPARED, State.SENDING, State.SENT)

    token = models.CharField(max_length=32, unique=True, default=_token, help_text="Begins each custom_id.")
    owner = models.CharField(max_length=40, help_text="On whose behalf, as kind:number.")
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State, default=State.PREPARED)
    size = models.PositiveIntegerField(help_text="How many requests it holds.")
    estimate = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, help_text="US dollars, set aside from the budget until collected."
    )
    remote_id = models.CharField(max_length=100, blank=True, help_text="As the provider names it.")
    strangers = models.JSONField(default=list, help_text="Batches that looked like this one and were others.")
    cancel_wanted = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, help_text="When sending began.")
    collected_at = models.DateTimeField(null=True)

    attempts = models.PositiveSmallIntegerField(default=0)
    claim = models.PositiveBigIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True)
    error = models.TextField(blank=True, help_text="What went wrong, in a sentence. Holds no customer's words.")

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "message batches"
        constraints = [
            models.UniqueConstraint(fields=["remote_id"], condition=~Q(remote_id=""), name="batch_one_a_remote_id"),
            models.CheckConstraint(
                condition=~Q(state="sent") | (~Q(remote_id="") & Q(sent_at__isnull=False)),
                name="batch_sent_has_its_name",
            ),
            models.CheckConstraint(
                condition=Q(state="collected") ^ Q(collected_at=None), name="batch_collected_goes_with_its_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.size} requests to {self.model}, {self.get_state_display().lower()}"

    @classmethod
    def set_aside(cls) -> Decimal:
        """US dollars that batches under way are expected to cost; they are in no month's spending yet."""
        return cls.objects.under_way().aggregate(sum=models.Sum("estimate"))["sum"] or Decimal(0)


class BatchRequest(models.Model):
    """One request of a batch, and what became of it: the row before it leaves. Its Call is written when it returns.

    `sealed` is encrypted: before sending the masked request and what its placeholders stand for, after sending the
    latter alone, after collecting the answer; emptied once the answer is used.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Not answered"
        USED = "used", "Used"

    batch = models.ForeignKey(MessageBatch, models.CASCADE, null=True, related_name="requests")
    owner = models.CharField(max_length=40)
    custom_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    operation = models.CharField(max_length=20)
    prompt_version = models.CharField(max_length=64, blank=True)
    characters = models.PositiveIntegerField(help_text="Of prompt and text, masked.")
    masked = models.JSONField(default=dict, null=True, blank=True, help_text="As in Call.")
    subject_kind = models.CharField(max_length=20, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    sealed = models.TextField(blank=True)
    call = models.ForeignKey(Call, models.SET_NULL, null=True, related_name="+")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["custom_id"], condition=~Q(custom_id=""), name="batch_one_a_custom_id"),
            models.CheckConstraint(condition=Q(batch=None) ^ ~Q(custom_id=""), name="batch_request_has_its_name"),
            models.CheckConstraint(condition=~Q(state="used") | Q(sealed=""), name="batch_nothing_personal_once_used"),
        ]
        indexes = [models.Index(fields=["owner", "state"], name="batch_owner")]

    def __str__(self) -> str:
        return f"{self.operation} of {self.subject_kind} {self.subject_id}, {self.get_state_display().lower()}"
