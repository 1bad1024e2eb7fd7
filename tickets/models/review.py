from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.suggestion import Suggestion
from tickets.models.ticket import Ticket


class Review(models.Model):
    """What a person decided about a Suggestion, a row a decision. Written once."""

    class Decision(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        CORRECTED = "corrected", "Corrected"
        APPROVED = "approved", "Approved the reply"
        ESCALATED = "escalated", "Escalated"
        WITHDRAWN = "withdrawn", "Took the reply back"
        REJECTED = "rejected", "Rejected the suggestion"

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="reviews")
    suggestion = models.ForeignKey(Suggestion, models.SET_NULL, null=True, blank=True, related_name="reviews")
    decision = models.CharField(max_length=10, choices=Decision)
    field = models.CharField(max_length=20, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    why = models.TextField(blank=True)
    text = models.TextField(blank=True, help_text="The reply as it was approved.")
    files = models.JSONField(default=list, blank=True, help_text="[{name, size, sha256}] that went with it.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="reviews")
    api_key = models.ForeignKey("tickets.ApiKey", models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decision__in=("accepted", "corrected")) ^ Q(field=""),
                name="a_field_decision_names_its_field",
            ),
            models.CheckConstraint(
                condition=Q(by__isnull=False) | (Q(api_key__isnull=False) & ~Q(decision="approved")),
                name="a_named_person_approves",
            ),
            models.CheckConstraint(condition=~Q(decision="approved") | ~Q(text=""), name="an_approval_holds_its_text"),
        ]

    def __str__(self) -> str:
        return f"{self.get_decision_display()} {self.field}".strip()

    @property
    def who(self) -> str:
        """The person, or the API key that acts for nobody."""
        return self.by.label if self.by else str(self.api_key.name if self.api_key else "")
