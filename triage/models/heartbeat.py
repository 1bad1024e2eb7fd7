from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone


class Heartbeat(models.Model):
    """The last sign of life of one worker cluster on one machine."""

    name = models.CharField(max_length=40, help_text="The cluster: interactive or batch.")
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    beat_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "host"], name="heartbeat_one_row_a_cluster_and_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    @property
    def age_seconds(self) -> float:
        return (timezone.now() - self.beat_at).total_seconds()

    @classmethod
    def latest_beat(cls, name: str) -> datetime | None:
        """When any machine's cluster of this name last gave a sign of life."""
        return cls.objects.filter(name=name).order_by("-beat_at").values_list("beat_at", flat=True).first()
