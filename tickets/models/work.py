from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone

LEASE = timedelta(seconds=15)
RENEW_EVERY = 5.0  # seconds


class Work(models.Model):
    """A row that is itself the work: claimed under a lease, counted at the claim, finished only by its claimant.

    `attempts` starts anew when the row is submitted again; `claim` only ever grows and fences a late finisher.
    """

    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    claim = models.PositiveBigIntegerField(default=0, editable=False)
    not_before = models.DateTimeField(default=timezone.now, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)

    class Meta:
        abstract = True
