from __future__ import annotations

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from triage import queue


class Pause(models.Model):
    """A time in which the machine read nothing new: who began it, why, and who ended it. At most one is in force.

    What comes in meanwhile is stored and waits; replies leave, people work on.
    """

    began_at = models.DateTimeField(default=timezone.now, editable=False)
    begun_by = models.CharField(max_length=150, editable=False)
    reason = models.CharField(max_length=200, blank=True, help_text="Shown on every page of the desk.")
    ended_at = models.DateTimeField(null=True, editable=False)
    ended_by = models.CharField(max_length=150, blank=True, editable=False)

    class Meta:
        ordering = ["-began_at"]
        constraints = [
            models.UniqueConstraint(
                models.ExpressionWrapper(Q(ended_at__isnull=True), output_field=models.BooleanField()),
                condition=Q(ended_at=None),
                name="pause_one_in_force",
            ),
            models.CheckConstraint(condition=Q(ended_at=None) ^ ~Q(ended_by=""), name="pause_ended_by_somebody"),
            models.CheckConstraint(condition=~Q(begun_by=""), name="pause_begun_by_somebody"),
        ]

    def __str__(self) -> str:
        return f"Paused by {self.begun_by} on {timezone.localtime(self.began_at):%-d %B %Y at %H:%M}"

    @classmethod
    def in_force(cls) -> Pause | None:
        return cls.objects.filter(ended_at=None).first()

    @classmethod
    def begin(cls, *, by: str, reason: str = "") -> Pause:
        """Stop reading, in every process, until somebody resumes. A pause in force stays as it is."""
        with transaction.atomic():
            found = cls.objects.select_for_update().filter(ended_at=None).first()
            return found or cls.objects.create(begun_by=by, reason=" ".join(reason.split())[:200])

    @classmethod
    def end(cls, *, by: str) -> bool:
        """Read on. False if nothing was paused."""
        with transaction.atomic():
            ended = cls.objects.filter(ended_at=None).update(ended_at=timezone.now(), ended_by=by) == 1
            if ended:
                for cluster in queue.CLUSTERS:
                    queue.ring(cluster)
        return ended
