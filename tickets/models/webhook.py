from __future__ import annotations

import uuid
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from tickets.models.ticket import Ticket
from tickets.models.work import Work
from triage import vault


class Webhook(models.Model):
    """An address that rules tell of tickets. Its secret lies encrypted, and is shown once."""

    name = models.CharField(max_length=60, unique=True)
    url = models.URLField(max_length=500)
    secret = models.TextField(editable=False, help_text="Encrypted.")
    active = models.BooleanField(default=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tickets:webhook", args=[self.pk])

    def keep_secret(self, secret: str) -> None:
        self.secret = vault.encrypt(secret)

    def open_secret(self) -> str:
        """Raises triage.vault.VaultError."""
        return vault.decrypt(self.secret)


class WebhookCallQuerySet(models.QuerySet["WebhookCall"]):
    def due(self, now: datetime) -> Self:
        free = Q(state=WebhookCall.State.QUEUED) | Q(state=WebhookCall.State.SENDING, lease_until__lt=now)
        return self.filter(free, not_before__lte=now)


class WebhookCall(Work):
    """One message to an address. Tried until it is taken, or given up; what it says is gathered when it is sent.

    The receiver is told one id for all attempts: a message may come twice, and is told by it.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="calls")
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="+")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # {rule: {id, name, version}, cause}: nothing personal, the ticket's fields come when it is sent
    about = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookCallQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(sent_at=None) ^ Q(state="sent"), name="webhook_sent_at_goes_with_sent"),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="sending"), name="webhook_a_lease_while_sending"
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=("queued", "sending")), name="webhook_due")
        ]

    def __str__(self) -> str:
        return f"{self.uuid}, {self.get_state_display().lower()}"


class WebhookAttempt(models.Model):
    """One try: written before anything is sent, completed after."""

    call = models.ForeignKey(WebhookCall, models.CASCADE, related_name="tries")
    began_at = models.DateTimeField(auto_now_add=True)
    milliseconds = models.PositiveIntegerField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="What the address answered.")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.status or self.error or 'under way'}"
