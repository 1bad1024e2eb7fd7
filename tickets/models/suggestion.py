from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from tickets.models.causes import SUGGESTION_TRIGGERS
from tickets.models.happenings import SUGGESTION_TELLS
from tickets.models.message import Message
from tickets.models.ticket import Ticket


class Suggestion(models.Model):
    """A Verdict stored for a ticket. Never changed, only followed by another."""

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="suggestions")
    # {field: {value, confidence, band, reason, engine, because: [numbers of decided tickets]}}
    fields = models.JSONField()
    # {field: what the local engine would have applied, had the audit sample not stopped it}
    withheld = models.JSONField(default=dict, blank=True)
    confidence = models.FloatField()
    escalated = models.BooleanField()
    escalation_reason = models.CharField(max_length=300, blank=True)
    draft = models.TextField(blank=True)
    draft_engine = models.CharField(max_length=10, blank=True)
    citations = models.JSONField(default=list, blank=True)
    model = models.CharField(max_length=80, blank=True)
    prompt_version = models.CharField(max_length=40, blank=True)
    notes = models.JSONField(default=list, blank=True)
    last_message = models.ForeignKey(Message, models.SET_NULL, null=True, related_name="+")
    # what the verdict rests on, hashed (tickets.repeats); empty where it must not be taken over
    basis = models.CharField(max_length=64, blank=True)
    # a ticket's number and no foreign key: this row never changes, not even when that ticket goes
    repeat_of = models.PositiveBigIntegerField(null=True, blank=True)
    similar = models.JSONField(default=list, blank=True, help_text="[{number, similarity}] when it was read.")
    milliseconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["basis", "-created_at"], condition=~Q(basis=""), name="suggestion_basis"),
        ]
        triggers = [
            pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update),
            *SUGGESTION_TRIGGERS,
            *SUGGESTION_TELLS,
        ]

    def __str__(self) -> str:
        return f"Suggestion {self.pk} for #{self.ticket_id}"
