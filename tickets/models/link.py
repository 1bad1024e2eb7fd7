from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.join_notes import LINK_TRIGGERS
from tickets.models.ticket import Ticket


class LinkQuerySet(models.QuerySet["Link"]):
    def of(self, ticket: Ticket) -> Self:
        return self.filter(Q(one=ticket) | Q(other=ticket))


class Link(models.Model):
    """What one ticket is to another. Being related has no direction: the lower number is `one`."""

    class Kind(models.TextChoices):
        RELATED = "related", "Related to"
        DUPLICATE = "duplicate", "Duplicate of"
        BLOCKS = "blocks", "Blocks"

    one = models.ForeignKey(Ticket, models.CASCADE, related_name="links_out")
    other = models.ForeignKey(Ticket, models.CASCADE, related_name="links_in")
    kind = models.CharField(max_length=10, choices=Kind)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LinkQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        triggers = LINK_TRIGGERS
        constraints = [
            models.UniqueConstraint(fields=["one", "other", "kind"], name="one_link_of_a_kind"),
            models.CheckConstraint(condition=~Q(one=models.F("other")), name="linked_with_another"),
            models.CheckConstraint(
                condition=~Q(kind="related") | Q(one__lt=models.F("other")), name="related_has_no_direction"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.one_id} {self.get_kind_display().lower()} #{self.other_id}"

    def words_from(self, number: int) -> str:
        """What the other ticket is, seen from this one."""
        if number == self.one_id or self.kind == self.Kind.RELATED:
            return self.get_kind_display()
        return "Duplicate here" if self.kind == self.Kind.DUPLICATE else "Blocked by"
