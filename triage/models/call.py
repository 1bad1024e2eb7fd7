from __future__ import annotations

from datetime import datetime
from typing import Any, Self

import pgtrigger
from django.db import models
from django.utils import timezone


class CallStatus(models.TextChoices):
    STARTED = "started", "Started"
    OK = "ok", "Answered"
    INVALID = "invalid", "Answer unusable"
    REFUSED = "refused", "Refused"
    TRUNCATED = "truncated", "Cut off"
    FAILED = "failed", "Failed"


class CallQuerySet(models.QuerySet["Call"]):
    def newest_first(self) -> Self:
        """The order the index serves; page on by (created_at, id)."""
        return self.order_by("-created_at", "-id")

    def about(self, kind: str, identifier: object) -> Self:
        return self.filter(subject_kind=kind, subject_id=str(identifier))

    def troubled(self) -> Self:
        return self.exclude(status=CallStatus.OK)

    def abandoned(self, *, since: datetime) -> Self:
        """Begun before `since` and never completed: their process died. What they cost is not known."""
        return self.filter(status=CallStatus.STARTED, created_at__lt=since)


class Call(models.Model):
    """One request to a language model: saved before it leaves, completed once after, then closed to every change.

    Tokens and costs are NULL where nobody knows them; zero means zero. Costs are US dollars at the price in force when
    the call was made, which is kept in `price`.
    """

    created_at = models.DateTimeField(default=timezone.now)
    operation = models.CharField(max_length=20)
    provider = models.CharField(max_length=40)
    model_asked = models.CharField(max_length=100)
    model_answered = models.CharField(max_length=100, blank=True)
    prompt_version = models.CharField(max_length=64, blank=True)
    batch = models.BooleanField(default=False, help_text="Sent in a message batch, at its lower price.")
    max_tokens = models.PositiveIntegerField(null=True, help_text="The most that the answer could hold.")
    input_limit = models.PositiveIntegerField(null=True, help_text="Characters that were allowed to leave.")
    input_characters = models.PositiveIntegerField(null=True, help_text="Characters that left, without the prompt.")

    input_tokens = models.PositiveIntegerField(null=True)
    cache_read_tokens = models.PositiveIntegerField(null=True)
    cache_write_5m_tokens = models.PositiveIntegerField(null=True)
    cache_write_1h_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)

    # Twelve places: a price has four, a million six, the regional factor one, the batch factor one.
    input_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cache_read_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cache_write_5m_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cache_write_1h_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    output_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cost = models.DecimalField("cost in all", max_digits=20, decimal_places=12, null=True)
    price = models.JSONField(null=True, help_text="The price row the costs were reckoned with.")

    latency_ms = models.PositiveIntegerField(null=True)
    status = models.CharField(max_length=10, choices=CallStatus, default=CallStatus.STARTED)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True, help_text="What went wrong, in a sentence. Holds no customer's words.")
    retries = models.PositiveSmallIntegerField(default=0)
    stop_reason = models.CharField(max_length=40, blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    masked = models.JSONField(
        default=dict,
        null=True,
        blank=True,
        help_text="How many values of each kind were masked, never the values. Nothing where its source is not masked.",
    )

    subject_kind = models.CharField(
        max_length=20, blank=True, help_text="What the call was about: ticket, chat, summary."
    )
    subject_id = models.CharField(max_length=64, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        get_latest_by = "created_at"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="call_newest"),
            models.Index(fields=["subject_kind", "subject_id"], name="call_subject"),
            # Few rows among many: what failed, and what was begun and never ended.
            models.Index(
                fields=["status", "-created_at"], name="call_troubled", condition=~models.Q(status=CallStatus.OK)
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="call_latency_once_completed",
                condition=models.Q(status=CallStatus.STARTED, latency_ms=None)
                | (~models.Q(status=CallStatus.STARTED) & models.Q(latency_ms__isnull=False)),
            ),
            models.CheckConstraint(
                name="call_failure_has_a_reason",
                condition=~models.Q(status__in=[CallStatus.FAILED, CallStatus.INVALID]) | ~models.Q(error_code=""),
            ),
            models.CheckConstraint(
                name="call_cost_not_negative", condition=models.Q(cost=None) | models.Q(cost__gte=0)
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="completed_once", operation=pgtrigger.Update, condition=~pgtrigger.Q(old__status="started")
            )
        ]

    @property
    def was_cut(self) -> bool:
        """Whether the text was longer than was allowed to leave, and its middle left out."""
        return self.input_limit is not None and (self.input_characters or 0) >= self.input_limit

    def __str__(self) -> str:
        return f"{self.operation} by {self.model_answered or self.model_asked}, {self.get_status_display().lower()}"

    def complete(self, *, status: CallStatus, **values: Any) -> bool:
        """Close the row. False if it was closed already, by a sweep for abandoned calls or another finisher."""
        values["status"] = status
        for name, value in values.items():
            setattr(self, name, value)
        return Call.objects.filter(pk=self.pk, status=CallStatus.STARTED).update(**values) == 1
