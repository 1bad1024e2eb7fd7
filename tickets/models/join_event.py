from __future__ import annotations

import pgtrigger
from django.db import models

from tickets.models.ticket import Ticket


class JoinEvent(models.Model):
    """That a ticket was joined with another, or ceased to be: a line in its history, written by triggers.

    Of a merge the ticket that was merged has a line already, in its snapshots. No constraint holds the two tickets: a
    line may tell of one that is gone.
    """

    class What(models.TextChoices):
        LINK = "link"  # `words` say what the other one is
        MERGED_HERE = "merged_here"
        SPLIT_OFF = "split_off"
        SPLIT_FROM = "split_from"

    ticket = models.ForeignKey(Ticket, models.DO_NOTHING, related_name="join_events", db_constraint=False)
    other = models.ForeignKey(Ticket, models.DO_NOTHING, related_name="+", db_constraint=False)
    what = models.CharField(max_length=11, choices=What)
    words = models.CharField(max_length=20, blank=True)
    ended = models.BooleanField(default=False)
    at = models.DateTimeField()
    context = models.JSONField(null=True)  # {actor, correlation_id}, as of an Event

    objects = models.Manager["JoinEvent"]()

    class Meta:
        ordering = ["pk"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"#{self.ticket_id} {self.what} #{self.other_id}"

    @property
    def actor(self) -> str:
        return str((self.context or {}).get("actor", "database"))

    @property
    def correlation_id(self) -> str:
        return str((self.context or {}).get("correlation_id", ""))

    @property
    def told(self) -> str:
        """The other ticket, with what it is where that is not said by the kind."""
        return f"{self.words} #{self.other_id}".strip()
