from __future__ import annotations

from django.db import models
from pgvector.django import HalfVectorField, HnswIndex

from tickets.models.ticket import Ticket


class Example(models.Model):
    """A text with the labels a person decided; a machine's value that nobody looked at is never one."""

    ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="example")
    text = models.TextField()
    # Drawn once, by the ticket's number: no fit is made from it, all are measured by it.
    held_out = models.BooleanField(default=False, editable=False)
    labels = models.JSONField(help_text="{field: value} of what a person accepted, corrected or set.")
    embedding = HalfVectorField(dimensions=384, null=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = models.Manager["Example"]()

    class Meta:
        indexes = [
            HnswIndex(
                name="example_nearest", fields=["embedding"], opclasses=["halfvec_cosine_ops"], m=16, ef_construction=64
            )
        ]

    def __str__(self) -> str:
        return f"Example from #{self.ticket_id}"
