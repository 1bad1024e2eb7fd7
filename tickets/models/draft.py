from __future__ import annotations

from django.conf import settings
from django.db import models

from tickets.models.message import Message
from tickets.models.suggestion import Suggestion
from tickets.models.ticket import Ticket


class Draft(models.Model):
    """The working reply of a ticket. Sent, it is gone: the outbound message holds the text."""

    ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="draft")
    suggestion = models.ForeignKey(Suggestion, models.SET_NULL, null=True, blank=True, related_name="+")
    text = models.TextField()
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    answers = models.ForeignKey(
        Message, models.SET_NULL, null=True, related_name="+", help_text="The last message this reply answers."
    )
    flags = models.JSONField(default=list, blank=True, help_text="[{kind, words, start}], see triage.flags.")
    stale = models.BooleanField(default=False, help_text="The customer wrote again after this was drafted.")
    keep_open = models.BooleanField(
        default=False, help_text="A macro asks for the ticket to stay open once this is sent."
    )
    proposed_by = models.CharField(
        max_length=100, blank=True, editable=False, help_text="The API key whose program wrote it, over MCP."
    )
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"Draft for #{self.ticket_id}"

    @property
    def edited(self) -> bool:
        return self.editor_id is not None
