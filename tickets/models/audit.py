from __future__ import annotations

from django.db import models

from tickets.models.ticket import Ticket


class Audit(models.Model):
    """A ticket drawn by lot from those whose decisive fields were applied by themselves: a person is to check them."""

    ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="audit")
    version = models.CharField(max_length=32, help_text="The fit that read it.")
    # {field: {"value": what was applied, "right": whether a person agreed, null until one has said}}
    fields = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["version"], name="audit_version")]

    def __str__(self) -> str:
        return f"Audit of #{self.ticket_id}"
