from __future__ import annotations

from django.db import models

from tickets.models.choices import Priority


class SlaPolicy(models.Model):
    """The time within which a ticket of one priority gets its first answer."""

    priority = models.CharField(max_length=2, choices=Priority, unique=True)
    response_minutes = models.PositiveIntegerField()

    class Meta:
        ordering = ["priority"]
        verbose_name = "SLA policy"
        verbose_name_plural = "SLA policies"

    def __str__(self) -> str:
        return f"{self.priority}: {self.hours:g} h"

    @property
    def hours(self) -> float:
        return self.response_minutes / 60
