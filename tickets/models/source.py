from __future__ import annotations

from django.db import models


class Source(models.Model):
    """One configured door: the form, an API client, a mailbox, a repository, a file that was imported."""

    kind = models.CharField(max_length=20, help_text="A key of tickets.channels.CHANNELS.")
    name = models.CharField(max_length=100, unique=True)
    active = models.BooleanField(default=True)
    sender = models.CharField(max_length=254, blank=True, help_text="From address of replies. Empty: the default one.")
    signature = models.TextField(blank=True, help_text="Ends every reply that leaves by this door.")
    guidance = models.TextField(blank=True, help_text="What a language model should know about tickets of this source.")
    masking = models.BooleanField(
        default=True,
        help_text="What is personal in its tickets leaves for a language model as placeholders. Turn it off only for a "
        "model that runs in your own house.",
    )
    receipts = models.BooleanField(
        default=False, help_text="Who opens a ticket by this door is told by mail that it is here."
    )
    receipt_text = models.TextField(blank=True, max_length=4_000, help_text="Of that mail. Empty: the usual words.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
