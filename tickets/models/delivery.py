from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tickets.models.choices import Status
from tickets.models.happenings import DELIVERY_TELLS
from tickets.models.message import Message
from tickets.models.review import Review
from tickets.models.ticket import Ticket
from tickets.models.work import Work


class Delivery(Work):
    """One reply to be sent. It exists only with the Review in which a named person approved its text.

    A lease that ends while `sending` leaves it `unknown`: the customer may have it, so only a person decides.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="deliveries")
    message = models.OneToOneField(Message, models.CASCADE, related_name="delivery")
    review = models.OneToOneField(Review, models.PROTECT, related_name="delivery")
    channel = models.CharField(max_length=20)
    recipient = models.CharField(max_length=254)
    cc = ArrayField(models.CharField(max_length=254), default=list, blank=True)
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    sent_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True, help_text="What a mail server has reported of it since.")
    # what the ticket's status goes back to where the reply is taken back before it left
    status_before = models.CharField(max_length=10, choices=Status, blank=True, editable=False)
    # what the ticket was put off until with it: that ends, too, where the reply is taken back
    snoozed_until = models.DateTimeField(null=True, blank=True, editable=False)
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "deliveries"
        triggers = DELIVERY_TELLS
        constraints = [
            models.CheckConstraint(condition=Q(sent_at=None) ^ Q(state="sent"), name="sent_at_goes_with_sent"),
            models.CheckConstraint(condition=Q(lease_until=None) ^ Q(state="sending"), name="a_lease_while_sending"),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state="queued"), name="delivery_due"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="delivery_leased"),
        ]

    @property
    def can_be_taken_back(self) -> bool:
        """Whether it has not left: nobody has begun to send it, and its time has not come."""
        return self.state == self.State.QUEUED and not self.attempts and self.not_before > timezone.now()

    def __str__(self) -> str:
        return f"Reply to #{self.ticket_id}, {self.get_state_display().lower()}"


class DeliveryAttempt(models.Model):
    """One try to send: saved before, completed after, never edited again."""

    class Outcome(models.TextChoices):
        STARTED = "started", "Started"
        SENT = "sent", "Sent"
        RETRY = "retry", "Will be tried again"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Not known"
        RETURNED = "returned", "Came back"

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="tries")
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.STARTED)
    detail = models.TextField(blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ ~Q(outcome="started"), name="an_outcome_has_its_time"
            )
        ]

    def __str__(self) -> str:
        return self.get_outcome_display()
