from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from tickets.models.join_notes import SPLIT_TRIGGERS
from tickets.models.ticket import Ticket


class Split(models.Model):
    """Messages of one ticket that became another's, by their primary keys, so that they can be put back."""

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="splits")
    new = models.OneToOneField(Ticket, models.CASCADE, related_name="split_from")
    messages = ArrayField(models.BigIntegerField())
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        triggers = SPLIT_TRIGGERS
        constraints = [
            models.CheckConstraint(condition=~Q(ticket=models.F("new")), name="split_into_another"),
            models.CheckConstraint(condition=Q(messages__len__gt=0), name="a_split_moves_something"),
        ]

    def __str__(self) -> str:
        return f"#{self.new_id} off #{self.ticket_id}"
