from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Window(models.Model):
    """How often one caller came lately (triage.window). `mark` is a keyed digest: no key, no address stands here.

    The table is unlogged: a count costs no write-ahead log, and after a crash of the database it begins anew.
    """

    mark = models.CharField(max_length=64, primary_key=True)
    slot = models.BigIntegerField()  # the number of its window since 1970
    count = models.PositiveIntegerField()  # within that one
    before = models.PositiveIntegerField()  # and within the one before
    refused = models.BooleanField()  # whether the last time there was no room
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.mark[:8]}: {self.count}"
