from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from tickets.models.ticket import Ticket


class BlockQuerySet(models.QuerySet["Block"]):
    def in_force(self) -> Self:
        return self.filter(lifted_at=None)

    def about(self, email: str) -> Self:
        """Those in force that this address falls under: itself, its domain, or a domain above that."""
        address = email.strip().lower()
        parts = address.rpartition("@")[2].split(".")
        domains = [".".join(parts[place:]) for place in range(len(parts) - 1)]
        return self.in_force().filter(what__in=[address, *domains])


class Block(models.Model):
    """Whose tickets are held as spam: an address, or a domain with all below it. Lifted, it stays as a record."""

    what = models.CharField(max_length=254, help_text="kim@example.com or example.com, in lower case.")
    ticket = models.ForeignKey(Ticket, models.SET_NULL, null=True, blank=True, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    objects = BlockQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["what"], condition=Q(lifted_at=None), name="blocked_once"),
            models.CheckConstraint(condition=Q(what=Lower("what")) & ~Q(what=""), name="blocked_in_lower_case"),
            models.CheckConstraint(
                condition=Q(lifted_by=None) | ~Q(lifted_at=None), name="lifted_by_goes_with_its_time"
            ),
        ]

    def __str__(self) -> str:
        return self.what

    @property
    def is_domain(self) -> bool:
        return "@" not in self.what


class SpamMark(models.Model):
    """Why a ticket is held as spam. It goes when the ticket is let in; the history keeps who did what."""

    class Why(models.TextChoices):
        PERSON = "person", "Marked by a person"
        BLOCKED = "blocked", "Its sender is blocked"
        FLOOD = "flood", "One of many from its sender"
        RULE = "rule", "Marked by a rule"

    ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="spam_mark")
    why = models.CharField(max_length=7, choices=Why)
    block = models.ForeignKey(Block, models.SET_NULL, null=True, blank=True, related_name="marks")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    objects = models.Manager["SpamMark"]()

    def __str__(self) -> str:
        return f"#{self.ticket_id}: {self.get_why_display().lower()}"
