from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.join_notes import MERGE_TRIGGERS
from tickets.models.ticket import Ticket


class Merge(models.Model):
    """One ticket joined to another, and what undoing that gives back.

    Messages stay where they were written: `Ticket.merged_into` alone makes them part of the other's thread, and names
    the ticket at the root, also when `into` was merged in its turn.
    """

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="merges")
    into = models.ForeignKey(Ticket, models.CASCADE, related_name="merged_here")
    # {"ticket": {status, resolved_at, snoozed_until}, "into": the same or null, "message": the thread's last}
    before = models.JSONField(null=True, help_text="Empty where there is nothing to go back to: an undone split.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        triggers = MERGE_TRIGGERS
        constraints = [
            models.UniqueConstraint(fields=["ticket"], condition=Q(undone_at=None), name="one_merge_that_stands"),
            models.CheckConstraint(condition=~Q(ticket=models.F("into")), name="merged_with_another"),
            models.CheckConstraint(condition=Q(undone_by=None) | ~Q(undone_at=None), name="undone_by_goes_with_when"),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id} into #{self.into_id}"
