from __future__ import annotations

from django.db import models
from django.utils import timezone


class Attempt(models.Model):
    """One knock at a door that is braked (triage.brake). `mark` is a keyed digest: no name, no address stands here."""

    mark = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["mark", "-at"], name="attempt_mark"),
            models.Index(fields=["at"], name="attempt_at"),
        ]

    def __str__(self) -> str:
        return f"{self.mark[:8]} at {self.at:%H:%M:%S}"
