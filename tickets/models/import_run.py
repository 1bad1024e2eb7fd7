from __future__ import annotations

from django.db import models

from tickets.models.source import Source


class ImportRun(models.Model):
    """One file being imported. The same file (by digest) into the same source goes on where it stopped."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="imports")
    path = models.CharField(max_length=500)
    digest = models.CharField(max_length=64)
    rows_read = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="one_run_a_file")]

    def __str__(self) -> str:
        return f"{self.path} into {self.source}"
