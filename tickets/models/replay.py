from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from tickets.models.choices import ReadWith
from tickets.models.ticket import Ticket
from tickets.models.work import Work
from triage.models import Artifact, BatchRequest, Pause
from triage.pipeline.types import FIELDS, FieldName

# What is compared; a summary is free text, in which two readings never agree.
COMPARED: tuple[FieldName, ...] = tuple(name for name in FIELDS if name != "summary")


class Replay(models.Model):
    """Tickets read again as one undertaking: to store what is read, or to compare another reader with the one in force.

    A comparison is stored apart: it is no Suggestion, changes no ticket, and no customer sees it.
    """

    class Kind(models.TextChoices):
        STORE = "store", "Read again"
        COMPARE = "compare", "Comparison"
        SHADOW = "shadow", "Shadow"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"

    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    chosen = models.CharField(max_length=300, help_text="Which tickets, in words.")
    digest = models.CharField(max_length=64, blank=True, help_text="Of what was asked for: asked again, it goes on.")

    engine = models.CharField(max_length=8, choices=ReadWith, default=ReadWith.CASCADE)
    model = models.CharField(max_length=100, blank=True, help_text="Another language model. Empty: the one in force.")
    prompt = models.TextField(blank=True, help_text="Another prompt for sorting. Empty: the one in force.")
    fit = models.ForeignKey(Artifact, models.SET_NULL, null=True, blank=True, related_name="+")
    fit_version = models.CharField(max_length=32, blank=True, help_text="Kept when the fit itself is gone.")

    batch = models.BooleanField(default=False, help_text="The model is asked through message batches.")
    drafts = models.BooleanField(default=False, help_text="The model writes drafts, too, where a batch sorted.")
    leave_when_spent = models.BooleanField(
        default=False, help_text="Once the budget is spent the rest waits, instead of being read by the local engine."
    )
    share = models.PositiveSmallIntegerField(default=100, help_text="Per cent of new tickets that a shadow reads.")
    calls_a_day = models.PositiveIntegerField(null=True, blank=True, help_text="Of a shadow. Empty: no limit.")

    note = models.CharField(max_length=300, blank=True, help_text="Why it stands still, or what it left out.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ ~Q(state="running"), name="replay_finished_goes_with_its_state"
            ),
            models.CheckConstraint(condition=Q(share__gte=1, share__lte=100), name="replay_share_in_per_cent"),
            models.CheckConstraint(condition=Q(batch=False) | Q(kind="store"), name="replay_only_storing_in_batches"),
            models.UniqueConstraint(
                fields=["kind"], condition=Q(kind="shadow", state="running"), name="replay_one_shadow"
            ),
            models.UniqueConstraint(
                fields=["digest"], condition=Q(state="running") & ~Q(digest=""), name="replay_once_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}: {self.reader}"

    def get_absolute_url(self) -> str:
        return reverse("tickets:replay", args=[self.pk])

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def compares(self) -> bool:
        return self.kind != self.Kind.STORE

    @property
    def reader(self) -> str:
        """Who reads, in words."""
        parts = [self.get_engine_display()]
        parts += [f"model {self.model}"] if self.model else []
        parts += ["another prompt"] if self.prompt else []
        parts += [f"fit {self.fit_version[:12]}"] if self.fit_version else []
        return ", ".join(parts)

    @property
    def owner(self) -> str:
        """How its requests to a message batch are told from others'."""
        return f"replay:{self.pk}"

    @property
    def asks_model(self) -> bool:
        return self.engine in (ReadWith.CASCADE, ReadWith.MODEL)


class ReplayTicketQuerySet(models.QuerySet["ReplayTicket"]):
    def open(self) -> Self:
        return self.exclude(state__in=ReplayTicket.SETTLED)

    def due(self, now: datetime) -> Self:
        """Rows that a worker takes: all of a comparison's, and those whose request a batch needs. None in a pause."""
        mine = ~Q(replay__kind=Replay.Kind.STORE) | Q(replay__batch=True)
        paused = models.Exists(Pause.objects.filter(ended_at=None))
        return self.filter(
            ~paused, mine, state=ReplayTicket.State.WAITING, not_before__lte=now, replay__state="running"
        )


class ReplayTicket(Work):
    """One ticket of a replay: the row is the work, and says what it cost."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        READING = "reading", "Reading"
        ASKED = "asked", "In a batch"
        HANDED = "handed", "Being read"
        DONE = "done", "Read"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Left out"

    SETTLED = (State.DONE, State.FAILED, State.SKIPPED)

    replay = models.ForeignKey(Replay, models.CASCADE, related_name="rows")
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="replays")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    # {field: value} as the ticket held it, to tell afterwards what became different
    held = models.JSONField(default=dict)
    request = models.ForeignKey(BatchRequest, models.SET_NULL, null=True, related_name="+")
    last_message = models.BigIntegerField(null=True, help_text="The customer's last when the batch was asked.")
    cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    calls = models.PositiveSmallIntegerField(default=0)
    milliseconds = models.PositiveIntegerField(null=True)
    live_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    live_milliseconds = models.PositiveIntegerField(null=True)
    notes = models.JSONField(default=list, blank=True)
    settled_at = models.DateTimeField(null=True)

    objects = ReplayTicketQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["replay", "ticket"], name="replay_each_ticket_once"),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="reading"), name="replay_a_lease_while_reading"
            ),
        ]
        indexes = [
            models.Index(fields=["replay", "state"], name="replay_progress"),
            models.Index(fields=["not_before"], condition=Q(state="waiting"), name="replay_due"),
            models.Index(fields=["lease_until"], condition=Q(state="reading"), name="replay_leased"),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id} in replay {self.replay_id}"


class Comparison(models.Model):
    """One field of one ticket as two readers see it. Written once, with the reading."""

    row = models.ForeignKey(ReplayTicket, models.CASCADE, related_name="fields")
    field = models.CharField(max_length=20)
    held = models.JSONField(null=True, help_text="What the ticket holds: a person's value, else the machine's.")
    decided_at = models.DateTimeField(null=True, help_text="When a person decided it; empty where nobody did.")
    live = models.JSONField(null=True, help_text="What the reader in force said.")
    live_confidence = models.FloatField(null=True)
    live_band = models.CharField(max_length=7, blank=True)
    live_engine = models.CharField(max_length=5, blank=True)
    other = models.JSONField(null=True, help_text="What the other reader says.")
    other_confidence = models.FloatField(null=True)
    other_band = models.CharField(max_length=7, blank=True)
    other_engine = models.CharField(max_length=5, blank=True)
    agrees = models.BooleanField()
    # Whether each was right, by a person's decision; NULL where nobody decided.
    live_right = models.BooleanField(null=True)
    other_right = models.BooleanField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["row", "field"], name="comparison_once_a_field"),
            models.CheckConstraint(
                condition=Q(decided_at=None, live_right=None, other_right=None)
                | Q(decided_at__isnull=False, live_right__isnull=False, other_right__isnull=False),
                name="comparison_right_by_a_decision",
            ),
        ]
        indexes = [models.Index(fields=["field", "agrees"], name="comparison_differs")]

    def __str__(self) -> str:
        return f"{self.field} of {self.row}"
