from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.work import Work
from triage.models import Artifact


class FitRun(Work):
    """One fit of the local engine: asked for, made under a lease, done with an outcome or failed with its reason."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        FITTING = "fitting", "Being fitted"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    class Cause(models.TextChoices):
        DECISIONS = "decisions", "New decisions"
        NIGHT = "night", "The night"
        PERSON = "person", "Asked for"

    OPEN = (State.QUEUED, State.FITTING)

    kind = models.CharField(max_length=20, choices=Artifact.Kind, default=Artifact.Kind.LOCAL)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    cause = models.CharField(max_length=10, choices=Cause)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    new = models.PositiveIntegerField(
        default=0, help_text="Decided tickets since the run before, when it was asked for."
    )
    artifact = models.ForeignKey(Artifact, models.SET_NULL, null=True, blank=True, related_name="+")
    outcome = models.TextField(blank=True, help_text="What became of it, in a sentence.")
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True, help_text="Decisions up to here are in it.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(state__in=("queued", "fitting")), name="one_fit_at_a_time"
            ),
            models.CheckConstraint(condition=Q(lease_until=None) ^ Q(state="fitting"), name="a_lease_while_fitting"),
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ Q(state__in=("done", "failed")), name="a_fit_that_ended_says_when"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_fit_says_why"),
        ]

    def __str__(self) -> str:
        return f"Fit {self.pk}, {self.get_state_display().lower()}"
